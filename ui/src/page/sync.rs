//! Sync: what is on this box only, since when, how much is left and how quickly it goes, what needs
//! a person, and the history of contacts.

use super::boxes::{Table, table as rows};
use super::cases::{Line, lines};
use crate::part::summary;
use crate::{Lang, Shell, layout};
use maud::{Markup, html};

/// Something that needs a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// What it is and what to do.
    pub words: String,
    /// Who can do something.
    pub who: String,
    /// Where, and what the button says.
    pub way: Option<(String, String)>,
    /// `warn` or `bad`.
    pub tone: &'static str,
}

/// Why the last attempt came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failed {
    /// What happened.
    pub what: String,
    /// What to do about it.
    pub next: String,
    /// When it was tried last, since when, and how often; words.
    pub tried: String,
    /// What the other side said, for county IT; may be empty.
    pub said: String,
}

/// The part that renews itself.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// What goes on, and its tone: `blue`, `grey` or `done`.
    pub words: (String, &'static str),
    /// How quickly, and for how long; absent without a measurement.
    pub pace: Option<String>,
    /// What needs a person, the most urgent first.
    pub needs: Vec<Need>,
    /// Why it does not go.
    pub failed: Option<Failed>,
    /// Label and value.
    pub rows: Vec<(String, String)>,
    /// What is only here, counted.
    pub here: String,
    /// Since when the oldest of it waits.
    pub since: Option<String>,
    /// The cases of which something is only here.
    pub cases: Vec<Line>,
    /// So many more are not listed.
    pub more: u64,
    /// When this was so.
    pub at: String,
}

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct Sync {
    /// The part that renews itself.
    pub now: Now,
    /// The latest contacts.
    pub contacts: Table,
    /// Bytes over the link: month, relay, sent, received.
    pub traffic: Vec<[String; 4]>,
    /// Where bundles are made and brought in; absent in the practice room.
    pub carry: Option<String>,
    /// The box can be locked from here.
    pub offer_lock: bool,
}

/// The part that renews itself where scripts run; without one there is a link.
#[must_use]
pub fn progress(l: Lang, now: &Now) -> Markup {
    let (words, tone) = &now.words;
    html! {
        div id="sync-now" hx-get="/sync/progress" hx-trigger="every 4s" hx-swap="outerMorph" {
            div class={ "state " (tone) } {
                p role="status" { strong { (words) } }
                @if let Some(pace) = &now.pace { p { (pace) } }
                @if let Some(failed) = &now.failed {
                    p { (failed.what) " " (failed.next) }
                    p class="hint" { (failed.tried)
                        @if !failed.said.is_empty() { " " span lang="en" { "“" (failed.said) "”" } }
                    }
                }
            }
            @if !now.needs.is_empty() {
                h2 { (l.t("要人处理", "Needs a person")) " (" (now.needs.len()) ")" }
                ul class="needs" { @for need in &now.needs {
                    li class=(need.tone) {
                        span class="tag" { (need.who) } " " (need.words)
                        @if let Some((href, label)) = &need.way { " " a class="button second" href=(href) { (label) } }
                    }
                } }
            }
            div class="card" { (summary(&now.rows)) }
            h2 { (l.t("只在这台盒子上的", "On this box only")) }
            p { (now.here) @if let Some(since) = &now.since { (l.t("。最久的", ". The oldest ")) (since) (l.t("。", ".")) } }
            @if !now.cases.is_empty() { (lines(l, &now.cases, "")) }
            @if now.more > 0 { p class="hint" { @match l {
                Lang::Zh => { "还有 " (now.more) " 件没有列出来;先列等得最久的。" }
                Lang::En => { (now.more) " more are not listed; those that waited longest come first." }
            } } }
            p class="hint" { (now.at) " · " a href="/sync" { (l.t("刷新", "Refresh")) } }
        }
    }
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Sync) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (l.t("同步", "Sync")) }
        (progress(l, &view.now))
        div class="buttons" {
            @if let Some(address) = &view.carry {
                a class="button second" href=(address) { (l.t("带走 / 带回(U 盘)", "Carry by hand (stick)")) }
            }
            @if view.offer_lock {
                form method="post" action="/lock" { button class="second" { (l.t("锁上盒子", "Lock the box")) } }
            }
        }
        @if view.offer_lock {
            p class="hint" { (l.t("锁上:所有人退出;锁着也照常收县里的消息", "Locking signs everybody out; a locked box goes on receiving")) }
        }
        h2 { (view.contacts.title) }
        (rows(&view.contacts))
        @if !view.contacts.rows.is_empty() {
            p { a href="/sync/contacts.csv" download { (l.t("导出表格(CSV)", "Export a table (CSV)")) } }
        }
        @if !view.traffic.is_empty() {
            h2 { (l.t("用了多少流量", "Data used")) }
            div class="scroll" { table {
                thead { tr { th { (l.t("月份", "Month")) } th { (l.t("和谁", "With")) } th { (l.t("送出", "Out")) } th { (l.t("收到", "In")) } } }
                tbody { @for row in &view.traffic { tr { @for cell in row { td { (cell) } } } } }
            } }
        }
    };
    layout::page(shell, l.t("同步", "Sync"), false, &[], &body)
}
