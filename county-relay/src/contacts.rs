//! The history of contacts with each box, at the console.

use axum::extract::Path;
use axum::response::Response;
use cunkou_casework::county::{Device, DeviceKind};
use cunkou_casework::ids::DeviceId;
use cunkou_edge::looks::csv_answer;
use cunkou_edge::routes::Shows::Nothing;
use cunkou_edge::routes::{Routes, Who};
use cunkou_edge::{AppError, Signed, history};
use cunkou_ui::page::boxes::{page_with, ways_on};
use maud::Markup;

pub(crate) fn routes() -> Routes {
    Routes::default().get("/boxes/{id}/contacts", Who::Machines, Nothing, page).get(
        "/boxes/{id}/contacts.csv",
        Who::Machines,
        Nothing,
        exported,
    )
}

fn of_box(signed: &Signed, id: &str, limit: u32) -> Result<(Device, Vec<history::Line>), AppError> {
    let device: DeviceId = id.parse().map_err(|_| AppError::NotFound)?;
    let county = signed.replica().county();
    let device = county.device(device).filter(|d| d.kind != DeviceKind::Relay);
    let device = device.ok_or(AppError::NotFound)?.clone();
    let lines = history::with(signed.replica(), &device.id.0, limit)?;
    Ok((device, lines))
}

async fn page(signed: Signed, Path(id): Path<String>) -> Result<Markup, AppError> {
    let l = signed.lang;
    let (device, lines) = of_box(&signed, &id, history::TOLD)?;
    let ways = [
        ("/boxes".to_owned(), l.t("返回", "Back").to_owned()),
        (
            format!("/boxes/{}/contacts.csv", device.id),
            l.t("导出表格(CSV)", "Export a table (CSV)").to_owned(),
        ),
    ];
    let mut table = history::table(l, &lines);
    let title = format!("{} · {}", table.title, device.name);
    table.title.clone_from(&title);
    table.empty = l.t("还没联系过。", "It was never heard.").to_owned();
    Ok(page_with(&signed.shell("/boxes"), &title, &ways_on(&ways), &[table]))
}

async fn exported(signed: Signed, Path(id): Path<String>) -> Result<Response, AppError> {
    let (_, lines) = of_box(&signed, &id, history::EXPORTED)?;
    Ok(csv_answer("contacts.csv", history::exported(signed.lang, &lines)))
}
