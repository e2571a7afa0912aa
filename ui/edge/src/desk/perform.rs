//! Actions on a case, done: from what was typed to the steps, in one transaction.

use super::offers::today;
use super::{Opened, open};
use crate::error::AppError;
use crate::forms::Fields;
use crate::{Signed, deciding, look};
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::case::CaseState;
use cunkou_casework::catalogue::Item;
use cunkou_casework::event::{Defect, Step};
use cunkou_casework::material::supplement_pages;
use cunkou_replica::ActError;
use cunkou_ui::page::case;
use cunkou_ui::part::FaultLine;

/// One field that an action needs, or the fault.
fn needed(signed: &Signed, fields: &Fields, name: &str) -> Result<String, FaultLine> {
    let text = fields.get(name).map_or("", |t| t.trim());
    if text.is_empty() {
        let words = signed.lang.t("写明理由或意见", "Give the reason or opinion");
        return Err(FaultLine { field: name.into(), words: words.into() });
    }
    if text.chars().count() > cunkou_casework::event::TEXT_CHARS_MAX {
        let words = signed.lang.t("最多 1000 个字", "At most 1,000 characters");
        return Err(FaultLine { field: name.into(), words: words.into() });
    }
    Ok(text.to_owned())
}

/// The steps that an action stands for.
fn steps(
    signed: &Signed,
    opened: &Opened,
    action: &str,
    fields: &Fields,
) -> Result<Result<Vec<Step>, FaultLine>, AppError> {
    let state: &CaseState = &opened.file.state;
    let item = opened.item()?;
    let calendar = &opened.release.holidays;
    let today = today(signed);
    let term = state.term;
    let text = |name: &str| needed(signed, fields, name);
    let steps = || -> Result<Vec<Step>, FaultLine> {
        Ok(match action {
            "take" => vec![Step::Taken],
            "forward" => vec![Step::Forwarded { opinion: text("opinion")?, term: term + 1 }],
            "ask" => {
                let due = item.supplement.due(calendar, today);
                vec![Step::SupplementAsked {
                    defects: defects(signed, item, fields)?,
                    due: due.day.to_string(),
                    calendar: calendar.version.clone(),
                }]
            }
            "supplement" => {
                let open = state.open_supplement();
                let (round, attachments) = open.map_or((0, Vec::new()), |open| {
                    let pages = open.defects.iter().flat_map(|d| {
                        supplement_pages(&opened.file.content, open.round, &d.material)
                    });
                    (open.round, pages.map(|(_, page)| page.hash).collect())
                });
                vec![Step::SupplementGiven { round, attachments }]
            }
            "promised" => {
                let pages = state
                    .promised()
                    .iter()
                    .flat_map(|d| supplement_pages(&opened.file.content, 0, &d.material));
                let attachments = pages.map(|(_, page)| page.hash).collect();
                vec![Step::SupplementGiven { round: 0, attachments }]
            }
            "accept" => {
                let due = item.promise.due(calendar, today);
                vec![Step::Accepted {
                    term,
                    due: due.day.to_string(),
                    calendar: calendar.version.clone(),
                    uncertain: due.uncertain,
                }]
            }
            "refuse" => {
                let (reason, remedy) = (text("refuse-reason")?, text("refuse-remedy")?);
                vec![Step::Refused { term, reason, remedy }, Step::Completed]
            }
            "approve" => {
                vec![Step::Approved { term, opinion: text("opinion")? }, Step::Completed]
            }
            "deny" => {
                let (reason, remedy) = (text("deny-reason")?, text("deny-remedy")?);
                vec![Step::Denied { term, reason, remedy }, Step::Completed]
            }
            "withdraw" => vec![Step::Withdrawn { reason: text("reason")? }],
            "rate" => {
                let chosen = fields.get("stars").map_or("", String::as_str);
                let stars = match chosen {
                    "skip" => None,
                    digit => match digit.parse::<u8>() {
                        Ok(n) if (1..=5).contains(&n) => Some(n),
                        _ => {
                            let words =
                                signed.lang.t("选择一个评价,或不评价", "Choose a rating, or none");
                            return Err(FaultLine { field: "stars".into(), words: words.into() });
                        }
                    },
                };
                let words =
                    fields.get("words").map_or("", |w| w.trim()).chars().take(500).collect();
                vec![Step::Rated { stars, words }]
            }
            "archive" => vec![Step::Archived],
            "resolve" => {
                let keep = fields.get("keep").and_then(|k| k.parse().ok()).ok_or_else(|| {
                    let words = signed.lang.t("选择以哪个为准", "Choose which counts");
                    FaultLine { field: "keep".into(), words: words.into() }
                })?;
                vec![Step::Resolved { keep, reason: text("reason")? }]
            }
            _ => Vec::new(),
        })
    };
    Ok(steps())
}

