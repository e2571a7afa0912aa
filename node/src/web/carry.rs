//! Carrying by hand: to the county and back.

use axum::Form;
use axum::extract::{Multipart, Path};
use axum::response::{Redirect, Response};
use cunkou_edge::carry::pages::{self, At};
use cunkou_edge::carry::relay_of;
use cunkou_edge::forms::Fields;
use cunkou_edge::{AppError, Signed};
use maud::Markup;

fn county(signed: &Signed) -> Result<At, AppError> {
    let other = relay_of(&signed.app.replica).ok_or(AppError::NotFound)?;
    Ok(At { other, here: "/sync/carry".to_owned(), section: "/sync" })
}

pub(crate) async fn page(signed: Signed) -> Result<Markup, AppError> {
    pages::show(&signed, &county(&signed)?)
}

pub(crate) async fn progress(signed: Signed) -> Result<Markup, AppError> {
    pages::renew(&signed, &county(&signed)?)
}

pub(crate) async fn take(signed: Signed, Form(fields): Form<Fields>) -> Result<Redirect, AppError> {
    pages::take(&signed, &county(&signed)?, &fields)
}

pub(crate) async fn bring(signed: Signed, form: Multipart) -> Result<Redirect, AppError> {
    pages::bring(&signed, &county(&signed)?, form).await
}

pub(crate) async fn file(signed: Signed, Path(number): Path<String>) -> Result<Response, AppError> {
    pages::file(&signed, &county(&signed)?, &number).await
}
