//! A colleague has forgotten their PIN: somebody of the township who may help reads a code out.

use crate::error::AppError;
use crate::forms::Fields;
use crate::lists::when;
use crate::{Office, Signed};
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cunkou_casework::county::{CountyLog, Person};
use cunkou_casework::ids::{DeviceId, PersonId};
use cunkou_casework::suite::SecretKey;
use cunkou_replica::{HelpError, Replica};
use cunkou_ui::Lang;
use cunkou_ui::page::pin::{Helping, helping};
use cunkou_ui::part::FaultLine;
use std::sync::Arc;

/// So many of those who were helped are shown.
const SHOWN: usize = 20;

/// Who helps: somebody of a township centre with their own key, outside the practice room.
fn helper(signed: &Signed) -> Result<(Person, Arc<SecretKey>), AppError> {
    if signed.app.office != Office::Township || signed.session.practice {
        return Err(AppError::NotFound);
    }
    let person = signed.app.replica.county().person(signed.session.person).cloned();
    person.zip(signed.session.key.clone()).ok_or(AppError::Forbidden)
}

/// Whom this helper may help now, each once: a grant that has ended helps no more, whatever was
/// sealed to its holder.
fn may_help(
    replica: &Replica,
    me: &Person,
    key: &SecretKey,
) -> Result<Vec<(DeviceId, PersonId)>, AppError> {
    let county = replica.county();
    let mut out = Vec::new();
    for found in replica.helpable(&key.public())? {
        let pair = (found.device, found.person);
        let may = county.person(found.person).is_some_and(|person| county.may_help(me, person));
        if may && !out.contains(&pair) {
            out.push(pair);
        }
    }
    Ok(out)
}

/// Name of a person and of their box.
fn words(county: &CountyLog, (device, person): (DeviceId, PersonId)) -> String {
    let name = county.person(person).map_or_else(|| person.to_string(), |p| p.name.clone());
    let place = county.device(device).map_or_else(String::new, |d| d.name.clone());
    format!("{name} · {place} · {}", &device.to_string()[..8])
}

/// Who was helped on this machine, the latest first: when, whom, by whom.
///
/// # Errors
/// When the store fails.
pub fn helped(l: Lang, replica: &Replica) -> Result<Vec<[String; 3]>, AppError> {
    let county = replica.county();
    let rows = replica.helped()?.into_iter().take(SHOWN).map(|row| {
        let by = match row.by {
            Some(by) => county.person(by).map_or_else(|| by.to_string(), |p| p.name.clone()),
            None => l.t("县平台命令", "a command of the relay").to_owned(),
        };
        [when(row.at_ms), words(&county, (row.device, row.person)), by]
    });
    Ok(rows.collect())
}

fn view(signed: &Signed, view: Helping) -> Result<Response, AppError> {
    let (me, key) = helper(signed)?;
    let replica = &signed.app.replica;
    let county = replica.county();
    let people = may_help(replica, &me, &key)?;
    // With the telephone that is registered, to call back.
    let with_phone = |pair: (DeviceId, PersonId)| {
        let phone = county.person(pair.1).map_or("", |p| p.phone.as_str());
        let dot = if phone.is_empty() { "" } else { " · " };
        (value(pair), format!("{}{dot}{phone}", words(&county, pair)))
    };
    let people: Vec<(String, String)> = people.into_iter().map(with_phone).collect();
    let chosen = match &people[..] {
        [only] => only.0.clone(),
        _ => view.chosen.clone(),
    };
    let view = Helping { people, chosen, helped: helped(signed.lang, replica)?, ..view };
    let status =
        if view.faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, helping(&signed.shell("/helping"), &view)).into_response())
}

fn value((device, person): (DeviceId, PersonId)) -> String {
    format!("{device}.{person}")
}

/// Whom one may help.
///
/// # Errors
/// Our own failures; who may not help at all.
pub(crate) async fn page(signed: Signed) -> Result<Response, AppError> {
    view(&signed, Helping::default())
}

/// Shows the code for a number.
///
/// # Errors
/// Our own failures; who may not help at all.
pub(crate) async fn code(signed: Signed, Form(fields): Form<Fields>) -> Result<Response, AppError> {
    let (me, key) = helper(&signed)?;
    let (l, replica) = (signed.lang, &signed.app.replica);
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let chosen = field("who");
    let number: String = field("number").chars().filter(char::is_ascii_digit).collect();
    let again = |field: &str, words: &str| {
        let faults = vec![FaultLine { field: field.into(), words: words.into() }];
        let (chosen, number) = (chosen.clone(), number.clone());
        view(&signed, Helping { chosen, number, faults, ..Helping::default() })
    };
    let pair = may_help(replica, &me, &key)?.into_iter().find(|pair| value(*pair) == chosen);
    let Some(pair) = pair else {
        return again("who", l.t("选择是谁", "Choose who it is"));
    };
    if number.len() != cunkou_keys::CHALLENGE_DIGITS as usize {
        return again("number", l.t("编号是 8 位数字", "The number has 8 digits"));
    }
    match replica.help(&key, pair.0, pair.1, &number, Some(me.id)) {
        Ok(code) => {
            tracing::info!(device = %pair.0, person = %pair.1, by = %me.id, "a code for a forgotten PIN was read out");
            let whom = words(&replica.county(), pair);
            view(&signed, Helping { code: Some(code), whom, ..Helping::default() })
        }
        Err(HelpError::Unknown) => again(
            "number",
            l.t(
                "编号不是那台盒子现在的。请对方再念一遍",
                "Not a number of that box as it is known here. Ask for it once more",
            ),
        ),
        Err(HelpError::Store(e)) => Err(e.into()),
    }
}
