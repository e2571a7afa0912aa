//! Eligibility: questions, and the answer.

use super::filing::{DraftHead, head};
use crate::part::{FaultLine, Input, faults, hidden, input};
use crate::{Shell, layout};
use maud::{Markup, html};

/// One condition as it stands.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// In words.
    pub says: String,
    /// Holds, does not hold, or not known.
    pub met: Option<bool>,
    /// Its basis.
    pub basis: String,
    /// What else one can do.
    pub otherwise: String,
}

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// The head.
    pub head: DraftHead,
    /// What is still asked.
    pub questions: Vec<Input>,
    /// All conditions.
    pub conditions: Vec<Condition>,
    /// `likely`, `unlikely` or `unsure`.
    pub answer: &'static str,
    /// Heads that the page was made from.
    pub base: String,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Check) -> Markup {
    let l = shell.lang;
    let title = l.t("先看符不符合", "Eligibility");
    let (class, words) = match view.answer {
        "likely" => ("done", l.t("可能符合", "Probably eligible")),
        "unlikely" => ("warn", l.t("不符合", "Not eligible, it seems")),
        _ => ("warn", l.t("说不准", "Not certain")),
    };
    let body = html! {
        (head(shell, &view.head, title))
        (faults(l, &view.faults))
        div class=(class) {
            p { strong { (words) } " — " (l.t("以部门审核为准。盒子不作决定,仍然可以申请。", "the department decides. The box decides nothing; one may still apply.")) }
            @for c in view.conditions.iter().filter(|c| c.met == Some(false)) {
                p { (l.t("原因:没有达到“", "Reason: not met: “")) (c.says) "”。" (l.t("依据:", "Basis: ")) (c.basis) "。"
                    br; (l.t("还能办什么:", "What else: ")) (c.otherwise) }
            }
        }
        @if !view.questions.is_empty() {
            form method="post" action={ "/cases/" (view.head.case) "/check" } class="card narrow" novalidate {
                (hidden("base", &view.base))
                h2 { (l.t("还要问", "Still to be asked")) }
                @for q in &view.questions { (input(l, q)) }
                div class="buttons" { button { (l.t("保存", "Save")) } }
            }
        }
        h2 { (l.t("各项条件", "All conditions")) }
        ul class="list narrow" {
            @for c in &view.conditions {
                li { span class="row" {
                    span { (c.says) }
                    span class={ "end tag " (match c.met { Some(true) => "good", Some(false) => "red", None => "amber" }) } {
                        (match c.met { Some(true) => l.t("✓ 符合", "✓ met"), Some(false) => l.t("✕ 不符合", "✕ not met"), None => l.t("? 不清楚", "? not known") })
                    }
                } }
            }
        }
        div class="buttons" { a class="button" href={ "/cases/" (view.head.case) "/materials" } { (l.t("继续:准备材料", "Continue: materials")) } }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}
