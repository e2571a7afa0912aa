//! Looking is logged: the row is on disk before a byte of the page leaves, for every route that the
//! table declares to show anybody. What for is asked outside a case in one's hands.

use crate::desk::Opened;
use crate::error::{AppError, Told, urlencode};
use crate::forms::Fields;
use crate::web::own_address;
use crate::{App, Office, Signed};
use axum::extract::{Form, FromRequestParts, Path, Query, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::county::Role;
use cunkou_casework::ids::SubjectId;
use cunkou_casework::looking::Purpose;
use cunkou_replica::ResidentFile;
use cunkou_store::{CaseFilter, LookRow, StoreError};
use cunkou_ui::page::why;
use maud::Markup;
use std::sync::Arc;

/// What a route's looks are recorded as.
#[derive(Clone, Debug)]
pub(crate) struct Looking {
    pub(crate) app: Arc<App>,
    /// Method and path of the route.
    pub(crate) what: String,
    /// Its page has full numbers on it.
    pub(crate) full: bool,
}

/// Runs a handler and records the look; without the row on disk nothing is shown.
pub(crate) async fn recorded(
    State(looking): State<Looking>,
    request: Request,
    next: Next,
) -> Response {
    match record(looking, request, next).await {
        Ok(response) | Err(response) => response,
    }
}

async fn record(looking: Looking, request: Request, next: Next) -> Result<Response, Response> {
    let (mut parts, body) = request.into_parts();
    let signed = Signed::from_request_parts(&mut parts, &looking.app).await;
    let signed = signed.map_err(IntoResponse::into_response)?;
    let params = RawPathParams::from_request_parts(&mut parts, &()).await;
    let params = params.map_err(IntoResponse::into_response)?;
    let named = |name: &str| params.iter().find(|(n, _)| *n == name).map(|(_, value)| value);
    let of_resident = looking.what.contains(" /residents/{id}");
    let subject = if of_resident { named("id") } else { named("case").or(named("duty")) };
    let subject: Option<SubjectId> = subject.and_then(|id| id.parse().ok());
    let query = parts.uri.query().unwrap_or_default();
    let asked_full = query.split('&').any(|pair| pair == "full" || pair.starts_with("full="));
    let response = next.run(Request::from_parts(parts, body)).await;
    // A refusal and a way to go elsewhere show nothing about anybody.
    if response.status().is_redirection() || response.extensions().get::<Told>().is_some() {
        return Ok(response);
    }
    let look = LookRow {
        at_ms: signed.replica().now_ms(),
        until_ms: 0,
        person: signed.who().person.0,
        subject: subject.map_or([0; 16], |s| s.0),
        what: looking.what,
        uncovered: looking.full || asked_full,
        purpose: subject.and_then(|s| signed.session.purpose(s)).map_or(0, Purpose::number),
        scope: if subject.is_some() { String::new() } else { scope(&signed) },
        ..LookRow::default()
    };
    let replica = Arc::clone(signed.replica());
    let written =
        tokio::task::spawn_blocking(move || replica.store().write(|tx| tx.look(&look))).await;
    match written {
        Ok(Ok(())) => Ok(response),
        Ok(Err(e)) => {
            let e: StoreError = e;
            Err(AppError::from(e).into_response())
        }
        Err(e) => Err(AppError::from(e).into_response()),
    }
}

/// Of what a list was: the department, or the codes of the villages; empty for all that is here.
fn scope(signed: &Signed) -> String {
    let filter = signed.filter();
    if let Some(department) = filter.department {
        return department;
    }
    let county = signed.replica().county();
    let code = |id: &u32| {
        let place = county.place(cunkou_casework::ids::PlaceId(*id));
        place.map_or_else(|| id.to_string(), |p| p.code.clone())
    };
    filter.places.iter().map(code).collect::<Vec<_>>().join(",")
}

/// Whether a case is in this person's hands: an open one of their own point or
/// begun at this office, or one that waits for them. Whoever has just taken a step has it in hand for this session.
fn in_hands(signed: &Signed, opened: &Opened) -> bool {
    let state = &opened.file.state;
    let mine = state.task().is_some_and(|task| signed.is_mine(task.key()));
    let here = signed.replica().me().device;
    let begun_here = opened.file.steps.first().is_some_and(|n| n.record.header.device == here);
    state.phase.is_open() && (mine || begun_here || signed.app.office == Office::Village)
}

fn known(signed: &Signed, subject: SubjectId) -> bool {
    signed.session.practice || signed.session.purpose(subject).is_some()
}

fn ask(subject: SubjectId, next: String) -> AppError {
    AppError::Stale { next: format!("/why/{subject}?next={}", urlencode(&next)) }
}

/// Asks what for before a case outside one's hands is shown.
///
/// # Errors
/// The way to the page that asks.
pub(crate) fn case(signed: &Signed, opened: &Opened) -> Result<(), AppError> {
    if known(signed, opened.subject) || in_hands(signed, opened) {
        return Ok(());
    }
    // What is sent is never lost to a question; a page that comes back with faults asks by `again`.
    if signed.sends {
        return Ok(());
    }
    Err(ask(opened.subject, signed.here.clone()))
}

/// Before a page of a case comes back with the faults of a step that was tried.
///
/// # Errors
/// The way to the page that asks.
pub(crate) fn again(signed: &Signed, opened: &Opened) -> Result<(), AppError> {
    if known(signed, opened.subject) || in_hands(signed, opened) {
        return Ok(());
    }
    Err(ask(opened.subject, format!("/cases/{}", opened.subject)))
}

/// Whoever has just taken a step in a case still has it in hand.
pub(crate) fn worked(signed: &Signed, subject: SubjectId) {
    signed.app.sessions.looks_for(signed.session.id, subject, Purpose::Work);
}

/// Asks what for before a resident is shown outside a case in one's hands. The masked page of one's
/// own village is where a case begins, and is shown without.
///
/// # Errors
/// The way to the page that asks.
pub fn resident(signed: &Signed, file: &ResidentFile, full: bool) -> Result<(), AppError> {
    let own = signed.app.office == Office::Village && signed.is(Role::Agent);
    if known(signed, file.subject) || (own && !full) {
        return Ok(());
    }
    let tasks = signed.my_tasks().iter().map(|t| (*t).to_owned());
    let filter = CaseFilter {
        resident: Some(file.subject.0),
        open_only: true,
        tasks: if own { Vec::new() } else { tasks.collect() },
        limit: 1,
        ..signed.filter()
    };
    if signed.replica().store().read(|view| view.cases(&filter))?.total > 0 {
        return Ok(());
    }
    Err(ask(file.subject, signed.here.clone()))
}

pub(crate) async fn why_page(
    signed: Signed,
    Path(subject): Path<String>,
    Query(query): Query<Fields>,
) -> Result<Markup, AppError> {
    let subject: SubjectId = subject.parse().map_err(|_| AppError::NotFound)?;
    let next = query.get("next").map_or("/", String::as_str);
    Ok(why::page(&signed.shell(""), &format!("/why/{subject}"), next, false))
}

pub(crate) async fn why(
    signed: Signed,
    Path(subject): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let subject: SubjectId = subject.parse().map_err(|_| AppError::NotFound)?;
    let next = own_address(fields.get("next").map_or("/", String::as_str));
    let chosen = fields.get("purpose").and_then(|p| p.parse().ok()).and_then(Purpose::of);
    let Some(purpose) = chosen else {
        let page = why::page(&signed.shell(""), &format!("/why/{subject}"), &next, true);
        return Ok((axum::http::StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    };
    signed.app.sessions.looks_for(signed.session.id, subject, purpose);
    Ok(Redirect::to(&next).into_response())
}
