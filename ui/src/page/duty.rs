//! 交接: what one hands over, the other takes, and the record of both.

use crate::part::{FaultLine, Input, faults, hidden, input, summary};
use crate::{Lang, Shell, layout};
use maud::{Markup, html};

/// One case of a hand-over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseLine {
    /// Number, grouped.
    pub number: String,
    /// Name of the applicant, covered.
    pub name: String,
    /// Item.
    pub item: String,
    /// Legal state in words.
    pub phase: String,
    /// How long is left, in words; may be empty.
    pub left: String,
    /// `amber` or `red` when it presses.
    pub tone: &'static str,
    /// Where an original of this case may be named.
    pub original: Option<Input>,
}

/// What is prepared for handing over.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// Where it is sent.
    pub action: String,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
    /// The villages that may be handed over: address, name, whether it is this one.
    pub places: Vec<(String, String, bool)>,
    /// The village's id.
    pub place: String,
    /// Nobody else works here: the page says so.
    pub alone: bool,
    /// An own offer to this colleague waits and would be replaced.
    pub replaces: Option<String>,
    /// The list that is signed is the one that was shown: its digest.
    pub list: String,
    /// Who takes over, and what else comes before the cases.
    pub who: Vec<Input>,
    /// The open cases.
    pub cases: Vec<CaseLine>,
    /// So many more are open than fit.
    pub more: u64,
    /// Originals that belong to no case.
    pub originals: Vec<Input>,
    /// Promised papers, by the box.
    pub promised: Vec<String>,
    /// Other promises: what, and by when.
    pub promises: Vec<(Input, Input)>,
    /// The note and the PIN.
    pub rest: Vec<Input>,
}

/// One line of the list of hand-overs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Address.
    pub href: String,
    /// Who to whom.
    pub who: String,
    /// Where.
    pub place: String,
    /// How much.
    pub what: String,
    /// When.
    pub when: String,
    /// Where it stands.
    pub state: String,
    /// Colour of the state.
    pub tone: &'static str,
}

/// A hand-over.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Heading.
    pub title: String,
    /// Who, where, and where it stands.
    pub rows: Vec<(String, String)>,
    /// The cases.
    pub cases: Vec<CaseLine>,
    /// Originals, and whether the receiver did not find them.
    pub originals: Vec<(String, bool)>,
    /// Promises.
    pub promises: Vec<String>,
    /// The giver's note; may be empty.
    pub note: String,
    /// The receiver's remark; may be empty.
    pub remark: String,
    /// Headings with what stands behind each signature.
    pub signatures: Vec<(String, Vec<(String, String)>)>,
    /// Steps that were tried and do not count, in words.
    pub aside: Vec<String>,
    /// The paper.
    pub paper: String,
    /// Where the receiver signs; while it waits.
    pub take: Option<String>,
    /// Where the giver takes it back; while it waits and for the giver alone.
    pub withdraw: Option<String>,
}

/// The receiver's turn.
#[derive(Clone, Debug, Default)]
pub struct Take {
    /// What is handed over.
    pub record: Record,
    /// Who is to sign.
    pub name: String,
    /// The giver is signed in and hands the tablet over.
    pub passed: bool,
    /// The originals to be counted: name of the box to tick, words, whether it is ticked.
    pub originals: Vec<(String, String, bool)>,
    /// Names what is taken, so that what is signed is what was shown.
    pub offer: String,
    /// Remark and PIN.
    pub inputs: Vec<Input>,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
    /// Where it is sent.
    pub action: String,
    /// The record, to be signed later.
    pub later: String,
}

fn case_lines(l: Lang, lines: &[CaseLine]) -> Markup {
    html! {
        @if lines.is_empty() { p class="empty" { (l.t("没有在办的件。", "No open cases.")) } }
        @else {
            ul class="list" {
                @for line in lines {
                    li {
                        div class="row" {
                            span class="who" { (line.name) }
                            span { (line.item) }
                            span class="num" { (line.number) }
                            span class="end" {
                                @if !line.left.is_empty() { span class={ "tag " (line.tone) } { (line.left) } " " }
                                span class="tag blue" { (line.phase) }
                            }
                        }
                        @if let Some(original) = &line.original { div class="duty-original" { (input(l, original)) } }
                    }
                }
            }
        }
    }
}

