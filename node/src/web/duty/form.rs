//! What is typed on the pages of a hand-over.

use super::given::{Here, case_line, case_words, short};
use cunkou_casework::duty::Given;
use cunkou_casework::event::{
    DUTY_LINE_CHARS_MAX, DUTY_ORIGINALS_MAX, Original, Promise, Step, TEXT_CHARS_MAX,
};
use cunkou_casework::fields;
use cunkou_casework::ids::{PersonId, PlaceId, SubjectId};
use cunkou_edge::forms::Fields;
use cunkou_edge::{AppError, Signed};
use cunkou_ui::Lang;
use cunkou_ui::page::duty as ui;
use cunkou_ui::part::{Control, FaultLine, Input};
use std::collections::BTreeMap;

/// So many promises may be typed; the box lists others by itself.
const PROMISES_MAX: usize = 20;
/// So many empty lines are offered.
const LINES: usize = 3;

/// What was typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    to: String,
    list: String,
    /// An original that lies here for a case.
    of_case: BTreeMap<SubjectId, String>,
    others: Vec<String>,
    promises: Vec<(String, String)>,
    note: String,
    lines: usize,
}

fn fault(field: impl Into<String>, words: impl Into<String>) -> FaultLine {
    FaultLine { field: field.into(), words: words.into() }
}

impl Typed {
    /// What stood in the last hand-over of this place and was not said to be gone. What was missing
    /// then becomes a promise to look for it.
    pub(super) fn before(signed: &Signed, here: &Here) -> Result<Self, AppError> {
        let mut typed = Self { lines: LINES, ..Self::default() };
        let Some(last) = &here.last else { return Ok(typed) };
        let row = |case: SubjectId| signed.replica().store().read(|view| view.case_row(&case.0));
        let (counted, missing) = last.duty.counted();
        for original in counted {
            let open = original.case.filter(|c| here.cases.iter().any(|row| row.subject == c.0));
            match (open, original.case) {
                (Some(case), _) => {
                    typed.of_case.insert(case, original.what.clone());
                }
                (None, Some(case)) => {
                    let whose = row(case)?.map(|row| case_words(&row)).unwrap_or_default();
                    typed.others.push(short(&format!("{whose} {}", original.what)));
                }
                (None, None) => typed.others.push(original.what.clone()),
            }
        }
        for original in missing {
            let whose = original.case.map(row).transpose()?.flatten();
            let whose = whose.map(|row| format!("{} ", case_words(&row))).unwrap_or_default();
            let what = short(&format!("找回原件:{whose}{}", original.what));
            typed.promises.push((what, String::new()));
        }
        // The box lists promised papers anew by itself.
        for promise in last.duty.given.iter().flat_map(|given| &given.promises) {
            if promise.case.is_none() && !promise.what.starts_with("另有 ") {
                typed.promises.push((promise.what.clone(), promise.until.clone()));
            }
        }
        let beyond = typed.promises.len().saturating_sub(PROMISES_MAX);
        if beyond > 0 {
            typed.promises.truncate(PROMISES_MAX);
            typed.note = format!("上次交接还有 {beyond} 项这里列不下,见交接记录。");
        }
        Ok(typed)
    }

    pub(super) fn read(fields: &Fields) -> Self {
        let get = |name: &str| fields.get(name).map_or("", |v| v.trim()).to_owned();
        let mut typed = Self {
            to: get("to"),
            list: get("list"),
            note: get("note"),
            lines: LINES,
            ..Self::default()
        };
        for (name, value) in fields {
            if let Some(case) = name.strip_prefix("case-").and_then(|c| c.parse().ok())
                && !value.trim().is_empty()
            {
                typed.of_case.insert(case, value.trim().to_owned());
            }
        }
        for n in 0..=DUTY_ORIGINALS_MAX {
            let (original, what) = (get(&format!("original-{n}")), get(&format!("promise-{n}")));
            if !original.is_empty() {
                typed.others.push(original);
            }
            let until = get(&format!("until-{n}"));
            if !what.is_empty() || !until.is_empty() {
                typed.promises.push((what, until));
            }
        }
        typed
    }

    /// Offers more empty lines.
    pub(super) fn more(&mut self) {
        self.lines += 5;
    }

