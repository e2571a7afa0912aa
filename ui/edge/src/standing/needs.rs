//! What needs a person: one line each, with who can do something and where. Pure.

use super::{Known, Link};
use crate::Lease;
use cunkou_link::{LinkState, Trouble};
use cunkou_replica::{LaneStatus, Room, ScrubStatus};
use cunkou_store::RepairRow;
use cunkou_ui::Lang;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;
/// From so long on what is unsent is a person's matter. Milliseconds.
pub const UNSENT_MS: i64 = 24 * HOUR_MS;
/// And from so long on it presses. Milliseconds.
pub const UNSENT_LONG_MS: i64 = 72 * HOUR_MS;
/// A clock that is off by more than this needs somebody. Milliseconds.
pub const CLOCK_DOUBT_MS: i64 = 10 * 60 * 1000;
/// A certificate that runs out in fewer days has not been renewed in time.
const CERTIFICATE_DAYS: i64 = 14;

/// Who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Whoever works at this box.
    You,
    /// County IT.
    CountyIt,
    /// The county's security administrator.
    Security,
}

/// Something that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The disk takes less, or nothing.
    Disk(Room),
    /// The relay does not talk to this box, or our side cannot.
    Link(Trouble, String),
    /// Something has waited for long: cases, other things, milliseconds.
    Unsent(u64, u64, i64),
    /// The box stops opening in so many days.
    Lease(u32),
    /// The certificate has so many days left.
    Certificate(i64),
    /// The relay's log does not fit.
    Alarms(u64),
    /// The clock is off by so many milliseconds.
    Clock(i64),
    /// A case (id, number) in which two versions wait for a choice.
    Choose(String, String),
    /// A case (id, number) with entries that do not count.
    Aside(String, String),
    /// So many more of these two kinds are not named.
    More(u64),
    /// Entries in quarantine.
    Quarantined(u64),
    /// A scope that still differed after its repair; milliseconds.
    Unequal(i64),
    /// The disk does not give back what was written: entries, attachments.
    Rot(u64, u64),
    /// Today's bytes for photos are used up; so many wait.
    PhotoBytes(u64),
    /// So many peers gave photos that were not what their names say.
    PhotoFaults(u64),
    /// The county's program is newer than this one's.
    Older(String),
    /// No catalogue has come.
    NoCatalogue,
}

/// What is looked at.
pub(super) struct Facts<'a> {
    pub(super) now_ms: i64,
    pub(super) known: &'a Known,
    pub(super) trouble: Option<(Trouble, String)>,
    pub(super) lane: &'a LaneStatus,
    pub(super) room: Room,
    pub(super) lease: Lease,
    pub(super) certificate_days: Option<i64>,
    /// Ids and numbers of the first, and how many there are.
    pub(super) conflicts: (Vec<(String, String)>, u64),
    pub(super) aside: (Vec<(String, String)>, u64),
    pub(super) repairs: &'a [RepairRow],
    pub(super) alarms: u64,
    pub(super) scrub: ScrubStatus,
    pub(super) catalogue: bool,
    pub(super) county_software: Option<&'a str>,
}

/// Whether one version comes after another: numbers between dots.
fn newer(theirs: &str, ours: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        text.split(['-', '+']).next()?.split('.').map(|part| part.parse().ok()).collect()
    };
    matches!((numbers(theirs), numbers(ours)), (Some(theirs), Some(ours)) if theirs > ours)
}

/// What of the link's troubles does not mend itself.
pub(super) fn trouble(link: &Link) -> Option<(Trouble, String)> {
    let LinkState::Offline { refused, .. } = link.state else { return None };
    let failure = link.failure.as_ref()?;
    let lasts = refused || matches!(failure.why, Trouble::Store | Trouble::Violation);
    lasts.then(|| (failure.why, failure.words.clone()))
}

