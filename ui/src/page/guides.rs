//! Guides (办事指南) and the choice of an item.

use crate::part::{hidden, summary};
use crate::{Shell, layout};
use cunkou_casework::catalogue::{Item, SpanUnit, When};
use maud::{Markup, html};

/// An item to choose.
#[derive(Clone, Debug, Default)]
pub struct Tile {
    /// Key.
    pub key: String,
    /// Name.
    pub name: String,
    /// Time, fee, who may act: in words.
    pub about: String,
    /// An open case of the same item of this person: address.
    pub open_case: Option<String>,
}

/// The choice of an item.
#[must_use]
pub fn choose(shell: &Shell, resident: &str, name: &str, tiles: &[Tile]) -> Markup {
    let l = shell.lang;
    let title = match l {
        crate::Lang::Zh => format!("给{name}办什么"),
        crate::Lang::En => format!("What to file for {name}"),
    };
    let body = html! {
        h1 { (title) }
        ul class="tiles" {
            @for tile in tiles {
                li {
                    @if let Some(open) = &tile.open_case {
                        a class="button" href=(open) { strong { (tile.name) } small { (l.t("已有一件在办,点开继续", "One is under way: open it")) } }
                    } @else {
                        a class="button" href={ "/residents/" (resident) "/file/" (tile.key) } { strong { (tile.name) } small { (tile.about) } }
                    }
                }
            }
        }
    };
    layout::page(shell, &title, false, &[], &body)
}

/// The list of guides.
#[must_use]
pub fn list(shell: &Shell, tiles: &[Tile]) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (l.t("办事指南", "Guides")) }
        @if tiles.is_empty() { p class="empty" { (l.t("事项目录还没有收到。", "The catalogue has not arrived yet.")) } }
        ul class="tiles" {
            @for tile in tiles { li { a class="button" href={ "/guides/" (tile.key) } { strong { (tile.name) } small { (tile.about) } } } }
        }
    };
    layout::page(shell, l.t("办事指南", "Guides"), false, &[], &body)
}

/// A span in words.
#[must_use]
pub fn span_words(l: crate::Lang, n: u32, unit: SpanUnit) -> String {
    match (l, unit) {
        (crate::Lang::Zh, SpanUnit::Workday) => format!("{n}个工作日"),
        (crate::Lang::Zh, SpanUnit::Day) => format!("{n}日"),
        (crate::Lang::En, SpanUnit::Workday) => format!("{n} workdays"),
        (crate::Lang::En, SpanUnit::Day) => format!("{n} days"),
    }
}

/// How long a closed case is kept, in words.
#[must_use]
pub fn retention_words(l: crate::Lang, years: Option<u32>) -> String {
    match (l, years) {
        (_, None) => l.t("永久", "for ever").to_owned(),
        (crate::Lang::Zh, Some(n)) => format!("办结次年起 {n} 年"),
        (crate::Lang::En, Some(n)) => format!("{n} years from the year after it is closed"),
    }
}

/// A guide, in the order that guides have. `file_for` is the resident to file for.
#[must_use]
pub fn guide(
    shell: &Shell,
    item: &Item,
    version: &str,
    digest: &str,
    file_for: Option<(&str, &str)>,
) -> Markup {
    let l = shell.lang;
    let rows = [
        (l.t("事项类型", "Type"), item.kind.clone()),
        (l.t("办理部门", "Department"), item.levels.department.clone()),
        (l.t("收费", "Fee"), item.fee.clone()),
        (l.t("承诺时限", "Promised time"), span_words(l, item.promise.n, item.promise.unit)),
        (
            l.t("补正期限", "Time for supplements"),
            span_words(l, item.supplement.n, item.supplement.unit),
        ),
        (l.t("办理结果", "Result"), item.result.clone()),
        (l.t("保管期限", "Kept for"), retention_words(l, item.retention)),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    let body = html! {
        h1 { (item.name) }
        @if let Some((resident, name)) = file_for {
            form method="post" action={ "/residents/" (resident) "/file/" (item.key) } class="buttons" {
                (hidden("item", &item.key))
                button { @match l { crate::Lang::Zh => { "给" (name) "办理" } crate::Lang::En => { "File for " (name) } } }
            }
        }
        div class="card" { (summary(&rows)) }
        h2 { (l.t("受理条件", "Conditions")) }
        p { (item.conditions) }
        ul { @for rule in &item.rules { li { (l.t(&rule.says, &rule.says_en)) } } }
        h2 { (l.t("申报材料", "Materials")) }
        div class="scroll" { table {
            thead { tr { th { (l.t("材料", "Material")) } th { (l.t("谁出", "Issuer")) } th { (l.t("怎么给", "How")) } th { (l.t("容缺", "May follow")) } } }
            tbody {
                @for m in &item.materials {
                    tr {
                        td { (l.t(&m.name, &m.name_en)) @if let Some(when) = when_words(l, m.when) { br; span class="hint" { (when) } } }
                        td { (m.issuer) } td { (m.how) }
                        td class="num" { (if m.deferrable { l.t("可以", "Yes") } else { l.t("不可以", "No") }) }
                    }
                }
            }
        } }
        h2 { (l.t("办理流程", "Steps")) }
        ol { @for step in &item.steps { li { strong { (step.level) } " " (step.act) } } }
        h2 { (l.t("时限", "Time limits")) }
        ul { @for limit in &item.limits {
            li { (limit.stage) ": " (span_words(l, limit.n, limit.unit)) @if limit.excluded { " " (l.t("(不计入承诺时限)", "(not counted)")) } }
        } }
        h2 { (l.t("设定依据", "Legal basis")) }
        ul { @for basis in &item.basis { li { (basis) } } }
        @if !item.notes.is_empty() { h2 { (l.t("说明", "Notes")) } ul { @for note in &item.notes { li { (note) } } } }
        @if let Some(in_person) = &item.acting.in_person { p class="warn" { (in_person) } }
        p class="hint" { (l.t("指南版本", "Guide version")) " " (version) " · " (l.t("摘要", "digest")) " " span class="num" { (digest) } " · " (l.t("以河北政务服务网公布的为准", "the provincial portal is the authority")) }
    };
    layout::page(shell, &item.name, false, &[], &body)
}

fn when_words(l: crate::Lang, when: When) -> Option<&'static str> {
    match when {
        When::Always => None,
        When::Acting => Some(l.t("有人代办时才要", "only when somebody acts for the applicant")),
        When::Guardian => Some(l.t("监护人申请时才要", "only when a guardian files")),
        When::Asked => Some(l.t("看情况", "depends")),
    }
}