    /// The step that this is, and to whom; else what is wrong.
    pub(super) fn step(
        &self,
        signed: &Signed,
        here: &Here,
    ) -> Result<(Step, PersonId), Vec<FaultLine>> {
        let l = signed.lang;
        let mut faults = Vec::new();
        if self.list != here.digest {
            let words = l.t(
                "办件清单刚有变化,请再看一遍再签名",
                "The list of cases has just changed: read it again, then sign",
            );
            faults.push(fault("cases", words));
        }
        let to = here.colleagues.iter().find(|(_, login, _)| *login == self.to);
        if to.is_none() {
            faults.push(fault("to", l.t("选择交给谁", "Choose who takes over")));
        }
        let mut check = |field: String, text: &str, most: usize| {
            if text.chars().count() > most {
                faults.push(fault(field, too_long(l, most)));
            }
        };
        for (case, text) in &self.of_case {
            check(format!("case-{case}"), text, DUTY_LINE_CHARS_MAX);
        }
        for (n, text) in self.others.iter().enumerate() {
            check(format!("original-{n}"), text, DUTY_LINE_CHARS_MAX);
        }
        check("note".into(), &self.note, TEXT_CHARS_MAX);
        let promises = self.promises(l, &mut faults);
        let open = |case: &SubjectId| here.cases.iter().any(|row| row.subject == case.0);
        let of_case = self
            .of_case
            .iter()
            .map(|(case, what)| Original { case: Some(*case).filter(open), what: what.clone() });
        let others = self.others.iter().map(|what| Original { case: None, what: what.clone() });
        let originals: Vec<Original> = of_case.chain(others).collect();
        if originals.len() > DUTY_ORIGINALS_MAX || promises.len() > PROMISES_MAX {
            let words = l.t(
                "写得太多:原件最多 100 件,承诺最多 20 项,其余写在说明里",
                "Too many: at most 100 originals and 20 promises; put the rest in the note",
            );
            faults.push(fault("note", words));
        }
        match to {
            Some((to, ..)) if faults.is_empty() => {
                let step = Step::DutyOffered {
                    place: here.place,
                    to: *to,
                    cases: here.cases.iter().map(|row| SubjectId(row.subject)).collect(),
                    originals,
                    promises: here.promised.iter().cloned().chain(promises).collect(),
                    note: self.note.clone(),
                };
                Ok((step, *to))
            }
            _ => Err(faults),
        }
    }

    fn promises(&self, l: Lang, faults: &mut Vec<FaultLine>) -> Vec<Promise> {
        let mut out = Vec::new();
        for (n, (what, until)) in self.promises.iter().enumerate() {
            if what.is_empty() {
                let words = l.t("写明答应了什么", "Say what was promised");
                faults.push(fault(format!("promise-{n}"), words));
            }
            if what.chars().count() > DUTY_LINE_CHARS_MAX {
                faults.push(fault(format!("promise-{n}"), too_long(l, DUTY_LINE_CHARS_MAX)));
            }
            let day = fields::day(until).map(|day| day.to_string());
            if day.is_none() && !until.is_empty() {
                let words = l.t("日期像 2026-05-06 这样写", "Write the day like 2026-05-06");
                faults.push(fault(format!("until-{n}"), words));
            }
            let until = day.unwrap_or_default();
            out.push(Promise { case: None, what: what.clone(), until });
        }
        out
    }
}

fn too_long(l: Lang, most: usize) -> String {
    match l {
        Lang::Zh => format!("最多 {most} 个字"),
        Lang::En => format!("At most {most} characters"),
    }
}

