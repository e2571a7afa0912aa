//! A draft: begun, who files, and the list of what is to be done.

use super::form::{answer, form_faults};
use super::saving::{Draft, heads_text, keep, mark, open_draft};
use axum::extract::{Form, Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::case::Phase;
use cunkou_casework::document::{Section, Write};
use cunkou_casework::eligibility::Answer;
use cunkou_casework::event::{Filer, Step};
use cunkou_casework::fields;
use cunkou_casework::ids::SubjectId;
use cunkou_edge::desk::{self};
use cunkou_edge::forms::Fields;
use cunkou_edge::{AppError, Signed};
use cunkou_replica::ActError;
use cunkou_store::CaseFilter;
use cunkou_ui::page::filing::{self, Task, Who};
use cunkou_ui::part::{Control, FaultLine, Input};
use maud::Markup;
use std::sync::Arc;

pub(super) async fn begin(
    signed: Signed,
    Path((id, key)): Path<(String, String)>,
) -> Result<Response, AppError> {
    let resident: SubjectId = id.parse().map_err(|_| AppError::NotFound)?;
    let replica = Arc::clone(signed.replica());
    let file = replica.resident(resident)?.ok_or(AppError::NotFound)?;
    if !signed.may_see_residents(file.place) {
        return Err(AppError::Forbidden);
    }
    let release = replica.release().ok_or(AppError::NotFound)?;
    let item = release.item(&key).ok_or(AppError::NotFound)?;
    let same = CaseFilter {
        resident: Some(resident.0),
        item: Some(key.clone()),
        open_only: true,
        limit: 1,
        ..CaseFilter::default()
    };
    // One open case per person and item: a second press opens the first.
    if let Some(row) = replica.store().read(|view| view.cases(&same))?.rows.first() {
        return Ok(Redirect::to(&format!("/cases/{}", SubjectId(row.subject))).into_response());
    }
    let (catalogue, route, place) = (release.items.version.clone(), item.route(), file.place);
    let (writes, acting) = (file.resident.writes(), signed.clone());
    let subject = tokio::task::spawn_blocking(move || {
        replica.act(|desk| -> Result<SubjectId, ActError> {
            let step =
                |number| Step::Opened { number, place, resident, item: key, catalogue, route };
            let subject = desk.open_case(acting.who(), step)?;
            desk.edit(subject, acting.who(), &writes)?;
            Ok(subject)
        })
    })
    .await??;
    Ok(Redirect::to(&format!("/cases/{subject}/who")).into_response())
}

pub(super) async fn page(
    signed: Signed,
    Path(case): Path<String>,
    Query(query): Query<Fields>,
) -> Result<Markup, AppError> {
    let opened = desk::open(&signed, &case)?;
    if opened.file.state.phase != Phase::Draft {
        return desk::show(&signed, &opened, desk::full(&query));
    }
    let draft = Draft { opened };
    let conflicts = draft.opened.file.conflicts().len();
    Ok(filing::tasks(
        &signed.shell("/cases"),
        &draft.head(&signed)?,
        &tasks(&signed, &draft)?,
        conflicts,
    ))
}

fn tasks(signed: &Signed, draft: &Draft) -> Result<Vec<Task>, AppError> {
    let l = signed.lang;
    let case = draft.opened.subject;
    let filer = draft.filer();
    let (answered, answer) = answer(signed, draft)?;
    let all = draft.materials()?;
    let settled = all.iter().filter(|m| m.is_settled()).count();
    let form_done = form_faults(signed, draft)?.is_empty();
    let task = |path: &str, words: &str, state: String, done: bool, locked: bool| Task {
        href: format!("/cases/{case}/{path}"),
        words: words.to_owned(),
        state,
        done,
        locked,
    };
    let done = |yes: bool| {
        if yes { l.t("已完成", "Completed") } else { l.t("未完成", "Not completed") }.to_owned()
    };
    let verdict = match answer {
        Answer::Likely => l.t("可能符合", "Probably eligible"),
        Answer::Unlikely => l.t("不符合(仍可申请)", "Not eligible, it seems (may still apply)"),
        Answer::Unsure => l.t("说不准", "Not certain"),
    };
    let materials_words = match l {
        cunkou_ui::Lang::Zh => format!("{} 项中 {settled} 项齐", all.len()),
        cunkou_ui::Lang::En => format!("{settled} of {}", all.len()),
    };
    let ready = filer.is_some() && settled == all.len() && form_done;
    let last = if ready {
        l.t("可以签名", "Ready to sign")
    } else {
        l.t("先完成以上", "Complete the others first")
    };
    Ok(vec![
        task(
            "who",
            l.t("谁来办", "Who files"),
            filer.map_or_else(|| done(false), |f| l.filer(f).to_owned()),
            filer.is_some(),
            false,
        ),
        task("check", l.t("先看符不符合", "Eligibility"), verdict.to_owned(), answered, false),
        task(
            "materials",
            l.t("准备材料", "Materials"),
            materials_words,
            settled == all.len(),
            filer.is_none(),
        ),
        task("form", l.t("填写申请表", "Application form"), done(form_done), form_done, false),
        task(
            "answers",
            l.t("核对、签名并提交", "Check, sign and submit"),
            last.to_owned(),
            false,
            filer.is_none(),
        ),
    ])
}

const ACTING: [&str; 4] = ["name", "relation", "phone", "id_number"];

fn acting_label(l: cunkou_ui::Lang, key: &str) -> &'static str {
    match key {
        "name" => l.t("姓名", "Name"),
        "relation" => l.t("与申请人关系", "Relation to the applicant"),
        "phone" => l.t("电话", "Phone"),
        _ => l.t("身份证号", "ID number"),
    }
}

