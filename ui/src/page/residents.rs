//! Finding, showing and adding residents.

use super::cases::{Line, lines};
use crate::part::{FaultLine, Input, faults, hidden, input, pager, summary};
use crate::{Lang, Shell, layout};
use maud::{Markup, html};

/// One resident in a list.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// Address.
    pub href: String,
    /// Name.
    pub name: String,
    /// Sex, age, village, group, head: what tells people of one name apart.
    pub about: String,
    /// ID number, masked.
    pub masked_id: String,
    /// By what they were found, in words; may be empty.
    pub by: String,
    /// Rival values wait for a choice.
    pub conflict: bool,
}

/// A list of residents.
#[derive(Clone, Debug, Default)]
pub struct Find {
    /// What was typed.
    pub text: String,
    /// Who was found.
    pub people: Vec<Person>,
    /// Something was searched for.
    pub searched: bool,
    /// More were found than are shown.
    pub more: bool,
    /// All residents, when nothing was searched for.
    pub total: u64,
    /// After so many.
    pub offset: u64,
    /// So many a page.
    pub size: u64,
}

fn results(l: Lang, view: &Find) -> Markup {
    html! {
        div id="results" {
            @if view.searched && view.people.is_empty() {
                p class="empty" {
                    (l.t("没找到。换个写法试试,或者", "Nobody found. Try another spelling, or "))
                    a href="/residents/new" { (l.t("登记新居民", "add a person")) } "。"
                }
            } @else {
                ul class="list" {
                    @for p in &view.people {
                        li { a class="row" href=(p.href) {
                            span class="who" { (p.name) }
                            span { (p.about) }
                            span class="num" { (p.masked_id) }
                            @if p.conflict { span class="tag amber" { (l.t("有两种说法", "Two versions")) } }
                            @if !p.by.is_empty() { span class="end tag" { (p.by) } }
                        } }
                    }
                }
                @if view.more { p class="hint" { (l.t("人太多,只列出前面的。再多输几个字。", "Only the first are listed. Type more.")) } }
                @if !view.searched { (pager(l, "/residents", view.offset, view.size, view.total)) }
            }
        }
    }
}

/// The page that finds people.
#[must_use]
pub fn find(shell: &Shell, view: &Find) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (l.t("找人", "Find a person")) }
        form class="searchbox" method="post" action="/residents" role="search" {
            div class="field" {
                label for="q" { (l.t("姓名、首字母、户主、组、小名、电话、身份证", "Name, initials, head, group, nickname, phone, ID")) }
                input type="search" id="q" name="q" value=(view.text) autocomplete="off" autofocus
                    hx-post="/residents" hx-trigger="input changed delay:250ms" hx-target="#results" hx-select="#results" hx-swap="outerHTML" hx-sync="replace";
            }
            button { (l.t("找人", "Find")) }
            a class="button second" href="/residents/new" { (l.t("登记新居民", "Add a person")) }
        }
        (results(l, view))
    };
    layout::page(shell, l.t("找人", "Find a person"), false, &[], &body)
}

/// A resident.
#[derive(Clone, Debug, Default)]
pub struct Show {
    /// Name.
    pub name: String,
    /// Particulars: label and value.
    pub rows: Vec<(String, String)>,
    /// Materials kept for reuse: name, from where and until when.
    pub kept: Vec<(String, String)>,
    /// Their cases.
    pub cases: Vec<Line>,
    /// Address to begin a case.
    pub file: String,
    /// Address to change the particulars.
    pub edit: String,
    /// Address of who looked.
    pub looks: String,
    /// Where moving to another village goes.
    pub moving: String,
    /// The full ID number may be shown: address; absent when it is shown.
    pub reveal: Option<String>,
    /// Rival values: label, the values.
    pub conflicts: Vec<(String, Vec<String>)>,
    /// Items can be chosen.
    pub can_file: bool,
}

