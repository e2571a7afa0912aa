//! Sync: what is on this box only, since when, and what needs a person.

use crate::part::summary;
use crate::{Shell, layout};
use maud::{Markup, html};

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct Sync {
    /// Label and value.
    pub rows: Vec<(String, String)>,
    /// Something that needs a person; words.
    pub needs_person: Vec<String>,
    /// Contacts: peer, from, to, in, out.
    pub contacts: Vec<[String; 5]>,
    /// Bytes over the link: month, relay, sent, received.
    pub traffic: Vec<[String; 4]>,
    /// Entries to send and to receive in the present conversation.
    pub progress: Option<(u64, u64)>,
    /// Where bundles are made and brought in; absent in the practice room.
    pub carry: Option<String>,
    /// The box can be locked from here.
    pub offer_lock: bool,
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Sync) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (l.t("同步", "Sync")) }
        @for words in &view.needs_person { p class="warn" { (words) } }
        @if let Some((send, receive)) = view.progress {
            @if send + receive > 0 { p role="status" { (l.t("正在送:还有", "Sending: ")) " " (send) " " (l.t("条要送,", "to send, ")) (receive) " " (l.t("条要收", "to receive")) } }
        }
        div class="card narrow" { (summary(&view.rows)) }
        @if let Some(address) = &view.carry {
            p class="buttons" { a class="button second" href=(address) { (l.t("带走 / 带回(U 盘)", "Carry by hand (stick)")) } }
        }
        @if view.offer_lock {
            form method="post" action="/lock" {
                button class="second" { (l.t("锁上盒子", "Lock the box")) }
                " " span class="hint" { (l.t("所有人退出;锁着也照常收县里的消息", "Signs everybody out; a locked box goes on receiving")) }
            }
        }
        @if !view.traffic.is_empty() {
            h2 { (l.t("用了多少流量", "Data used")) }
            div class="scroll" { table {
                thead { tr { th { (l.t("月份", "Month")) } th { (l.t("和谁", "With")) } th { (l.t("送出", "Out")) } th { (l.t("收到", "In")) } } }
                tbody { @for row in &view.traffic { tr { @for cell in row { td { (cell) } } } } }
            } }
        }
        h2 { (l.t("最近的联系", "Recent contacts")) }
        @if view.contacts.is_empty() { p class="empty" { (l.t("还没有和县平台联系过。", "No contact with the county yet.")) } }
        @else { div class="scroll" { table {
            thead { tr { th { (l.t("和谁", "With")) } th { (l.t("开始", "From")) } th { (l.t("送完", "Completed")) } th { (l.t("收到", "In")) } th { (l.t("送出", "Out")) } } }
            tbody { @for row in &view.contacts { tr { @for cell in row { td { (cell) } } } } }
        } } }
    };
    layout::page(shell, l.t("同步", "Sync"), false, &[], &body)
}
