//! What can be destroyed, as the pages show it: numbers, masked names, and what to think of first.

use cunkou_casework::calendar::{china_day, day_in_words};
use cunkou_casework::case::Phase;
use cunkou_casework::citizen_id::mask;
use cunkou_casework::erasure::Asking;
use cunkou_casework::ids::{PersonId, PlaceId, Scope, SubjectId};
use cunkou_casework::number::grouped;
use cunkou_casework::retention::over_on;
use cunkou_edge::Signed;
use cunkou_store::{CaseRow, StoreError};
use cunkou_ui::Lang;
use cunkou_ui::page::erasures::Thing;
use jiff::civil::Date;

fn item_name(signed: &Signed, key: &str) -> String {
    let release = signed.replica().release();
    let item = release.as_ref().and_then(|release| release.item(key));
    item.map_or_else(|| key.to_owned(), |i| signed.lang.t(&i.name, &i.name_en).to_owned())
}

fn village(signed: &Signed, scope: &str) -> String {
    match scope.parse() {
        Ok(Scope::Place(place)) => signed.replica().county().place_name(place),
        _ => String::new(),
    }
}

pub(super) fn name_of(signed: &Signed, person: PersonId) -> String {
    let county = signed.replica().county();
    county.person(person).map_or_else(|| person.to_string()[..8].to_owned(), |p| p.name.clone())
}

/// What is to be thought of before a case goes.
fn warning(signed: &Signed, row: &CaseRow) -> String {
    let l = signed.lang;
    let release = signed.replica().release();
    let item = release.as_ref().and_then(|release| release.item(&row.item));
    let Some(item) = item else { return String::new() };
    let today = china_day(signed.replica().now_ms());
    let over: Option<Date> =
        item.retention.and_then(|years| over_on(china_day(row.changed_ms), years));
    match (item.retention, over) {
        (Some(_), Some(day)) if day <= today => String::new(),
        (Some(_), Some(day)) => format!(
            "{}{}",
            l.t("保管期限未满,要保存到 ", "Its retention is not over; it is to be kept until "),
            if l == Lang::Zh { day_in_words(day) } else { day.to_string() }
        ),
        _ => l.t("这一事项永久保管", "Cases of this item are kept for ever").to_owned(),
    }
}

pub(super) fn case(signed: &Signed, row: &CaseRow) -> Thing {
    let l = signed.lang;
    let phase = Phase::of(&row.phase).map(|p| l.phase(p)).unwrap_or_default();
    let open = row.open && row.phase != Phase::Draft.key();
    let state = match open {
        true => l.t("还在办,办结后才能销毁", "still open").to_owned(),
        false => format!("{phase} {}", china_day(row.changed_ms)),
    };
    Thing {
        id: SubjectId(row.subject).to_string(),
        what: grouped(&row.number),
        item: item_name(signed, &row.item),
        village: signed.replica().county().place_name(PlaceId(row.place)),
        name: mask(&row.applicant, 1, 0),
        state,
        warning: if open { String::new() } else { warning(signed, row) },
        locked: open,
        ticked: false,
    }
}

pub(super) fn record(signed: &Signed, subject: SubjectId) -> Result<Option<Thing>, StoreError> {
    let l = signed.lang;
    signed.replica().store().read(|view| {
        let Some(row) = view.resident_row(&subject.0)? else { return Ok(None) };
        let cases = view.cases_of(&subject.0)?;
        Ok(Some(Thing {
            id: subject.to_string(),
            what: l.t("居民资料", "Resident's record").to_owned(),
            village: signed.replica().county().place_name(PlaceId(row.place)),
            name: mask(&row.name, 1, 0),
            state: match cases {
                0 => String::new(),
                n => format!("{}{n}", l.t("先销毁名下办件:", "Cases to be erased first: ")),
            },
            locked: cases > 0,
            ..Thing::default()
        }))
    })
}

/// What an asking was about, when it may be gone already.
pub(super) fn asked_about(signed: &Signed, asking: &Asking, scope: &str) -> Thing {
    let what = match asking.number.is_empty() {
        true => signed.lang.t("居民资料", "Resident's record").to_owned(),
        false => grouped(&asking.number),
    };
    let item = match asking.item.is_empty() {
        true => String::new(),
        false => item_name(signed, &asking.item),
    };
    Thing { what, item, village: village(signed, scope), ..Thing::default() }
}
