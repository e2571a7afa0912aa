//! Cases as every office sees them: lists, the page of a case, and what may be done there.

mod carried;
mod offers;
mod perform;
mod view;

pub(crate) use view::words;

use crate::error::AppError;
use crate::forms::Fields;
use crate::{Signed, look, papers, photo};
use axum::extract::{Form, Path, Query};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::catalogue::{Item, Release};
use cunkou_casework::ids::{AttachmentId, SubjectId};
use cunkou_casework::receipt::SignedReceipt;
use cunkou_replica::CaseFile;
use cunkou_ui::page::{case, cases};
use maud::Markup;
use std::sync::Arc;

pub(crate) use perform::perform;

/// A case with its item, for a person who may see it.
#[derive(Debug)]
pub struct Opened {
    /// The case.
    pub subject: SubjectId,
    /// All of it.
    pub file: CaseFile,
    /// The catalogue in force.
    pub release: Arc<Release>,
    /// Key of its item.
    pub key: String,
}

impl Opened {
    /// Its item.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when the catalogue no longer has it.
    pub fn item(&self) -> Result<&Item, AppError> {
        self.release.item(&self.key).ok_or(AppError::NotFound)
    }
}

/// Opens a case for somebody who may see it, and has said what for where it is not in their hands.
///
/// # Errors
/// [`AppError::NotFound`], [`AppError::Forbidden`]; the way to the page that asks what for.
pub fn open(signed: &Signed, case: &str) -> Result<Opened, AppError> {
    let opened = find(signed, case)?;
    look::case(signed, &opened)?;
    Ok(opened)
}

/// Finds a case for somebody who may see it; how far it has come is shown without asking what for.
fn find(signed: &Signed, case: &str) -> Result<Opened, AppError> {
    let subject: SubjectId = case.parse().map_err(|_| AppError::NotFound)?;
    let replica = signed.replica();
    let Some(file) = replica.case(subject)? else {
        let left = replica.store().read(|view| view.evicted(&subject.0))?;
        return Err(match left {
            Some(_) => AppError::Left,
            None if replica.is_erased(subject)? => AppError::Erased,
            None => AppError::NotFound,
        });
    };
    let opened = file.state.opened.clone().ok_or(AppError::NotFound)?;
    if !signed.may_see(&replica.county(), opened.place, &opened.route.department) {
        return Err(AppError::Forbidden);
    }
    let release = replica.release().ok_or(AppError::NotFound)?;
    Ok(Opened { subject, file, release, key: opened.item })
}

/// The words of a search came in a form: names and ID numbers stand in no address, where histories
/// and logs would keep them.
pub(crate) async fn search(
    signed: Signed,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let text = fields.get("q").map_or("", |q| q.trim());
    // A scanner may have read the code of a receipt into the field.
    let scanned = SignedReceipt::parse(text).and_then(|r| r.check(&signed.replica().county()));
    let number = match scanned {
        Ok(receipt) => Some(format!("{:012}", receipt.number)),
        Err(_) => cunkou_casework::number::parse(text),
    };
    if let Some(number) = number
        && let Some(case) = signed.replica().store().read(|view| view.case_by_number(&number))?
    {
        return Ok(Redirect::to(&format!("/cases/{}", SubjectId(case))).into_response());
    }
    let handle = signed.app.sessions.remember(&signed.app.replica, &headers, text);
    Ok(Redirect::to(&format!("/cases?s={handle}")).into_response())
}

pub(crate) async fn list(
    signed: Signed,
    Query(query): Query<Fields>,
) -> Result<Response, AppError> {
    let handle = query.get("s").map_or("", String::as_str);
    let show = query.get("show").map_or("", String::as_str);
    let offset = query.get("from").and_then(|f| f.parse().ok()).unwrap_or(0);
    let view = signed.cases(handle, show, offset)?;
    if query.contains_key("fragment") {
        return Ok(cases::fragment(signed.lang, &view).into_response());
    }
    Ok(cases::page(&signed.shell("/cases"), &view).into_response())
}

/// The page of a submitted case, with the faults of an action that was tried.
///
/// # Errors
/// When the case cannot be shown.
pub fn show(signed: &Signed, opened: &Opened, full: bool) -> Result<Markup, AppError> {
    let view = view::case(signed, opened, full)?;
    Ok(case::page(&signed.shell("/cases"), &view))
}

/// Whether full numbers were asked for.
#[must_use]
pub fn full(query: &Fields) -> bool {
    query.contains_key("full")
}

pub(crate) async fn progress(signed: Signed, Path(case): Path<String>) -> Result<Markup, AppError> {
    let opened = find(&signed, &case)?;
    let view = view::case(&signed, &opened, false)?;
    Ok(case::progress(&signed.shell("/cases"), &view))
}

pub(crate) async fn picture(
    signed: Signed,
    Path((case, id)): Path<(String, String)>,
) -> Result<Response, AppError> {
    let opened = open(&signed, &case)?;
    let id: AttachmentId = id.parse().map_err(|_| AppError::NotFound)?;
    if !view::names(&opened.file, id) {
        return Err(AppError::NotFound);
    }
    photo::serve(&signed, id).await
}

pub(crate) async fn receipt(
    signed: Signed,
    Path(case): Path<String>,
) -> Result<Response, AppError> {
    let opened = open(&signed, &case)?;
    let paper = papers::receipt_of(&signed, &opened.file, opened.item()?);
    papers::respond(paper.ok_or(AppError::NotFound)?, "receipt.pdf").await
}

pub(crate) async fn notice(signed: Signed, Path(case): Path<String>) -> Result<Response, AppError> {
    let opened = open(&signed, &case)?;
    let paper = papers::notice_of(&signed, &opened.file, opened.item()?);
    papers::respond(paper.ok_or(AppError::NotFound)?, "notice.pdf").await
}

pub(crate) async fn to_sign(
    signed: Signed,
    Path(case): Path<String>,
) -> Result<Response, AppError> {
    let opened = open(&signed, &case)?;
    let paper = papers::paper_to_sign(&signed, &opened.file, opened.item()?);
    papers::respond(paper, "to-sign.pdf").await
}

/// The whole case for the resident whose it is: nothing is covered, and it is in Chinese as papers
/// are.
pub(crate) async fn copy(signed: Signed, Path(case): Path<String>) -> Result<Response, AppError> {
    let opened = open(&signed, &case)?;
    if opened.file.state.submission.is_none() {
        return Err(AppError::NotFound);
    }
    let signed = Signed { lang: cunkou_ui::Lang::Zh, ..signed };
    let view = view::case(&signed, &opened, true)?;
    let paper = papers::copy_of(&signed, &opened.file, opened.item()?, view);
    papers::respond(paper, "copy.pdf").await
}
