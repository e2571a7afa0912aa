//! Erasure on the console: what is past its retention, askings, agreements, and who has confirmed.

mod asking;
mod things;

use asking::{ask, find, names_somebody, retention};
use axum::extract::{Form, Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::calendar::china_day;
use cunkou_casework::county::Role;
use cunkou_casework::erasure::{Asking, Judged};
use cunkou_casework::event::TEXT_CHARS_MAX;
use cunkou_casework::ids::SubjectId;
use cunkou_edge::forms::Fields;
use cunkou_edge::lists::when;
use cunkou_edge::looks::{csv, csv_answer};
use cunkou_edge::routes::Shows::{Nothing, Personal};
use cunkou_edge::routes::{Routes, Who};
use cunkou_edge::{AppError, Signed};
use cunkou_store::{CaseRow, StoreError};
use cunkou_ui::page::erasures::{Gone, Pending, Register, Thing, register};
use cunkou_ui::part::FaultLine;
use things::{asked_about, case, name_of, record};

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
    Ok(csv_answer("erasures.csv", text))
}
