//! A forgotten PIN at a box, locked or open: a number is read over the phone, a code comes back,
//! the person chooses a new PIN.

use crate::door::{DoorError, Lease, RescueFault};
use crate::error::AppError;
use crate::forms::Fields;
use crate::pin::{self, GiveError};
use crate::session::lang;
use crate::{App, login, own_pin, shell};
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::county::{Given, Person};
use cunkou_ui::Lang;
use cunkou_ui::page::pin::{Forgotten, Reading, forgotten, reading};
use cunkou_ui::part::FaultLine;
use std::sync::Arc;

const HERE: &str = "/forgotten";

/// Why no new PIN was set.
enum NotSet {
    Code(RescueFault),
    Door(DoorError),
    Give(GiveError),
}

fn status(faults: &[FaultLine]) -> StatusCode {
    if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
}

fn fault(field: &str, words: &str) -> Vec<FaultLine> {
    vec![FaultLine { field: field.into(), words: words.into() }]
}

fn person(app: &App, fields: &Fields) -> Option<Person> {
    let login = fields.get("login")?;
    app.people().into_iter().find(|p| p.login == *login)
}

fn choose(app: &App, headers: &HeaderMap, chosen: &str, faults: Vec<FaultLine>) -> Response {
    let frame = shell::stranger(app, headers, HERE);
    let people = login::people(app, frame.lang);
    let chosen = match &people[..] {
        [only] => only.0.clone(),
        _ => chosen.to_owned(),
    };
    let view = Forgotten { people, chosen, faults };
    (status(&view.faults), forgotten(&frame, &view)).into_response()
}

/// What is said when there is no number.
fn no_number(l: Lang, fault: &RescueFault) -> &'static str {
    match fault {
        RescueFault::TooMany => l.t(
            "今天的编号用完了,明天再试,或者联系县信息员",
            "Today's numbers are used up. Try again tomorrow, or call county IT",
        ),
        RescueFault::Soon => l.t(
            "号码错了多次,原来的编号已作废。一分钟后再要新的编号",
            "Too many wrong codes: the number is no longer good. Ask for a new one in a minute",
        ),
        _ => l.t(
            "这个人在这台盒子上还不能用电话重设:要先在这台盒子上登录过一次。请联系县信息员",
            "This cannot be done by phone for this person here: they must have signed in at this box once. Call county IT",
        ),
    }
}

/// The page with the number; where there is none, the page before it says why.
async fn show(
    app: &Arc<App>,
    headers: &HeaderMap,
    who: &Person,
    code: &str,
    faults: impl FnOnce(&str) -> Vec<FaultLine>,
) -> Result<Response, AppError> {
    let (door, asked) = (Arc::clone(&app.door), who.clone());
    let number = match tokio::task::spawn_blocking(move || door.rescue_number(&asked)).await? {
        Ok(number) => number,
        Err(RescueFault::Ours(words)) => return Err(AppError::Ours(words)),
        Err(why) => {
            let words = no_number(lang(headers), &why);
            return Ok(choose(app, headers, &who.login, fault("login", words)));
        }
    };
    let faults = faults(&number);
    let view = Reading {
        login: who.login.clone(),
        name: who.name.clone(),
        place: app.place_name(),
        device: app.door.replica().me().device.to_string()[..8].to_owned(),
        number,
        code: code.to_owned(),
        phone: app.release().map_or_else(String::new, |r| r.contacts.county_it.clone()),
        faults,
    };
    let frame = shell::stranger(app, headers, HERE);
    Ok((status(&view.faults), reading(&frame, &view)).into_response())
}

/// Who is it.
pub(crate) async fn page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Lease::Over(_) = app.door.lease() {
        return Redirect::to("/login").into_response();
    }
    choose(&app, &headers, "", Vec::new())
}

/// Shows the number.
///
/// # Errors
/// Our own failures.
pub(crate) async fn number(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    if let Lease::Over(_) = app.door.lease() {
        return Ok(Redirect::to("/login").into_response());
    }
    let Some(who) = person(&app, &fields) else {
        let words = lang(&headers).t("选择是谁", "Choose who it is");
        return Ok(choose(&app, &headers, "", fault("login", words)));
    };
    show(&app, &headers, &who, "", |_| Vec::new()).await
}

