//! Rival values of a document: a person chooses.

use super::saving::{Draft, keep};
use axum::extract::{Form, Path};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::case::Phase;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::material::Page;
use cunkou_edge::desk;
use cunkou_edge::forms::Fields;
use cunkou_edge::lists::when;
use cunkou_edge::{AppError, Signed};
use cunkou_ui::page::choose::{Rival, page as render};
use maud::Markup;

fn field(section: &str, key: &str) -> String {
    format!("{section}.{key}")
}

/// Who wrote a value last, and when.
fn writer(signed: &Signed, draft: &Draft, section: Section, key: &str, value: &str) -> String {
    let county = signed.replica().county();
    let notes = draft.opened.file.edits.iter().rev();
    let note = notes.into_iter().find(|note| {
        note.writes
            .iter()
            .any(|w| w.section == section && w.key == key && w.value.as_deref() == Some(value))
    });
    note.map_or_else(String::new, |note| {
        let person = note.header.person.and_then(|p| county.person(p)).map(|p| p.name.clone());
        let device = county.device(note.header.device).map(|d| d.name.clone());
        let who: Vec<String> = [person, device].into_iter().flatten().collect();
        format!("{} · {}", who.join(" · "), when(note.header.claimed_ms))
    })
}

fn label(signed: &Signed, draft: &Draft, section: Section, key: &str) -> String {
    let l = signed.lang;
    let Ok(item) = draft.opened.item() else { return key.to_owned() };
    match section {
        Section::Form => item
            .form
            .iter()
            .find(|f| f.key == key)
            .map_or_else(|| key.to_owned(), |f| l.t(&f.label, &f.label_en).to_owned()),
        Section::Materials => {
            let material = key.split('/').next().unwrap_or(key);
            item.material(material)
                .map_or_else(|| key.to_owned(), |m| l.t(&m.name, &m.name_en).to_owned())
        }
        Section::Answers => item
            .questions
            .iter()
            .find(|q| q.fact == key)
            .map_or_else(|| key.to_owned(), |q| l.t(&q.ask, &q.ask_en).to_owned()),
        Section::Applicant => l.t("谁来办", "Who files").to_owned(),
        _ => key.to_owned(),
    }
}

fn words(value: &str) -> String {
    match serde_json::from_str::<Page>(value) {
        Ok(page) => format!("{} · {}", page.name, page.taken),
        Err(_) => value.to_owned(),
    }
}

pub(super) async fn page(signed: Signed, Path(case): Path<String>) -> Result<Markup, AppError> {
    let draft = Draft { opened: desk::open(&signed, &case)? };
    let rivals = draft.opened.file.conflicts().into_iter().filter_map(|(section, key, values)| {
        let place = Section::of(&section)?;
        let values = values.into_iter().map(|value| {
            let by = writer(&signed, &draft, place, &key, &value);
            (value.clone(), words(&value), by)
        });
        Some(Rival {
            field: field(&section, &key),
            label: label(&signed, &draft, place, &key),
            values: values.collect(),
        })
    });
    let rivals: Vec<Rival> = rivals.collect();
    Ok(render(&signed.shell("/cases"), &draft.head(&signed)?, &rivals))
}

pub(super) async fn save(
    signed: Signed,
    Path(case): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let opened = desk::open(&signed, &case)?;
    let chosen = opened.file.conflicts().into_iter().filter_map(|(section, key, values)| {
        let value = fields.get(&field(&section, &key))?;
        // Only one of the values that stand can be chosen.
        let place = Section::of(&section)?;
        values.contains(value).then(|| Write::set(place, key, value.clone()))
    });
    let writes: Vec<Write> = chosen.collect();
    let draft = opened.file.state.phase == Phase::Draft;
    keep(&signed, opened.subject, writes).await?;
    let to = if draft { format!("/cases/{case}/choose") } else { format!("/cases/{case}") };
    Ok(Redirect::to(&format!("{to}?done=chosen")).into_response())
}
