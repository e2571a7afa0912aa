//! Materials of a draft.

use super::saving::{Draft, keep, open_draft};
use axum::extract::{Form, Multipart, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::calendar::china_day;
use cunkou_casework::catalogue::{Valid, When};
use cunkou_casework::document::{Section, Write};
use cunkou_casework::fields;
use cunkou_casework::ids::SubjectId;
use cunkou_casework::material::{self, Kept, Material, PAGES_MAX, State, page_key, photograph};
use cunkou_edge::forms::Fields;
use cunkou_edge::{AppError, Signed, photo as photos};
use cunkou_replica::ActError;
use cunkou_store::StoreError;
use cunkou_ui::page::materials::{self as ui, Photo};
use cunkou_ui::part::FaultLine;
use maud::Markup;
use std::sync::Arc;

fn state_words(signed: &Signed, m: &Material<'_>) -> String {
    let l = signed.lang;
    match &m.state {
        State::Open if m.unanswered => l.t("要不要,先回答", "Answer whether it is needed").into(),
        State::Open => l.t("还没有", "Not yet").into(),
        State::Photographed if m.is_settled() => l.t("已拍照", "Photographed").into(),
        State::Photographed => l.t("还差几页", "Pages are missing").into(),
        State::Reused { taken, .. } => {
            format!("{} {taken} {}", l.t("用", "from"), l.t("的那张", "")).trim().to_owned()
        }
        State::Deferred { until, .. } => {
            format!("{} {until}", l.t("容缺,补交期限", "to follow by"))
        }
        State::NotNeeded => l.t("不需要", "Not needed").into(),
    }
}

pub(super) async fn list(signed: Signed, Path(case): Path<String>) -> Result<Markup, AppError> {
    let draft = open_draft(&signed, &case)?;
    let l = signed.lang;
    let all = draft.materials()?;
    let lines: Vec<ui::Line> = all
        .iter()
        .map(|m| ui::Line {
            href: format!("/cases/{case}/materials/{}", m.spec.key),
            name: l.t(&m.spec.name, &m.spec.name_en).to_owned(),
            state: state_words(&signed, m),
            done: m.is_settled(),
        })
        .collect();
    Ok(ui::list(&signed.shell("/cases"), &draft.head(&signed)?, &lines))
}

fn find<'a>(all: &'a [Material<'a>], key: &str) -> Result<&'a Material<'a>, AppError> {
    all.iter().find(|m| m.spec.key == key).ok_or(AppError::NotFound)
}

/// What the resident gave before and whose pictures are known here.
fn offered(signed: &Signed, draft: &Draft, m: &Material<'_>) -> Result<Option<Kept>, AppError> {
    let Some(begun) = &draft.opened.file.state.opened else { return Ok(None) };
    let today = china_day(signed.replica().now_ms());
    let resident = signed.replica().resident(begun.resident)?;
    Ok(resident.and_then(|r| material::kept(&r.content, m.spec, today)))
}

fn view(
    signed: &Signed,
    draft: &Draft,
    key: &str,
    faults: Vec<FaultLine>,
    reason: &str,
) -> Result<ui::Material, AppError> {
    let l = signed.lang;
    let case = draft.opened.subject;
    let all = draft.materials()?;
    let m = find(&all, key)?;
    let action = format!("/cases/{case}/materials/{key}");
    let mut shown = Vec::new();
    for (slot, page) in &m.pages {
        let (src, small) = photos::shown(signed, case, page)?;
        shown.push(Photo {
            src,
            small,
            name: page.name.clone(),
            about: format!("{} · {}", page.taken, l.size(u64::from(page.bytes))),
            retake: Some(format!("{action}/retake/{slot}")),
        });
    }
    let photographing = matches!(m.state, State::Open | State::Photographed);
    let needed = !m.unanswered && m.state != State::NotNeeded;
    let today = china_day(signed.replica().now_ms());
    let latest = draft.opened.item()?.promise.due(&draft.opened.release.holidays, today).day;
    let next_slot = m.pages.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
    let next_slot = next_slot.max(u8::try_from(m.spec.pages.len()).unwrap_or(u8::MAX));
    let reuse = match m.state {
        State::Open if needed => offered(signed, draft, m)?.map(|kept| {
            let until =
                kept.until.as_ref().map(|u| format!(",{} {u}", l.t("有效期到", "valid until")));
            format!(
                "{} {} · {} {}{}",
                kept.taken,
                l.t("拍的", "taken"),
                kept.pages.len(),
                l.t("页", "pages"),
                until.unwrap_or_default()
            )
        }),
        _ => None,
    };
    let card = m.spec.valid == Valid::Card && matches!(m.state, State::Photographed);
    Ok(ui::Material {
        head: draft.head(signed)?,
        action,
        name: l.t(&m.spec.name, &m.spec.name_en).to_owned(),
        how: m.spec.how.clone(),
        issuer: m.spec.issuer.clone(),
        state: state_words(signed, m),
        photos: shown,
        missing: if photographing && needed {
            m.missing_pages().map(|(slot, name)| (slot, name.to_owned())).collect()
        } else {
            Vec::new()
        },
        extra: (photographing
            && needed
            && !m.pages.is_empty()
            && usize::from(next_slot) < PAGES_MAX)
            .then_some(next_slot),
        reuse,
        defer_until: (m.spec.deferrable && m.state == State::Open && needed)
            .then(|| latest.to_string()),
        ask: m.spec.ask.as_ref().filter(|_| m.spec.when == When::Asked).map(|ask| {
            let answer = draft.opened.file.current.get(Section::Materials, &format!("{key}/asked"));
            let ask = l.t(ask, m.spec.ask_en.as_deref().unwrap_or(ask)).to_owned();
            (ask, answer.unwrap_or_default().to_owned())
        }),
        card_until: card.then(|| m.card_until.clone().unwrap_or_default()),
        paper: (needed && matches!(key, "application-form" | "mandate"))
            .then(|| format!("/cases/{case}/to-sign.pdf")),
        faults,
        reason: reason.to_owned(),
    })
}

pub(super) async fn page(
    signed: Signed,
    Path((case, key)): Path<(String, String)>,
) -> Result<Markup, AppError> {
    let draft = open_draft(&signed, &case)?;
    Ok(ui::one(&signed.shell("/cases"), &view(&signed, &draft, &key, Vec::new(), "")?))
}

fn back(case: &str, key: &str, done: &str) -> Response {
    Redirect::to(&format!("/cases/{case}/materials/{key}?done={done}")).into_response()
}

fn faulty(
    signed: &Signed,
    draft: &Draft,
    key: &str,
    field: &str,
    words: &str,
    typed: &str,
) -> Result<Response, AppError> {
    let fault = FaultLine { field: field.into(), words: words.into() };
    let mut view = view(signed, draft, key, vec![fault], typed)?;
    if field == "until" {
        view.card_until = Some(typed.to_owned());
    }
    let page = ui::one(&signed.shell("/cases"), &view);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

pub(super) async fn photo(
    signed: Signed,
    Path((case, key, slot)): Path<(String, String, u8)>,
    form: Multipart,
) -> Result<Response, AppError> {
    // The body is read first: a browser that is cut off in the middle hears nothing.
    let form = photos::read_form(form).await?;
    let draft = open_draft(&signed, &case)?;
    let all = draft.materials()?;
    let m = find(&all, &key)?;
    if usize::from(slot) >= PAGES_MAX {
        return Err(AppError::NotFound);
    }
    let name = m.spec.pages.get(usize::from(slot)).map_or_else(
        || format!("附加页{}", usize::from(slot) + 1 - m.spec.pages.len()),
        Clone::clone,
    );
    let address = format!("/cases/{case}/materials/{key}");
    let stored = photos::keep(&signed, form.photo, &address).await?;
    let page = photos::page(signed.replica(), &stored, &name);
    keep_with_photo(&signed, draft.opened.subject, stored, photograph(&key, slot, &page)).await?;
    Ok(back(&case, &key, "photo"))
}

/// Makes a photo that is on disk part of a case, in one transaction.
pub(super) async fn keep_with_photo(
    signed: &Signed,
    subject: SubjectId,
    photo: photos::Stored,
    writes: Vec<Write>,
) -> Result<(), AppError> {
    let (replica, acting) = (Arc::clone(signed.replica()), signed.clone());
    tokio::task::spawn_blocking(move || {
        replica.act(|desk| -> Result<(), ActError> {
            photo.here(desk.tx).map_err(|e: StoreError| ActError::from(e))?;
            desk.edit(subject, acting.who(), &writes)?;
            Ok(())
        })
    })
    .await??;
    Ok(())
}

pub(super) async fn retake(
    signed: Signed,
    Path((case, key, slot)): Path<(String, String, u8)>,
) -> Result<Response, AppError> {
    let draft = open_draft(&signed, &case)?;
    let all = draft.materials()?;
    let m = find(&all, &key)?;
    let mut writes = vec![Write::remove(Section::Materials, page_key(&key, slot))];
    if let State::Reused { .. } = m.state {
        writes.push(Write::set(Section::Materials, format!("{key}/state"), "photo"));
    }
    keep(&signed, draft.opened.subject, writes).await?;
    Ok(back(&case, &key, "saved"))
}

pub(super) async fn reuse(
    signed: Signed,
    Path((case, key)): Path<(String, String)>,
) -> Result<Response, AppError> {
    let draft = open_draft(&signed, &case)?;
    let all = draft.materials()?;
    let kept = offered(&signed, &draft, find(&all, &key)?)?.ok_or(AppError::NotFound)?;
    keep(&signed, draft.opened.subject, material::reuse(&key, &kept)).await?;
    Ok(back(&case, &key, "saved"))
}

pub(super) async fn asked(
    signed: Signed,
    Path((case, key)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let draft = open_draft(&signed, &case)?;
    match fields.get("asked").map(String::as_str) {
        Some(answer @ ("yes" | "no")) => {
            let write = Write::set(Section::Materials, format!("{key}/asked"), answer);
            keep(&signed, draft.opened.subject, vec![write]).await?;
            Ok(back(&case, &key, "saved"))
        }
        _ => {
            let words = signed.lang.t("选择是或否", "Choose yes or no");
            faulty(&signed, &draft, &key, "asked", words, "")
        }
    }
}

pub(super) async fn defer(
    signed: Signed,
    Path((case, key)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let draft = open_draft(&signed, &case)?;
    let all = draft.materials()?;
    if !find(&all, &key)?.spec.deferrable {
        return Err(AppError::NotFound);
    }
    let reason = fields.get("reason").map_or("", |r| r.trim());
    if reason.is_empty() || reason.chars().count() > 200 {
        let words = signed.lang.t(
            "写明为什么现在没有(最多 200 个字)",
            "Say why it is missing (at most 200 characters)",
        );
        return faulty(&signed, &draft, &key, "reason", words, reason);
    }
    let today = china_day(signed.replica().now_ms());
    let until = draft.opened.item()?.promise.due(&draft.opened.release.holidays, today).day;
    keep(&signed, draft.opened.subject, material::defer(&key, until, reason)).await?;
    Ok(back(&case, &key, "saved"))
}

pub(super) async fn until(
    signed: Signed,
    Path((case, key)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let draft = open_draft(&signed, &case)?;
    let l = signed.lang;
    let typed = fields.get("until").map_or("", |t| t.trim());
    let field = format!("{key}/card_until");
    if typed.is_empty() {
        let write = Write::remove(Section::Materials, field);
        keep(&signed, draft.opened.subject, vec![write]).await?;
        return Ok(back(&case, &key, "saved"));
    }
    let Some(day) = fields::day(typed) else {
        let words = l.t("有效期不是一个日期,例如 2036-05-06", "Not a date. For example 2036-05-06");
        return faulty(&signed, &draft, &key, "until", words, typed);
    };
    if day < china_day(signed.replica().now_ms()) {
        let words = l.t(
            "这张证已经过期,要用换领的新证重拍",
            "This card has expired; photograph the renewed one",
        );
        return faulty(&signed, &draft, &key, "until", words, typed);
    }
    let write = Write::set(Section::Materials, field, day.to_string());
    keep(&signed, draft.opened.subject, vec![write]).await?;
    Ok(back(&case, &key, "saved"))
}
