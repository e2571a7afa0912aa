//! Carried by hand: bundles to take away and to bring in.

use crate::{Lang, Shell, layout};
use maud::{Markup, html};

/// How the work at hand stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// In words.
    pub words: String,
    /// `warn` while it goes on, `done` or `bad` at its end.
    pub tone: &'static str,
    /// It goes on: the part renews itself.
    pub running: bool,
}

/// A bundle that was made here.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub made: String,
    /// Entries in it.
    pub entries: u64,
    /// Size in words.
    pub size: String,
    /// Address and name of its file, while it is kept here.
    pub file: Option<(String, String)>,
    /// It was full: the next goes on from it.
    pub more: bool,
    /// When the other side said that it has it.
    pub acked: Option<String>,
}

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct Carry {
    /// The address of the page.
    pub here: String,
    /// Who is on the other side.
    pub other: String,
    /// What waits, label and value.
    pub rows: Vec<(String, String)>,
    /// The work at hand.
    pub job: Option<Job>,
    /// Bundles that were made, the latest first.
    pub taken: Vec<Taken>,
    /// Bundles that came: number, made, came.
    pub brought: Vec<[String; 3]>,
}

/// The ways from a list of boxes to pages of each: address and name.
#[must_use]
pub fn ways(title: &str, boxes: &[(String, String)]) -> Markup {
    html! {
        @if !boxes.is_empty() {
            details class="act" {
                summary { (title) }
                p class="buttons" { @for (address, name) in boxes { a class="button second" href=(address) { (name) } } }
            }
        }
    }
}

/// Parts above the list of boxes.
#[must_use]
pub fn above_boxes(parts: &[Markup]) -> Markup {
    html! { @for part in parts { (part) } }
}

/// The part that renews itself while a work goes on.
#[must_use]
pub fn progress(l: Lang, view: &Carry) -> Markup {
    let running = view.job.as_ref().is_some_and(|job| job.running);
    let again = running.then(|| format!("{}/progress", view.here));
    html! {
        div id="carrying" hx-get=[again] hx-trigger=[running.then_some("every 2s")] hx-swap=[running.then_some("outerHTML")] {
            @if let Some(job) = &view.job {
                p class=(job.tone) role="status" { (job.words) }
                @if job.running { p { a href=(view.here) { (l.t("刷新", "Refresh")) } } }
            }
            @if !running {
                @if let Some(Taken { file: Some((address, name)), acked: None, .. }) = view.taken.first() {
                    p class="buttons" { a class="button" href=(address) download=(name) { (l.t("下载", "Download")) " " (name) } }
                }
            }
            (cards(l, view))
            (lists(l, view))
        }
    }
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, section: &str, view: &Carry) -> Markup {
    let l = shell.lang;
    let title = l.t("带走 / 带回", "Carry by hand");
    let body = html! {
        p { a href=(section) { "‹ " (l.t("返回", "Back")) } }
        h1 { (title) " · " (view.other) }
        p class="hint" { (l.t("没有网络时,用 U 盘(或平板的下载文件夹)把记录和照片带到对方,再把对方的包带回来。包是加密的,只有对方那台能打开;U 盘丢了别人也看不到。", "Without a network, records and photos travel on a stick, or in a tablet's downloads, and the answer comes back the same way. A bundle is sealed: only the other machine opens it, and nobody reads a lost stick.")) }
        (progress(l, view))
    };
    layout::page(shell, title, false, &[], &body)
}

/// The two ways: to take away and to bring in.
fn cards(l: Lang, view: &Carry) -> Markup {
    let sizes = [
        ("", l.t("不限(最多 4 GB)", "No limit (at most 4 GB)")),
        ("500M", "500 MB"),
        ("1G", "1 GB"),
        ("2G", "2 GB"),
    ];
    let begins = [
        ("next", l.t("接着做(平常选这个)", "Go on (usual)")),
        (
            "again",
            l.t(
                "从上次确认处重做:有盘丢了或坏了",
                "Again from what was confirmed: a stick was lost or broken",
            ),
        ),
        (
            "all",
            l.t("从头再带:对方的数据丢了", "From the very beginning: the other side lost its data"),
        ),
    ];
    html! {
        div class="split" {
            div { h2 { (l.t("带走", "Take away")) }
                div class="card" {
                    dl class="summary" { @for (label, value) in &view.rows { div { dt { (label) } dd { (value) } } } }
                    form method="post" action={ (view.here) "/take" } {
                        p class="field" {
                            label for="size" { (l.t("一个包最大", "One bundle at most")) }
                            select id="size" name="size" { @for (value, words) in sizes { option value=(value) { (words) } } }
                        }
                        p class="field" {
                            label for="from" { (l.t("从哪里开始", "From where")) }
                            select id="from" name="from" { @for (value, words) in begins { option value=(value) { (words) } } }
                        }
                        div class="buttons" { button { (l.t("做一个包", "Make a bundle")) } }
                    }
                    p class="hint" { (l.t("做好后点“下载”,拷到 U 盘。对方导入、回话带回来以前,这里什么都不会删。", "Then download it and copy it to the stick. Nothing is removed here before the other side has confirmed it.")) }
                }
            }
            div { h2 { (l.t("带回", "Bring in")) }
                div class="card" {
                    form method="post" action={ (view.here) "/bring" } enctype="multipart/form-data" {
                        p class="field" {
                            label for="bundle" { (l.t("选一个包(名字以 .bundle 结尾)", "Choose a bundle (its name ends with .bundle)")) }
                            input id="bundle" name="bundle" type="file" accept=".bundle,application/octet-stream";
                        }
                        div class="buttons" { button { (l.t("导入", "Import")) } }
                    }
                    p class="hint" { (l.t("导入两次没关系。有几个包时按编号从小到大导入。", "Importing one twice does no harm. With several, begin with the lowest number.")) }
                }
            }
        }
    }
}

/// What was made and what came.
fn lists(l: Lang, view: &Carry) -> Markup {
    html! {
        h2 { (l.t("做过的包", "Bundles made here")) }
        @if view.taken.is_empty() { p class="empty" { (l.t("还没有。", "None yet.")) } }
        @else { div class="scroll" { table {
            thead { tr { th { (l.t("编号", "Number")) } th { (l.t("做好", "Made")) } th { (l.t("记录", "Entries")) } th { (l.t("大小", "Size")) } th { (l.t("对方确认", "Confirmed")) } th { (l.t("文件", "File")) } } }
            tbody { @for t in &view.taken { tr {
                td class="num" { (t.number) } td { (t.made) } td class="num" { (t.entries) }
                td { (t.size) @if t.more { " " span class="tag amber" { (l.t("没装下,还有下一个", "full, another follows")) } } }
                td { @match &t.acked { Some(when) => span class="tag good" { "✓ " (when) }, None => (l.t("还没有", "not yet")) } }
                td { @if let Some((address, name)) = &t.file { a href=(address) download=(name) { (name) } } }
            } } }
        } } }
        h2 { (l.t("带回的包", "Bundles brought in")) }
        @if view.brought.is_empty() { p class="empty" { (l.t("还没有。", "None yet.")) } }
        @else { div class="scroll" { table {
            thead { tr { th { (l.t("编号", "Number")) } th { (l.t("对方做好", "Made")) } th { (l.t("导入", "Imported")) } } }
            tbody { @for row in &view.brought { tr { @for cell in row { td { (cell) } } } } }
        } } }
    }
}
