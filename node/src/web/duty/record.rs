//! Hand-overs as they are shown: in the list, one by one, on paper.

use super::given::{case_line, case_words};
use super::{form, worker};
use cunkou_casework::calendar::china_time;
use cunkou_casework::case::{Record, Standing};
use cunkou_casework::duty::{Given, Handed, Phase, Signature, Signed as Mark};
use cunkou_casework::entry::ClockSource;
use cunkou_casework::event::{Original, Promise};
use cunkou_casework::hex;
use cunkou_casework::ids::{PersonId, PlaceId, SubjectId};
use cunkou_casework::resident::masked_name;
use cunkou_edge::forms::Fields;
use cunkou_edge::lists::when;
use cunkou_edge::{AppError, Signed};
use cunkou_replica::DutyFile;
use cunkou_store::{CaseRow, DutyRow};
use cunkou_ui::Lang;
use cunkou_ui::page::duty as ui;
use cunkou_ui::part::{Control, FaultLine, Input};
use std::collections::BTreeMap;

/// Somebody's name.
pub(super) fn name(signed: &Signed, person: PersonId) -> String {
    let county = signed.replica().county();
    county.person(person).map_or_else(|| person.to_string(), |p| p.name.clone())
}

fn state_words(l: Lang, phase: &str, missing: u32) -> (String, &'static str) {
    match (phase, missing) {
        ("taken", 0) => (l.t("双方已签名", "Both have signed").into(), "green"),
        ("taken", n) => match l {
            Lang::Zh => (format!("已签收,缺原件 {n} 件"), "amber"),
            Lang::En => (format!("Taken; originals missing: {n}"), "amber"),
        },
        ("withdrawn", _) => (l.t("已撤回", "Taken back").into(), ""),
        _ => (l.t("等签收", "Waits to be taken").into(), "amber"),
    }
}

/// The hand-overs of this box's places, the latest first.
pub(super) fn lines(signed: &Signed, limit: u32) -> Result<Vec<ui::Line>, AppError> {
    let l = signed.lang;
    let county = signed.replica().county();
    let rows = signed.replica().store().read(|v| v.duties(&signed.villages(), false, limit))?;
    let line = |row: &DutyRow| {
        let (state, tone) = state_words(l, &row.phase, row.missing);
        let (from, to) = (name(signed, PersonId(row.giver)), name(signed, PersonId(row.receiver)));
        ui::Line {
            href: format!("/duty/{}", SubjectId(row.subject)),
            who: format!("{from} → {to}"),
            place: county.place_name(PlaceId(row.place)),
            what: match l {
                Lang::Zh => {
                    format!("{} 件 · 原件 {} · 承诺 {}", row.cases, row.originals, row.promises)
                }
                Lang::En => format!(
                    "{} cases · {} originals · {} promises",
                    row.cases, row.originals, row.promises
                ),
            },
            when: when(row.offered_ms),
            state,
            tone,
        }
    };
    Ok(rows.iter().map(line).collect())
}

/// The rows of its cases, as far as they are here.
fn rows_of(signed: &Signed, given: &Given) -> Result<BTreeMap<SubjectId, CaseRow>, AppError> {
    let named = given.originals.iter().filter_map(|o| o.case);
    let named = named.chain(given.promises.iter().filter_map(|p| p.case));
    let all: Vec<SubjectId> = given.cases.iter().copied().chain(named).collect();
    signed.replica().store().read(|view| {
        let mut rows = BTreeMap::new();
        for case in all {
            // The list may name a case of a village that its reader does not see.
            if let Some(row) = view.case_row(&case.0)?.filter(|row| row.place == given.place.0) {
                rows.insert(case, row);
            }
        }
        Ok(rows)
    })
}

fn original_words(original: &Original, rows: &BTreeMap<SubjectId, CaseRow>) -> String {
    match original.case.and_then(|case| rows.get(&case)) {
        Some(row) => format!("{} {}", case_words(row), original.what),
        None => original.what.clone(),
    }
}

/// A promise with its day; `case` names its case where that is known.
pub(super) fn promise_words(l: Lang, promise: &Promise, case: &str) -> String {
    let by = match (l, promise.until.as_str()) {
        (_, "") => String::new(),
        (Lang::Zh, day) => format!(" · {day} 前"),
        (Lang::En, day) => format!(" · by {day}"),
    };
    let case = if case.is_empty() { String::new() } else { format!("{case} ") };
    format!("{case}{}{by}", promise.what)
}

