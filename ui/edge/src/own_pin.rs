//! Changing one's own PIN.

use crate::error::AppError;
use crate::forms::Fields;
use crate::pin::{self, GiveError, SignInError, is_pin};
use crate::{App, Signed};
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::county::{Given, Person};
use cunkou_ui::Lang;
use cunkou_ui::page::pin::{Own, own};
use cunkou_ui::part::FaultLine;
use std::sync::Arc;

/// Why the PIN stayed.
enum NotChanged {
    Old(SignInError),
    Ours(String),
}

/// What is wrong with a new PIN that was typed twice, as fields `new` and `again`.
pub(crate) fn faults_of_new(l: Lang, fields: &Fields) -> Vec<FaultLine> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let fault = |field: &str, words: &str| FaultLine { field: field.into(), words: words.into() };
    let (new, again) = (field("new"), field("again"));
    if !is_pin(new) {
        vec![fault("new", l.t("PIN 码是 4 至 12 位数字", "The PIN has 4 to 12 digits"))]
    } else if new != again {
        vec![fault("again", l.t("两遍不一样,再输一次", "The two differ: type it again"))]
    } else {
        Vec::new()
    }
}

fn real(signed: &Signed) -> Result<Person, AppError> {
    // In the practice room nothing is changed that counts.
    let person = signed.app.replica.county().person(signed.session.person).cloned();
    person.filter(|_| !signed.session.practice).ok_or(AppError::Forbidden)
}

fn shown(signed: &Signed, faults: Vec<FaultLine>) -> Response {
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    (status, own(&signed.shell(""), &Own { faults })).into_response()
}

pub(crate) async fn page(signed: Signed) -> Result<Response, AppError> {
    real(&signed)?;
    Ok(shown(&signed, Vec::new()))
}

pub(crate) async fn change(
    signed: Signed,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let (l, person) = (signed.lang, real(&signed)?);
    let faults = faults_of_new(l, &fields);
    if !faults.is_empty() {
        return Ok(shown(&signed, faults));
    }
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (app, old, new) = (Arc::clone(&signed.app), field("old"), field("new"));
    let who = person.clone();
    let done = tokio::task::spawn_blocking(move || set(&app, &who, &old, &new)).await?;
    let words = match done {
        Ok(()) => {
            signed.app.sessions.end_of(person.id, Some(signed.session.id));
            return Ok(Redirect::to("/pin?done=pin").into_response());
        }
        Err(NotChanged::Old(SignInError::Wait(ms))) => {
            let wait = l.span(ms);
            match l {
                Lang::Zh => format!("PIN 码错得太多,{wait}后再试"),
                Lang::En => format!("Too many wrong PINs. Try again in {wait}"),
            }
        }
        Err(NotChanged::Old(SignInError::Store(e))) => return Err(e.into()),
        Err(NotChanged::Ours(words)) => return Err(AppError::Ours(words)),
        Err(NotChanged::Old(_)) => l.t("现在的 PIN 码不对", "Not your present PIN").to_owned(),
    };
    Ok(shown(&signed, vec![FaultLine { field: "old".into(), words }]))
}

fn set(app: &App, person: &Person, old: &str, new: &str) -> Result<(), NotChanged> {
    let ours = |e: &dyn std::fmt::Display| NotChanged::Ours(e.to_string());
    // Counted like a sign-in: a session that lies open gives nobody free guesses.
    let key = pin::sign_in(app, person, old).map_err(NotChanged::Old)?;
    let Some(key) = key else {
        return pin::set_county_pin(&app.replica, person.id, new).map_err(|e| ours(&e));
    };
    pin::give(&app.replica, person, &key, new, Given::Owner).map_err(|e: GiveError| ours(&e))?;
    app.door.pin_given(person, &key, false).map_err(|e| ours(&e))
}
