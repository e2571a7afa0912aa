//! Erasure on the console: what is past its retention, askings, agreements, and who has confirmed.

use axum::extract::{Form, Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::calendar::{china_day, day_in_words};
use cunkou_casework::case::Phase;
use cunkou_casework::citizen_id::{CitizenId, mask};
use cunkou_casework::county::Role;
use cunkou_casework::erasure::{Asking, Basis, Judged};
use cunkou_casework::event::TEXT_CHARS_MAX;
use cunkou_casework::ids::{PersonId, Scope, SubjectId};
use cunkou_casework::number::{grouped, parse};
use cunkou_casework::retention::over_on;
use cunkou_edge::forms::Fields;
use cunkou_edge::lists::when;
use cunkou_edge::looks::csv;
use cunkou_edge::routes::Shows::{Nothing, Personal};
use cunkou_edge::routes::{Routes, Who};
use cunkou_edge::{AppError, Signed};
use cunkou_replica::ActError;
use cunkou_store::{CaseFilter, CaseRow, StoreError};
use cunkou_ui::page::erasures::{Choice, Gone, Pending, Register, Thing, choose, register};
use cunkou_ui::page::guides::retention_words;
use cunkou_ui::part::FaultLine;
use jiff::civil::Date;
use maud::Markup;

/// So many things stand on a page.
const PAGE: u32 = 100;
/// So many rows leave in one table.
const EXPORTED: u32 = 100_000;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/retention", Who::Data, Nothing, retention)
        .get("/erasures", Who::Erasing, Personal, list)
        .post("/erasures", Who::Data, Personal, ask)
        .post("/erasures/find", Who::Data, Personal, find)
        .post("/erasures/{id}/agree", Who::Erasing, Nothing, agree)
        .post("/erasures/{id}/decline", Who::Erasing, Personal, decline)
        .get("/erasures.csv", Who::Erasing, Nothing, table)
}

fn item_name(signed: &Signed, key: &str) -> String {
    let release = signed.replica().release();
    let item = release.as_ref().and_then(|release| release.item(key));
    item.map_or_else(|| key.to_owned(), |i| signed.lang.t(&i.name, &i.name_en).to_owned())
}

fn village(signed: &Signed, scope: &str) -> String {
    match scope.parse() {
        Ok(Scope::Place(place)) => signed.replica().county().place_name(place),
        _ => String::new(),
    }
}

fn name_of(signed: &Signed, person: PersonId) -> String {
    let county = signed.replica().county();
    county.person(person).map_or_else(|| person.to_string()[..8].to_owned(), |p| p.name.clone())
}

/// What is to be thought of before a case goes.
fn warning(signed: &Signed, row: &CaseRow) -> String {
    let l = signed.lang;
    let release = signed.replica().release();
    let item = release.as_ref().and_then(|release| release.item(&row.item));
    let Some(item) = item else { return String::new() };
    let today = china_day(signed.replica().now_ms());
    let over: Option<Date> =
        item.retention.and_then(|years| over_on(china_day(row.changed_ms), years));
    match (item.retention, over) {
        (Some(_), Some(day)) if day <= today => String::new(),
        (Some(_), Some(day)) => format!(
            "{}{}",
            l.t("保管期限未满,要保存到 ", "Its retention is not over; it is to be kept until "),
            if l == cunkou_ui::Lang::Zh { day_in_words(day) } else { day.to_string() }
        ),
        _ => l.t("这一事项永久保管", "Cases of this item are kept for ever").to_owned(),
    }
}

fn case(signed: &Signed, row: &CaseRow) -> Thing {
    let l = signed.lang;
    let phase = Phase::of(&row.phase).map(|p| l.phase(p)).unwrap_or_default();
    let open = row.open && row.phase != Phase::Draft.key();
    let state = match open {
        true => l.t("还在办,办结后才能销毁", "still open").to_owned(),
        false => format!("{phase} {}", china_day(row.changed_ms)),
    };
    Thing {
        id: SubjectId(row.subject).to_string(),
        what: grouped(&row.number),
        item: item_name(signed, &row.item),
        village: signed.replica().county().place_name(cunkou_casework::ids::PlaceId(row.place)),
        name: mask(&row.applicant, 1, 0),
        state,
        warning: if open { String::new() } else { warning(signed, row) },
        locked: open,
        ticked: false,
    }
}