fn number_of(promise: &Promise, rows: &BTreeMap<SubjectId, CaseRow>) -> String {
    let row = promise.case.and_then(|case| rows.get(&case));
    row.map_or_else(String::new, |row| cunkou_casework::number::grouped(&row.number))
}

/// `2026-11-23 09:30`, in China.
fn with_year(ms: i64) -> String {
    format!("{}-{}", china_time(ms).year(), when(ms))
}

fn record_of(file: &DutyFile, mark: &Mark) -> Option<Record> {
    file.steps.iter().find(|n| n.record.id == mark.entry).map(|n| n.record.clone())
}

fn signature(signed: &Signed, file: &DutyFile, person: PersonId, mark: &Mark) -> Signature {
    let county = signed.replica().county();
    let key = county.person_at(person, mark.position).and_then(|p| p.key);
    let clock = record_of(file, mark).map(|record| record.header.clock);
    Signature {
        name: name(signed, person),
        at_ms: mark.at_ms,
        uncertain: clock == Some(ClockSource::Unknown),
        office: county.device(mark.device).map(|d| d.name.clone()).unwrap_or_default(),
        key: key.map(|key| hex::encode(&key.short_id())).unwrap_or_default(),
        entry: mark.entry.to_string(),
    }
}

fn signature_rows(l: Lang, s: &Signature, own_key: bool) -> Vec<(String, String)> {
    let doubt = if s.uncertain { l.t("(时间待核)", " (time not confirmed)") } else { "" };
    let key = if own_key { s.key.clone() } else { l.t("没有", "none").to_owned() };
    let rows = [
        (l.t("姓名", "Name"), s.name.clone()),
        (l.t("时间", "Time"), format!("{}{doubt}", with_year(s.at_ms))),
        (l.t("在哪里", "Where"), s.office.clone()),
        (l.t("本人密钥", "Own key"), key),
        (l.t("记录号", "Record"), s.entry.clone()),
    ];
    rows.map(|(label, value)| (label.to_owned(), value)).into()
}

/// A hand-over on its page.
pub(super) fn view(
    signed: &Signed,
    file: &DutyFile,
    given: &Given,
) -> Result<ui::Record, AppError> {
    let (l, me) = (signed.lang, signed.who().person);
    let duty = &file.duty;
    let rows = rows_of(signed, given)?;
    let missing = duty.taken.as_ref().map_or(&[][..], |t| &t.missing);
    let gone = u32::try_from(missing.len()).unwrap_or(u32::MAX);
    let (state, _) = state_words(l, duty.phase.key(), gone);
    let responsible = duty.responsible().map(|who| name(signed, who)).unwrap_or_default();
    let mut about = vec![
        (l.t("哪里", "Where").to_owned(), signed.replica().county().place_name(given.place)),
        (l.t("移交人", "From").to_owned(), name(signed, given.from)),
        (l.t("接收人", "To").to_owned(), name(signed, given.to)),
        (l.t("状态", "State").to_owned(), state),
    ];
    if duty.phase == Phase::Offered {
        about.push((l.t("现在由谁负责", "Responsible now").to_owned(), responsible));
    }
    if let Some((mark, _)) = &duty.withdrawn {
        about.push((l.t("撤回时间", "Taken back").to_owned(), when(mark.at_ms)));
    }
    let mut signatures = vec![(
        l.t("移交人签名", "Signed by the giver").to_owned(),
        signature_rows(
            l,
            &signature(signed, file, given.from, &given.signed),
            given.signed.attestation.personal(),
        ),
    )];
    if let Some(taken) = &duty.taken {
        let own = taken.signed.attestation.personal();
        signatures.push((
            l.t("接收人签名", "Signed by the receiver").to_owned(),
            signature_rows(l, &signature(signed, file, given.to, &taken.signed), own),
        ));
    }
    let waits = duty.phase == Phase::Offered;
    let between = me == given.from || me == given.to;
    let takes = waits && between && worker(&signed.app, given.to).is_some();
    let subject = file.subject;
    Ok(ui::Record {
        title: l.t("交接", "Hand-over").to_owned(),
        rows: about,
        cases: given.cases.iter().map(|case| case_line(signed, rows.get(case))).collect(),
        originals: given
            .originals
            .iter()
            .enumerate()
            .map(|(n, o)| {
                let gone = missing.iter().any(|m| usize::from(*m) == n);
                (original_words(o, &rows), gone)
            })
            .collect(),
        promises: given
            .promises
            .iter()
            .map(|p| promise_words(l, p, &number_of(p, &rows)))
            .collect(),
        note: given.note.clone(),
        remark: duty.taken.as_ref().map(|taken| taken.remark.clone()).unwrap_or_default(),
        signatures,
        aside: aside(signed, file),
        paper: format!("/duty/{subject}/paper.pdf"),
        take: takes.then(|| format!("/duty/{subject}/take")),
        withdraw: (waits && me == given.from).then(|| format!("/duty/{subject}/withdraw")),
    })
}

