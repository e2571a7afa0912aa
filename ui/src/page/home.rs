//! An agent's day.

use super::cases::{Line, lines};
use crate::{Shell, layout};
use maud::{Markup, html};

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// What is to be done today.
    pub tasks: Vec<Line>,
    /// Drafts.
    pub drafts: Vec<Line>,
    /// Cases under way elsewhere.
    pub under_way: Vec<Line>,
    /// The catalogue has not arrived: nothing can be filed yet.
    pub no_catalogue: bool,
    /// The box stops opening in so many days unless it reaches the county.
    pub lease_days: Option<u32>,
    /// Something in the relay's log does not fit what this box has seen of it.
    pub alarm: bool,
    /// Villages that this box serves no more: a sentence for each.
    pub lost: Vec<String>,
    /// Hand-overs that wait: address, words.
    pub duty: Vec<(String, String)>,
    /// Who is on duty, and where.
    pub on_duty: Vec<(String, String)>,
    /// Duty can be handed over from here.
    pub offer_duty: bool,
    /// Practice can be entered from here.
    pub offer_practice: bool,
}

/// The page.
#[must_use]
pub fn page(shell: &Shell, view: &Home) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (l.t("今天", "Today")) }
        @for (href, words) in &view.duty {
            p class="warn" { (words) " " a class="button second" href=(href) { (l.t("打开", "Open")) } }
        }
        @if !view.on_duty.is_empty() {
            p class="hint" {
                (l.t("值班:", "On duty: "))
                @for (i, (who, places)) in view.on_duty.iter().enumerate() {
                    @if i > 0 { (l.t(";", "; ")) }
                    (who) (l.t("(", " (")) (places) (l.t(")", ")"))
                }
            }
        }
        @if view.alarm {
            p class="warn" {
                (l.t("县平台的记录和本机见过的对不上。办件照常,请打电话告诉县安全管理员。",
                    "The county's log does not fit what this box has seen of it. Work goes on; please call the county's security administrator."))
            }
        }
        @for words in &view.lost {
            p class="warn" { (words) }
        }
        @if let Some(days) = view.lease_days {
            p class="warn" {
                (l.t("很久没有联系上县里了。再过", "The county has not been reached for long. In")) " " (days) " "
                (l.t("天还连不上,这台盒子就打不开了。请检查网络,或打电话给县信息员。",
                    "days without it this box stops opening. Check the network, or call county IT."))
            }
        }
        @if view.no_catalogue {
            p class="warn" { (l.t("事项目录还没有从县平台收到,暂时不能新办。连上后会自动收到。",
                "The catalogue has not come from the county yet, so nothing can be filed. It comes by itself once connected.")) }
        }
        form class="searchbox card" method="post" action="/residents" role="search" {
            div class="field" {
                label for="q" { (l.t("找人", "Find a person")) }
                span class="hint" { (l.t("姓名、拼音首字母、户主、3组、小名、电话、身份证号或后四位",
                    "Name, pinyin initials, head of household, 3组, nickname, phone, ID number or its last four")) }
                input type="search" id="q" name="q" autocomplete="off";
            }
            button { (l.t("找人", "Find")) }
            a class="button second" href="/residents/new" { (l.t("登记新居民", "Add a person")) }
        }
        h2 { (l.t("要做的事", "To do")) " (" (view.tasks.len()) ")" }
        (lines(l, &view.tasks, l.t("没有要做的事。", "Nothing to do.")))
        h2 { (l.t("草稿", "Drafts")) " (" (view.drafts.len()) ")" }
        (lines(l, &view.drafts, l.t("没有草稿。找到人后选事项,就会开始一份。", "No drafts. Find a person and choose an item to begin one.")))
        h2 { (l.t("正在办", "Under way")) " (" (view.under_way.len()) ")" }
        (lines(l, &view.under_way, l.t("没有在外面办的件。", "Nothing is with another office.")))
        p { a href="/cases" { (l.t("全部办件(台账)", "All cases (ledger)")) } }
        @if view.offer_duty {
            p { a href="/duty" { (l.t("交班、交接记录", "Hand over duty, and earlier hand-overs")) } }
        }
        @if view.offer_practice {
            form method="post" action="/practice/enter" {
                button class="second" { (l.t("进入练习", "Practise")) }
                " " span class="hint" { (l.t("用编造的人练手,不会上传", "With made-up people; nothing is sent")) }
            }
        }
    };
    layout::page(shell, l.t("今天", "Today"), false, &[], &body)
}
