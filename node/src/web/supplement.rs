//! A supplement: photographing anew what the office asked for.

use super::materials::keep_with_photo;
use axum::extract::{Multipart, Path};
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::document::{Section, Write};
use cunkou_casework::material::{PAGES_MAX, json, supplement_key, supplement_pages};
use cunkou_edge::desk::{self, Opened};
use cunkou_edge::{AppError, Signed, photo as photos};
use cunkou_ui::page::filing::DraftHead;
use cunkou_ui::page::materials::{self as ui, Photo};
use maud::Markup;

/// What is to be photographed: an open supplement's round and reason, or round 0 for a material
/// that was promised at submission (容缺).
fn asked(opened: &Opened, key: &str) -> Result<(u32, String), AppError> {
    let state = &opened.file.state;
    let defect = state
        .open_supplement()
        .and_then(|open| Some((open.round, open.defects.iter().find(|d| d.material == key)?)));
    if let Some((round, defect)) = defect {
        return Ok((round, defect.reason.clone()));
    }
    match state.promised().iter().find(|d| d.material == key) {
        Some(promised) if state.phase.is_open() => Ok((0, promised.reason.clone())),
        _ => Err(AppError::Stale { next: format!("/cases/{}", opened.subject) }),
    }
}

pub(super) async fn page(
    signed: Signed,
    Path((case, key)): Path<(String, String)>,
) -> Result<Markup, AppError> {
    let opened = desk::open(&signed, &case)?;
    let (round, reason) = asked(&opened, &key)?;
    let l = signed.lang;
    let item = opened.item()?;
    let spec = item.material(&key).ok_or(AppError::NotFound)?;
    let given = supplement_pages(&opened.file.content, round, &key);
    let shown = given.iter().map(|(_, page)| Photo {
        src: Some(format!("/cases/{case}/photo/{}", page.hash)),
        name: page.name.clone(),
        small: false,
        about: format!("{} · {}", page.taken, l.size(u64::from(page.bytes))),
        retake: None,
    });
    let missing = spec.pages.iter().enumerate().filter_map(|(i, name)| {
        let slot = u8::try_from(i).ok()?;
        (!given.iter().any(|(s, _)| *s == slot)).then(|| (slot, name.clone()))
    });
    let view = ui::Material {
        head: DraftHead {
            case: case.clone(),
            number: String::new(),
            applicant: opened
                .file
                .content
                .get(Section::Particulars, "name")
                .unwrap_or_default()
                .into(),
            item: l.t(&item.name, &item.name_en).to_owned(),
        },
        action: format!("/cases/{case}/supplement/{key}"),
        name: format!("{} · {}", l.t("补正", "Supplement"), l.t(&spec.name, &spec.name_en)),
        how: reason,
        issuer: spec.issuer.clone(),
        state: l.t("要求重拍", "To be photographed again").to_owned(),
        photos: shown.collect(),
        missing: missing.collect(),
        ..ui::Material::default()
    };
    Ok(ui::one(&signed.shell("/cases"), &view))
}

pub(super) async fn photo(
    signed: Signed,
    Path((case, key, slot)): Path<(String, String, u8)>,
    form: Multipart,
) -> Result<Response, AppError> {
    let form = photos::read_form(form).await?;
    let opened = desk::open(&signed, &case)?;
    let (round, _) = asked(&opened, &key)?;
    if usize::from(slot) >= PAGES_MAX {
        return Err(AppError::NotFound);
    }
    let spec = opened.item()?.material(&key).ok_or(AppError::NotFound)?;
    let name = spec.pages.get(usize::from(slot)).cloned().unwrap_or_else(|| spec.name.clone());
    let address = format!("/cases/{case}/supplement/{key}");
    let stored = photos::keep(&signed, form.photo, &address).await?;
    let page = photos::page(signed.replica(), &stored, &name);
    let write = Write::set(Section::Supplement, supplement_key(round, &key, slot), json(&page));
    keep_with_photo(&signed, opened.subject, stored, vec![write]).await?;
    Ok(Redirect::to(&format!("/cases/{case}?done=photo")).into_response())
}
