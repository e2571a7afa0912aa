//! Destroying what is no longer to be kept: asked by one, agreed by another, confirmed by devices.

use crate::part::{Control, FaultLine, Input, faults, hidden, input, summary};
use crate::{Lang, Shell, layout};
use cunkou_casework::erasure::Basis;
use maud::{Markup, html};

impl Lang {
    /// Why something is erased, in the law's words where there are any.
    #[must_use]
    pub fn basis(self, basis: Basis) -> &'static str {
        match basis {
            Basis::Retention => self.t("保管期限已满", "Its retention is over"),
            Basis::Request => {
                self.t("个人撤回同意或要求删除", "The person withdrew consent or asks for deletion")
            }
            Basis::Unlawful => self.t(
                "违反法律、行政法规或者约定处理",
                "Processed against law, regulations or agreement",
            ),
            Basis::Mistake => self.t("误录或重复", "Recorded by mistake or twice"),
        }
    }
}

/// A case or a resident's record.
#[derive(Clone, Debug, Default)]
pub struct Thing {
    /// Its id, for addresses.
    pub id: String,
    /// Number of the case, or what it is.
    pub what: String,
    /// Name of the item; empty for a resident's record.
    pub item: String,
    /// Village.
    pub village: String,
    /// Masked name; may be empty.
    pub name: String,
    /// How far it is and since when, in words; may be empty.
    pub state: String,
    /// To be thought of before it is destroyed; may be empty.
    pub warning: String,
    /// It cannot be asked for now.
    pub locked: bool,
    /// It is ticked.
    pub ticked: bool,
}

/// An asking that waits for a second person.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// What.
    pub thing: Thing,
    /// Why, in words.
    pub basis: String,
    /// On what it rests.
    pub reason: String,
    /// Who asked, and when.
    pub asked: String,
    /// By whoever looks at the page.
    pub mine: bool,
}

/// What was destroyed.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// What.
    pub thing: Thing,
    /// Why, in words.
    pub basis: String,
    /// On what it rested.
    pub reason: String,
    /// Who asked, who agreed, when.
    pub people: String,
    /// So many devices have said that it is done.
    pub confirmed: usize,
    /// Of so many.
    pub of: usize,
    /// Those that have not, by name.
    pub missing: Vec<String>,
}

/// The register.
#[derive(Clone, Debug, Default)]
pub struct Register {
    /// Whoever looks may ask.
    pub may_ask: bool,
    /// Waiting.
    pub pending: Vec<Pending>,
    /// Destroyed, the latest asked first.
    pub gone: Vec<Gone>,
    /// Where older ones are; none when these are all.
    pub older: Option<String>,
    /// What is wrong with the last try.
    pub faults: Vec<FaultLine>,
}

/// Things to choose from.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Heading.
    pub title: String,
    /// They are listed because their retention is over: nothing else is to be said why.
    pub retention: bool,
    /// The things.
    pub things: Vec<Thing>,
    /// There are more than are shown.
    pub more: bool,
    /// How long closed cases of each item are kept, in words.
    pub periods: Vec<(String, String)>,
    /// What was chosen as basis.
    pub basis: String,
    /// What was typed as reason.
    pub reason: String,
    /// What is wrong with the last try.
    pub faults: Vec<FaultLine>,
}

fn about(l: Lang, thing: &Thing) -> Vec<(String, String)> {
    let rows = [
        (l.t("事项", "Item"), &thing.item),
        (l.t("申请人", "Applicant"), &thing.name),
        (l.t("村", "Village"), &thing.village),
        (l.t("状态", "State"), &thing.state),
    ];
    let said = rows.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(label, value)| (label.to_owned(), value.clone())).collect()
}