/// What needs a person, the most urgent first.
pub(super) fn of(facts: &Facts<'_>) -> Vec<Need> {
    let mut out = Vec::new();
    let (status, here) = (&facts.known.status, &facts.known.here);
    if facts.room > Room::Plenty {
        out.push(Need::Disk(facts.room));
    }
    if let Some((why, words)) = &facts.trouble {
        out.push(Need::Link(*why, words.clone()));
    }
    let waits = here.unsent.oldest_ms.map_or(0, |at| facts.now_ms.saturating_sub(at));
    if here.unsent.entries > 0 && waits > UNSENT_MS {
        out.push(Need::Unsent(here.cases.len() as u64, here.others, waits));
    }
    if let Lease::Ends(days, _) = facts.lease {
        out.push(Need::Lease(days));
    }
    if let Some(days) = facts.certificate_days.filter(|days| *days < CERTIFICATE_DAYS) {
        out.push(Need::Certificate(days));
    }
    if facts.alarms > 0 {
        out.push(Need::Alarms(facts.alarms));
    }
    if let Some(off) = status.clock_error_ms.filter(|ms| ms.abs() >= CLOCK_DOUBT_MS) {
        out.push(Need::Clock(off));
    }
    let scrub = &facts.scrub.found;
    if scrub.unreadable > 0 || !scrub.faults.is_empty() || facts.scrub.to_heal > 0 {
        out.push(Need::Rot(facts.scrub.to_heal.max(scrub.unreadable), scrub.wanted_again));
    }
    let named = |(rows, _): &(Vec<(String, String)>, u64)| rows.clone();
    out.extend(named(&facts.conflicts).into_iter().map(|(id, number)| Need::Choose(id, number)));
    out.extend(named(&facts.aside).into_iter().map(|(id, number)| Need::Aside(id, number)));
    let unnamed = |(rows, total): &(Vec<_>, u64)| total.saturating_sub(rows.len() as u64);
    let more = unnamed(&facts.conflicts) + unnamed(&facts.aside);
    if more > 0 {
        out.push(Need::More(more));
    }
    if status.quarantine > 0 {
        out.push(Need::Quarantined(status.quarantine));
    }
    if let Some(at_ms) = still_unequal(facts.repairs) {
        out.push(Need::Unequal(at_ms));
    }
    if facts.lane.waits.is_some() {
        out.push(Need::PhotoBytes(facts.lane.put_off + facts.lane.wanted));
    }
    if !facts.lane.faults.is_empty() {
        out.push(Need::PhotoFaults(facts.lane.faults.len() as u64));
    }
    if let Some(theirs) = facts.county_software
        && newer(theirs, env!("CARGO_PKG_VERSION"))
    {
        out.push(Need::Older(theirs.to_owned()));
    }
    if !facts.catalogue {
        out.push(Need::NoCatalogue);
    }
    out
}

/// When a repair did not help, unless a later one of the same scope did; the latest first.
fn still_unequal(repairs: &[RepairRow]) -> Option<i64> {
    let last = |scope: &str| repairs.iter().find(|r| r.scope == scope);
    repairs.iter().find(|r| !r.equal && last(&r.scope) == Some(r)).map(|r| r.at_ms)
}