fn record(signed: &Signed, subject: SubjectId) -> Result<Option<Thing>, StoreError> {
    let l = signed.lang;
    signed.replica().store().read(|view| {
        let Some(row) = view.resident_row(&subject.0)? else { return Ok(None) };
        let cases = view.cases_of(&subject.0)?;
        Ok(Some(Thing {
            id: subject.to_string(),
            what: l.t("居民资料", "Resident's record").to_owned(),
            village: signed.replica().county().place_name(cunkou_casework::ids::PlaceId(row.place)),
            name: mask(&row.name, 1, 0),
            state: match cases {
                0 => String::new(),
                n => format!("{}{n}", l.t("先销毁名下办件:", "Cases to be erased first: ")),
            },
            locked: cases > 0,
            ..Thing::default()
        }))
    })
}

/// What an asking was about, when it may be gone already.
fn asked_about(signed: &Signed, asking: &Asking, scope: &str) -> Thing {
    let what = match asking.number.is_empty() {
        true => signed.lang.t("居民资料", "Resident's record").to_owned(),
        false => grouped(&asking.number),
    };
    let item = match asking.item.is_empty() {
        true => String::new(),
        false => item_name(signed, &asking.item),
    };
    Thing { what, item, village: village(signed, scope), ..Thing::default() }
}

/// An asking as the second person sees it; none when it is not theirs to agree to.
fn waits(
    signed: &Signed,
    subject: SubjectId,
    scope: &str,
    asking: &Asking,
) -> Result<Option<Pending>, StoreError> {
    let row = signed.replica().store().read(|view| view.case_row(&subject.0))?;
    let officer = signed.is(Role::DataOfficer);
    let own = |row: &CaseRow| signed.filter().department.as_deref() == Some(&*row.department);
    if !officer && !row.as_ref().is_some_and(own) {
        return Ok(None);
    }
    let found = match &row {
        Some(row) => Some(case(signed, row)),
        None => record(signed, subject)?,
    };
    let thing = found.unwrap_or_else(|| asked_about(signed, asking, scope));
    Ok(Some(Pending {
        thing: Thing { id: subject.to_string(), ..thing },
        basis: signed.lang.basis(asking.basis).to_owned(),
        reason: asking.reason.clone(),
        asked: format!("{} {}", name_of(signed, asking.by), when(asking.at_ms)),
        mine: asking.by == signed.who().person,
    }))
}

fn gone(signed: &Signed, scope: &str, judged: &Judged) -> Option<Gone> {
    let l = signed.lang;
    let erased = judged.erased.as_ref()?;
    let holders = signed.replica().holders(scope);
    let missing = holders.iter().filter(|device| !erased.done.contains_key(&device.id));
    let missing: Vec<String> = missing.map(|device| device.name.clone()).collect();
    let day = china_day(erased.at_ms);
    Some(Gone {
        thing: asked_about(signed, &erased.asking, scope),
        basis: l.basis(erased.asking.basis).to_owned(),
        reason: erased.asking.reason.clone(),
        people: format!(
            "{}、{} {day}",
            name_of(signed, erased.asking.by),
            name_of(signed, erased.second)
        ),
        confirmed: holders.len() - missing.len(),
        of: holders.len(),
        missing,
    })
}

fn shown(signed: &Signed, from: u32, faults: Vec<FaultLine>) -> Result<Response, AppError> {
    let replica = signed.replica();
    let all = replica.erasures(PAGE, from)?;
    let mut view = Register {
        may_ask: signed.is(Role::DataOfficer),
        older: (all.len() == PAGE as usize)
            .then(|| format!("/erasures?from={}", from.saturating_add(PAGE))),
        ..Register::default()
    };
    for (subject, scope, judged) in &all {
        for asking in &judged.open {
            view.pending.extend(waits(signed, *subject, scope, asking)?);
        }
        view.gone.extend(gone(signed, scope, judged));
    }
    let status = match faults.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    view.faults = faults;
    Ok((status, register(&signed.shell("/erasures"), &view)).into_response())
}

async fn list(signed: Signed, Query(query): Query<Fields>) -> Result<Response, AppError> {
    let from = query.get("from").and_then(|f| f.parse().ok()).unwrap_or(0);
    tokio::task::spawn_blocking(move || shown(&signed, from, Vec::new())).await?
}

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
        // Whoever lists hundreds of cases to destroy them needs nobody's name.
        let ticked = declined.is_empty();
        Thing { name: String::new(), warning: declined.to_owned(), ticked, ..case(signed, row) }
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