/// The page of a resident.
#[must_use]
pub fn show(shell: &Shell, view: &Show) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (view.name) }
        @for (label, values) in &view.conflicts {
            p class="warn" { (label) ": " (l.t("有两种说法:", "two versions: ")) (values.join(" / ")) " " a href=(view.edit) { (l.t("去选", "Choose")) } }
        }
        div class="card narrow" {
            (summary(&view.rows))
            @if let Some(reveal) = &view.reveal {
                p { a href=(reveal) { (l.t("显示完整号码", "Show full numbers")) } " " span class="hint" { (l.t("(会记录谁看过)", "(looking is recorded)")) } }
            }
            div class="buttons" {
                @if view.can_file { a class="button" href=(view.file) { (l.t("给TA办事", "File for this person")) } }
                a class="button second" href=(view.edit) { (l.t("修改资料", "Change particulars")) }
                a class="button second" href=(view.moving) { (l.t("迁到别的村", "Move to another village")) }
                a class="button second" href=(view.looks) { (l.t("谁看过", "Who looked")) }
            }
        }
        h2 { (l.t("办件", "Cases")) }
        (lines(l, &view.cases, l.t("还没有办过件。", "No cases yet.")))
        h2 { (l.t("可以再用的材料", "Materials for reuse")) }
        @if view.kept.is_empty() { p class="empty" { (l.t("还没有。办过一次的证件会出现在这里,不用再拍。", "None yet. Papers given once appear here and need not be photographed again.")) } }
        @else { div class="card narrow" { (summary(&view.kept)) } }
    };
    layout::page(shell, &view.name, false, &[], &body)
}

/// Adding somebody, or changing their particulars.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// Heading.
    pub title: String,
    /// Where it goes.
    pub action: String,
    /// The inputs.
    pub inputs: Vec<Input>,
    /// Heads of the document that the page was made from.
    pub base: String,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
    /// Somebody else changed these meanwhile: label, theirs, yours.
    pub rivals: Vec<(String, String, String)>,
    /// Somebody of the same name and birth date: address and words.
    pub alike: Vec<(String, String)>,
    /// Only the ID number is asked first.
    pub first_step: bool,
}

/// The page for particulars.
#[must_use]
pub fn edit(shell: &Shell, view: &Edit) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (view.title) }
        (faults(l, &view.faults))
        (rival_notice(l, &view.rivals))
        @if !view.alike.is_empty() {
            div class="warn" {
                p { strong { (l.t("可能已经登记过:姓名和出生日期相同", "Perhaps registered already: same name and birth date")) } }
                ul { @for (address, words) in &view.alike { li { a href=(address) { (words) } } } }
                p { (l.t("不是同一人就继续保存。", "If it is somebody else, go on and save.")) }
            }
        }
        form method="post" action=(view.action) class="card narrow" novalidate {
            (hidden("base", &view.base))
            @for i in &view.inputs { (input(l, i)) }
            div class="buttons" {
                button { (if view.first_step { l.t("继续", "Continue") } else { l.t("保存", "Save") }) }
            }
        }
    };
    layout::page(shell, &view.title, !view.faults.is_empty(), &[], &body)
}

/// Says that somebody else changed the same fields meanwhile; what was typed stays in the form.
#[must_use]
pub fn rival_notice(l: Lang, rivals: &[(String, String, String)]) -> Markup {
    html! {
        @if !rivals.is_empty() {
            div class="warn" role="alert" {
                p { strong { (l.t("您打开这一页以后,别人改过这些地方,或者您在别的页上改过。看一看,再保存一次,以您保存的为准。",
                    "Somebody, or you on another page, changed these after you opened this one. Look, then save again: what you save counts.")) } }
                ul { @for (label, theirs, yours) in rivals {
                    li { (label) ": " (l.t("现在是", "now")) " " strong { (theirs) } ", " (l.t("您填的", "yours")) " " strong { (yours) } }
                } }
            }
        }
    }
}