fn who_view(
    signed: &Signed,
    draft: &Draft,
    typed: Option<&Fields>,
    faults: Vec<FaultLine>,
) -> Result<Who, AppError> {
    let l = signed.lang;
    let acting = &draft.opened.item()?.acting;
    let current = &draft.opened.file.current;
    let stands = |key: &str| match typed {
        Some(typed) => typed.get(key).cloned().unwrap_or_default(),
        None => current.get(Section::Applicant, key).unwrap_or_default().to_owned(),
    };
    let choices = [
        (true, Filer::Applicant),
        (acting.family, Filer::Family),
        (acting.guardian, Filer::Guardian),
        (acting.agent, Filer::Agent),
    ];
    let key = |filer: Filer| match filer {
        Filer::Applicant => "applicant",
        Filer::Family => "family",
        Filer::Guardian => "guardian",
        Filer::Agent => "agent",
    };
    let mut inputs: Vec<Input> = ACTING
        .iter()
        .map(|name| {
            let mode = if *name == "phone" { "tel" } else { "text" };
            Input::line(name, acting_label(l, name), &stands(name))
                .with(Control::Line(mode))
                .optional()
        })
        .collect();
    mark(&mut inputs, &faults);
    Ok(Who {
        head: draft.head(signed)?,
        choices: choices
            .into_iter()
            .filter(|(may, _)| *may)
            .map(|(_, f)| (key(f).to_owned(), l.filer(f).to_owned()))
            .collect(),
        filer: stands("filer"),
        inputs,
        in_person: acting.in_person.clone(),
        agent: signed.session.name.clone(),
        base: heads_text(&draft.opened.file.heads),
        faults,
    })
}

pub(super) async fn who_page(signed: Signed, Path(case): Path<String>) -> Result<Markup, AppError> {
    let draft = open_draft(&signed, &case)?;
    Ok(filing::who(&signed.shell("/cases"), &who_view(&signed, &draft, None, Vec::new())?))
}

pub(super) async fn who(
    signed: Signed,
    Path(case): Path<String>,
    Form(typed): Form<Fields>,
) -> Result<Response, AppError> {
    let draft = open_draft(&signed, &case)?;
    let l = signed.lang;
    let today = cunkou_casework::calendar::china_day(signed.replica().now_ms());
    let view = who_view(&signed, &draft, Some(&typed), Vec::new())?;
    let chosen = typed.get("filer").cloned().unwrap_or_default();
    let mut faults = Vec::new();
    let mut writes = vec![Write::set(Section::Applicant, "filer", chosen.clone())];
    if !view.choices.iter().any(|(value, _)| *value == chosen) {
        faults.push(FaultLine {
            field: "filer".into(),
            words: l.t("选择谁来办", "Choose who files").into(),
        });
    }
    let another = matches!(chosen.as_str(), "family" | "guardian");
    for key in ACTING {
        let text = typed.get(key).map_or("", |t| t.trim());
        if !another {
            writes.push(Write::remove(Section::Applicant, key));
            continue;
        }
        let kind = match key {
            "phone" => fields::FieldKind::Phone,
            "id_number" => fields::FieldKind::IdNumber,
            _ => fields::FieldKind::Text,
        };
        let required = matches!(key, "name" | "relation");
        match fields::tidy(kind, required, &[], text, today) {
            Ok(tidied) if tidied.value.is_empty() => {
                writes.push(Write::remove(Section::Applicant, key))
            }
            Ok(tidied) => writes.push(Write::set(Section::Applicant, key, tidied.value)),
            Err(fault) => faults.push(FaultLine {
                field: key.into(),
                words: l.fault(acting_label(l, key), &fault),
            }),
        }
    }
    if chosen == "agent" {
        // The mandate names the true agent: the person who is signed in.
        writes.push(Write::set(Section::Applicant, "name", signed.session.name.clone()));
    }
    if !faults.is_empty() {
        let view = who_view(&signed, &draft, Some(&typed), faults)?;
        let page = filing::who(&signed.shell("/cases"), &view);
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    keep(&signed, draft.opened.subject, writes).await?;
    Ok(Redirect::to(&format!("/cases/{case}/check")).into_response())
}