async fn retention(signed: Signed) -> Result<Markup, AppError> {
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

async fn find(signed: Signed, Form(fields): Form<Fields>) -> Result<Markup, AppError> {
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
fn names_somebody(text: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit() || c == 'X' || c == 'x';
    text.split(|c: char| !digit(c)).any(|run| run.len() >= 15)
}

async fn ask(signed: Signed, Form(fields): Form<Fields>) -> Result<Response, AppError> {
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
    let mut shown = Vec::new();
    for id in fields.keys().filter_map(|name| name.strip_prefix("k-")).take(PAGE as usize) {
        let Ok(subject) = id.parse::<SubjectId>() else { continue };
        let ticked = fields.contains_key(&format!("s-{id}"));
        let row = signed.replica().store().read(|view| view.case_row(&subject.0))?;
        let thing = match &row {
            Some(row) => Some(case(signed, row)),
            None => record(signed, subject)?,
        };
        shown.extend(thing.map(|thing| Thing { ticked, ..thing }));
    }
    if shown.is_empty() {
        return self::shown(signed, 0, faults);
    }
    let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let choice = Choice {
        title: signed.lang.t("提出销毁", "Ask for an erasure").to_owned(),
        things: shown,
        basis: text("basis"),
        reason: text("reason"),
        faults,
        ..Choice::default()
    };
    let page = choose(&signed.shell("/erasures"), &choice);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// Whether the person may answer to the asking about this subject.
fn may_answer(signed: &Signed, subject: SubjectId) -> Result<(), AppError> {
    let judged = signed.replica().erasure(subject)?;
    let asking = judged.open.first().ok_or(AppError::NotFound)?;
    waits(signed, subject, "", asking)?.map(drop).ok_or(AppError::Forbidden)
}

async fn agree(signed: Signed, Path(id): Path<String>) -> Result<Redirect, AppError> {
    let subject: SubjectId = id.parse().map_err(|_| AppError::NotFound)?;
    let work = move || -> Result<(), AppError> {
        may_answer(&signed, subject)?;
        signed.replica().act(|desk| desk.agree_erasure(subject, signed.who()))?;
        signed.replica().finish_erasures()?;
        Ok(())
    };
    tokio::task::spawn_blocking(work).await??;
    Ok(Redirect::to("/erasures?done=erased"))
}

async fn decline(
    signed: Signed,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let subject: SubjectId = id.parse().map_err(|_| AppError::NotFound)?;
    let work = move || -> Result<Response, AppError> {
        may_answer(&signed, subject)?;
        let reason = fields.get("reason").map_or("", |t| t.trim());
        if reason.is_empty() || reason.chars().count() > TEXT_CHARS_MAX || names_somebody(reason) {
            let words =
                signed.lang.t("写明理由,不写身份证号", "Give the reason, without ID numbers");
            let field = format!("reason-{subject}");
            return shown(&signed, 0, vec![FaultLine { field, words: words.into() }]);
        }
        signed.replica().act(|desk| desk.decline_erasure(subject, signed.who(), reason))?;
        Ok(Redirect::to("/erasures?done=declined").into_response())
    };
    tokio::task::spawn_blocking(work).await?
}

/// The register as a table: numbers and the names of those who answer for it, nobody else's.
async fn table(signed: Signed) -> Result<Response, AppError> {
    let l = signed.lang;
    let asking = signed.clone();
    let rows = tokio::task::spawn_blocking(move || -> Result<Vec<Vec<String>>, StoreError> {
        let all = asking.replica().erasures(EXPORTED, 0)?;
        let row = |(_, scope, judged): &(SubjectId, String, Judged)| {
            let gone = gone(&asking, scope, judged)?;
            let confirmed = format!("{} / {}", gone.confirmed, gone.of);
            let Thing { what, item, village, .. } = gone.thing;
            let missing = gone.missing.join("、");
            Some(vec![
                what,
                item,
                village,
                gone.basis,
                gone.reason,
                gone.people,
                confirmed,
                missing,
            ])
        };
        Ok(all.iter().filter_map(row).collect())
    });
    let heads = [
        l.t("号码", "Number"),
        l.t("事项", "Item"),
        l.t("村", "Village"),
        l.t("销毁依据", "Basis"),
        l.t("说明", "Reason"),
        l.t("经手", "By"),
        l.t("已确认", "Confirmed"),
        l.t("还没有确认的", "Not confirmed"),
    ];
    let text = csv(&heads, &rows.await??);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"erasures.csv\""),
    ];
    Ok((headers, text).into_response())
}
