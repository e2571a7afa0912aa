//! A case written as one file: by command, and from its page.

use crate::cli::{Exit, Failure};
use crate::error::AppError;
use crate::{Signed, desk};
use axum::extract::Path as Asked;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cunkou_casework::calendar::china_day;
use cunkou_casework::ids::SubjectId;
use cunkou_casework::number::{grouped, parse};
use cunkou_replica::{ExportError, Replica};
use cunkou_store::StoreError;
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes the case of a number to a new file that its owner alone reads.
///
/// # Errors
/// [`Failure`]: no such case here, a file of that name, a full disk.
pub fn to_file(
    replica: &Replica,
    number: &str,
    out: &Path,
    photos: bool,
) -> Result<Value, Failure> {
    let failed = |e: String| Failure::new(Exit::Failed, e);
    let refused = |words: String| Failure::new(Exit::Refused, words);
    let digits = parse(number).ok_or_else(|| {
        refused(format!("{number} is no case number: 12 digits with a check digit"))
    })?;
    let found = replica.store().read(|view| view.case_by_number(&digits));
    let none = || refused(format!("there is no case {} here", grouped(&digits)));
    let case = found.map_err(|e: StoreError| failed(e.to_string()))?.ok_or_else(none)?;
    let bytes = replica.export(SubjectId(case), photos);
    let bytes = bytes.map_err(|e| failed(e.to_string()))?.ok_or_else(none)?;
    let shown = out.display();
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .map_err(|e| failed(format!("{shown}: {e}")))?;
    let fingerprint = replica.fingerprint().map_err(|e| failed(e.to_string()))?;
    Ok(json!({
        "schema": 1, "file": out, "bytes": bytes.len(), "fingerprint": fingerprint,
        "next": "check it with: cunkou-verify FILE --county FINGERPRINT",
    }))
}

/// The file of a case for somebody who may see it. Taking it away is recorded as a look.
pub(crate) async fn download(
    signed: Signed,
    Asked(case): Asked<String>,
) -> Result<Response, AppError> {
    let opened = desk::open(&signed, &case)?;
    let (subject, replica) = (opened.subject, std::sync::Arc::clone(signed.replica()));
    let bytes = tokio::task::spawn_blocking(move || replica.export(subject, true)).await??;
    let bytes = bytes.ok_or(AppError::NotFound)?;
    let number = opened.file.state.opened.as_ref().map(|o| grouped(&o.number)).unwrap_or_default();
    // What is signed bears no mark; the name of the file says who took it and when.
    let who = signed.who().person.to_string();
    let day = china_day(signed.replica().now_ms());
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{number}-{day}-{}.cunkou\"", &who[..8]),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, bytes).into_response())
}

impl From<ExportError> for AppError {
    fn from(e: ExportError) -> Self {
        Self::Ours(e.to_string())
    }
}
