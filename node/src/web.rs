//! The pages of a box.

mod answers;
mod choose;
mod deliver;
mod draft;
mod form;
mod home;
mod materials;
mod residents;
mod saving;
mod sign;
mod supplement;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use cunkou_edge::App;
use cunkou_edge::photo::DRAIN_BYTES_MAX;
use cunkou_edge::web;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) fn router(app: Arc<App>, practice: PathBuf) -> Router {
    let plain = Router::new()
        .route("/", get(home::page))
        .route("/sync", get(home::sync))
        .route("/lock", post(home::lock))
        .route("/practice/enter", post(home::enter_practice))
        .route("/practice/leave", get(home::leave_practice))
        .route("/residents", get(residents::find))
        .route("/residents/new", get(residents::new_page).post(residents::add))
        .route("/residents/{id}", get(residents::show))
        .route("/residents/{id}/edit", get(residents::edit_page).post(residents::edit))
        .route("/residents/{id}/file", get(residents::choose))
        .route("/residents/{id}/file/{item}", get(residents::guide).post(draft::begin))
        .route("/cases/{case}", get(draft::page))
        .route("/cases/{case}/who", get(draft::who_page).post(draft::who))
        .route("/cases/{case}/check", get(form::check_page).post(form::check))
        .route("/cases/{case}/form", get(form::page).post(form::save))
        .route("/cases/{case}/materials", get(materials::list))
        .route("/cases/{case}/materials/{m}", get(materials::page))
        .route("/cases/{case}/materials/{m}/asked", post(materials::asked))
        .route("/cases/{case}/materials/{m}/reuse", post(materials::reuse))
        .route("/cases/{case}/materials/{m}/defer", post(materials::defer))
        .route("/cases/{case}/materials/{m}/until", post(materials::until))
        .route("/cases/{case}/materials/{m}/retake/{slot}", post(materials::retake))
        .route("/cases/{case}/answers", get(answers::page))
        .route("/cases/{case}/choose", get(choose::page).post(choose::save))
        .route("/cases/{case}/supplement/{m}", get(supplement::page));
    let photos = Router::new()
        .route("/cases/{case}/materials/{m}/photo/{slot}", post(materials::photo))
        .route("/cases/{case}/supplement/{m}/photo/{slot}", post(supplement::photo))
        .route("/cases/{case}/sign", get(sign::page).post(sign::submit))
        .route("/cases/{case}/deliver", get(deliver::page).post(deliver::save))
        .layer(DefaultBodyLimit::max(DRAIN_BYTES_MAX));
    web::routes(app, plain.merge(photos).layer(axum::Extension(home::PracticeFolder(practice))))
}
