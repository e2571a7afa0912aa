//! Decoders at the edges: what comes over HTTP, the control socket, and files.

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use cunkou_edge::control::Answer;
use cunkou_edge::{photo, sheet};

pub(crate) fn control(data: &[u8]) {
    let _: Result<serde_json::Value, _> = serde_json::from_slice(data);
    let _: Result<Answer, _> = serde_json::from_slice(data);
}

pub(crate) fn csv(data: &[u8]) {
    let _ = sheet::csv(data);
}

pub(crate) fn xlsx(data: &[u8]) {
    if let Ok(rows) = sheet::xlsx(data) {
        assert!(rows.len() <= sheet::ROWS_MAX);
    }
}

pub(crate) fn photo(data: &[u8]) {
    if let Ok(picture) = photo::prepare(data) {
        assert!(photo::prepare(&picture).is_ok(), "what is kept can be read again");
    }
}

pub(crate) fn form(data: &[u8]) {
    let request = Request::builder()
        .header("content-type", "multipart/form-data; boundary=X")
        .body(Body::from(data.to_vec()));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    if let (Ok(request), Ok(runtime)) = (request, runtime) {
        runtime.block_on(async {
            if let Ok(form) = Multipart::from_request(request, &()).await {
                let _ = photo::read_form(form).await;
            }
        });
    }
}
