//! Eligibility answers and the item's form: saved as typed, rivals noticed.

use super::saving::{Draft, heads_text, keep, mark, open_draft, rivals};
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::calendar::china_day;
use cunkou_casework::catalogue::{Question, QuestionKind};
use cunkou_casework::document::{Section, Write};
use cunkou_casework::eligibility::{Answer, Facts, Met, assess};
use cunkou_casework::fields::{self, Fault, FieldKind};
use cunkou_casework::resident::Resident;
use cunkou_edge::forms::Fields;
use cunkou_edge::{AppError, Signed};
use cunkou_ui::page::check::{Check, Condition, page as render_check};
use cunkou_ui::page::form::{Form as FormView, page as render_form};
use cunkou_ui::part::{Control, FaultLine, Input};
use maud::Markup;
use serde_json::json;

/// All facts: from the record, and from the answers.
fn facts(signed: &Signed, draft: &Draft, questions: &[Question]) -> Facts {
    let today = china_day(signed.replica().now_ms());
    let mut facts = Resident::read(&draft.opened.file.current).facts(today);
    for question in questions {
        let Some(text) = draft.opened.file.current.get(Section::Answers, &question.fact) else {
            continue;
        };
        let value = match question.kind {
            QuestionKind::YesNo => json!(text == "yes"),
            QuestionKind::Integer => json!(text.parse::<i64>().unwrap_or_default()),
            QuestionKind::Date | QuestionKind::Choice => json!(text),
        };
        facts.insert(question.fact.clone(), value);
    }
    facts
}

/// Questions whose fact the record does not settle: they stay changeable after an answer.
fn asked<'a>(signed: &Signed, draft: &'a Draft) -> Result<Vec<&'a Question>, AppError> {
    let today = china_day(signed.replica().now_ms());
    let known = Resident::read(&draft.opened.file.current).facts(today);
    let item = draft.opened.item()?;
    Ok(item.questions.iter().filter(|q| !known.contains_key(&q.fact)).collect())
}

/// Whether the answers are complete, and how the answer stands.
pub(super) fn answer(signed: &Signed, draft: &Draft) -> Result<(bool, Answer), AppError> {
    let item = draft.opened.item()?;
    let assessment = assess(item, &facts(signed, draft, &item.questions));
    Ok((assessment.open.is_empty(), assessment.answer))
}

fn question_input(signed: &Signed, question: &Question, value: &str) -> Input {
    let l = signed.lang;
    let control = match question.kind {
        QuestionKind::YesNo => Control::Radios(vec![
            ("yes".into(), l.t("是", "Yes").into()),
            ("no".into(), l.t("否", "No").into()),
        ]),
        QuestionKind::Choice => {
            Control::Radios(question.choices.iter().map(|c| (c.clone(), c.clone())).collect())
        }
        QuestionKind::Date => Control::Day,
        QuestionKind::Integer => Control::Line("numeric"),
    };
    Input::line(&question.fact, l.t(&question.ask, &question.ask_en), value).with(control)
}

fn check_view(signed: &Signed, draft: &Draft, faults: Vec<FaultLine>) -> Result<Check, AppError> {
    let l = signed.lang;
    let item = draft.opened.item()?;
    let facts = facts(signed, draft, &item.questions);
    let assessment = assess(item, &facts);
    let mut questions: Vec<Input> = asked(signed, draft)?
        .into_iter()
        .map(|q| {
            let value = draft.opened.file.current.get(Section::Answers, &q.fact);
            question_input(signed, q, value.unwrap_or_default())
        })
        .collect();
    mark(&mut questions, &faults);
    let conditions = assessment.rules.iter().map(|(rule, met)| Condition {
        says: l.t(&rule.says, &rule.says_en).to_owned(),
        met: match met {
            Met::Yes => Some(true),
            Met::No => Some(false),
            Met::Unknown => None,
        },
        basis: rule.basis.clone(),
        otherwise: l.t(&rule.otherwise, &rule.otherwise_en).to_owned(),
    });
    Ok(Check {
        head: draft.head(signed)?,
        questions,
        conditions: conditions.collect(),
        answer: match assessment.answer {
            Answer::Likely => "likely",
            Answer::Unlikely => "unlikely",
            Answer::Unsure => "unsure",
        },
        base: heads_text(&draft.opened.file.heads),
        faults,
    })
}