fn waiting(l: Lang, p: &Pending) -> Markup {
    let mut rows = about(l, &p.thing);
    rows.extend([
        (l.t("销毁依据", "Basis").to_owned(), p.basis.clone()),
        (l.t("说明", "Reason").to_owned(), p.reason.clone()),
        (l.t("提出", "Asked by").to_owned(), p.asked.clone()),
    ]);
    let mut reason = Input::line("reason", l.t("为什么不同意", "Why not"), "");
    reason.id = format!("reason-{}", p.thing.id);
    let take_back = if p.mine { l.t("撤回", "Take back") } else { l.t("不同意", "Decline") };
    html! {
        div class="card" {
            h3 { span class="num" { (p.thing.what) } }
            @if !p.thing.warning.is_empty() { p class="warn" { (p.thing.warning) } }
            (summary(&rows))
            @if p.mine { p class="hint" { (l.t("您提出的,要由另一人同意。", "You asked: somebody else must agree.")) } }
            @else {
                details class="act" {
                    summary { (l.t("同意销毁", "Agree to the erasure")) }
                    form method="post" action={ "/erasures/" (p.thing.id) "/agree" } {
                        p { (l.t("同意后,县平台和所有盒子上的内容、照片和修改记录都会销毁,谁也恢复不了。销毁清册里只留号码、依据和两人的名字。",
                            "Content, photos and history are destroyed on the relay and on every box, and nobody can bring them back. The register keeps the number, the basis and both names.")) }
                        div class="buttons" { button class="danger" { (l.t("同意,销毁", "Agree and erase")) } }
                    }
                }
            }
            details class="act" {
                summary { (take_back) }
                form method="post" action={ "/erasures/" (p.thing.id) "/decline" } novalidate {
                    (input(l, &reason))
                    div class="buttons" { button class="second" { (take_back) } }
                }
            }
        }
    }
}

fn find(l: Lang) -> Markup {
    let number = Input::line("number", l.t("办件号或身份证号", "Case number or ID number"), "")
        .hint(l.t("号码不会出现在网址和日志里", "It appears in no address and no log"));
    html! {
        form method="post" action="/erasures/find" class="card narrow" novalidate {
            h2 { (l.t("提出销毁", "Ask for an erasure")) }
            (input(l, &number))
            div class="buttons" { button { (l.t("查找", "Find")) } a class="button second" href="/retention" { (l.t("期限已满的", "Those past retention")) } }
        }
    }
}