impl Need {
    /// Its word in status.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Disk(_) => "disk",
            Self::Link(..) => "link",
            Self::Unsent(..) => "unsent",
            Self::Lease(_) => "lease",
            Self::Certificate(_) => "certificate",
            Self::Alarms(_) => "alarms",
            Self::Clock(_) => "clock",
            Self::Choose(..) => "choose",
            Self::Aside(..) => "aside",
            Self::More(_) => "more",
            Self::Quarantined(_) => "quarantined",
            Self::Unequal(_) => "unequal",
            Self::Rot(..) => "rot",
            Self::PhotoBytes(_) => "photo-bytes",
            Self::PhotoFaults(_) => "photo-faults",
            Self::Older(_) => "older",
            Self::NoCatalogue => "no-catalogue",
        }
    }

    /// Who can do something about it.
    #[must_use]
    pub fn whose(&self) -> Whose {
        match self {
            Self::Choose(..) | Self::PhotoBytes(_) => Whose::You,
            Self::Alarms(_) => Whose::Security,
            _ => Whose::CountyIt,
        }
    }

    /// How much it presses: a tone of the style sheet.
    #[must_use]
    pub fn tone(&self) -> &'static str {
        match self {
            Self::Disk(room) if *room >= Room::NoForms => "bad",
            Self::Unsent(_, _, ms) if *ms > UNSENT_LONG_MS => "bad",
            Self::Lease(days) if *days <= 3 => "bad",
            _ => "warn",
        }
    }

    /// Where it is dealt with.
    #[must_use]
    pub fn href(&self) -> Option<String> {
        match self {
            Self::Choose(id, _) | Self::Aside(id, _) => Some(format!("/cases/{id}")),
            Self::More(_) => Some("/cases?show=open".to_owned()),
            Self::Unsent(..) => Some("/sync/carry".to_owned()),
            _ => None,
        }
    }

    /// What it is and what to do, in one or two sentences.
    #[must_use]
    pub fn words(&self, l: Lang) -> String {
        super::words::need(l, self)
    }

    /// For `status --json`.
    #[must_use]
    pub fn value(&self) -> Value {
        let who = match self.whose() {
            Whose::You => "you",
            Whose::CountyIt => "county-it",
            Whose::Security => "security",
        };
        json!({
            "what": self.key(), "who": who,
            "zh": self.words(Lang::Zh), "en": self.words(Lang::En),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cunkou_casework::entry::ClockSource;
    use cunkou_replica::{Budget, OnlyHere, Scrubbed, Status};
    use cunkou_store::{LaneFault, Unsent};
    use std::time::Duration;

    fn known(unsent: Unsent, clock_error_ms: Option<i64>, quarantine: u64) -> Known {
        Known {
            status: Status {
                unsent,
                last_completed_ms: None,
                clock: ClockSource::Relay,
                clock_error_ms,
                quarantine,
            },
            here: OnlyHere { unsent, others: 1, ..OnlyHere::default() },
        }
    }

    fn lane() -> LaneStatus {
        LaneStatus {
            budget: Budget::default(),
            moved: 0,
            wanted: 0,
            wanted_bytes: 0,
            put_off: 0,
            waits: None,
            faults: Vec::new(),
        }
    }

    fn facts<'a>(known: &'a Known, lane: &'a LaneStatus) -> Facts<'a> {
        Facts {
            now_ms: 100 * HOUR_MS,
            known,
            trouble: None,
            lane,
            room: Room::Plenty,
            lease: Lease::Fine,
            certificate_days: Some(60),
            conflicts: (Vec::new(), 0),
            aside: (Vec::new(), 0),
            repairs: &[],
            alarms: 0,
            scrub: ScrubStatus::default(),
            catalogue: true,
            county_software: Some("0.0.1"),
        }
    }

    fn keys(facts: &Facts<'_>) -> Vec<&'static str> {
        of(facts).iter().map(Need::key).collect()
    }

    #[test]
    fn a_box_to_which_nothing_is_wrong_needs_nobody() {
        let (known, lane) = (known(Unsent::default(), Some(900), 0), lane());
        assert_eq!(keys(&facts(&known, &lane)), Vec::<&str>::new());
    }

    #[test]
    fn everything_that_can_be_wrong_is_one_line_and_the_most_urgent_comes_first() {
        let waits = Unsent { entries: 2, bytes: 9, oldest_ms: Some(100 * HOUR_MS - 30 * HOUR_MS) };
        let known = known(waits, Some(-CLOCK_DOUBT_MS), 3);
        let fault = LaneFault { device: [1; 16], words: "x".into(), at_ms: 1, times: 1 };
        let lane = LaneStatus {
            waits: Some(Duration::from_secs(9)),
            wanted: 4,
            faults: vec![fault],
            ..lane()
        };
        let repair = |scope: &str, equal| RepairRow {
            at_ms: 5,
            peer: "r".into(),
            scope: scope.into(),
            received: 0,
            given: 0,
            equal,
        };
        let repairs = [repair("place:1", false), repair("place:2", true)];
        let one = |n: &str| (vec![(format!("id{n}"), n.to_owned())], 2);
        let all = Facts {
            trouble: Some((Trouble::Refused, "this box was revoked by the county".into())),
            room: Room::NoForms,
            lease: Lease::Ends(3, true),
            certificate_days: Some(2),
            conflicts: one("1"),
            aside: one("2"),
            repairs: &repairs,
            alarms: 1,
            scrub: ScrubStatus {
                found: Scrubbed { unreadable: 1, ..Scrubbed::default() },
                ..ScrubStatus::default()
            },
            catalogue: false,
            county_software: Some("99.0.0"),
            ..facts(&known, &lane)
        };
        let told = of(&all);
        assert_eq!(
            told.iter().map(Need::key).collect::<Vec<_>>(),
            [
                "disk",
                "link",
                "unsent",
                "lease",
                "certificate",
                "alarms",
                "clock",
                "rot",
                "choose",
                "aside",
                "more",
                "quarantined",
                "unequal",
                "photo-bytes",
                "photo-faults",
                "older",
                "no-catalogue",
            ]
        );
        for need in &told {
            for l in [Lang::Zh, Lang::En] {
                let words = need.words(l);
                assert!(words.chars().count() > 8 && words.chars().count() < 260, "{words}");
            }
            assert_ne!(need.words(Lang::Zh), need.words(Lang::En));
        }
        assert_eq!(told[8].href().as_deref(), Some("/cases/id1"));
    }

    #[test]
    fn a_repair_that_did_not_help_is_forgotten_once_a_later_one_of_its_scope_did() {
        let repair = |at_ms, scope: &str, equal| RepairRow {
            at_ms,
            peer: "r".into(),
            scope: scope.into(),
            received: 0,
            given: 0,
            equal,
        };
        let (bad, good) = (repair(1, "a", false), repair(2, "a", true));
        assert_eq!(still_unequal(std::slice::from_ref(&bad)), Some(1));
        assert_eq!(still_unequal(&[good.clone(), bad.clone()]), None);
        assert_eq!(still_unequal(&[repair(3, "b", false), good, bad]), Some(3));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(newer("0.10.0", "0.9.9") && newer("1.0.0-rc1", "0.9.0"));
        assert!(!newer("0.9.9", "0.10.0") && !newer("0.2.0", "0.2.0") && !newer("odd", "0.1.0"));
    }

    #[test]
    fn what_has_waited_for_less_than_a_day_needs_nobody() {
        let lane = lane();
        let at = |hours: i64| Unsent {
            entries: 1,
            bytes: 1,
            oldest_ms: Some(100 * HOUR_MS - hours * HOUR_MS),
        };
        let tone = |hours: i64| {
            let known = known(at(hours), None, 0);
            of(&facts(&known, &lane)).first().map(Need::tone)
        };
        assert_eq!([tone(23), tone(25), tone(73)], [None, Some("warn"), Some("bad")]);
    }
}
