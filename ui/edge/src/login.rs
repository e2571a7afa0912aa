//! Signing in, and what was typed when a session had ended: it is carried through the sign-in.

use crate::door::{DoorError, Lease};
use crate::error::AppError;
use crate::forms::Fields;
use crate::pin::{self, SignInError, is_pin};
use crate::session::{lang, no_session_cookie, token};
use crate::web::own_address;
use crate::{App, Office, shell};
use axum::extract::{Form, FromRequest, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use cunkou_casework::county::{Person, Role};
use cunkou_casework::suite::SecretKey;
use cunkou_ui::Lang;
use cunkou_ui::page::login::{CARRIED, Login, page as render, resume as render_resume};
use maud::Markup;
use std::sync::Arc;

/// Fields, on whatever page, that hold a PIN or a code: they are typed anew, never carried.
const SECRETS: [&str; 5] = ["pin", "old", "new", "again", "code"];

/// What is carried of the fields that were typed.
fn carried(fields: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    fields.into_iter().filter(|(name, _)| !SECRETS.contains(&name.as_str())).collect()
}

/// Somebody whose session has ended sends a form: it is not lost, it goes on after the sign-in.
/// A photo cannot be carried; its page is shown again.
pub(crate) async fn keep_typed(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers().clone();
    let path = request.uri().path().to_owned();
    let signed_in = app.sessions.still(&headers, app.replica.now_ms()).is_some();
    if headers.contains_key("hx-request") {
        return next.run(request).await;
    }
    // These ask again themselves.
    let own = ["/login", "/logout", "/lease", "/forgotten", "/forgotten/code", "/pin"];
    let entry = own.contains(&path.as_str());
    if request.method() != Method::POST || signed_in || entry {
        return next.run(request).await;
    }
    let text = |name: header::HeaderName| {
        headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
    };
    if !text(header::CONTENT_TYPE).starts_with("application/x-www-form-urlencoded") {
        let from = text(header::REFERER);
        let back = from
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').map(|i| rest[i..].to_owned()));
        return AppError::SignIn { next: back.unwrap_or_else(|| "/".into()), htmx: false }
            .into_response();
    }
    match Form::<Fields>::from_request(request, &()).await {
        Ok(Form(fields)) => {
            let view = Login { resume: Some(path), carried: carried(fields), ..Login::default() };
            login_view(&app, &headers, view).into_response()
        }
        Err(refused) => AppError::Bad(refused.body_text()).into_response(),
    }
}

/// Who may sign in here: login, name, role.
pub(crate) fn people(app: &App, l: Lang) -> Vec<(String, String, String)> {
    let row = |p: Person| {
        let role = p.posts.first().map(|post| match (post.role, &post.department) {
            (Role::Reviewer, Some(department)) => department.clone(),
            (role, _) => l.role(role).to_owned(),
        });
        (p.login, p.name, role.unwrap_or_default())
    };
    app.people().into_iter().map(row).collect()
}

fn login_view(app: &App, headers: &HeaderMap, view: Login) -> (StatusCode, Markup) {
    let frame = shell::stranger(app, headers, "/login");
    let people = people(app, frame.lang);
    let status =
        if view.fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let lease = match app.door.lease() {
        Lease::Over(challenge) => Some(challenge),
        _ => None,
    };
    let spare = app.door.replica().device().is_some_and(|d| {
        let village = d.kind == cunkou_casework::county::DeviceKind::Village;
        village && d.places.is_empty() && people.is_empty()
    });
    let (locked, forgotten) = (app.door.is_locked(), app.office != Office::County);
    let mut view = Login { people, lease, locked, spare, forgotten, ..view };
    if view.people.len() == 1 {
        view.chosen.clone_from(&view.people[0].0);
    }
    (status, render(&frame, &view))
}

pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Query(query): Query<Fields>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let next = query.get("next").cloned().unwrap_or_default();
    login_view(&app, &headers, Login { next, ..Login::default() })
}

pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (login, pin, next) = (field("login"), field("pin"), field("next"));
    let l = lang(&headers);
    let named = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(CARRIED)?.to_owned(), value.clone())));
    let carried = carried(named);
    let resume = fields.get("resume").map(|address| own_address(address));
    let again = |fault: String| {
        let view = Login {
            chosen: login.clone(),
            next: next.clone(),
            resume: resume.clone(),
            carried: carried.clone(),
            fault: Some(fault),
            ..Login::default()
        };
        Ok(login_view(&app, &headers, view).into_response())
    };
    if let Lease::Over(_) = app.door.lease() {
        return again(String::new());
    }
    let Some(person) = app.people().into_iter().find(|p| p.login == login) else {
        return again(l.t("选择是谁在用", "Choose who it is").into());
    };
    if !is_pin(&pin) {
        return again(l.t("PIN 码是 4 至 12 位数字", "The PIN has 4 to 12 digits").into());
    }
    match enter(Arc::clone(&app), person.clone(), pin).await? {
        Ok((inside, key)) => {
            let cookie = inside.sessions.begin(&inside.replica, &person, key, &headers);
            if let Some(resume) = &resume {
                let frame = shell::stranger(&app, &headers, "/login");
                return Ok((cookie, render_resume(&frame, resume, &carried)).into_response());
            }
            let to = if next.is_empty() { "/".into() } else { own_address(&next) };
            Ok((cookie, Redirect::to(&to)).into_response())
        }
        Err(why) => again(refusal(l, why)?),
    }
}

/// Checks a PIN, counted and throttled, and opens what the person's key opens here: the app in
/// which their session may begin, and the key.
///
/// # Errors
/// Inside, why they are not let in; outside, our own failure.
pub async fn enter(
    app: Arc<App>,
    person: Person,
    pin: String,
) -> Result<Result<(Arc<App>, Option<SecretKey>), SignInError>, AppError> {
    let entered = tokio::task::spawn_blocking(move || {
        let key = pin::sign_in(&app, &person, &pin)?;
        let other = app.door.let_in(&person, key.as_ref())?;
        Ok((other.unwrap_or(app), key))
    });
    Ok(entered.await?)
}

/// Why somebody is not let in, in words for them.
///
/// # Errors
/// What is our own failure.
pub fn refusal(l: Lang, why: SignInError) -> Result<String, AppError> {
    Ok(match why {
        SignInError::Wrong => l.t("PIN 码不对,再试一次", "Wrong PIN, try again").into(),
        SignInError::Wait(ms) => {
            let wait = l.span(ms);
            match l {
                Lang::Zh => format!("PIN 码错得太多,{wait}后再试"),
                Lang::En => format!("Too many wrong PINs. Try again in {wait}"),
            }
        }
        SignInError::NoKey => l
            .t(
                "这个人的钥匙还没到这台盒子,连上县平台后再试",
                "This person's key has not come to this box yet; try once the county was reached",
            )
            .into(),
        SignInError::Door(DoorError::NoSlot) => l
            .t(
                "PIN 码对,但这台盒子还没有您的钥匙。请先由一位以前用过的同事登录一次;没有的话请联系县信息员",
                "The PIN is right, but this box has no key for you yet. Let a colleague who has used it before sign in once, or call county IT",
            )
            .into(),
        SignInError::Door(DoorError::Ours(words)) => return Err(AppError::Ours(words)),
        SignInError::Store(e) => return Err(e.into()),
    })
}

pub(crate) async fn extend(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let code = fields.get("code").cloned().unwrap_or_default();
    let door = Arc::clone(&app.door);
    if tokio::task::spawn_blocking(move || door.extend(&code)).await? {
        return Ok(Redirect::to("/login").into_response());
    }
    let words = lang(&headers).t(
        "这个号码不对。请让县信息员再念一遍;多次不对会换一个新的编号",
        "Not the right code. Ask county IT to read it again; after several tries a new number is shown",
    );
    let view = Login { fault: Some(words.into()), ..Login::default() };
    Ok(login_view(&app, &headers, view).into_response())
}

pub(crate) async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> impl IntoResponse {
    if let Some(token) = token(&headers) {
        app.sessions.end(token);
    }
    let leave = AppendHeaders([
        (header::SET_COOKIE, no_session_cookie()),
        // What the browser may have kept of these pages goes with the session.
        (header::HeaderName::from_static("clear-site-data"), r#""cache", "storage""#.to_owned()),
    ]);
    (leave, Redirect::to("/login"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_carried_and_no_pin_and_no_code_is() {
        let typed = |name: &str| (name.to_owned(), "123456".to_owned());
        let names = ["note", "pin", "old", "new", "again", "code", "pinned", "number"];
        let kept: Vec<String> =
            carried(names.iter().map(|n| typed(n))).into_iter().map(|(name, _)| name).collect();
        assert_eq!(kept, ["note", "pinned", "number"]);
    }
}
