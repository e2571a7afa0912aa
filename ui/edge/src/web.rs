//! The part of the web that every office has: signing in, assets, guides, help, headers.

use crate::error::{AppError, Told};
use crate::forms::Fields;
use crate::routes::{Routes, Shows, Who};
use crate::session::{choice_cookie, lang};
use crate::{
    App, Office, Signed, deciding, desk, export, forgotten, helping, login, look, own_pin,
    receipts, shell,
};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
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

/// The routes that every office has.
#[must_use]
pub fn shared() -> Routes {
    use Shows::{Full, Nothing, Personal};
    use Who::{Anyone, Signed};
    Routes::default()
        // Names of staff, not of residents.
        .get("/login", Anyone, Nothing, login::page)
        .post("/login", Anyone, Nothing, login::sign_in)
        .post("/lease", Anyone, Nothing, login::extend)
        .post("/logout", Anyone, Nothing, login::sign_out)
        .get("/pin", Signed, Nothing, own_pin::page)
        .post("/pin", Signed, Nothing, own_pin::change)
        .get("/set/{what}/{value}", Anyone, Nothing, set)
        .get("/guides", Anyone, Nothing, guide_list)
        .get("/guides/{key}", Anyone, Nothing, guide)
        .get("/help", Anyone, Nothing, help_page)
        .get("/sync/bar", Signed, Nothing, sync_bar)
        .get("/healthz", Anyone, Nothing, || async { "ok" })
        .get("/assets/{name}", Anyone, Nothing, asset)
        .get("/cases", Signed, Personal, desk::list)
        .post("/cases", Signed, Nothing, desk::search)
        .get("/cases/{case}/progress", Signed, Personal, desk::progress)
        .get("/cases/{case}/photo/{id}", Signed, Personal, desk::picture)
        .get("/cases/{case}/receipt.pdf", Signed, Personal, desk::receipt)
        .get("/cases/{case}/notice.pdf", Signed, Personal, desk::notice)
        .get("/cases/{case}/to-sign.pdf", Signed, Full, desk::to_sign)
        .post("/cases/{case}/do/{action}", Signed, Personal, desk::perform)
        .post("/cases/{case}/sign/{name}", Signed, Personal, deciding::sign)
        .get("/cases/{case}/copy.pdf", Signed, Full, desk::copy)
        .get("/cases/{case}/export", Signed, Full, export::download)
        .get("/receipts", Signed, Nothing, receipts::form)
        .post("/receipts", Signed, Nothing, receipts::check)
        .get("/why/{subject}", Signed, Nothing, look::why_page)
        .post("/why/{subject}", Signed, Nothing, look::why)
}

/// What boxes have beside it: a forgotten PIN, and helping with one.
#[must_use]
pub fn at_box() -> Routes {
    use Shows::Nothing;
    use Who::{Anyone, Signed};
    Routes::default()
        // Names of staff, not of residents.
        .get("/forgotten", Anyone, Nothing, forgotten::page)
        .post("/forgotten", Anyone, Nothing, forgotten::number)
        .post("/forgotten/code", Anyone, Nothing, forgotten::code)
        .get("/helping", Signed, Nothing, helping::page)
        .post("/helping", Signed, Nothing, helping::code)
}

/// The pages of a program from its table of routes.
pub fn router(app: Arc<App>, routes: Routes) -> Router {
    routes
        .router(&app)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .fallback(|| async { AppError::NotFound })
        .layer(from_fn_with_state(Arc::clone(&app), login::keep_typed))
        .layer(from_fn(same_site))
        .layer(from_fn_with_state(Arc::clone(&app), own_name))
        .layer(from_fn_with_state(Arc::clone(&app), told))
        .layer(from_fn(headers))
        .with_state(app)
}

async fn headers(request: Request, next: Next) -> Response {
    let asset = request.uri().path().starts_with("/assets/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        ("content-security-policy", CSP),
        ("x-content-type-options", "nosniff"),
        // Not no-referrer: with that, browsers send `Origin: null` with our own forms (Fetch,
        // "append a request Origin header"), and nothing of ours leads elsewhere anyway.
        ("referrer-policy", "same-origin"),
        ("permissions-policy", "camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A shared tablet keeps no page: not on its disk, not behind the button that goes back.
    if !asset || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What changes something must come from one of our own pages.
async fn same_site(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let own = from_own_page(request.headers());
    if own { next.run(request).await } else { AppError::CrossSite.into_response() }
}

/// Both marks of a browser count: neither may speak against us, and one must speak for us.
fn from_own_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    let same = match text("sec-fetch-site") {
        Some("same-origin") => Some(true),
        Some(_) => Some(false),
        None => None,
    };
    let origin = text("origin").map(|origin| {
        let from = origin.strip_prefix("https://").unwrap_or_default();
        !from.is_empty() && from.eq_ignore_ascii_case(text("host").unwrap_or_default())
    });
    match (origin, same) {
        (Some(false), _) | (_, Some(false)) | (None, None) => false,
        (Some(true), _) | (None, Some(true)) => true,
    }
}

/// A request must name this machine.
async fn own_name(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let named = named.or_else(|| request.uri().host());
    if named.is_some_and(|host| app.hosts.knows(host)) {
        next.run(request).await
    } else {
        AppError::Misdirected.into_response()
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
        ("big", "on" | "off") | ("lang", "zh" | "en") => choice_cookie(&what, &value),
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
    match signed.sync_bar() {
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
        Office::County if signed.is(Role::It) || signed.is(Role::Security) => "/boxes",
        Office::County if signed.is(Role::Audit) => "/looks",
        Office::County if signed.is(Role::DataOfficer) => "/erasures",
        _ => "/guides",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_counts_when_every_mark_says_that_it_is_ours() {
        let host = Some("box-1.c1.home.arpa:8443");
        let ours = Some("https://box-1.c1.home.arpa:8443");
        let cases = [
            (ours, Some("same-origin"), true),
            (ours, None, true),
            (None, Some("same-origin"), true),
            (None, None, false),
            (ours, Some("cross-site"), false),
            (ours, Some("same-site"), false),
            (ours, Some("none"), false),
            (Some("null"), Some("same-origin"), false),
            (Some("http://box-1.c1.home.arpa:8443"), None, false),
            (Some("https://box-1.c1.home.arpa"), None, false),
            (Some("https://evil.example"), Some("same-origin"), false),
            (Some("https://"), None, false),
            (None, Some("cross-site"), false),
        ];
        for (origin, site, own) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in [("host", host), ("origin", origin), ("sec-fetch-site", site)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(from_own_page(&headers), own, "{origin:?} {site:?}");
        }
    }
}
