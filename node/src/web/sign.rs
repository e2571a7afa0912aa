//! The applicant signs, and the case is submitted.

use super::answers::missing;
use super::saving::{Draft, open_draft};
use axum::extract::{Multipart, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::case::Phase;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::event::{Deferred, Filer, Step};
use cunkou_casework::ids::AttachmentId;
use cunkou_casework::material::{Page, State, json, keep as keep_material};
use cunkou_casework::papers::consent_sentences;
use cunkou_edge::desk;
use cunkou_edge::papers::acting_name;
use cunkou_edge::photo::{PhotoForm, Stored, keep as keep_photo, page as photo_page, read_form};
use cunkou_edge::{AppError, Signed};
use cunkou_replica::ActError;
use cunkou_store::StoreError;
use cunkou_ui::page::sign::{Sign, page as render};
use cunkou_ui::part::FaultLine;
use maud::Markup;
use std::collections::BTreeMap;
use std::sync::Arc;

fn view(
    signed: &Signed,
    draft: &Draft,
    typed: &BTreeMap<String, String>,
    faults: Vec<FaultLine>,
) -> Result<Sign, AppError> {
    let l = signed.lang;
    let item = draft.opened.item()?;
    let filer = draft.filer().unwrap_or(Filer::Applicant);
    let head = draft.head(signed)?;
    let actor = acting_name(&draft.opened.file.current);
    let sentences = consent_sentences(&head.applicant, filer, &actor, item, &signed.session.name);
    Ok(Sign {
        action: format!("/cases/{}/sign", head.case),
        paper: format!("/cases/{}/to-sign.pdf", head.case),
        signer: if filer == Filer::Guardian { actor } else { head.applicant.clone() },
        sentences,
        button: l.t("我同意,提交", "I agree: submit").to_owned(),
        base: super::saving::heads_text(&draft.opened.file.heads),
        title: l.t("请申请人过目并签名", "The applicant reads and signs").to_owned(),
        how: typed.get("how").cloned().unwrap_or_default(),
        witness: typed.get("witness").cloned().unwrap_or_default(),
        head,
        faults,
        ..Sign::default()
    })
}

pub(super) async fn page(signed: Signed, Path(case): Path<String>) -> Result<Response, AppError> {
    let draft = open_draft(&signed, &case)?;
    if !missing(&signed, &draft)?.is_empty() {
        return Ok(Redirect::to(&format!("/cases/{case}/answers")).into_response());
    }
    let page: Markup =
        render(&signed.shell("/cases"), &view(&signed, &draft, &BTreeMap::new(), Vec::new())?);
    Ok(page.into_response())
}

/// A signature as it was given: a drawing, or a photo of the signed paper.
pub(super) async fn signature(
    signed: &Signed,
    form: PhotoForm,
    back: &str,
) -> Result<Result<(Stored, String), FaultLine>, AppError> {
    let l = signed.lang;
    let fault = |field: &str, words: &str| {
        Ok(Err(FaultLine { field: field.to_owned(), words: words.to_owned() }))
    };
    let how = form.fields.get("how").map_or("", String::as_str);
    let (photo, name) = match how {
        "screen" => {
            let drawn = form.fields.get("drawn").map_or("", String::as_str);
            let bytes = drawn.strip_prefix("data:image/png;base64,").and_then(base64);
            match bytes {
                Some(bytes) => (Ok(bytes), "屏幕签名".to_owned()),
                None => return fault("main", l.t("请先签名", "Sign first")),
            }
        }
        "thumb" => {
            let witness = form.fields.get("witness").map_or("", |w| w.trim());
            if witness.is_empty() || witness.chars().count() > 50 {
                return fault("witness", l.t("填写见证人姓名", "Give the name of the witness"));
            }
            (form.photo, format!("按手印,见证人{witness}"))
        }
        _ => (form.photo, "纸上签字".to_owned()),
    };
    if photo.is_err() && matches!(photo, Err(cunkou_edge::photo::PhotoError::None)) {
        let field = if how == "thumb" { "thumb-photo" } else { "signed-paper" };
        return fault(field, l.t("拍下签好字的纸", "Photograph the signed paper"));
    }
    Ok(Ok((keep_photo(signed, photo, back).await?, name)))
}

/// Standard base64 without blanks.
fn base64(text: &str) -> Option<Vec<u8>> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.chunks(4) {
        let mut word = 0u32;
        for (i, c) in chunk.iter().enumerate() {
            word |= u32::from(value(*c)?) << (18 - 6 * i);
        }
        let bytes = word.to_be_bytes();
        out.extend_from_slice(&bytes[1..chunk.len().max(1)]);
    }
    Some(out)
}

