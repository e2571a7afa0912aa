//! Parts that several pages share.

use crate::Lang;
use cunkou_casework::case::Ladder;
use maud::{Markup, html};

/// A fault to put right, linked to its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultLine {
    /// Id of the field.
    pub field: String,
    /// In words.
    pub words: String,
}

/// The summary of faults on top of a page.
#[must_use]
pub fn faults(lang: Lang, faults: &[FaultLine]) -> Markup {
    html! {
        @if !faults.is_empty() {
            div class="faults" role="alert" tabindex="-1" id="faults" {
                h2 {
                    @match lang {
                        Lang::Zh => { "有 " (faults.len()) " 处要改" }
                        Lang::En => { (faults.len()) " to put right" }
                    }
                }
                ul { @for f in faults { li { a href={ "#" (f.field) } { (f.words) } } } }
            }
        }
    }
}

/// How an input is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// One line; the string is the input mode, e.g. `numeric`, or empty.
    Line(&'static str),
    /// Several lines.
    Area,
    /// One of these: value, words.
    Radios(Vec<(String, String)>),
    /// One of many: value, words.
    Select(Vec<(String, String)>),
    /// A secret.
    Secret,
    /// A day.
    Day,
}

/// One input with its label, hint and fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Name.
    pub name: String,
    /// Id, where a page has several inputs of one name; else empty, and the name serves.
    pub id: String,
    /// Label.
    pub label: String,
    /// Hint; may be empty.
    pub hint: String,
    /// What stands in it.
    pub value: String,
    /// How it is given.
    pub control: Control,
    /// Left empty without harm.
    pub optional: bool,
    /// What is wrong.
    pub fault: Option<String>,
    /// A doubt that stops nobody, or where the value came from; may be empty.
    pub note: String,
}

impl Input {
    /// A plain input.
    #[must_use]
    pub fn line(name: &str, label: &str, value: &str) -> Self {
        Self {
            name: name.into(),
            id: String::new(),
            label: label.into(),
            hint: String::new(),
            value: value.into(),
            control: Control::Line(""),
            optional: false,
            fault: None,
            note: String::new(),
        }
    }

    /// With another control.
    #[must_use]
    pub fn with(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.hint = hint.into();
        self
    }

    /// May be left empty.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// An input.
#[must_use]
pub fn input(lang: Lang, input: &Input) -> Markup {
    let id = if input.id.is_empty() { &input.name } else { &input.id };
    let hint_id = format!("{id}-hint");
    let fault_id = format!("{id}-fault");
    let mut described = Vec::new();
    if !input.hint.is_empty() {
        described.push(hint_id.as_str());
    }
    if input.fault.is_some() {
        described.push(fault_id.as_str());
    }
    let described = (!described.is_empty()).then(|| described.join(" "));
    let around = html! {
        @if !input.hint.is_empty() { span class="hint" id=(hint_id) { (input.hint) } }
        @if !input.note.is_empty() { span class="note" { (input.note) } }
        @if let Some(fault) = &input.fault { span class="fault" id=(fault_id) { "✕ " (fault) } }
    };
    let label = html! {
        (input.label)
        @if input.optional { span class="optional" { (lang.t("(选填)", " (optional)")) } }
    };
    let class = if input.fault.is_some() { "field faulty" } else { "field" };
    if let Control::Radios(choices) = &input.control {
        return html! {
            fieldset class=(class) id=(id) tabindex="-1" {
                legend { (label) }
                (around)
                div class="radios" {
                    @for (value, words) in choices {
                        label class="radio" {
                            input type="radio" name=(input.name) value=(value) checked[*value == input.value];
                            span { (words) }
                        }
                    }
                }
            }
        };
    }
    html! {
        div class=(class) {
            label for=(id) { (label) }
            (around)
            @match &input.control {
                Control::Area => textarea id=(id) name=(input.name) rows="4" aria-describedby=[described] { (input.value) },
                Control::Select(choices) => select id=(id) name=(input.name) aria-describedby=[described] {
                    @for (value, words) in choices {
                        option value=(value) selected[*value == input.value] { (words) }
                    }
                },
                Control::Secret => input id=(id) name=(input.name) type="password" inputmode="numeric" autocomplete="off" aria-describedby=[described];,
                Control::Day => input id=(id) name=(input.name) value=(input.value) placeholder="2026-05-06" autocomplete="off" aria-describedby=[described];,
                Control::Line(mode) => input id=(id) name=(input.name) value=(input.value) inputmode=[(!mode.is_empty()).then_some(*mode)] autocomplete="off" aria-describedby=[described];,
                Control::Radios(_) => {}
            }
        }
    }
}

/// The four rungs with their words; the last is the township's where the township accepts.
fn rungs(lang: Lang, ladder: &Ladder) -> [(bool, &'static str); 4] {
    let accepted = match ladder.by_township {
        true => lang.t("乡镇已受理", "Accepted by the township"),
        false => lang.t("部门已受理", "Accepted by the department"),
    };
    [
        (ladder.saved, lang.t("已存本机", "Saved here")),
        (ladder.uploaded, lang.t("已上传县平台", "Uploaded to the county")),
        (ladder.taken, lang.t("乡镇已收件", "Received by the township")),
        (ladder.accepted, accepted),
    ]
}

/// The four rungs: how far a case has come.
#[must_use]
pub fn ladder(lang: Lang, ladder: &Ladder) -> Markup {
    html! {
        ol class="ladder" aria-label=(lang.t("办到哪一步", "How far it has come")) {
            @for (reached, words) in rungs(lang, ladder) {
                li class=[reached.then_some("reached")] {
                    span aria-hidden="true" { (if reached { "✓" } else { "○" }) } " " (words)
                    span class="sr" { (if reached { lang.t("(已到)", " (reached)") } else { lang.t("(未到)", " (not yet)") }) }
                }
            }
        }
    }
}

/// The same in a line of a list: a mark for each rung, and the words of the highest.
#[must_use]
pub fn rung(lang: Lang, ladder: &Ladder) -> Markup {
    let rungs = rungs(lang, ladder);
    let words = rungs.iter().rev().find(|(reached, _)| *reached).map_or("", |(_, words)| words);
    html! {
        span class="rung" {
            span aria-hidden="true" { @for (reached, _) in rungs { (if reached { "●" } else { "○" }) } }
            " " (words)
        }
    }
}

/// A label and what it says, in a list.
#[must_use]
pub fn summary(rows: &[(String, String)]) -> Markup {
    html! {
        dl class="summary" {
            @for (label, value) in rows { div { dt { (label) } dd { (value) } } }
        }
    }
}

/// One page back and forth in a long list.
#[must_use]
pub fn pager(lang: Lang, base: &str, offset: u64, size: u64, total: u64) -> Markup {
    let sep = if base.contains('?') { "&" } else { "?" };
    html! {
        @if total > size {
            p class="pager" {
                @if offset > 0 {
                    a rel="prev" href={ (base) (sep) "from=" (offset.saturating_sub(size)) } { "← " (lang.t("上一页", "Previous")) }
                }
                span {
                    @match lang {
                        Lang::Zh => { "第 " (offset + 1) "–" ((offset + size).min(total)) " 条,共 " (total) " 条" }
                        Lang::En => { (offset + 1) "–" ((offset + size).min(total)) " of " (total) }
                    }
                }
                @if offset + size < total {
                    a rel="next" href={ (base) (sep) "from=" (offset + size) } { (lang.t("下一页", "Next")) " →" }
                }
            }
        }
    }
}

/// Fields that only carry something along.
#[must_use]
pub fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}
