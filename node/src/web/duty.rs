//! 交接: duty is handed over and taken with both signatures, each with their own PIN at one tablet.

mod form;
mod given;
mod record;
mod today;

pub(super) use today::on_home;

use axum::extract::{Form, Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::county::Person;
use cunkou_casework::duty::{Given, Phase, handover, has_post};
use cunkou_casework::event::Step;
use cunkou_casework::ids::{PersonId, PlaceId, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_edge::forms::Fields;
use cunkou_edge::login::{enter, refusal};
use cunkou_edge::pin::is_pin;
use cunkou_edge::{App, AppError, Signed, papers};
use cunkou_replica::{DutyFile, Who};
use cunkou_ui::page::duty as ui;
use cunkou_ui::part::FaultLine;
use form::Typed;
use given::Here;
use std::sync::Arc;

/// So many hand-overs on their page.
const SHOWN: u32 = 200;

/// The villages of this box that somebody may hand over.
fn places(signed: &Signed) -> Vec<PlaceId> {
    if signed.session.practice {
        return Vec::new();
    }
    let replica = signed.replica();
    let county = replica.county();
    let Some(device) = replica.device() else { return Vec::new() };
    let (me, position) = (signed.who().person, county.head().position);
    let village = |p: &PlaceId| county.township_of(*p).is_some_and(|township| township != *p);
    let mine = |p: &PlaceId| village(p) && has_post(&county, me, *p, position);
    device.places.into_iter().filter(mine).collect()
}

/// A hand-over for somebody who works at its place.
fn open(signed: &Signed, duty: &str) -> Result<(SubjectId, DutyFile, Given), AppError> {
    let subject: SubjectId = duty.parse().map_err(|_| AppError::NotFound)?;
    if signed.session.practice {
        return Err(AppError::NotFound);
    }
    let file = signed.replica().duty(subject)?.ok_or(AppError::NotFound)?;
    let given = file.duty.given.clone().ok_or(AppError::NotFound)?;
    if !signed.may_see_residents(given.place) {
        return Err(AppError::Forbidden);
    }
    Ok((subject, file, given))
}

/// As [`open`], while it waits to be taken and for the two it is between.
fn waiting(signed: &Signed, duty: &str) -> Result<(SubjectId, DutyFile, Given), AppError> {
    let (subject, file, given) = open(signed, duty)?;
    if file.duty.phase != Phase::Offered {
        return Err(AppError::Stale { next: format!("/duty/{subject}") });
    }
    if ![given.from, given.to].contains(&signed.who().person) {
        return Err(AppError::Forbidden);
    }
    Ok((subject, file, given))
}

/// Somebody who works at this box.
fn worker(app: &App, person: PersonId) -> Option<Person> {
    app.people().into_iter().find(|p| p.id == person)
}

/// Opens a person's key by the PIN that was typed; inside, what is wrong with it.
async fn key_of(
    signed: &Signed,
    person: Person,
    typed: &Fields,
) -> Result<Result<(Arc<App>, Option<SecretKey>), FaultLine>, AppError> {
    let l = signed.lang;
    let fault = |words: String| FaultLine { field: "pin".into(), words };
    let pin = typed.get("pin").cloned().unwrap_or_default();
    if !is_pin(&pin) {
        let words = l.t("PIN 码是 4 至 12 位数字", "The PIN has 4 to 12 digits");
        return Ok(Err(fault(words.into())));
    }
    match enter(Arc::clone(&signed.app), person, pin).await? {
        Ok(opened) => Ok(Ok(opened)),
        Err(why) => Ok(Err(fault(refusal(l, why)?))),
    }
}

/// Writes a step with a key that was opened for it; on disk when this returns.
async fn write(
    signed: &Signed,
    subject: Option<SubjectId>,
    person: PersonId,
    key: Option<SecretKey>,
    step: Step,
) -> Result<(SubjectId, Option<SecretKey>), AppError> {
    let replica = Arc::clone(signed.replica());
    tokio::task::spawn_blocking(move || {
        let written = replica.act(|desk| {
            let subject = subject.unwrap_or_else(|| SubjectId(desk.random()));
            let who = Who { person, key: key.as_ref() };
            desk.event(subject, who, step).map(|_| subject)
        });
        written.map(|subject| (subject, key))
    })
    .await?
    .map_err(AppError::from)
}

fn again(page: impl IntoResponse) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
}

pub(super) async fn list(signed: Signed) -> Result<Response, AppError> {
    if signed.session.practice {
        return Err(AppError::NotFound);
    }
    let lines = record::lines(&signed, SHOWN)?;
    let can_begin = !places(&signed).is_empty();
    Ok(ui::list(&signed.shell("/"), &lines, can_begin).into_response())
}

/// The place that was asked for, else the first.
fn place_of(signed: &Signed, fields: &Fields) -> Result<(PlaceId, Vec<PlaceId>), AppError> {
    let places = places(signed);
    let asked = fields.get("place").and_then(|p| p.parse().ok()).map(PlaceId);
    let place = match asked {
        Some(asked) => places.iter().copied().find(|p| *p == asked),
        None => places.first().copied(),
    };
    Ok((place.ok_or(AppError::Forbidden)?, places))
}

async fn here(signed: &Signed, place: PlaceId) -> Result<Here, AppError> {
    let signed = signed.clone();
    tokio::task::spawn_blocking(move || Here::gather(&signed, place)).await?
}

pub(super) async fn new_page(
    signed: Signed,
    Query(query): Query<Fields>,
) -> Result<Response, AppError> {
    let (place, places) = place_of(&signed, &query)?;
    let here = here(&signed, place).await?;
    let typed = Typed::before(&signed, &here)?;
    let view = form::view(&signed, &places, &here, &typed, Vec::new())?;
    Ok(ui::new(&signed.shell("/"), &view).into_response())
}

pub(super) async fn offer(
    signed: Signed,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let (place, places) = place_of(&signed, &fields)?;
    let here = here(&signed, place).await?;
    let mut typed = Typed::read(&fields);
    let show = |typed: &Typed, faults: Vec<FaultLine>| -> Result<Response, AppError> {
        Ok(again(ui::new(&signed.shell("/"), &form::view(&signed, &places, &here, typed, faults)?)))
    };
    if fields.contains_key("more") {
        typed.more();
        let view = form::view(&signed, &places, &here, &typed, Vec::new())?;
        return Ok(ui::new(&signed.shell("/"), &view).into_response());
    }
    let (step, to) = match typed.step(&signed, &here) {
        Ok(found) => found,
        Err(faults) => return show(&typed, faults),
    };
    let me = worker(&signed.app, signed.who().person).ok_or(AppError::Forbidden)?;
    let id = me.id;
    let key = match key_of(&signed, me, &fields).await? {
        Ok((_, key)) => key,
        Err(fault) => return show(&typed, vec![fault]),
    };
    let (subject, _) = write(&signed, here.own, id, key, step).await?;
    let passed = worker(&signed.app, to).is_some();
    let to = if passed { format!("/duty/{subject}/take") } else { format!("/duty/{subject}") };
    Ok(Redirect::to(&format!("{to}?done=duty-offered")).into_response())
}

pub(super) async fn show(signed: Signed, Path(duty): Path<String>) -> Result<Response, AppError> {
    let (_, file, given) = open(&signed, &duty)?;
    let view = record::view(&signed, &file, &given)?;
    Ok(ui::record(&signed.shell("/"), &view).into_response())
}

pub(super) async fn take_page(
    signed: Signed,
    Path(duty): Path<String>,
) -> Result<Response, AppError> {
    let (_, file, given) = waiting(&signed, &duty)?;
    if worker(&signed.app, given.to).is_none() {
        return Err(AppError::Stale { next: format!("/duty/{duty}") });
    }
    let view = record::take(&signed, &file, &given, &Fields::new(), Vec::new())?;
    Ok(ui::take(&signed.shell("/"), &view).into_response())
}

pub(super) async fn take(
    signed: Signed,
    Path(duty): Path<String>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let (subject, file, given) = waiting(&signed, &duty)?;
    if fields.get("offer").is_none_or(|offer| *offer != given.offer.to_string()) {
        // The giver has changed it since the page was made: it is read again before it is signed.
        return Err(AppError::Stale { next: format!("/duty/{subject}/take") });
    }
    let receiver = worker(&signed.app, given.to).ok_or(AppError::Forbidden)?;
    let show = |faults: Vec<FaultLine>| -> Result<Response, AppError> {
        let view = record::take(&signed, &file, &given, &fields, faults)?;
        Ok(again(ui::take(&signed.shell("/"), &view)))
    };
    let step = match form::taking(&signed, &given, &fields) {
        Ok(step) => step,
        Err(faults) => return show(faults),
    };
    let (inside, key) = match key_of(&signed, receiver.clone(), &fields).await? {
        Ok(opened) => opened,
        Err(fault) => return show(vec![fault]),
    };
    let (_, key) = write(&signed, Some(subject), receiver.id, key, step).await?;
    let to = Redirect::to(&format!("/duty/{subject}?done=duty-taken"));
    if signed.session.person == receiver.id {
        return Ok(to.into_response());
    }
    // The tablet is now the receiver's; the giver's session on it is over.
    let cookies = inside.sessions.begin(&inside.replica, &receiver, key, &headers);
    Ok((cookies, to).into_response())
}

pub(super) async fn withdraw(
    signed: Signed,
    Path(duty): Path<String>,
) -> Result<Redirect, AppError> {
    let (subject, _, given) = waiting(&signed, &duty)?;
    if given.from != signed.who().person {
        return Err(AppError::Forbidden);
    }
    let (replica, acting) = (Arc::clone(signed.replica()), signed.clone());
    let step = Step::Withdrawn { reason: String::new() };
    tokio::task::spawn_blocking(move || {
        replica.act(|desk| desk.event(subject, acting.who(), step))
    })
    .await??;
    Ok(Redirect::to(&format!("/duty/{subject}?done=duty-withdrawn")))
}

pub(super) async fn paper(signed: Signed, Path(duty): Path<String>) -> Result<Response, AppError> {
    let (_, file, given) = open(&signed, &duty)?;
    papers::respond(handover(&record::handed(&signed, &file, &given)?), "handover.pdf").await
}
