//! What may be done with a case, offered to whom it belongs.

use super::Opened;
use crate::error::AppError;
use crate::{Office, Signed};
use cunkou_casework::calendar::china_day;
use cunkou_casework::case::Phase;
use cunkou_casework::county::Role;
use cunkou_casework::material::{State, materials, supplement_pages};
use cunkou_ui::page::case::Action;
use cunkou_ui::part::{Control, Input};

const STARS: [(&str, &str, &str); 6] = [
    ("5", "非常满意", "Very satisfied"),
    ("4", "满意", "Satisfied"),
    ("3", "基本满意", "Fairly satisfied"),
    ("2", "不满意", "Dissatisfied"),
    ("1", "非常不满意", "Very dissatisfied"),
    ("skip", "不评价", "No rating"),
];

/// The actions that this person may take in this state.
pub(super) fn offered(signed: &Signed, opened: &Opened) -> Result<Vec<Action>, AppError> {
    let l = signed.lang;
    let state = &opened.file.state;
    let case = opened.subject.to_string();
    let mut out = Vec::new();
    let mut plain = |key: &str, words: &str, explain: &str| {
        out.push(Action {
            key: key.into(),
            words: words.into(),
            explain: explain.into(),
            ..Action::default()
        });
    };
    let village = signed.app.office == Office::Village
        || signed.session.practice
        || signed.is(Role::Township);
    match state.phase {
        Phase::Received if signed.is(Role::Township) => {
            plain("take", l.t("收件", "Receive"), "");
        }
        Phase::Supplementing if village => {
            let ready = state.open_supplement().is_some_and(|open| {
                open.defects.iter().all(|d| {
                    !supplement_pages(&opened.file.content, open.round, &d.material).is_empty()
                })
            });
            if ready {
                plain("supplement", l.t("提交补正", "Give the supplement"), "");
            }
        }
        Phase::Completed if village => out.push(Action {
            key: "deliver".into(),
            words: l.t("送达(签收)", "Deliver (sign for it)").into(),
            link: Some(format!("/cases/{case}/deliver")),
            ..Action::default()
        }),
        Phase::Delivered if village => out.push(rate(signed)),
        Phase::Rated if village => plain("archive", l.t("归档", "Archive"), ""),
        _ => {}
    }
    let promised_here = !state.promised().is_empty()
        && state
            .promised()
            .iter()
            .all(|d| !supplement_pages(&opened.file.content, 0, &d.material).is_empty());
    if village && state.phase.is_open() && promised_here {
        out.push(Action {
            key: "promised".into(),
            words: l.t("提交补交的材料", "Give the promised materials").into(),
            ..Action::default()
        });
    }
    if signed.is(Role::Township) && state.phase == Phase::TownshipTaken {
        out.push(text_action(
            "forward",
            l.t("审核通过,上报县级", "Examined: forward to the county"),
            "opinion",
            l.t("审核意见", "Opinion"),
            l.t("材料齐全,拟同意上报。", "Complete; forwarded."),
        ));
        out.push(ask(signed, opened)?);
    }
    if signed.is(Role::Reviewer) {
        match state.phase {
            Phase::Forwarded => {
                let due = opened.item()?.promise.due(&opened.release.holidays, today(signed));
                let explain = format!(
                    "{} {}",
                    l.t("受理后承诺办结日:", "Promised day if accepted now:"),
                    due.day
                );
                out.push(Action {
                    key: "accept".into(),
                    words: l.t("受理", "Accept").into(),
                    explain,
                    ..Action::default()
                });
                out.push(ask(signed, opened)?);
                out.push(refusal("refuse", l.t("不予受理", "Do not accept"), l));
            }
            Phase::Accepted => {
                out.push(text_action(
                    "approve",
                    l.t("准予并办结", "Approve and complete"),
                    "opinion",
                    l.t("审批意见", "Opinion"),
                    l.t("经审核,符合条件,同意。", "Conditions met; approved."),
                ));
                out.push(refusal("deny", l.t("不予并办结", "Deny and complete"), l));
            }
            Phase::Contested => out.push(resolve(signed, opened)),
            _ => {}
        }
    }
    let withdrawable = matches!(
        state.phase,
        Phase::Received
            | Phase::TownshipTaken
            | Phase::Forwarded
            | Phase::Supplementing
            | Phase::Accepted
    );
    if village && signed.app.office != Office::County && withdrawable {
        let mut action = text_action(
            "withdraw",
            l.t("申请人撤回", "Withdraw"),
            "reason",
            l.t("撤回原因", "Reason"),
            "",
        );
        action.danger = true;
        out.push(action);
    }
    Ok(out)
}