fn defects(signed: &Signed, item: &Item, fields: &Fields) -> Result<Vec<Defect>, FaultLine> {
    let l = signed.lang;
    let mut out = Vec::new();
    for material in &item.materials {
        let reason_field = format!("reason-{}", material.key);
        let reason = fields.get(&reason_field).map_or("", |r| r.trim());
        let ticked = fields.contains_key(&format!("defect-{}", material.key));
        match (ticked, reason.is_empty()) {
            (_, false) => out.push(Defect {
                material: material.key.clone(),
                reason: reason.chars().take(500).collect(),
            }),
            (true, true) => {
                let words = match l {
                    cunkou_ui::Lang::Zh => format!("写明{}哪里要改", material.name),
                    cunkou_ui::Lang::En => format!("Say what is wrong with: {}", material.name_en),
                };
                return Err(FaultLine { field: reason_field, words });
            }
            (false, true) => {}
        }
    }
    if out.is_empty() {
        let words = l.t("至少选一项要补的材料", "Tick at least one material");
        return Err(FaultLine { field: "main".into(), words: words.into() });
    }
    Ok(out)
}

/// Does an action and goes back to the case. Pressing twice does it once: the second finds the
/// state moved on and lands on the case, too.
pub(crate) async fn perform(
    signed: Signed,
    Path((case, action)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let opened = open(&signed, &case)?;
    let address = format!("/cases/{case}");
    let steps = match steps(&signed, &opened, &action, &fields)? {
        Ok(steps) if steps.is_empty() => return Err(AppError::NotFound),
        Ok(steps) => steps,
        Err(fault) => return again(&signed, &opened, &action, &fields, fault),
    };
    if let Some(page) = deciding::ask(&signed, &opened, &action, &steps).await? {
        return Ok(page);
    }
    let (subject, replica) = (opened.subject, std::sync::Arc::clone(signed.replica()));
    let again = signed.clone();
    let done = tokio::task::spawn_blocking(move || {
        replica.act(|desk| -> Result<(), ActError> {
            for step in steps {
                desk.event(subject, again.who(), step)?;
            }
            Ok(())
        })
    });
    done.await??;
    look::worked(&signed, subject);
    Ok(Redirect::to(&format!("{address}?done={action}")).into_response())
}

/// The page of the case again, the action open, what was typed kept.
fn again(
    signed: &Signed,
    opened: &Opened,
    action: &str,
    fields: &Fields,
    fault: FaultLine,
) -> Result<Response, AppError> {
    look::again(signed, opened)?;
    let mut view = super::view::case(signed, opened, false)?;
    view.tried = action.to_owned();
    if let Some(tried) = view.actions.iter_mut().find(|a| a.key == action) {
        if !tried.defects.is_empty() {
            tried.typed.clone_from(fields);
        }
        for input in &mut tried.inputs {
            if let Some(typed) = fields.get(&input.name) {
                input.value.clone_from(typed);
            }
            if input.name == fault.field {
                input.fault = Some(fault.words.clone());
            }
        }
    }
    view.faults = vec![fault];
    let page = case::page(&signed.shell("/cases"), &view);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}