/// The step of taking over; else what is wrong.
pub(super) fn taking(
    signed: &Signed,
    given: &Given,
    typed: &Fields,
) -> Result<Step, Vec<FaultLine>> {
    let l = signed.lang;
    let remark = typed.get("remark").map_or("", |r| r.trim()).to_owned();
    let gone = |n: &u16| !typed.contains_key(&format!("here-{n}"));
    let all = 0..u16::try_from(given.originals.len()).unwrap_or(u16::MAX);
    let missing: Vec<u16> = all.filter(gone).collect();
    if remark.chars().count() > TEXT_CHARS_MAX {
        return Err(vec![fault("remark", too_long(l, TEXT_CHARS_MAX))]);
    }
    if !missing.is_empty() && remark.is_empty() {
        let n = missing.len();
        let words = match l {
            Lang::Zh => format!("有 {n} 件原件没有勾,会记为“缺”。请在备注里写明去向或怎么处理"),
            Lang::En => format!(
                "{n} originals are not ticked and will be recorded as missing. Say in the remark where they are or what is done about it"
            ),
        };
        return Err(vec![fault("remark", words)]);
    }
    Ok(Step::DutyTaken { offer: given.offer, remark, missing })
}

/// Inputs beside which a fault stands.
pub(super) fn marked(mut input: Input, faults: &[FaultLine]) -> Input {
    let id = if input.id.is_empty() { &input.name } else { &input.id };
    input.fault = faults.iter().find(|f| f.field == *id).map(|f| f.words.clone());
    input
}

/// The page on which the giver prepares and signs.
pub(super) fn view(
    signed: &Signed,
    places: &[PlaceId],
    here: &Here,
    typed: &Typed,
    faults: Vec<FaultLine>,
) -> Result<ui::New, AppError> {
    let l = signed.lang;
    let county = signed.replica().county();
    let input = |name: &str, label: &str, value: &str| {
        marked(Input::line(name, label, value).optional(), &faults)
    };
    let to = Input::line("to", l.t("交给谁", "Who takes over"), &typed.to);
    let to = to.with(Control::Radios(
        here.colleagues.iter().map(|(_, login, name)| (login.clone(), name.clone())).collect(),
    ));
    let original = l.t("留在抽屉里的原件", "Original in the drawer");
    let cases = here.cases.iter().map(|row| {
        let case = SubjectId(row.subject);
        let value = typed.of_case.get(&case).map_or("", String::as_str);
        let input = input(&format!("case-{case}"), original, value);
        ui::CaseLine { original: Some(input), ..case_line(signed, Some(row)) }
    });
    let blank = String::new();
    let others = (0..typed.others.len() + typed.lines).take(DUTY_ORIGINALS_MAX).map(|n| {
        let label = format!("{} {}", l.t("原件", "Original"), n + 1);
        input(&format!("original-{n}"), &label, typed.others.get(n).unwrap_or(&blank))
    });
    let promises = (0..typed.promises.len() + typed.lines).take(PROMISES_MAX).map(|n| {
        let (what, until) =
            typed.promises.get(n).map_or(("", ""), |(what, until)| (what.as_str(), until.as_str()));
        let label = format!("{} {}", l.t("答应的事", "Promise"), n + 1);
        let by = format!("{} {}", l.t("哪天之前", "By"), n + 1);
        let day = Input::line(&format!("until-{n}"), &by, until);
        let day = marked(day.with(Control::Day).optional(), &faults);
        (input(&format!("promise-{n}"), &label, what), day)
    });
    let note = input("note", l.t("说明", "Note"), &typed.note).with(Control::Area);
    let note = note.hint(l.t("钥匙、印章、约好的事等", "Keys, stamps, appointments and the like"));
    let pin = Input::line("pin", l.t("您自己的 PIN 码", "Your own PIN"), "").with(Control::Secret);
    Ok(ui::New {
        action: "/duty/new".into(),
        places: places
            .iter()
            .map(|p| (format!("/duty/new?place={p}"), county.place_name(*p), *p == here.place))
            .collect(),
        place: here.place.to_string(),
        alone: here.colleagues.is_empty(),
        replaces: here.own.map(|_| {
            l.t(
                "您在这里已有一份还没有签收的交接。再签一次,新的一份会代替它。",
                "You have a hand-over here that was not taken yet. Signing again replaces it.",
            )
            .to_owned()
        }),
        list: here.digest.clone(),
        who: vec![marked(to, &faults)],
        cases: cases.collect(),
        more: here.more,
        originals: others.collect(),
        promised: here.promised.iter().map(|p| super::record::promise_words(l, p, "")).collect(),
        promises: promises.collect(),
        rest: vec![note, marked(pin, &faults)],
        faults,
    })
}