/// Takes the code and the new PIN: the box opens, and nothing is lost whatever fails.
///
/// # Errors
/// Our own failures.
pub(crate) async fn code(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    if let Lease::Over(_) = app.door.lease() {
        return Ok(Redirect::to("/login").into_response());
    }
    let l = lang(&headers);
    let Some(who) = person(&app, &fields) else {
        return Ok(Redirect::to(HERE).into_response());
    };
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (typed, shown) = (field("code"), field("number"));
    // What is wrong with the new PIN is said before a try is counted.
    let mut faults = Vec::new();
    let digits = typed.chars().filter(char::is_ascii_digit).count();
    if digits != cunkou_keys::RESCUE_DIGITS as usize {
        faults = fault("code", l.t("号码是 12 位数字", "The code has 12 digits"));
    }
    faults.extend(own_pin::faults_of_new(l, &fields));
    if !faults.is_empty() {
        return show(&app, &headers, &who, &typed, |_| faults).await;
    }
    let (asked, new, at) = (who.clone(), field("new"), Arc::clone(&app));
    let done = tokio::task::spawn_blocking(move || set(&at, &asked, &typed, &new)).await?;
    match done {
        Ok((inside, key)) => {
            let cookies = inside.sessions.begin(&inside.replica, &who, Some(key), &headers);
            Ok((cookies, Redirect::to("/?done=pin")).into_response())
        }
        Err(NotSet::Code(RescueFault::Ours(words)) | NotSet::Door(DoorError::Ours(words))) => {
            Err(AppError::Ours(words))
        }
        Err(NotSet::Give(e)) => Err(AppError::Ours(e.to_string())),
        Err(NotSet::Door(DoorError::NoSlot)) => {
            let words = l.t(
                "号码对,但这台盒子还没有您的钥匙。请先由一位以前用过的同事登录一次;没有的话请联系县信息员",
                "The code is right, but this box has no key for you yet. Let a colleague who has used it before sign in once, or call county IT",
            );
            show(&app, &headers, &who, "", |_| fault("code", words)).await
        }
        Err(NotSet::Code(why)) => {
            let faults = |now: &str| fault("code", refused(l, &why, now == shown));
            show(&app, &headers, &who, "", faults).await
        }
    }
}

/// Opens the key, the box, sets the PIN, burns the way back. In this order: a cut after any of
/// them loses nothing, and the code can be used again until the new PIN is on disk.
fn set(
    app: &Arc<App>,
    who: &Person,
    typed: &str,
    new: &str,
) -> Result<(Arc<App>, cunkou_casework::suite::SecretKey), NotSet> {
    let door = &app.door;
    let key = door.rescue(who, typed).map_err(NotSet::Code)?;
    let other = door.let_in(who, Some(&key)).map_err(NotSet::Door)?;
    let inside = other.unwrap_or_else(|| Arc::clone(app));
    pin::give(&inside.replica, who, &key, new, Given::Code).map_err(NotSet::Give)?;
    door.pin_given(who, &key, true).map_err(NotSet::Door)?;
    pin::forgive(&**door, who).map_err(|e| NotSet::Give(e.into()))?;
    inside.sessions.end_of(who.id, None);
    Ok((inside, key))
}

fn refused(l: Lang, why: &RescueFault, same_number: bool) -> &'static str {
    match (why, same_number) {
        (RescueFault::Wrong, true) => {
            l.t("号码不对,请对方再念一遍", "Not the right code. Ask for it once more")
        }
        (RescueFault::Wrong, false) => l.t(
            "号码错了多次,编号已换成新的。把新编号念给对方",
            "Too many wrong codes: there is a new number. Read it to them",
        ),
        _ => l.t(
            "原来的编号已经失效,已换成新的。把新编号念给对方",
            "The number is no longer good: there is a new one. Read it to them",
        ),
    }
}
