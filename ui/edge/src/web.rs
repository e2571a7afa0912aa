//! The part of the web that every office has: signing in, assets, guides, help, headers.

use crate::error::{AppError, Told};
use crate::forms::Fields;
use crate::session::{lang, set_cookie};
use crate::{App, Office, Signed, desk, login, shell};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cunkou_casework::county::Role;
use cunkou_ui::page::{error, guides, help};
use cunkou_ui::{assets, layout};
use maud::Markup;
use std::sync::Arc;

/// Plain forms are never longer. Bytes.
pub(crate) const FORM_BYTES_MAX: usize = 256 * 1024;

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; \
    base-uri 'none'; object-src 'none'";

const HTML: &str = "text/html; charset=utf-8";

/// The routes of every office together with `own`.
pub fn routes(app: Arc<App>, own: Router<Arc<App>>) -> Router {
    let shared = Router::new()
        .route("/login", get(login::page).post(login::sign_in))
        .route("/lease", post(login::extend))
        .route("/logout", post(login::sign_out))
        .route("/set/{what}/{value}", get(set))
        .route("/guides", get(guide_list))
        .route("/guides/{key}", get(guide))
        .route("/help", get(help_page))
        .route("/sync/bar", get(sync_bar))
        .route("/healthz", get(|| async { "ok" }))
        .merge(desk::routes());
    shared
        .merge(own)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .route("/assets/{name}", get(asset))
        .fallback(|| async { AppError::NotFound })
        .layer(from_fn_with_state(Arc::clone(&app), login::keep_typed))
        .layer(from_fn(same_site))
        .layer(from_fn_with_state(Arc::clone(&app), told))
        .layer(from_fn(headers))
        .with_state(app)
}

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "permissions-policy",
        HeaderValue::from_static("camera=(self), geolocation=(), microphone=()"),
    );
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    response
}

/// What changes something must come from one of our own pages.
async fn same_site(request: Request, next: Next) -> Response {
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return next.run(request).await;
    }
    let own = from_own_page(request.headers());
    if own { next.run(request).await } else { AppError::CrossSite.into_response() }
}

fn from_own_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match text("origin").split_once("://") {
        Some((_, from)) => !from.is_empty() && from == text("host"),
        None => text("sec-fetch-site") == "same-origin",
    }
}

/// Problems become pages in the browser's language.
async fn told(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let here = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    // Refusals of the framework (a form too long, a wrong method) have no page of their own.
    let bare = response.status().is_client_error()
        && response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind != HTML);
    if bare && response.extensions().get::<Told>().is_none() {
        let status = response.status();
        response = AppError::Bad(status.to_string()).into_response();
        *response.status_mut() = status;
    }
    let Some(told) = response.extensions_mut().remove::<Told>() else { return response };
    let frame = shell::open(&app, &headers, &here);
    let page = error::page(&frame, &told.pick(lang(&headers)));
    (response.status(), [(header::CACHE_CONTROL, "no-store")], page).into_response()
}

async fn asset(uri: Uri) -> Result<Response, AppError> {
    let found = assets::at(uri.path()).ok_or(AppError::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, found.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, found.bytes).into_response())
}

/// Only addresses of our own are gone back to.
pub(crate) fn own_address(text: &str) -> String {
    let own = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
    if own { text.to_owned() } else { "/".to_owned() }
}

async fn set(
    Path((what, value)): Path<(String, String)>,
    Query(query): Query<Fields>,
) -> Result<Response, AppError> {
    let cookie = match (what.as_str(), value.as_str()) {
        ("big", "on" | "off") | ("lang", "zh" | "en") => set_cookie(&what, &value),
        _ => return Err(AppError::NotFound),
    };
    let back = own_address(query.get("back").map_or("/", String::as_str));
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&back)).into_response())
}

/// The tiles of all items.
#[must_use]
pub fn tiles(app: &App, l: cunkou_ui::Lang) -> Vec<guides::Tile> {
    let Some(release) = app.release() else { return Vec::new() };
    let tile = |item: &cunkou_casework::catalogue::Item| guides::Tile {
        key: item.key.clone(),
        name: l.t(&item.name, &item.name_en).to_owned(),
        about: format!(
            "{} · {} · {}",
            item.fee,
            guides::span_words(l, item.promise.n, item.promise.unit),
            if item.acting.agent {
                l.t("可代办", "the agent may act")
            } else {
                l.t("须本人办", "in person")
            }
        ),
        open_case: None,
    };
    release.items.items.iter().map(tile).collect()
}

async fn guide_list(State(app): State<Arc<App>>, headers: HeaderMap) -> Markup {
    let frame = shell::open(&app, &headers, "/guides");
    guides::list(&frame, &tiles(&app, frame.lang))
}

async fn guide(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Markup, AppError> {
    let release = app.release().ok_or(AppError::NotFound)?;
    let item = release.item(&key).ok_or(AppError::NotFound)?;
    let frame = shell::open(&app, &headers, &format!("/guides/{key}"));
    let digest = item.digest().to_string();
    Ok(guides::guide(&frame, item, &release.items.version, &digest[..16], None))
}

async fn help_page(State(app): State<Arc<App>>, headers: HeaderMap) -> Markup {
    let frame = shell::open(&app, &headers, "/help");
    let phone = app.release().map_or_else(String::new, |r| r.contacts.county_it.clone());
    help::page(&frame, &phone)
}

async fn sync_bar(signed: Signed) -> Response {
    // Somebody is looking: the next attempt to connect need not wait.
    signed.app.somebody_looks();
    match shell::sync_bar(&signed.app, signed.lang) {
        Some(bar) if !signed.session.practice => {
            layout::sync_bar(signed.lang, &bar).into_response()
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Where a person begins on a console.
#[must_use]
pub fn first_page(signed: &Signed) -> &'static str {
    match signed.app.office {
        Office::County if signed.is(Role::Reviewer) => "/cases",
        Office::County if signed.is(Role::It) => "/boxes",
        _ => "/guides",
    }
}
