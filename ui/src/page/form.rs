//! The form of an item.

use super::filing::{DraftHead, head};
use super::residents::rival_notice;
use crate::part::{FaultLine, Input, faults, hidden, input};
use crate::{Shell, layout};
use maud::{Markup, html};

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// The head.
    pub head: DraftHead,
    /// The inputs.
    pub inputs: Vec<Input>,
    /// Heads that the page was made from.
    pub base: String,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
    /// Somebody else changed these meanwhile: label, theirs, yours.
    pub rivals: Vec<(String, String, String)>,
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Form) -> Markup {
    let l = shell.lang;
    let title = l.t("填写申请表", "Application form");
    let body = html! {
        (head(shell, &view.head, title))
        (faults(l, &view.faults))
        (rival_notice(l, &view.rivals))
        form method="post" action={ "/cases/" (view.head.case) "/form" } class="card narrow" novalidate {
            (hidden("base", &view.base))
            @for i in &view.inputs { (input(l, i)) }
            div class="buttons" { button { (l.t("保存,继续", "Save and continue")) } }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}
