//! Asking for an erasure: what is past its retention, what a number stands for, and the form.

use super::things::{case, record};
use super::{PAGE, shown};
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::calendar::china_day;
use cunkou_casework::citizen_id::CitizenId;
use cunkou_casework::erasure::Basis;
use cunkou_casework::event::TEXT_CHARS_MAX;
use cunkou_casework::ids::SubjectId;
use cunkou_casework::number::parse;
use cunkou_edge::forms::Fields;
use cunkou_edge::{AppError, Signed};
use cunkou_replica::ActError;
use cunkou_store::{CaseFilter, StoreError};
use cunkou_ui::page::erasures::{Choice, Thing, choose};
use cunkou_ui::page::guides::retention_words;
use cunkou_ui::part::FaultLine;
use maud::Markup;

fn past_retention(
    signed: &Signed,
    fields: &Fields,
    faults: Vec<FaultLine>,
) -> Result<Markup, AppError> {
    let l = signed.lang;
    let mut found = signed.replica().retention_over(PAGE as usize + 1)?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let things = found.iter().map(|(row, declined)| {
        let declined = if *declined { l.t("上次没有同意", "declined before") } else { "" };
        let thing = case(signed, row);
        let ticked = match fields.contains_key("list") {
            true => fields.contains_key(&format!("s-{}", thing.id)),
            false => declined.is_empty(),
        };
        // Whoever lists hundreds of cases to destroy them needs nobody's name.
        Thing { name: String::new(), warning: declined.to_owned(), ticked, ..thing }
    });
    let release = signed.replica().release();
    let periods = release.iter().flat_map(|release| &release.items.items).map(|item| {
        let name = l.t(&item.name, &item.name_en).to_owned();
        (name, retention_words(l, item.retention))
    });
    let choice = Choice {
        title: l.t("保管期限已满的办件", "Cases past their retention").to_owned(),
        retention: true,
        things: things.collect(),
        more,
        periods: periods.collect(),
        reason: fields.get("reason").cloned().unwrap_or_default(),
        faults,
        ..Choice::default()
    };
    Ok(choose(&signed.shell("/retention"), &choice))
}

pub(super) async fn retention(signed: Signed) -> Result<Markup, AppError> {
    let page = move || past_retention(&signed, &Fields::new(), Vec::new());
    tokio::task::spawn_blocking(page).await?
}

/// What a case number or an ID number stands for: the record, and all its cases.
fn things(signed: &Signed, typed: &str) -> Result<Vec<Thing>, StoreError> {
    let (replica, today) = (signed.replica(), china_day(signed.replica().now_ms()));
    if let Some(number) = parse(typed) {
        let row = replica.store().read(|view| {
            let subject = view.case_by_number(&number)?;
            subject.map_or(Ok(None), |subject| view.case_row(&subject))
        })?;
        return Ok(row.iter().map(|row| case(signed, row)).collect());
    }
    let Ok(id) = CitizenId::parse(typed, today) else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for resident in replica.residents_by_id_number(id.as_str())? {
        let filter = CaseFilter { resident: Some(resident), limit: PAGE, ..CaseFilter::default() };
        let cases = replica.store().read(|view| view.cases(&filter))?;
        out.extend(cases.rows.iter().map(|row| case(signed, row)));
        out.extend(record(signed, SubjectId(resident))?);
    }
    Ok(out)
}

pub(super) async fn find(signed: Signed, Form(fields): Form<Fields>) -> Result<Markup, AppError> {
    let page = move || -> Result<Markup, AppError> {
        let typed = fields.get("number").map_or("", |t| t.trim());
        let mut things = things(&signed, typed)?;
        if let [thing] = &mut things[..] {
            thing.ticked = !thing.locked;
        }
        let title = signed.lang.t("提出销毁", "Ask for an erasure").to_owned();
        let choice = Choice { title, things, ..Choice::default() };
        Ok(choose(&signed.shell("/erasures"), &choice))
    };
    tokio::task::spawn_blocking(page).await?
}

/// What was ticked, why, and on what it rests; or what is wrong.
fn asked(
    signed: &Signed,
    fields: &Fields,
) -> Result<(Vec<SubjectId>, Basis, String), Vec<FaultLine>> {
    let l = signed.lang;
    let fault = |field: &str, words: &str| FaultLine { field: field.into(), words: words.into() };
    let ticked = fields.keys().filter_map(|name| name.strip_prefix("s-")?.parse().ok());
    let ticked: Vec<SubjectId> = ticked.take(PAGE as usize).collect();
    let basis = Basis::of(fields.get("basis").map_or("", String::as_str));
    let reason = fields.get("reason").map_or("", |t| t.trim()).to_owned();
    let mut faults = Vec::new();
    if ticked.is_empty() {
        faults.push(fault("things", l.t("至少勾选一件", "Tick at least one")));
    }
    if basis.is_none() {
        faults.push(fault("basis", l.t("选择销毁依据", "Choose the basis")));
    }
    if reason.is_empty() || reason.chars().count() > TEXT_CHARS_MAX {
        faults.push(fault(
            "reason",
            l.t("写明说明,最多 1000 个字", "Give the reason, at most 1,000 characters"),
        ));
    } else if names_somebody(&reason) {
        faults.push(fault(
            "reason",
            l.t(
                "去掉身份证号:这句话会一直留在清册里",
                "Leave the ID number out: this stays in the register",
            ),
        ));
    }
    match (basis, faults.is_empty()) {
        (Some(basis), true) => Ok((ticked, basis, reason)),
        _ => Err(faults),
    }
}

/// Whether a text has an ID number in it: so many digits in a row are nothing else here.
pub(super) fn names_somebody(text: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit() || c == 'X' || c == 'x';
    text.split(|c: char| !digit(c)).any(|run| run.len() >= 15)
}

pub(super) async fn ask(signed: Signed, Form(fields): Form<Fields>) -> Result<Response, AppError> {
    let work = move || -> Result<Response, AppError> {
        let (ticked, basis, reason) = match asked(&signed, &fields) {
            Ok(asked) => asked,
            Err(faults) => return again(&signed, &fields, faults),
        };
        signed.replica().act(|desk| -> Result<(), ActError> {
            for subject in &ticked {
                desk.ask_erasure(*subject, signed.who(), basis, &reason)?;
            }
            Ok(())
        })?;
        Ok(Redirect::to("/erasures?done=asked").into_response())
    };
    tokio::task::spawn_blocking(work).await?
}

/// The form as it was, with what is wrong.
fn again(signed: &Signed, fields: &Fields, faults: Vec<FaultLine>) -> Result<Response, AppError> {
    if fields.get("list").is_some_and(|list| list == "retention") {
        let page = past_retention(signed, fields, faults)?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let mut kept = Vec::new();
    for id in fields.keys().filter_map(|name| name.strip_prefix("k-")).take(PAGE as usize) {
        let Ok(subject) = id.parse::<SubjectId>() else { continue };
        let ticked = fields.contains_key(&format!("s-{id}"));
        let row = signed.replica().store().read(|view| view.case_row(&subject.0))?;
        let thing = match &row {
            Some(row) => Some(case(signed, row)),
            None => record(signed, subject)?,
        };
        kept.extend(thing.map(|thing| Thing { ticked, ..thing }));
    }
    if kept.is_empty() {
        return shown(signed, 0, faults);
    }
    let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let choice = Choice {
        title: signed.lang.t("提出销毁", "Ask for an erasure").to_owned(),
        things: kept,
        basis: text("basis"),
        reason: text("reason"),
        faults,
        ..Choice::default()
    };
    let page = choose(&signed.shell("/erasures"), &choice);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}