fn text_action(key: &str, words: &str, field: &str, label: &str, value: &str) -> Action {
    Action {
        key: key.into(),
        words: words.into(),
        inputs: vec![Input::line(field, label, value).with(Control::Area)],
        ..Action::default()
    }
}

fn refusal(key: &str, words: &str, l: cunkou_ui::Lang) -> Action {
    let reason =
        Input::line(&format!("{key}-reason"), l.t("理由", "Reason"), "").with(Control::Area);
    let remedy = Input::line(
        &format!("{key}-remedy"),
        l.t("不服怎么办", "Remedies"),
        l.t(
            "如不服,可自收到之日起六十日内申请行政复议,或者六个月内提起行政诉讼。",
            "Administrative review within sixty days, or a lawsuit within six months.",
        ),
    )
    .with(Control::Area);
    Action {
        key: key.into(),
        words: words.into(),
        inputs: vec![reason, remedy],
        danger: true,
        ..Action::default()
    }
}

fn rate(signed: &Signed) -> Action {
    let l = signed.lang;
    let choices = STARS.iter().map(|(v, zh, en)| ((*v).to_owned(), l.t(zh, en).to_owned()));
    Action {
        key: "rate".into(),
        words: l.t("评价", "Rate").into(),
        inputs: vec![
            Input::line("stars", l.t("申请人的评价", "The applicant's rating"), "")
                .with(Control::Radios(choices.collect())),
            Input::line("words", l.t("想说的话", "In words"), "").optional(),
        ],
        ..Action::default()
    }
}

fn resolve(signed: &Signed, opened: &Opened) -> Action {
    let l = signed.lang;
    let rivals = opened.file.state.rivals.iter().filter_map(|id| {
        let note = opened.file.steps.iter().find(|n| n.record.id == *id)?;
        Some((id.to_string(), l.step(&note.record.event.step).to_owned()))
    });
    Action {
        key: "resolve".into(),
        words: l.t("处理待核", "Resolve").into(),
        inputs: vec![
            Input::line("keep", l.t("以哪个为准", "Which counts"), "")
                .with(Control::Radios(rivals.collect())),
            Input::line("reason", l.t("理由", "Reason"), "").with(Control::Area),
        ],
        ..Action::default()
    }
}

fn ask(signed: &Signed, opened: &Opened) -> Result<Action, AppError> {
    let l = signed.lang;
    let item = opened.item()?;
    let due = item.supplement.due(&opened.release.holidays, today(signed));
    Ok(Action {
        key: "ask".into(),
        words: l.t("要求补正(一次性告知)", "Ask for a supplement").into(),
        defects: ask_fields(signed, opened)?,
        explain: format!(
            "{} {}",
            l.t("一次说全。补正期限:", "Say everything at once. Due:"),
            due.day
        ),
        ..Action::default()
    })
}

/// The materials of this case that can be asked for again: key and name.
fn ask_fields(signed: &Signed, opened: &Opened) -> Result<Vec<(String, String)>, AppError> {
    let l = signed.lang;
    let filer = opened.file.state.submission.as_ref().map(|s| s.filer);
    let needed = materials(opened.item()?, filer, &opened.file.content);
    let needed = needed.iter().filter(|m| m.state != State::NotNeeded);
    Ok(needed
        .map(|m| (m.spec.key.clone(), l.t(&m.spec.name, &m.spec.name_en).to_owned()))
        .collect())
}

pub(super) fn today(signed: &Signed) -> jiff::civil::Date {
    china_day(signed.replica().now_ms())
}