fn plain_lines(l: Lang, lines: &[String]) -> Markup {
    html! {
        @if lines.is_empty() { p class="empty" { (l.t("没有。", "None.")) } }
        @else { ul class="plain" { @for line in lines { li { (line) } } } }
    }
}

/// The list of hand-overs at this office.
#[must_use]
pub fn list(shell: &Shell, lines: &[Line], can_begin: bool) -> Markup {
    let l = shell.lang;
    let title = l.t("交接", "Handing over");
    let body = html! {
        h1 { (title) }
        p class="hint" { (l.t("离开几天、换人或换班时,把在办的件、抽屉里的原件和答应过的事当面交清,两个人各自签名。",
            "Before leave, a change of staff or of shift: hand over open cases, originals in the drawer and promises in person; both sign.")) }
        @if can_begin {
            div class="buttons" { a class="button" href="/duty/new" { (l.t("开始交班", "Begin handing over")) } }
        }
        h2 { (l.t("交接记录", "Records")) " (" (lines.len()) ")" }
        @if lines.is_empty() { p class="empty" { (l.t("还没有交接过。", "Nothing was handed over yet.")) } }
        @else {
            ul class="list" {
                @for line in lines {
                    li { a class="row" href=(line.href) {
                        span class="who" { (line.who) }
                        span { (line.place) }
                        span { (line.what) }
                        span class="num" { (line.when) }
                        span class="end" { span class={ "tag " (line.tone) } { (line.state) } }
                    } }
                }
            }
        }
    };
    layout::page(shell, title, false, &[], &body)
}