pub(super) async fn submit(
    signed: Signed,
    Path(case): Path<String>,
    form: Multipart,
) -> Result<Response, AppError> {
    let form = read_form(form).await?;
    // Pressed twice: the first press did it.
    if desk::open(&signed, &case)?.file.state.phase != Phase::Draft {
        return Ok(Redirect::to(&format!("/cases/{case}?done=submitted")).into_response());
    }
    let draft = open_draft(&signed, &case)?;
    if !missing(&signed, &draft)?.is_empty() {
        return Ok(Redirect::to(&format!("/cases/{case}/answers")).into_response());
    }
    // What is signed is what was read: a save of somebody else in between is read first.
    let base = form.fields.get("base").map_or("", String::as_str);
    if !base.is_empty() && base != super::saving::heads_text(&draft.opened.file.heads) {
        return Ok(Redirect::to(&format!("/cases/{case}/answers?done=moved")).into_response());
    }
    let (back, typed) = (format!("/cases/{case}/sign"), form.fields.clone());
    let (photo, name) = match signature(&signed, form, &back).await? {
        Ok(signature) => signature,
        Err(fault) => {
            let page =
                render(&signed.shell("/cases"), &view(&signed, &draft, &typed, vec![fault])?);
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let page = photo_page(signed.replica(), &photo, &name);
    let acting = signed.clone();
    let replica = Arc::clone(signed.replica());
    let done = tokio::task::spawn_blocking(move || {
        replica.act(|desk| commit(desk, &acting, &draft, &photo, &page))
    });
    match done.await? {
        Ok(()) => {}
        // Another tab was first: the case is submitted, which is what was wanted.
        Err(ActError::Refused(cunkou_casework::case::Reason::NotNow)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Redirect::to(&format!("/cases/{case}?done=submitted")).into_response())
}

/// Submits in one transaction: the signature, the resident's particulars as they are now, the
/// step, and what later cases may reuse.
fn commit(
    desk: &cunkou_replica::Desk<'_>,
    signed: &Signed,
    draft: &Draft,
    photo: &Stored,
    page: &Page,
) -> Result<(), ActError> {
    let subject = draft.opened.subject;
    let who = signed.who();
    photo.here(desk.tx).map_err(|e: StoreError| ActError::from(e))?;
    let begun = draft.opened.file.state.opened.as_ref().ok_or(ActError::Unknown)?;
    // A record that was erased since the draft was begun is not written to again; the draft has
    // particulars of its own.
    let resident = match desk.replica().resident(begun.resident)? {
        None if desk.tx.erased(&begun.resident.0)? => None,
        found => Some(found.ok_or(ActError::Unknown)?),
    };
    let mut writes = resident.as_ref().map_or(Vec::new(), |found| found.resident.writes());
    writes.push(Write::set(Section::Signatures, "applicant", json(page)));
    desk.edit(subject, who, &writes)?;
    let all = draft.materials().map_err(|_| ActError::Unknown)?;
    let mut attachments: Vec<AttachmentId> =
        all.iter().flat_map(|m| m.pages.iter().map(|(_, page)| page.hash)).collect();
    attachments.push(page.hash);
    attachments.sort_unstable();
    attachments.dedup();
    let deferred = all.iter().filter_map(|m| match &m.state {
        State::Deferred { until, reason } => Some(Deferred {
            material: m.spec.key.clone(),
            until: until.clone(),
            reason: reason.clone(),
        }),
        _ => None,
    });
    let filer = draft.filer().unwrap_or(Filer::Applicant);
    let step = Step::Submitted { filer, attachments, deferred: deferred.collect() };
    desk.event(subject, who, step)?;
    if resident.is_some() {
        let reusable = all.iter().filter_map(|m| keep_material(m, &begun.number));
        desk.edit(begun.resident, who, &reusable.collect::<Vec<Write>>())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_read_and_garbage_is_not() {
        assert_eq!(base64("YQ==").as_deref(), Some(&b"a"[..]));
        assert_eq!(base64("YWI=").as_deref(), Some(&b"ab"[..]));
        assert_eq!(base64("YWJj").as_deref(), Some(&b"abc"[..]));
        assert_eq!(base64("YWJjZA").as_deref(), Some(&b"abcd"[..]));
        assert_eq!(base64("a b"), None);
    }
}