/// Steps that somebody tried and that do not count.
fn aside(signed: &Signed, file: &DutyFile) -> Vec<String> {
    let l = signed.lang;
    let off = file.steps.iter().filter_map(|note| {
        let why = match note.standing {
            Standing::Effective | Standing::Rival => return None,
            Standing::Overtaken => {
                l.t("已被代替或被签收赶上", "replaced, or the taking came first")
            }
            Standing::Waiting(_) => l.t("还缺前面的记录", "what came before it is not here yet"),
            Standing::Quarantined(_) => {
                l.t("这一步不归这个人或不是时候", "not theirs to do, or not then")
            }
        };
        let header = &note.record.header;
        let who = header.person.map(|p| name(signed, p)).unwrap_or_default();
        let step = l.step(&note.record.event.step);
        Some(format!("{} {who} {step}: {why}", when(header.claimed_ms)))
    });
    off.collect()
}

/// The page on which the receiver counts and signs.
pub(super) fn take(
    signed: &Signed,
    file: &DutyFile,
    given: &Given,
    typed: &Fields,
    faults: Vec<FaultLine>,
) -> Result<ui::Take, AppError> {
    let l = signed.lang;
    let name = name(signed, given.to);
    let get = |field: &str| typed.get(field).map_or("", String::as_str);
    let remark = Input::line("remark", l.t("备注", "Remark"), get("remark"));
    let hint =
        l.t("缺了什么、在哪里、怎么处理", "What is missing, where it is, what is done about it");
    let remark = remark.with(Control::Area).hint(hint).optional();
    let label = match l {
        Lang::Zh => format!("{name}的 PIN 码"),
        Lang::En => format!("PIN of {name}"),
    };
    let pin = Input::line("pin", &label, "").with(Control::Secret);
    let record = view(signed, file, given)?;
    let counted = |n: usize| typed.contains_key(&format!("here-{n}"));
    let originals = record.originals.iter().enumerate();
    Ok(ui::Take {
        originals: originals
            .map(|(n, (words, _))| (format!("here-{n}"), words.clone(), counted(n)))
            .collect(),
        record,
        name,
        passed: signed.who().person == given.from,
        offer: given.offer.to_string(),
        inputs: [remark, pin].map(|input| form::marked(input, &faults)).into(),
        faults,
        action: format!("/duty/{}/take", file.subject),
        later: format!("/duty/{}", file.subject),
    })
}

/// What the paper says of a hand-over.
pub(super) fn handed(signed: &Signed, file: &DutyFile, given: &Given) -> Result<Handed, AppError> {
    let duty = &file.duty;
    let rows = rows_of(signed, given)?;
    let release = signed.replica().release();
    // Neither states nor days left: the paper is the same whenever it is printed.
    let case = |case: &SubjectId| match rows.get(case) {
        Some(row) => {
            let item = release.as_ref().and_then(|r| r.item(&row.item));
            let item = item.map_or(row.item.as_str(), |i| i.name.as_str());
            let number = cunkou_casework::number::grouped(&row.number);
            format!("{number} · {} · {item}", masked_name(&row.applicant))
        }
        None => format!("已不在本机的件({})", &case.to_string()[..8]),
    };
    let (_, missing) = duty.counted();
    Ok(Handed {
        place: signed.replica().county().place_name(given.place),
        giver: signature(signed, file, given.from, &given.signed),
        to: name(signed, given.to),
        receiver: duty.taken.as_ref().map(|t| signature(signed, file, given.to, &t.signed)),
        withdrawn: duty.withdrawn.as_ref().map(|(mark, _)| mark.at_ms),
        cases: given.cases.iter().map(case).collect(),
        originals: given.originals.iter().map(|o| original_words(o, &rows)).collect(),
        missing: missing.into_iter().map(|o| original_words(o, &rows)).collect(),
        promises: given
            .promises
            .iter()
            .map(|p| {
                let number = number_of(p, &rows);
                let number = if number.is_empty() { number } else { format!("{number} ") };
                (format!("{number}{}", p.what), p.until.clone())
            })
            .collect(),
        note: given.note.clone(),
        remark: duty.taken.as_ref().map(|t| t.remark.clone()).unwrap_or_default(),
    })
}
