//! The pages of a box.

mod answers;
mod carry;
mod choose;
mod deliver;
mod draft;
mod duty;
mod form;
mod home;
pub(crate) mod lost;
mod materials;
mod moving;
mod residents;
mod saving;
mod sign;
mod supplement;
mod sync;

use axum::Router;
use cunkou_edge::App;
use cunkou_edge::carry::pages::UPLOAD_BYTES_MAX;
use cunkou_edge::photo::DRAIN_BYTES_MAX;
use cunkou_edge::routes::Routes;
use cunkou_edge::routes::Shows::{Full, Nothing, Personal};
use cunkou_edge::routes::Who::Signed;
use cunkou_edge::web;
use std::path::PathBuf;
use std::sync::Arc;

/// Every route of a box.
pub(crate) fn routes() -> Routes {
    let pages = Routes::default()
        .get("/", Signed, Personal, home::page)
        .get("/sync", Signed, Personal, sync::page)
        .get("/sync/progress", Signed, Personal, sync::progress)
        .get("/sync/contacts.csv", Signed, Nothing, sync::exported)
        .get("/sync/carry", Signed, Nothing, carry::page)
        .get("/sync/carry/progress", Signed, Nothing, carry::progress)
        .get("/sync/carry/file/{number}", Signed, Nothing, carry::file)
        .post("/sync/carry/take", Signed, Nothing, carry::take)
        .post("/sync/carry/bring", Signed, Nothing, carry::bring)
        .body(UPLOAD_BYTES_MAX)
        .post("/lock", Signed, Nothing, home::lock)
        .post("/practice/enter", Signed, Nothing, home::enter_practice)
        .post("/practice/leave", Signed, Nothing, home::leave_practice)
        .get("/residents", Signed, Personal, residents::find)
        .post("/residents", Signed, Personal, residents::search)
        .get("/residents/new", Signed, Nothing, residents::new_page)
        .post("/residents/new", Signed, Full, residents::add)
        .get("/residents/{id}", Signed, Personal, residents::show)
        .get("/residents/{id}/looks", Signed, Personal, residents::looks)
        .get("/residents/{id}/move", Signed, Personal, moving::page)
        .post("/residents/{id}/move", Signed, Personal, moving::save)
        .get("/residents/{id}/edit", Signed, Full, residents::edit_page)
        .post("/residents/{id}/edit", Signed, Full, residents::edit)
        .get("/residents/{id}/file", Signed, Personal, residents::choose)
        .get("/residents/{id}/file/{item}", Signed, Personal, residents::guide)
        .post("/residents/{id}/file/{item}", Signed, Nothing, draft::begin);
    let drafts = Routes::default()
        .get("/cases/{case}", Signed, Personal, draft::page)
        .get("/cases/{case}/who", Signed, Full, draft::who_page)
        .post("/cases/{case}/who", Signed, Full, draft::who)
        .get("/cases/{case}/check", Signed, Personal, form::check_page)
        .post("/cases/{case}/check", Signed, Personal, form::check)
        .get("/cases/{case}/form", Signed, Full, form::page)
        .post("/cases/{case}/form", Signed, Full, form::save)
        .get("/cases/{case}/materials", Signed, Personal, materials::list)
        .get("/cases/{case}/materials/{m}", Signed, Personal, materials::page)
        .post("/cases/{case}/materials/{m}/asked", Signed, Nothing, materials::asked)
        .post("/cases/{case}/materials/{m}/reuse", Signed, Nothing, materials::reuse)
        .post("/cases/{case}/materials/{m}/defer", Signed, Nothing, materials::defer)
        .post("/cases/{case}/materials/{m}/until", Signed, Nothing, materials::until)
        .post("/cases/{case}/materials/{m}/retake/{slot}", Signed, Nothing, materials::retake)
        .get("/cases/{case}/answers", Signed, Full, answers::page)
        .get("/cases/{case}/choose", Signed, Full, choose::page)
        .post("/cases/{case}/choose", Signed, Full, choose::save)
        .get("/cases/{case}/supplement/{m}", Signed, Personal, supplement::page);
    let duty = Routes::default()
        .get("/duty", Signed, Nothing, duty::list)
        .get("/duty/new", Signed, Personal, duty::new_page)
        .post("/duty/new", Signed, Personal, duty::offer)
        .get("/duty/{duty}", Signed, Personal, duty::show)
        .get("/duty/{duty}/take", Signed, Personal, duty::take_page)
        .post("/duty/{duty}/take", Signed, Personal, duty::take)
        .post("/duty/{duty}/withdraw", Signed, Nothing, duty::withdraw)
        .get("/duty/{duty}/paper.pdf", Signed, Personal, duty::paper);
    let photos = Routes::default()
        .post("/cases/{case}/materials/{m}/photo/{slot}", Signed, Personal, materials::photo)
        .body(DRAIN_BYTES_MAX)
        .post("/cases/{case}/supplement/{m}/photo/{slot}", Signed, Personal, supplement::photo)
        .body(DRAIN_BYTES_MAX)
        .get("/cases/{case}/sign", Signed, Personal, sign::page)
        .post("/cases/{case}/sign", Signed, Personal, sign::submit)
        .body(DRAIN_BYTES_MAX)
        .get("/cases/{case}/deliver", Signed, Personal, deliver::page)
        .post("/cases/{case}/deliver", Signed, Personal, deliver::save)
        .body(DRAIN_BYTES_MAX);
    web::shared().and(web::at_box()).and(pages).and(drafts).and(duty).and(photos)
}

pub(crate) fn router(app: Arc<App>, practice: PathBuf) -> Router {
    web::router(app, routes()).layer(axum::Extension(home::PracticeFolder(practice)))
}
