//! Signing in.

use crate::part::{Control, FaultLine, Input, faults, hidden, input};
use crate::{Shell, layout};
use maud::{Markup, html};

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// Who may sign in here: login, name, role.
    pub people: Vec<(String, String, String)>,
    /// Who was chosen.
    pub chosen: String,
    /// Where to go afterwards.
    pub next: String,
    /// What is wrong.
    pub fault: Option<String>,
    /// A form that was sent when the session had ended: where it goes on.
    pub resume: Option<String>,
    /// Its fields.
    pub carried: Vec<(String, String)>,
}

/// In front of the names of carried fields.
pub const CARRIED: &str = "carry:";

/// Signed in again: the form that was sent before can go on.
#[must_use]
pub fn resume(shell: &Shell, address: &str, carried: &[(String, String)]) -> Markup {
    let l = shell.lang;
    let title = l.t("已登录,继续提交", "Signed in: go on");
    let body = html! {
        h1 { (title) }
        p { (l.t("您刚才填的内容还在。", "What you typed is still here.")) }
        form method="post" action=(address) class="card narrow" {
            @for (name, value) in carried { (hidden(name, value)) }
            div class="buttons" { button { (l.t("继续提交", "Submit it now")) } }
        }
    };
    layout::page(shell, title, false, &[], &body)
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Login) -> Markup {
    let l = shell.lang;
    let lines: Vec<FaultLine> = view
        .fault
        .iter()
        .map(|words| FaultLine { field: "pin".into(), words: words.clone() })
        .collect();
    let people =
        view.people.iter().map(|(login, name, role)| (login.clone(), format!("{name} · {role}")));
    let who = Input::line("login", l.t("谁在用", "Who is it"), &view.chosen).with(
        if view.people.len() > 8 {
            Control::Select(people.collect())
        } else {
            Control::Radios(people.collect())
        },
    );
    let mut pin = Input::line("pin", l.t("PIN 码", "PIN"), "").with(Control::Secret);
    pin.fault.clone_from(&view.fault);
    let body = html! {
        h1 { (l.t("登录", "Sign in")) }
        (faults(l, &lines))
        @if view.resume.is_some() {
            p class="warn" { (l.t("太久没有操作,要重新登录。您刚才填的内容没有丢,登录后继续提交。",
                "Too long without activity: sign in again. What you typed is kept and goes on after that.")) }
        }
        @if view.people.is_empty() {
            p class="warn" {
                (l.t("这里还没有可以登录的人。请县信息员添加工作人员,盒子连上县平台后就会出现。",
                     "Nobody can sign in here yet. County IT adds staff; they appear once the box has reached the county."))
            }
        } @else {
            form method="post" action="/login" class="card narrow" {
                (hidden("next", &view.next))
                @if let Some(resume) = &view.resume { (hidden("resume", resume)) }
                @for (name, value) in &view.carried { (hidden(&format!("{CARRIED}{name}"), value)) }
                (input(l, &who))
                (input(l, &pin))
                div class="buttons" { button { (l.t("登录", "Sign in")) } }
            }
        }
    };
    layout::page(shell, l.t("登录", "Sign in"), view.fault.is_some(), &[], &body)
}
