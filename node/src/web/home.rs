//! An agent's day, and the practice room.

use crate::practice;
use axum::Extension;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_edge::session::token;
use cunkou_edge::{AppError, Lease, Office, Signed};
use cunkou_store::CaseFilter;
use cunkou_ui::page::home::{Home, page as render};
use maud::Markup;
use std::path::PathBuf;
use std::sync::Arc;

/// So many lines of each kind on the first page.
const SHOWN: u32 = 50;

/// Where the practice room is made.
#[derive(Clone, Debug)]
pub(crate) struct PracticeFolder(pub(crate) PathBuf);

pub(crate) async fn page(signed: Signed) -> Result<Markup, AppError> {
    let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let tasks: &[&str] = match signed.app.office {
        Office::Township => &["take", "forward"],
        _ => &["supplement", "deliver", "rate", "archive"],
    };
    let list = |filter: CaseFilter| -> Result<_, AppError> {
        Ok(signed.lines(&CaseFilter { limit: SHOWN, ..filter })?.0)
    };
    let duty = super::duty::on_home(&signed)?;
    let view = Home {
        duty: duty.waiting,
        on_duty: duty.on_duty,
        offer_duty: !signed.session.practice,
        tasks: list(CaseFilter { tasks: owned(tasks), by_due: true, ..signed.filter() })?,
        drafts: list(CaseFilter { phases: owned(&["draft"]), ..signed.filter() })?,
        under_way: list(CaseFilter {
            phases: match signed.app.office {
                Office::Township => owned(&["forwarded", "accepted", "supplementing"]),
                _ => owned(&["received", "township_taken", "forwarded", "accepted", "contested"]),
            },
            ..signed.filter()
        })?,
        lease_days: match signed.app.door.lease() {
            Lease::Ends(days, _) => Some(days),
            Lease::Fine | Lease::Over(_) => None,
        },
        alarm: !signed.replica().alarms()?.is_empty(),
        lost: super::lost::on_home(&signed)?,
        no_catalogue: signed.replica().release().is_none(),
        offer_practice: !signed.session.practice && signed.app.office == Office::Village,
    };
    Ok(render(&signed.shell("/"), &view))
}

pub(crate) async fn lock(signed: Signed) -> Result<Redirect, AppError> {
    let door = Arc::clone(&signed.app.door);
    tokio::task::spawn_blocking(move || door.lock()).await?;
    Ok(Redirect::to("/login"))
}

pub(crate) async fn enter_practice(
    signed: Signed,
    Extension(PracticeFolder(folder)): Extension<PracticeFolder>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    if signed.app.office != Office::Village {
        return Err(AppError::NotFound);
    }
    if signed.app.practice.get().is_none() {
        let release = signed.app.release().ok_or(AppError::NotFound)?;
        let room = tokio::task::spawn_blocking(move || practice::make(&folder, &release)).await??;
        // Two who enter at once: the second room is dropped, both use the first.
        let _ = signed.app.practice.set(room);
    }
    if let Some(token) = token(&headers) {
        signed.app.sessions.set_practice(token, true);
    }
    Ok(Redirect::to("/").into_response())
}

pub(crate) async fn leave_practice(signed: Signed, headers: HeaderMap) -> Redirect {
    if let Some(token) = token(&headers) {
        signed.app.sessions.set_practice(token, false);
    }
    Redirect::to("/")
}
