//! Check answers before the applicant signs.

use super::filing::{DraftHead, head};
use crate::{Shell, layout};
use maud::{Markup, html};

/// A group of answers with the address that changes them.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Heading.
    pub title: String,
    /// Where they are changed.
    pub change: String,
    /// Label, value, and whether something is missing.
    pub rows: Vec<(String, String, bool)>,
}

/// The page. `missing` says in words what keeps the case from being submitted.
#[must_use]
pub fn page(
    shell: &Shell,
    view: &DraftHead,
    groups: &[Group],
    missing: &[(String, String)],
) -> Markup {
    let l = shell.lang;
    let title = l.t("核对", "Check answers");
    let body = html! {
        (head(shell, view, title))
        @if !missing.is_empty() {
            div class="warn" {
                p { strong { (l.t("签名前还差:", "Before signing, still missing:")) } }
                ul { @for (href, words) in missing { li { a href=(href) { (words) } } } }
            }
        }
        @for group in groups {
            div class="card narrow" {
                h2 { (group.title) " " a href=(group.change) { (l.t("更改", "Change")) span class="sr" { " " (group.title) } } }
                dl class="summary" {
                    @for (label, value, lacking) in &group.rows {
                        div { dt { (label) } dd {
                            @if value.is_empty() { span class="hint" { (l.t("未填", "Not provided")) } } @else { (value) }
                            @if *lacking { " " span class="tag amber" { (l.t("还缺", "missing")) } }
                        } }
                    }
                }
            }
        }
        div class="buttons" {
            @if missing.is_empty() { a class="button" href={ "/cases/" (view.case) "/sign" } { (l.t("都对,请申请人签名", "All correct: sign")) } }
            @else { span class="hint" { (l.t("补齐后才能签名。", "Complete these to sign.")) } }
        }
    };
    layout::page(shell, title, false, &[], &body)
}
