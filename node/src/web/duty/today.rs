//! Duty on the first page: hand-overs that wait, and who is on duty where.

use super::record::name;
use super::{places, worker};
use cunkou_casework::duty::has_post;
use cunkou_casework::ids::{PersonId, PlaceId, SubjectId};
use cunkou_edge::{AppError, Office, Signed};
use cunkou_store::DutyRow;
use cunkou_ui::Lang;
use std::collections::{BTreeMap, BTreeSet};

/// So many hand-overs that wait are shown on the first page.
const WAITING: u32 = 20;

/// What the first page says of duty.
#[derive(Debug, Default)]
pub(in crate::web) struct OnHome {
    /// Hand-overs that wait: address, words.
    pub(in crate::web) waiting: Vec<(String, String)>,
    /// Who is on duty, and in which villages.
    pub(in crate::web) on_duty: Vec<(String, String)>,
}

/// What the first page says: hand-overs that wait with their addresses, and who is on duty where.
pub(in crate::web) fn on_home(signed: &Signed) -> Result<OnHome, AppError> {
    let places = places(signed);
    if places.is_empty() {
        return Ok(OnHome::default());
    }
    let county = signed.replica().county();
    let ids: Vec<u32> = places.iter().map(|p| p.0).collect();
    let (offers, held) = signed.replica().store().read(|view| -> Result<_, AppError> {
        let held = ids.iter().map(|p| view.duty_held(*p)).collect::<Result<Vec<_>, _>>()?;
        Ok((view.duties(&ids, true, WAITING)?, held))
    })?;
    let waiting = offers.iter().map(|row| waiting_words(signed, row)).collect();
    let mut on_duty: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (place, held) in places.iter().zip(held) {
        let who = match held {
            Some(row) => holder(signed, PersonId(row.receiver), *place),
            // Whoever has begun to hand it over is responsible until it is taken.
            None if offers.iter().any(|row| row.place == place.0) => {
                let offers = offers.iter().filter(|row| row.place == place.0);
                let givers: BTreeSet<String> =
                    offers.map(|row| name(signed, PersonId(row.giver))).collect();
                givers.into_iter().collect::<Vec<_>>().join("、")
            }
            // A centre serves many villages; those where nothing was ever handed over say nothing.
            None if signed.app.office == Office::Township => continue,
            None => agents(signed, *place),
        };
        on_duty.entry(who).or_default().push(county.place_name(*place));
    }
    let on_duty = on_duty.into_iter().map(|(who, places)| (who, places.join("、"))).collect();
    Ok(OnHome { waiting, on_duty })
}

/// Who took the duty last; whoever has left since is named as such, so that nobody relies on them.
fn holder(signed: &Signed, person: PersonId, place: PlaceId) -> String {
    let county = signed.replica().county();
    let name = name(signed, person);
    if has_post(&county, person, place, county.head().position) {
        return name;
    }
    format!("{name} {}", signed.lang.t("已不在这里工作", "who no longer works here"))
}

/// Where nothing was ever handed over, whoever has the post is on duty.
fn agents(signed: &Signed, place: PlaceId) -> String {
    let people = signed.app.people();
    let there = people.iter().filter(|p| p.posts.iter().any(|post| post.place == place));
    let names: BTreeSet<&str> = there.map(|p| p.name.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join("、")
}

fn waiting_words(signed: &Signed, row: &DutyRow) -> (String, String) {
    let (l, me) = (signed.lang, signed.who().person);
    let place = signed.replica().county().place_name(PlaceId(row.place));
    let (giver, receiver) = (PersonId(row.giver), PersonId(row.receiver));
    let (from, to) = (name(signed, giver), name(signed, receiver));
    let words = match l {
        Lang::Zh if me == receiver => {
            format!("{from}把{place}的工作交给您,等您点清签收。签收之前由{from}负责。")
        }
        Lang::Zh if me == giver => {
            format!("您把{place}的工作交给{to},还没有签收。签收之前仍由您负责。")
        }
        Lang::Zh => format!("{from}把{place}的工作交给{to},还没有签收。签收之前由{from}负责。"),
        Lang::En if me == receiver => format!(
            "{from} hands the duty of {place} over to you. Until you have taken it, {from} is responsible."
        ),
        Lang::En if me == giver => format!(
            "You hand the duty of {place} over to {to}. Until it is taken, you are responsible."
        ),
        Lang::En => format!(
            "{from} hands the duty of {place} over to {to}. Until it is taken, {from} is responsible."
        ),
    };
    let subject = SubjectId(row.subject);
    let here = me == receiver && worker(&signed.app, me).is_some();
    let to = if here { format!("/duty/{subject}/take") } else { format!("/duty/{subject}") };
    (to, words)
}
