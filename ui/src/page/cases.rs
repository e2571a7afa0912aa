//! Lists of cases: tasks, drafts, the queue, the ledger.

use crate::part::{pager, rung};
use crate::{Lang, Shell, layout};
use cunkou_casework::case::Ladder;
use maud::{Markup, html};

/// One case in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Address.
    pub href: String,
    /// Number, grouped.
    pub number: String,
    /// Applicant.
    pub applicant: String,
    /// Item.
    pub item: String,
    /// Village.
    pub village: String,
    /// Legal state in words.
    pub phase: String,
    /// What is to be done; may be empty.
    pub task: String,
    /// How long is left, in words; may be empty.
    pub left: String,
    /// `amber` or `red` when it presses.
    pub tone: &'static str,
    /// How far it has come; absent for drafts and where nobody knows.
    pub ladder: Option<Ladder>,
    /// Other remarks: rival values, entries aside, what is only here.
    pub marks: Vec<String>,
}

/// A queue or ledger.
#[derive(Clone, Debug, Default)]
pub struct Cases {
    /// Heading.
    pub title: String,
    /// The lines.
    pub lines: Vec<Line>,
    /// How many there are in all.
    pub total: u64,
    /// After so many.
    pub offset: u64,
    /// So many a page.
    pub size: u64,
    /// What was searched for.
    pub text: String,
    /// Filters: address, words, count, current.
    pub filters: Vec<(String, String, u64, bool)>,
    /// The address of this list without position, for the pager and renewal.
    pub base: String,
    /// What an empty list means and what to do.
    pub empty: String,
}

/// The lines of a list.
#[must_use]
pub fn lines(l: Lang, lines: &[Line], empty: &str) -> Markup {
    html! {
        @if lines.is_empty() { p class="empty" { (empty) } }
        @else {
            ul class="list" {
                @for line in lines {
                    li { a class="row" href=(line.href) {
                        span class="who" { (line.applicant) }
                        span { (line.item) }
                        @if !line.village.is_empty() { span { (line.village) } }
                        span class="num" { (line.number) }
                        @if let Some(reached) = &line.ladder { (rung(l, reached)) }
                        @for mark in &line.marks { span class="tag amber" { (mark) } }
                        span class="end" {
                            @if !line.left.is_empty() { span class={ "tag " (line.tone) } { (line.left) } " " }
                            span class="tag blue" { (if line.task.is_empty() { &line.phase } else { &line.task }) }
                            span class="sr" { (l.t("打开", "open")) }
                        }
                    } }
                }
            }
        }
    }
}

/// The list alone, as it renews itself.
#[must_use]
pub fn fragment(l: Lang, view: &Cases) -> Markup {
    let sep = if view.base.contains('?') { "&" } else { "?" };
    let renew = format!("{}{sep}from={}&fragment=1", view.base, view.offset);
    html! {
        div id="cases" hx-get=(renew) hx-trigger="every 4s" hx-swap="outerMorph" {
            (lines(l, &view.lines, &view.empty))
            (pager(l, &view.base, view.offset, view.size, view.total))
        }
    }
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Cases) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (view.title) }
        form class="searchbox" method="post" action="/cases" role="search" {
            div class="field" {
                label for="q" { (l.t("编号或姓名", "Number or name")) }
                input type="search" id="q" name="q" value=(view.text) autocomplete="off";
            }
            button { (l.t("查找", "Search")) }
        }
        @if !view.filters.is_empty() {
            ul class="actions" {
                @for (address, words, count, current) in &view.filters {
                    li { a class={ "button" (if *current { "" } else { " second" }) } href=(address)
                           aria-current=[current.then_some("true")] { (words) " " (count) } }
                }
            }
        }
        (fragment(l, view))
        p { a href="/receipts" { (l.t("核对一张收件回执", "Check a receipt")) } }
        p class="hint" { (l.t("键盘:/ 查找,↑↓ 移动,回车打开", "Keys: / search, ↑↓ move, Enter opens")) }
    };
    layout::page(shell, &view.title, false, &[], &body)
}
