//! What is served without TLS: guides, how to reach the office, and the county's root certificate,
//! so that a tablet can come to trust the rest. No input, no cookies, nothing about anybody.

use crate::web::tiles;
use crate::{App, AppError, hosts};
use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cunkou_casework::hex;
use cunkou_link::fingerprint;
use cunkou_ui::page::{guides, open as ui};
use cunkou_ui::{Lang, Shell, assets};
use maud::Markup;
use std::sync::Arc;

const CSP: &str = "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'none'";

/// What the open pages say beside the catalogue.
pub struct Open {
    /// What all handlers share.
    pub app: Arc<App>,
    /// The port of the real pages.
    pub https: u16,
    /// Opening hours, in the office's own words.
    pub hours: String,
    /// The roots that are trusted now, DER.
    pub roots: Box<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Open(https at {})", self.https)
    }
}

/// Paths of the open pages, for the route crawler.
pub const PATHS: [&str; 6] =
    ["/", "/guides", "/guides/{key}", "/ca", "/ca/{file}", "/assets/{name}"];

/// The open pages.
pub fn router(open: Arc<Open>) -> Router {
    Router::new()
        .route(PATHS[0], get(front))
        .route(PATHS[1], get(front))
        .route(PATHS[2], get(guide))
        .route(PATHS[3], get(ca))
        .route(PATHS[4], get(root))
        .route(PATHS[5], get(asset))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(from_fn(plain))
        .with_state(open)
}

async fn plain(request: Request, next: Next) -> Response {
    let reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if reading {
        next.run(request).await
    } else {
        ([(header::ALLOW, "GET, HEAD")], StatusCode::METHOD_NOT_ALLOWED).into_response()
    };
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    response
}

#[derive(Debug, serde::Deserialize)]
struct Asked {
    #[serde(default)]
    lang: String,
}

/// The real pages under the address by which somebody came here, if the certificate carries it;
/// else under the name.
fn https(open: &Open, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let name = hosts::without_port(host);
    let known = open.app.hosts.knows(name);
    let name = if known { name.to_owned() } else { open.app.hosts.first() };
    match open.https {
        443 => format!("https://{name}/"),
        port => format!("https://{name}:{port}/"),
    }
}

fn shell(open: &Open, asked: &Asked, headers: &HeaderMap, here: &str) -> Shell {
    Shell {
        lang: if asked.lang == "en" { Lang::En } else { Lang::Zh },
        place: open.app.place_name(),
        complaint: open
            .app
            .release()
            .map_or_else(|| "12345".into(), |r| r.contacts.complaint.clone()),
        here: here.to_owned(),
        open: Some(https(open, headers)),
        ..Shell::default()
    }
}

async fn front(
    State(open): State<Arc<Open>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Markup {
    let shell = shell(&open, &asked, &headers, "/");
    let device = open.app.replica.device();
    let view = ui::Front {
        https: https(&open, &headers),
        hours: open.hours.clone(),
        phone: device.map(|d| d.phone).unwrap_or_default(),
        county_it: open.app.release().map(|r| r.contacts.county_it.clone()).unwrap_or_default(),
        tiles: tiles(&open.app, shell.lang),
    };
    ui::front(&shell, &view)
}

async fn guide(
    State(open): State<Arc<Open>>,
    Path(key): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Markup, AppError> {
    let release = open.app.release().ok_or(AppError::NotFound)?;
    let item = release.item(&key).ok_or(AppError::NotFound)?;
    let digest = item.digest().to_string();
    let shell = shell(&open, &asked, &headers, &format!("/guides/{key}"));
    Ok(guides::guide(&shell, item, &release.items.version, &digest[..16], None))
}

async fn ca(
    State(open): State<Arc<Open>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Markup {
    let roots = (open.roots)();
    let prints = roots.iter().enumerate().map(|(i, root)| {
        let print = fingerprint(root);
        ui::Root {
            href: format!("/ca/county-{}.crt", i + 1),
            hex: hex::encode(&print),
            spoken: spoken(&print),
        }
    });
    let shell = shell(&open, &asked, &headers, "/ca");
    ui::ca(&shell, &https(&open, &headers), &prints.collect::<Vec<_>>())
}

/// The beginning of a fingerprint as six groups of four digits, to be read out on the telephone.
fn spoken(print: &[u8; 32]) -> String {
    let groups = print.chunks(4).take(6).map(|part| {
        let number = part.iter().fold(0u32, |n, byte| n << 8 | u32::from(*byte));
        format!("{:04}", number % 10_000)
    });
    groups.collect::<Vec<_>>().join(" ")
}

async fn root(
    State(open): State<Arc<Open>>,
    Path(file): Path<String>,
) -> Result<Response, AppError> {
    let number = file.strip_prefix("county-").and_then(|f| f.strip_suffix(".crt"));
    let number: usize = number.and_then(|n| n.parse().ok()).ok_or(AppError::NotFound)?;
    let roots = (open.roots)();
    let root = number.checked_sub(1).and_then(|i| roots.get(i)).ok_or(AppError::NotFound)?;
    let kind = [(header::CONTENT_TYPE, "application/x-x509-ca-cert")];
    Ok((kind, root.clone()).into_response())
}

async fn asset(Path(name): Path<String>) -> Result<Response, AppError> {
    let found = assets::at(&format!("/assets/{name}")).ok_or(AppError::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, found.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, found.bytes).into_response())
}
