//! Check answers before the applicant signs.

use super::form::{answer, form_faults};
use super::saving::{Draft, open_draft};
use axum::extract::Path;
use cunkou_casework::citizen_id::mask;
use cunkou_casework::document::Section;
use cunkou_casework::eligibility::Answer;
use cunkou_casework::fields::FieldKind;
use cunkou_casework::material::State;
use cunkou_edge::{AppError, Signed};
use cunkou_ui::page::answers::{Group, page as render};
use maud::Markup;

pub(super) async fn page(signed: Signed, Path(case): Path<String>) -> Result<Markup, AppError> {
    let draft = open_draft(&signed, &case)?;
    let (groups, missing) = (groups(&signed, &draft)?, missing(&signed, &draft)?);
    Ok(render(&signed.shell("/cases"), &draft.head(&signed)?, &groups, &missing))
}

/// What keeps the case from being submitted: address and words.
pub(super) fn missing(signed: &Signed, draft: &Draft) -> Result<Vec<(String, String)>, AppError> {
    let l = signed.lang;
    let case = draft.opened.subject;
    let mut out = Vec::new();
    if draft.filer().is_none() {
        out.push((format!("/cases/{case}/who"), l.t("谁来办", "Who files").to_owned()));
    }
    for m in draft.materials()?.iter().filter(|m| !m.is_settled()) {
        let name = l.t(&m.spec.name, &m.spec.name_en);
        out.push((format!("/cases/{case}/materials/{}", m.spec.key), name.to_owned()));
    }
    if !form_faults(signed, draft)?.is_empty() {
        out.push((format!("/cases/{case}/form"), l.t("申请表", "Application form").to_owned()));
    }
    if !draft.opened.file.conflicts().is_empty() {
        let words = l.t("两个人改了同一处,选一个", "Two people changed the same thing: choose");
        out.push((format!("/cases/{case}/choose"), words.to_owned()));
    }
    Ok(out)
}

fn groups(signed: &Signed, draft: &Draft) -> Result<Vec<Group>, AppError> {
    let l = signed.lang;
    let case = draft.opened.subject;
    let (item, current) = (draft.opened.item()?, &draft.opened.file.current);
    let filer = draft.filer().map_or_else(String::new, |f| l.filer(f).to_owned());
    let mut who = vec![(l.t("谁来办", "Who files").to_owned(), filer, draft.filer().is_none())];
    if let Some(name) = current.get(Section::Applicant, "name") {
        who.push((l.t("替办人", "Acting person").to_owned(), name.to_owned(), false));
    }
    let (_, verdict) = answer(signed, draft)?;
    let verdict = match verdict {
        Answer::Likely => l.t("可能符合", "Probably eligible"),
        Answer::Unlikely => l.t("不符合(仍可申请)", "Not eligible, it seems (may still apply)"),
        Answer::Unsure => l.t("说不准", "Not certain"),
    };
    let faults = form_faults(signed, draft)?;
    let form = item.form.iter().map(|field| {
        let value = current.get(Section::Form, &field.key).unwrap_or_default();
        let shown = match field.kind {
            FieldKind::IdNumber => mask(value, 6, 4),
            _ => value.to_owned(),
        };
        (l.t(&field.label, &field.label_en).to_owned(), shown, faults.contains(&field.key))
    });
    let materials = draft.materials()?;
    let materials = materials.iter().map(|m| {
        let words = match &m.state {
            State::Open => String::new(),
            State::Photographed => format!("{} {}", m.pages.len(), l.t("页", "pages")),
            State::Reused { taken, .. } => {
                format!("{} {taken}", l.t("用以前的,拍于", "reused, taken"))
            }
            State::Deferred { until, .. } => {
                format!("{} {until}", l.t("容缺,补交期限", "to follow by"))
            }
            State::NotNeeded => l.t("不需要", "Not needed").to_owned(),
        };
        (l.t(&m.spec.name, &m.spec.name_en).to_owned(), words, !m.is_settled())
    });
    let group = |title: &str, path: &str, rows| Group {
        title: title.to_owned(),
        change: format!("/cases/{case}/{path}"),
        rows,
    };
    Ok(vec![
        group(l.t("谁来办", "Who files"), "who", who),
        group(
            l.t("符不符合", "Eligibility"),
            "check",
            vec![(l.t("看起来", "It seems").to_owned(), verdict.to_owned(), false)],
        ),
        group(l.t("材料", "Materials"), "materials", materials.collect()),
        group(l.t("申请表", "Application form"), "form", form.collect()),
    ])
}
