//! 送达: the notice is handed over and signed for.

use super::saving::Draft;
use super::sign::signature;
use axum::extract::{Multipart, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::case::Phase;
use cunkou_casework::document::Section;
use cunkou_casework::event::{Handover, Step};
use cunkou_edge::desk;
use cunkou_edge::photo::read_form;
use cunkou_edge::{AppError, Signed};
use cunkou_replica::ActError;
use cunkou_store::StoreError;
use cunkou_ui::page::sign::{Sign, page as render};
use cunkou_ui::part::{Control, FaultLine, Input};
use std::collections::BTreeMap;
use std::sync::Arc;

fn open(signed: &Signed, case: &str) -> Result<Draft, AppError> {
    let opened = desk::open(signed, case)?;
    if opened.file.state.phase != Phase::Completed {
        return Err(AppError::Stale { next: format!("/cases/{case}") });
    }
    Ok(Draft { opened })
}

fn view(
    signed: &Signed,
    case: &Draft,
    typed: &BTreeMap<String, String>,
    faults: Vec<FaultLine>,
) -> Result<Sign, AppError> {
    let l = signed.lang;
    let mut head = case.head(signed)?;
    let name = case.opened.file.content.get(Section::Particulars, "name").unwrap_or_default();
    name.clone_into(&mut head.applicant);
    let get = |key: &str| typed.get(key).cloned().unwrap_or_default();
    let to = get("to");
    let mut inputs = vec![
        Input::line(
            "to",
            l.t("交给谁", "Handed to"),
            if to.is_empty() { "applicant" } else { &to },
        )
        .with(Control::Radios(vec![
            ("applicant".into(), l.t("本人", "The applicant").into()),
            ("proxy".into(), l.t("代领人", "Somebody collecting").into()),
        ])),
        Input::line(
            "receiver",
            l.t("代领人姓名和关系", "Name and relation of who collects"),
            &get("receiver"),
        )
        .optional(),
    ];
    super::saving::mark(&mut inputs, &faults);
    // Three forms carry these inputs; a fault leads to the one that was sent.
    let faults = faults.into_iter().map(|fault| match fault.field.as_str() {
        "receiver" => FaultLine { field: format!("receiver-{}", get("how")), ..fault },
        _ => fault,
    });
    let decision = case.opened.file.state.decision.as_ref().map_or("", |d| d.text.as_str());
    let item = case.opened.item()?;
    Ok(Sign {
        action: format!("/cases/{}/deliver", head.case),
        paper: format!("/cases/{}/notice.pdf", head.case),
        signer: head.applicant.clone(),
        sentences: vec![
            format!("{}申请的“{}”已经办结。", head.applicant, item.name),
            format!("意见:{decision}"),
            "已收到办结通知。".into(),
        ],
        button: l.t("已收到", "Received").to_owned(),
        title: l.t("送达办结通知", "Deliver the notice").to_owned(),
        how: get("how"),
        witness: get("witness"),
        inputs,
        head,
        faults: faults.collect(),
        ..Sign::default()
    })
}

pub(super) async fn page(signed: Signed, Path(case): Path<String>) -> Result<Response, AppError> {
    let opened = open(&signed, &case)?;
    let view = view(&signed, &opened, &BTreeMap::new(), Vec::new())?;
    Ok(render(&signed.shell("/cases"), &view).into_response())
}

pub(super) async fn save(
    signed: Signed,
    Path(case): Path<String>,
    form: Multipart,
) -> Result<Response, AppError> {
    let form = read_form(form).await?;
    let opened = open(&signed, &case)?;
    let typed = form.fields.clone();
    let receiver = typed.get("receiver").map_or("", |r| r.trim()).to_owned();
    let to = match typed.get("to").map(String::as_str) {
        Some("proxy") => Handover::Proxy,
        _ => Handover::Applicant,
    };
    let fault = if to == Handover::Proxy && (receiver.is_empty() || receiver.chars().count() > 100)
    {
        let words = signed.lang.t("填写代领人姓名和关系", "Give name and relation of who collects");
        Some(FaultLine { field: "receiver".into(), words: words.into() })
    } else {
        None
    };
    let given = match fault {
        Some(fault) => Err(fault),
        None => signature(&signed, form, &format!("/cases/{case}/deliver")).await?,
    };
    let (photo, _) = match given {
        Ok(signature) => signature,
        Err(fault) => {
            let view = view(&signed, &opened, &typed, vec![fault])?;
            let page = render(&signed.shell("/cases"), &view);
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let receiver = if to == Handover::Proxy { receiver } else { String::new() };
    let (acting, replica) = (signed.clone(), Arc::clone(signed.replica()));
    let subject = opened.opened.subject;
    tokio::task::spawn_blocking(move || {
        if let Some(preview) = photo.preview {
            replica.store().remove_attachment(&preview.hash.0)?;
        }
        replica.act(|desk| -> Result<(), ActError> {
            // A step names the photo alone: its preview stays unnamed and is not kept.
            desk.tx
                .attachment_here(&photo.id.0, photo.bytes)
                .map_err(|e: StoreError| ActError::from(e))?;
            let step = Step::Delivered { to, receiver, proof: photo.id };
            desk.event(subject, acting.who(), step)?;
            Ok(())
        })
    })
    .await??;
    Ok(Redirect::to(&format!("/cases/{case}?done=deliver")).into_response())
}
