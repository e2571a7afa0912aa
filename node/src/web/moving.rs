//! A resident moves to another village of the county: the record goes there, and leaves this box
//! where that village is not served here.

use super::residents::open;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::event::{Level, Step};
use cunkou_casework::ids::PlaceId;
use cunkou_edge::forms::Fields;
use cunkou_edge::look;
use cunkou_edge::{AppError, Signed};
use cunkou_replica::ResidentFile;
use cunkou_store::CaseFilter;
use cunkou_ui::page::residents::{Edit, edit};
use cunkou_ui::part::{Control, FaultLine, Input};
use maud::Markup;
use std::sync::Arc;

/// The other villages of the county: id, township and name.
fn villages(signed: &Signed, file: &ResidentFile) -> Vec<(String, String)> {
    let county = signed.replica().county();
    let others = county.places().filter(|p| p.level == Level::Village && p.id != file.place);
    others
        .map(|place| {
            let township = place.parent.map(|id| county.place_name(id)).unwrap_or_default();
            (place.id.to_string(), format!("{township} {}", place.name))
        })
        .collect()
}

fn form(signed: &Signed, id: &str, file: &ResidentFile, fault: Option<&str>) -> Markup {
    let l = signed.lang;
    let hint = l.t(
        "档案会跟着去新的村。那边不归这台盒子管的,这里传完以后就不再保留。",
        "The record goes to the new village. If this box does not serve it, nothing of the record is kept here once it is sent.",
    );
    let place = Input::line("place", l.t("新的村", "New village"), "")
        .with(Control::Select(villages(signed, file)))
        .hint(hint);
    let fault = fault.map(|words| FaultLine { field: "place".to_owned(), words: words.to_owned() });
    let view = Edit {
        title: format!(
            "{} · {}",
            l.t("迁到别的村", "Moves to another village"),
            file.resident.name
        ),
        action: format!("/residents/{id}/move"),
        inputs: vec![place],
        faults: fault.into_iter().collect(),
        ..Edit::default()
    };
    edit(&signed.shell("/residents"), &view)
}

pub(super) async fn page(signed: Signed, Path(id): Path<String>) -> Result<Markup, AppError> {
    let file = open(&signed, &id)?;
    look::resident(&signed, &file, false)?;
    Ok(form(&signed, &id, &file, None))
}

pub(super) async fn save(
    signed: Signed,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let file = open(&signed, &id)?;
    look::resident(&signed, &file, false)?;
    let l = signed.lang;
    let chosen = fields.get("place").map_or("", String::as_str);
    let known = villages(&signed, &file).iter().any(|(place, _)| place == chosen);
    let place = chosen.parse().ok().map(PlaceId).filter(|_| known);
    let filter = CaseFilter {
        resident: Some(file.subject.0),
        open_only: true,
        limit: 1,
        ..CaseFilter::default()
    };
    let under_way = !signed.replica().store().read(|view| view.cases(&filter))?.rows.is_empty();
    let fault = match place {
        None => l.t("请选新的村。", "Choose the new village."),
        Some(_) if under_way => l.t(
            "还有没办完的件。先办完或撤回,再迁。",
            "There are open cases. Finish or withdraw them first.",
        ),
        Some(place) => {
            let (replica, acting) = (Arc::clone(signed.replica()), signed.clone());
            let step = Step::ResidentMoved { place };
            let subject = file.subject;
            tokio::task::spawn_blocking(move || {
                replica.act(|desk| desk.event(subject, acting.who(), step))
            })
            .await??;
            let stays = signed.may_see_residents(place);
            let next = if stays { format!("/residents/{id}") } else { "/residents".to_owned() };
            return Ok(Redirect::to(&format!("{next}?done=saved")).into_response());
        }
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, form(&signed, &id, &file, Some(fault))).into_response())
}