/// The page on which the giver prepares and signs.
#[must_use]
pub fn new(shell: &Shell, view: &New) -> Markup {
    let l = shell.lang;
    let title = l.t("把工作交给同事", "Hand over to a colleague");
    let body = html! {
        h1 { (title) }
        (faults(l, &view.faults))
        @if view.places.len() > 1 {
            p { (l.t("哪里的工作:", "The duty of:"))
                @for (href, name, here) in &view.places {
                    " " @if *here { strong { (name) } } @else { a href=(href) { (name) } }
                }
            }
        }
        @if view.alone {
            p class="warn" { (l.t("这里还没有别的工作人员可以接。请县信息员先给同事设岗位,设好后连一次县平台。",
                "Nobody else works here yet. County IT gives a colleague a post; it comes with the next connection.")) }
        } @else {
            @if let Some(words) = &view.replaces { p class="warn" { (words) } }
            form method="post" action=(view.action) {
                (hidden("list", &view.list)) (hidden("place", &view.place))
                @for one in &view.who { (input(l, one)) }
                h2 id="cases" { (l.t("在办的件", "Open cases")) " (" (view.cases.len()) ")" }
                p class="hint" { (l.t("清单由盒子列出。抽屉里留着原件的,在那一件下面写上是谁的什么。",
                    "The box makes this list. Where an original lies in the drawer, write under its case whose and what it is.")) }
                @if view.more > 0 {
                    p class="warn" { (l.t("放不下的件数(按期限列在前面的已列出):", "Open cases that do not fit (the most pressing are listed):")) " " (view.more) }
                }
                (case_lines(l, &view.cases))
                h2 { (l.t("抽屉里的其他原件", "Other originals in the drawer")) }
                @for one in &view.originals { (input(l, one)) }
                h2 { (l.t("答应过的事", "Promises")) }
                @if !view.promised.is_empty() {
                    p { (l.t("容缺待补(盒子列出):", "Papers that were promised (by the box):")) }
                    (plain_lines(l, &view.promised))
                }
                @for (what, until) in &view.promises {
                    div class="duty-promise" { (input(l, what)) (input(l, until)) }
                }
                h2 { (l.t("签名", "Sign")) }
                @for one in &view.rest { (input(l, one)) }
                div class="buttons" {
                    button { (l.t("签名,交出", "Sign and hand over")) }
                    // After the one that signs: the first button is what the Enter key presses.
                    button class="second" name="more" value="1" { (l.t("再加几行", "More lines")) }
                    a class="button second" href="/duty" { (l.t("不交了", "Not now")) }
                }
            }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}

fn open_cases(l: Lang, view: &Record) -> Markup {
    html! {
        h2 { (l.t("在办的件", "Open cases")) " (" (view.cases.len()) ")" }
        (case_lines(l, &view.cases))
    }
}

fn promises(l: Lang, view: &Record) -> Markup {
    html! {
        h2 { (l.t("答应过的事", "Promises")) " (" (view.promises.len()) ")" }
        (plain_lines(l, &view.promises))
        @if !view.note.is_empty() { h2 { (l.t("说明", "Note")) } p { (view.note) } }
    }
}

fn originals(l: Lang, lines: &[(String, bool)]) -> Markup {
    html! {
        h2 { (l.t("抽屉里的原件", "Originals in the drawer")) " (" (lines.len()) ")" }
        @if lines.is_empty() { p class="empty" { (l.t("没有。", "None.")) } }
        @else {
            ul class="plain" {
                @for (line, missing) in lines {
                    li { (line) @if *missing { " " span class="tag amber" { (l.t("签收时缺", "missing when taken")) } } }
                }
            }
        }
    }
}

/// The record of a hand-over.
#[must_use]
pub fn record(shell: &Shell, view: &Record) -> Markup {
    let l = shell.lang;
    let body = html! {
        h1 { (view.title) }
        div class="card" { (summary(&view.rows)) }
        div class="buttons" {
            @if let Some(take) = &view.take { a class="button" href=(take) { (l.t("签收", "Take it over")) } }
            a class="button second" href=(view.paper) { (l.t("打印交接单", "Print the paper")) }
        }
        (open_cases(l, view))
        (originals(l, &view.originals))
        (promises(l, view))
        @if !view.remark.is_empty() { h2 { (l.t("接收人备注", "Receiver's remark")) } p { (view.remark) } }
        @for (heading, rows) in &view.signatures { h2 { (heading) } div class="card" { (summary(rows)) } }
        @if !view.aside.is_empty() { h2 { (l.t("不算数的", "What does not count")) } (plain_lines(l, &view.aside)) }
        p class="hint" { (l.t("交接只记录由谁负责,不改变谁能办什么。", "A hand-over records who is on duty; it changes nothing about who may do what.")) }
        @if let Some(withdraw) = &view.withdraw {
            form method="post" action=(withdraw) class="card narrow" {
                h2 { (l.t("不交了?", "Changed your mind?")) }
                p { (l.t("对方签收之前可以撤回,记录会留下。", "It can be taken back until it is taken over; the record stays.")) }
                div class="buttons" { button class="second" { (l.t("撤回交接", "Take it back")) } }
            }
        }
    };
    layout::page(shell, &view.title, false, &[], &body)
}

/// The page on which the receiver signs.
#[must_use]
pub fn take(shell: &Shell, view: &Take) -> Markup {
    let l = shell.lang;
    let title = l.t("签收交接", "Take over");
    let body = html! {
        h1 { (title) }
        (faults(l, &view.faults))
        @if view.passed {
            p class="warn" {
                @match l {
                    Lang::Zh => { "请" strong { (view.name) } "坐到平板前,对着清单点清,再用自己的 PIN 码签收。" }
                    Lang::En => { "Now " strong { (view.name) } " sits down here, counts everything against the list, and signs with their own PIN." }
                }
            }
        }
        div class="card" { (summary(&view.record.rows)) }
        (open_cases(l, &view.record))
        (promises(l, &view.record))
        form method="post" action=(view.action) {
            (hidden("offer", &view.offer))
            h2 { (l.t("抽屉里的原件", "Originals in the drawer")) " (" (view.originals.len()) ")" }
            @if view.originals.is_empty() { p class="empty" { (l.t("没有。", "None.")) } }
            @else {
                p class="hint" { (l.t("点到一件勾一件。没有勾的会记为“缺”,不会漏掉。",
                    "Tick each one as you count it. What is not ticked is recorded as missing.")) }
                ul class="checks" {
                    @for (name, words, ticked) in &view.originals {
                        li { label { input type="checkbox" name=(name) value="1" checked[*ticked]; span { (words) } } }
                    }
                }
            }
            h2 { (l.t("签名", "Sign")) }
            @for one in &view.inputs { (input(l, one)) }
            div class="buttons" {
                button { (l.t("点过了,签收", "Counted: take it over")) }
                a class="button second" href=(view.later) {
                    (if view.passed { l.t("人不在,等本人登录时签收", "Not here now: signs at the next sign-in") } else { l.t("以后再签", "Later") })
                }
            }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}