pub(super) async fn check_page(
    signed: Signed,
    Path(case): Path<String>,
) -> Result<Markup, AppError> {
    let draft = open_draft(&signed, &case)?;
    Ok(render_check(&signed.shell("/cases"), &check_view(&signed, &draft, Vec::new())?))
}

pub(super) async fn check(
    signed: Signed,
    Path(case): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let draft = open_draft(&signed, &case)?;
    let today = china_day(signed.replica().now_ms());
    let (mut writes, mut faults) = (Vec::new(), Vec::new());
    for question in asked(&signed, &draft)? {
        let typed = fields.get(&question.fact).map_or("", |t| t.trim());
        let kind = match question.kind {
            QuestionKind::YesNo | QuestionKind::Choice => FieldKind::Choice,
            QuestionKind::Date => FieldKind::Date,
            QuestionKind::Integer => FieldKind::Integer,
        };
        let yes_no = ["yes".to_owned(), "no".to_owned()];
        let choices =
            if question.kind == QuestionKind::YesNo { &yes_no[..] } else { &question.choices };
        // What nobody can answer now may stay open: 说不准 is an answer, too.
        match fields::tidy(kind, false, choices, typed, today) {
            Ok(tidied) if tidied.value.is_empty() => {}
            Ok(tidied) => {
                writes.push(Write::set(Section::Answers, question.fact.clone(), tidied.value));
            }
            Err(fault) => {
                let words =
                    signed.lang.fault(signed.lang.t(&question.ask, &question.ask_en), &fault);
                faults.push(FaultLine { field: question.fact.clone(), words });
            }
        }
    }
    keep(&signed, draft.opened.subject, writes).await?;
    if faults.is_empty() {
        return Ok(Redirect::to(&format!("/cases/{case}/check?done=saved")).into_response());
    }
    let draft = open_draft(&signed, &case)?;
    let page = render_check(&signed.shell("/cases"), &check_view(&signed, &draft, faults)?);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// The inputs of the form: what stands, or what the resident's record carries over.
fn inputs(signed: &Signed, draft: &Draft) -> Result<Vec<Input>, AppError> {
    let l = signed.lang;
    let current = &draft.opened.file.current;
    let resident = Resident::read(current);
    let input = |field: &cunkou_casework::catalogue::Field| {
        let stands = current.get(Section::Form, &field.key);
        let carried =
            field.carry.as_deref().and_then(|key| resident.get(key)).filter(|v| !v.is_empty());
        let value = stands.or(carried).unwrap_or_default();
        let control = match field.kind {
            FieldKind::LongText => Control::Area,
            FieldKind::Choice => {
                Control::Radios(field.choices.iter().map(|c| (c.clone(), c.clone())).collect())
            }
            FieldKind::Date => Control::Day,
            FieldKind::Phone => Control::Line("tel"),
            FieldKind::BankCard | FieldKind::Integer => Control::Line("numeric"),
            FieldKind::Amount => Control::Line("decimal"),
            FieldKind::Text | FieldKind::IdNumber => Control::Line("text"),
        };
        let mut input = Input::line(&field.key, l.t(&field.label, &field.label_en), value)
            .with(control)
            .hint(l.t(&field.hint, &field.hint_en));
        input.optional = !field.required;
        if stands.is_none() && carried.is_some() {
            input.note =
                l.t("从居民资料带来的,对吗?", "From the person's record. Is it right?").into();
        }
        if field.kind == FieldKind::BankCard && !value.is_empty() && !fields::luhn_holds(value) {
            input.note = l
                .t(
                    "卡号校验位对不上,再看一遍(存折号可以不管)",
                    "The check digit does not fit: look again (passbooks have none)",
                )
                .into();
        }
        input
    };
    Ok(draft.opened.item()?.form.iter().map(input).collect())
}

pub(super) async fn page(signed: Signed, Path(case): Path<String>) -> Result<Markup, AppError> {
    let draft = open_draft(&signed, &case)?;
    let view = FormView {
        head: draft.head(&signed)?,
        inputs: inputs(&signed, &draft)?,
        base: heads_text(&draft.opened.file.heads),
        ..FormView::default()
    };
    Ok(render_form(&signed.shell("/cases"), &view))
}

/// The faults of the form as it stands, for the page that checks everything.
pub(super) fn form_faults(signed: &Signed, draft: &Draft) -> Result<Vec<String>, AppError> {
    let today = china_day(signed.replica().now_ms());
    let item = draft.opened.item()?;
    let faulty = item.form.iter().filter(|field| {
        let value = draft.opened.file.current.get(Section::Form, &field.key).unwrap_or_default();
        fields::tidy(field.kind, field.required, &field.choices, value, today).is_err()
    });
    Ok(faulty.map(|f| f.key.clone()).collect())
}

pub(super) async fn save(
    signed: Signed,
    Path(case): Path<String>,
    Form(fields_typed): Form<Fields>,
) -> Result<Response, AppError> {
    let (signed, case) = (&signed, case.as_str());
    let draft = open_draft(signed, case)?;
    let l = signed.lang;
    let today = china_day(signed.replica().now_ms());
    let item = draft.opened.item()?;
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for field in &item.form {
        let typed = fields_typed.get(&field.key).map_or("", |t| t.trim());
        match fields::tidy(field.kind, field.required, &field.choices, typed, today) {
            Ok(tidied) if tidied.value.is_empty() => {
                good.push(Write::remove(Section::Form, field.key.clone()));
            }
            Ok(tidied) => good.push(Write::set(Section::Form, field.key.clone(), tidied.value)),
            Err(fault) => {
                // An answer is chosen, not filled in.
                let chosen = field.kind == FieldKind::Choice && fault == Fault::Missing;
                let fault = if chosen { Fault::Choice } else { fault };
                let words = l.fault(l.t(&field.label, &field.label_en), &fault);
                faults.push(FaultLine { field: field.key.clone(), words });
            }
        }
    }
    let base = fields_typed.get("base").map_or("", String::as_str);
    let found = rivals(signed, draft.opened.subject, &draft.opened.file.current, base, &good)?;
    if !found.is_empty() || !faults.is_empty() {
        let mut inputs = inputs(signed, &draft)?;
        for input in &mut inputs {
            if let Some(typed) = fields_typed.get(&input.name) {
                input.value.clone_from(typed);
                input.note.clear();
            }
        }
        mark(&mut inputs, &faults);
        // Where nobody is in the way, what is right is kept at once.
        let mut heads = heads_text(&draft.opened.file.heads);
        if found.is_empty() {
            keep(signed, draft.opened.subject, good).await?;
            heads = heads_text(&open_draft(signed, case)?.opened.file.heads);
        }
        let name = |key: &str| {
            item.form
                .iter()
                .find(|f| f.key == key)
                .map_or_else(String::new, |f| l.t(&f.label, &f.label_en).to_owned())
        };
        let view = FormView {
            head: draft.head(signed)?,
            inputs,
            base: heads,
            faults,
            rivals: found
                .into_iter()
                .map(|(key, theirs, ours)| (name(&key), theirs, ours))
                .collect(),
        };
        let status = if view.rivals.is_empty() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::CONFLICT
        };
        return Ok((status, render_form(&signed.shell("/cases"), &view)).into_response());
    }
    keep(signed, draft.opened.subject, good).await?;
    Ok(Redirect::to(&format!("/cases/{case}/answers?done=saved")).into_response())
}
