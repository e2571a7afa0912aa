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
    /// The lease has ended: the number to read to the county.
    pub lease: Option<String>,
    /// A spare box that waits for its places: nobody works here yet.
    pub spare: bool,
    /// The box is locked: the first to sign in opens it.
    pub locked: bool,
    /// There is a way back for a forgotten PIN.
    pub forgotten: bool,
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

/// The box has not heard from the county for too long.
fn lease(shell: &Shell, challenge: &str, fault: Option<&str>) -> Markup {
    let l = shell.lang;
    let mut code = Input::line(
        "code",
        l.t("县里念的号码(10 位)", "The code that the county reads (10 digits)"),
        "",
    );
    code.fault = fault.map(str::to_owned);
    let (first, second) = challenge.split_at_checked(4).unwrap_or((challenge, ""));
    html! {
        p class="warn" {
            (l.t("这台盒子已经 60 天没有联系上县里,暂时不能打开。已填的内容都在。接上网络连上县里后自动恢复;没有网络就打电话给县信息员。",
                "This box has not reached the county for 60 days and does not open for now. Nothing is lost. It opens again by itself once connected; without a network, call county IT."))
        }
        p { (l.t("电话里念这个编号:", "Read this number over the phone:")) " " strong { (first) " " (second) } }
        form method="post" action="/lease" class="card narrow" {
            (input(l, &code))
            div class="buttons" { button { (l.t("延长 14 天", "Extend by 14 days")) } }
        }
    }
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Login) -> Markup {
    let l = shell.lang;
    let lines: Vec<FaultLine> = view
        .fault
        .iter()
        .filter(|words| !words.is_empty())
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
        @if view.locked && view.lease.is_none() {
            p class="hint" { (l.t("盒子锁着,照常收县里的消息。第一个人登录后打开。",
                "The box is locked and goes on receiving from the county. The first to sign in opens it.")) }
        }
        @if let Some(challenge) = &view.lease {
            (lease(shell, challenge, view.fault.as_deref().filter(|f| !f.is_empty())))
        } @else if view.spare {
            h2 { (l.t("备用机,等待绑定", "Spare box, waiting for its places")) }
            p class="warn" {
                (l.t("这台是备用机,还没有分配村。向县信息员要一个绑定口令,在盒子上执行 cunkou-node bind --code 口令。",
                     "This is a spare box without villages as yet. Ask county IT for a binding code and run on the box: cunkou-node bind --code CODE."))
            }
        } @else if view.people.is_empty() {
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
                div class="buttons" {
                    button { (l.t("登录", "Sign in")) }
                    @if view.forgotten { a href="/forgotten" { (l.t("忘记 PIN 码?", "Forgotten your PIN?")) } }
                }
            }
        }
    };
    layout::page(shell, l.t("登录", "Sign in"), view.fault.is_some(), &[], &body)
}
