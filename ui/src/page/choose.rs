//! Rival values: both are shown, a person chooses, the history keeps both.

use super::filing::{DraftHead, head};
use crate::{Shell, layout};
use maud::{Markup, html};

/// One field with its rival values.
#[derive(Clone, Debug, Default)]
pub struct Rival {
    /// Name of the input: section and key.
    pub field: String,
    /// Label.
    pub label: String,
    /// Value as stored, value in words, who wrote it and when.
    pub values: Vec<(String, String, String)>,
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &DraftHead, rivals: &[Rival]) -> Markup {
    let l = shell.lang;
    let title = l.t("两个人改了同一处", "Two people changed the same thing");
    let body = html! {
        (head(shell, view, title))
        @if rivals.is_empty() { p class="done" { (l.t("已经选好了,没有要选的。", "All settled: nothing to choose.")) } }
        @else {
            form method="post" action={ "/cases/" (view.case) "/choose" } class="card" {
                @for rival in rivals {
                    fieldset class="field" {
                        legend { (rival.label) }
                        div class="both" {
                            @for (i, (value, words, by)) in rival.values.iter().enumerate() {
                                label class="radio" for={ (rival.field) "-" (i) } {
                                    input type="radio" id={ (rival.field) "-" (i) } name=(rival.field) value=(value);
                                    span { strong { (words) } br; span class="hint" { (by) } }
                                }
                            }
                        }
                    }
                }
                p class="hint" { (l.t("不选的先放着也可以。两种说法都会留在记录里。", "You may leave some for later. Both versions stay in the history.")) }
                div class="buttons" { button { (l.t("选好了,保存", "Save the choice")) } }
            }
        }
    };
    layout::page(shell, title, false, &[], &body)
}