/// The register of erasures (销毁清册).
#[must_use]
pub fn register(shell: &Shell, view: &Register) -> Markup {
    let l = shell.lang;
    let title = l.t("销毁", "Erasure");
    let body = html! {
        h1 { (title) }
        (faults(l, &view.faults))
        p { (l.t("一人提出,另一人同意,才销毁。销毁在每台机器收到时生效,做完了会回报。",
            "One asks, another agrees; then it is erased. It takes effect on each machine as it hears of it, and each says when it is done.")) }
        h2 { (l.t("等人同意", "Waiting for a second person")) }
        @if view.pending.is_empty() { p class="empty" { (l.t("没有。", "None.")) } }
        @for pending in &view.pending { (waiting(l, pending)) }
        @if view.may_ask { (find(l)) }
        h2 { (l.t("销毁清册", "Register of erasures")) }
        @if view.gone.is_empty() { p class="empty" { (l.t("还没有销毁过。", "Nothing has been erased yet.")) } }
        @else { div class="scroll" { table {
            thead { tr {
                @for head in [l.t("号码", "Number"), l.t("事项", "Item"), l.t("村", "Village"), l.t("依据", "Basis"), l.t("经手", "By"), l.t("已确认", "Confirmed")] { th { (head) } }
            } }
            tbody { @for gone in &view.gone { tr {
                td class="num" { (gone.thing.what) }
                td { (gone.thing.item) }
                td { (gone.thing.village) }
                td { (gone.basis) br; span class="hint" { (gone.reason) } }
                td { (gone.people) }
                td {
                    @let all = gone.missing.is_empty();
                    span class=(if all { "tag good" } else { "tag amber" }) { (gone.confirmed) " / " (gone.of) }
                    @if !all { br; span class="hint" { (l.t("还没有:", "Not yet: ")) (gone.missing.join(l.t("、", ", "))) } }
                }
            } } }
        } } }
        p class="buttons" {
            @if !view.gone.is_empty() { a class="button second" href="/erasures.csv" { (l.t("导出清册(CSV)", "Export the register (CSV)")) } }
            @if let Some(older) = &view.older { a class="button second" href=(older) { (l.t("更早的", "Earlier")) } }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}

/// Things to choose, and why they are to be destroyed.
#[must_use]
pub fn choose(shell: &Shell, view: &Choice) -> Markup {
    let l = shell.lang;
    let fault = |name: &str| view.faults.iter().find(|f| f.field == name).map(|f| f.words.clone());
    let words = |basis: Basis| (basis.key().to_owned(), l.basis(basis).to_owned());
    let mut basis = Input::line("basis", l.t("销毁依据", "Basis"), &view.basis)
        .with(Control::Radios(Basis::ALL.map(words).to_vec()));
    basis.fault = fault("basis");
    let mut reason = Input::line("reason", l.t("说明", "Reason"), &view.reason)
        .hint(l.t("例如鉴定意见或申请书的文号。不要写姓名、身份证号:这句话会一直留在清册里", "e.g. the number of the appraisal or the application. Name nobody: this stays in the register"));
    reason.fault = fault("reason");
    let body = html! {
        h1 { (view.title) }
        (faults(l, &view.faults))
        @if view.retention && !view.things.is_empty() {
            p { (l.t("这些件已办结,保管期限已满。还在领的补贴,停发以后再算期限:先别勾选。",
                "These cases are closed and their retention is over. For a benefit that is still paid the period begins when it stops: leave it unticked.")) }
        }
        @if view.things.is_empty() {
            p class="empty" { @if view.retention { (l.t("没有期限已满的办件。", "No case is past its retention.")) } @else { (l.t("没有找到。检查号码。", "Nothing was found. Check the number.")) } }
            p class="buttons" { a class="button second" href="/erasures" { (l.t("返回", "Back")) } }
        } @else {
            form method="post" action="/erasures" novalidate {
                div class="scroll" { table id="things" {
                    thead { tr { th { (l.t("选", "Tick")) } @for head in [l.t("号码", "Number"), l.t("事项", "Item"), l.t("申请人", "Applicant"), l.t("村", "Village"), l.t("状态", "State")] { th { (head) } } } }
                    tbody { @for thing in &view.things { tr {
                        td { (hidden(&format!("k-{}", thing.id), "1")) @if !thing.locked { input type="checkbox" name={ "s-" (thing.id) } id={ "s-" (thing.id) } value="1" checked[thing.ticked] aria-label=(thing.what); } }
                        td class="num" { label for={ "s-" (thing.id) } { (thing.what) } }
                        td { (thing.item) }
                        td { (thing.name) }
                        td { (thing.village) }
                        td { (thing.state) @if !thing.warning.is_empty() { br; span class="tag amber" { (thing.warning) } } }
                    } } }
                } }
                @if view.more { p class="hint" { (l.t("还有更多,处理完这些再看。", "There are more; they come after these.")) } }
                div class="card narrow" {
                    @if view.retention { (hidden("basis", Basis::Retention.key())) (hidden("list", "retention")) } @else { (input(l, &basis)) }
                    (input(l, &reason))
                    div class="buttons" { button class="danger" { (l.t("提出销毁", "Ask for the erasure")) } a class="button second" href="/erasures" { (l.t("返回", "Back")) } }
                }
            }
        }
        @if !view.periods.is_empty() {
            h2 { (l.t("各事项的保管期限", "How long cases are kept")) }
            (summary(&view.periods))
        }
    };
    layout::page(shell, &view.title, !view.faults.is_empty(), &[], &body)
}
