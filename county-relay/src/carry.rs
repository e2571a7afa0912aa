//! Carrying by hand at the console: to a box and back.

use axum::Form;
use axum::extract::{Multipart, Path};
use axum::response::{Redirect, Response};
use cunkou_casework::county::DeviceKind;
use cunkou_casework::ids::DeviceId;
use cunkou_edge::carry::pages::{self, At, UPLOAD_BYTES_MAX};
use cunkou_edge::forms::Fields;
use cunkou_edge::routes::Shows::Nothing;
use cunkou_edge::routes::{Routes, Who};
use cunkou_edge::{AppError, Signed};
use maud::Markup;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/boxes/{id}/carry", Who::Machines, Nothing, page)
        .get("/boxes/{id}/carry/progress", Who::Machines, Nothing, progress)
        .get("/boxes/{id}/carry/file/{number}", Who::Machines, Nothing, file)
        .post("/boxes/{id}/carry/take", Who::It, Nothing, take)
        .post("/boxes/{id}/carry/bring", Who::It, Nothing, bring)
        .body(UPLOAD_BYTES_MAX)
}

fn of_box(signed: &Signed, id: &str) -> Result<At, AppError> {
    let device: DeviceId = id.parse().map_err(|_| AppError::NotFound)?;
    let county = signed.app.replica.county();
    let other = county.device(device).filter(|d| d.kind != DeviceKind::Relay);
    let other = other.ok_or(AppError::NotFound)?.clone();
    Ok(At { here: format!("/boxes/{device}/carry"), other, section: "/boxes" })
}

async fn page(signed: Signed, Path(id): Path<String>) -> Result<Markup, AppError> {
    pages::show(&signed, &of_box(&signed, &id)?)
}

async fn progress(signed: Signed, Path(id): Path<String>) -> Result<Markup, AppError> {
    pages::renew(&signed, &of_box(&signed, &id)?)
}

async fn take(
    signed: Signed,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Redirect, AppError> {
    pages::take(&signed, &of_box(&signed, &id)?, &fields)
}

async fn bring(
    signed: Signed,
    Path(id): Path<String>,
    form: Multipart,
) -> Result<Redirect, AppError> {
    pages::bring(&signed, &of_box(&signed, &id)?, form).await
}

async fn file(
    signed: Signed,
    Path((id, number)): Path<(String, String)>,
) -> Result<Response, AppError> {
    pages::file(&signed, &of_box(&signed, &id)?, &number).await
}
