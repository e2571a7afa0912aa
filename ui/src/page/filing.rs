//! Filing: who files, and the list of what is to be done.

use crate::part::{Control, FaultLine, Input, faults, hidden, input};
use crate::{Shell, layout};
use maud::{Markup, html};

/// The head of every page of a draft.
#[derive(Clone, Debug, Default)]
pub struct DraftHead {
    /// The case, for addresses.
    pub case: String,
    /// Number, grouped.
    pub number: String,
    /// Applicant.
    pub applicant: String,
    /// Item.
    pub item: String,
}

/// The head.
#[must_use]
pub fn head(shell: &Shell, view: &DraftHead, title: &str) -> Markup {
    let l = shell.lang;
    html! {
        p class="hint" { a href={ "/cases/" (view.case) } { "‹ " (l.t("回任务清单", "Task list")) } }
        h1 { (title) }
        p { strong { (view.applicant) } " · " (view.item) " · " span class="num" { (view.number) } }
    }
}

/// One task of a draft.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// Address.
    pub href: String,
    /// Words.
    pub words: String,
    /// How it stands, in words.
    pub state: String,
    /// It is done.
    pub done: bool,
    /// It cannot be begun yet.
    pub locked: bool,
}

/// The task list.
#[must_use]
pub fn tasks(shell: &Shell, view: &DraftHead, tasks: &[Task], conflicts: usize) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (view.applicant) " · " (view.item) }
        p { (l.t("编号", "Number")) " " strong class="num" { (view.number) } " · " span class="tag" { (l.phase(cunkou_casework::case::Phase::Draft)) } }
        @if conflicts > 0 {
            p class="warn" { (l.t("有两个人改了同一处,两种说法都在。", "Two people changed the same thing; both versions are kept. "))
                a href={ "/cases/" (view.case) "/choose" } { (l.t("去选", "Choose")) } }
        }
        ul class="list narrow" {
            @for (i, task) in tasks.iter().enumerate() {
                li {
                    @if task.locked {
                        span class="row" { span class="who hint" { (i + 1) " " (task.words) } span class="end hint" { (task.state) } }
                    } @else {
                        a class="row" href=(task.href) { span class="who" { (i + 1) " " (task.words) }
                            span class={ "end tag " (if task.done { "good" } else { "" }) } { (task.state) } }
                    }
                }
            }
        }
        p class="hint" { (l.t("每一页填完就存在本机,随时可以停下再来。", "Every page is saved on this box; stop and come back at any time.")) }
        details { summary { (l.t("不办了", "Give up this case")) }
            form method="post" action={ "/cases/" (view.case) "/do/withdraw" } {
                (input(l, &Input::line("reason", l.t("撤回原因", "Reason"), "").with(Control::Area)))
                button class="danger" { (l.t("撤回", "Withdraw")) }
            }
        }
    };
    layout::page(shell, &format!("{} · {}", view.applicant, view.item), false, &[], &body)
}

/// Who files.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The head.
    pub head: DraftHead,
    /// Choices: value, words.
    pub choices: Vec<(String, String)>,
    /// What stands.
    pub filer: String,
    /// Name, relation, phone, ID number of the person acting.
    pub inputs: Vec<Input>,
    /// What only the applicant can do.
    pub in_person: Option<String>,
    /// Name of the agent, for the mandate.
    pub agent: String,
    /// Heads that the page was made from.
    pub base: String,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
}

/// The page.
#[must_use]
pub fn who(shell: &Shell, view: &Who) -> Markup {
    let l = shell.lang;
    let title = l.t("谁来办", "Who files");
    let filer =
        Input::line("filer", title, &view.filer).with(Control::Radios(view.choices.clone()));
    let body = html! {
        (head(shell, &view.head, title))
        (faults(l, &view.faults))
        @if let Some(words) = &view.in_person { p class="warn" { (words) } }
        form method="post" action={ "/cases/" (view.head.case) "/who" } class="card narrow" novalidate {
            (hidden("base", &view.base))
            (input(l, &filer))
            p class="hint" { (l.t("本人在场就选本人,不需要委托书。", "If the applicant is present choose the applicant: no mandate is needed."))
                " " (l.t("委托代办员时,委托书写明的受托人是", "For the agent, the mandate names")) " " (view.agent) "。" }
            h2 { (l.t("替申请人来的人(本人办理不填)", "The person acting (not for the applicant)")) }
            @for i in &view.inputs { (input(l, i)) }
            div class="buttons" { button { (l.t("保存,继续", "Save and continue")) } }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}
