//! How far what is here has come, gathered once for a page or for status: what is on this machine
//! only, what is left and how quickly it goes, what needs a person.

pub mod needs;
pub mod words;

use crate::{App, AppError, Lease, Office, Signed};
use cunkou_link::{Contact, Failure, LinkState, Pace};
use cunkou_replica::{LaneStatus, OnlyHere, Replica, Status};
use cunkou_store::{CaseRow, StoreError};
use needs::Need;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Of cases in doubt so many are named, the oldest.
const NAMED: u32 = 20;
/// So many of the latest repairs are looked at.
const REPAIRS: u32 = 20;
/// Below this it is no measurement of what is left.
const MEASURED: Duration = Duration::from_secs(5);
/// A lane that moves less than this only keeps the line open. Bytes each second.
const LEAST_BYTES: u64 = 200;
/// Nobody should wait for what takes longer, and no measurement of seconds tells it.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// What a request knows of its replica: read once, whatever asks for it.
#[derive(Clone, Debug)]
pub struct Known {
    /// The replica's status.
    pub status: Status,
    /// What is on this machine only.
    pub here: OnlyHere,
}

impl Known {
    /// Of an app's replica. What a relay says waits on each box that is away; it is nobody's work
    /// and is not counted.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of(app: &App) -> Result<Self, StoreError> {
        let here = match app.office {
            Office::County => OnlyHere::default(),
            Office::Village | Office::Township => app.replica.only_here()?,
        };
        Ok(Self { status: app.replica.status()?, here })
    }
}

/// Where the link stands.
#[derive(Clone, Debug)]
pub struct Link {
    /// Connected or not.
    pub state: LinkState,
    /// With which relay, over what.
    pub contact: Option<Contact>,
    /// How quickly it goes.
    pub pace: Option<Pace>,
    /// Why it does not go.
    pub failure: Option<Failure>,
}

impl Link {
    /// Of the app; absent on a relay.
    #[must_use]
    pub fn of(app: &App) -> Option<Self> {
        let handle = app.link.as_ref()?;
        let (state, contact) = (handle.state(), handle.contact());
        Some(Self { state, contact, pace: handle.pace(), failure: handle.failure() })
    }

    fn online(&self) -> bool {
        matches!(self.state, LinkState::Online(_))
    }
}

/// What is left to be done, as far as anybody can know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Entries that the county has yet to confirm.
    pub entries_out: u64,
    /// Entries that have yet to come.
    pub entries_in: u64,
    /// Photos that have yet to go.
    pub photos_out: u64,
    /// Their bytes.
    pub photo_bytes_out: u64,
    /// Attachments that have yet to come.
    pub photos_in: u64,
    /// Their bytes, as far as who names them says.
    pub photo_bytes_in: u64,
}

impl Left {
    /// Whether nothing is.
    #[must_use]
    pub fn nothing(&self) -> bool {
        *self == Self::default()
    }

    /// How long it will take at this pace; nothing when that cannot honestly be said: not measured
    /// for long enough, something that does not move, or of an unknown size.
    #[must_use]
    pub fn remaining(&self, pace: &Pace) -> Option<Duration> {
        if self.nothing() || pace.over < MEASURED {
            return None;
        }
        let entries = |left: u64, each: f64| match left {
            0 => Some(0.0),
            _ => (each > 0.0).then(|| left as f64 / each),
        };
        let photos = |count: u64, bytes: u64, each: u64| match (count, bytes) {
            (0, 0) => Some(0.0),
            (_, 0) => None,
            _ => (each >= LEAST_BYTES).then(|| bytes as f64 / each as f64),
        };
        // Photos go behind entries; the two directions go beside each other.
        let out = entries(self.entries_out, pace.entries_out)?
            + photos(self.photos_out, self.photo_bytes_out, pace.sent)?;
        let into = entries(self.entries_in, pace.entries_in)?
            + photos(self.photos_in, self.photo_bytes_in, pace.received)?;
        let whole = Duration::try_from_secs_f64(out.max(into)).ok()?;
        (whole <= LONGEST).then_some(whole)
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The present time, milliseconds.
    pub now_ms: i64,
    /// What is known of the replica.
    pub known: Arc<Known>,
    /// Where the link stands; absent where there is none.
    pub link: Option<Link>,
    /// How the lane of attachments stands.
    pub lane: LaneStatus,
    /// When a relay was last heard over a link, milliseconds.
    pub last_contact_ms: Option<i64>,
    /// What needs a person, the most urgent first.
    pub needs: Vec<Need>,
}

/// What is asked of a store about what needs a person.
struct Doubts {
    places: Vec<u32>,
    lease: Lease,
    certificate_days: Option<i64>,
}

impl Doubts {
    fn of(app: &App) -> Self {
        let (lease, certificate_days) = (app.door.lease(), app.door.certificate_days());
        Self { places: Vec::new(), lease, certificate_days }
    }
}

impl Standing {
    /// For a page.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of(signed: &Signed) -> Result<Self, AppError> {
        let app = &signed.app;
        let doubts = Doubts { places: signed.villages(), ..Doubts::of(app) };
        Ok(Self::gathered(&app.replica, signed.known()?, Link::of(app), &doubts)?)
    }

    /// For status: of everything on this machine.
    ///
    /// # Errors
    /// When the store fails.
    pub fn whole(app: &App) -> Result<Self, StoreError> {
        let known = Arc::new(Known::of(app)?);
        Self::gathered(&app.replica, known, Link::of(app), &Doubts::of(app))
    }

    fn gathered(
        replica: &Replica,
        known: Arc<Known>,
        link: Option<Link>,
        doubts: &Doubts,
    ) -> Result<Self, StoreError> {
        let lane = replica.lane_status()?;
        let (peers, repairs, conflicts, aside) =
            replica.store().read(|view| -> Result<_, StoreError> {
                Ok((
                    view.peers()?,
                    view.repairs(REPAIRS)?,
                    view.cases_in_doubt(true, &doubts.places, NAMED)?,
                    view.cases_in_doubt(false, &doubts.places, NAMED)?,
                ))
            })?;
        let now_ms = replica.now_ms();
        let seen = peers.first();
        let facts = needs::Facts {
            now_ms,
            known: &known,
            trouble: link.as_ref().and_then(needs::trouble),
            lane: &lane,
            room: replica.room(),
            lease: doubts.lease.clone(),
            certificate_days: doubts.certificate_days,
            conflicts: (numbers(&conflicts.rows), conflicts.total),
            aside: (numbers(&aside.rows), aside.total),
            repairs: &repairs,
            alarms: replica.alarms()?.len() as u64,
            scrub: replica.scrub_status()?,
            catalogue: replica.release().is_some(),
            county_software: seen.map(|peer| peer.software.as_str()),
        };
        let needs = needs::of(&facts);
        let last_contact_ms = seen.map(|peer| peer.seen_ms);
        Ok(Self { now_ms, known, link, lane, last_contact_ms, needs })
    }

    /// What is left to be done now.
    #[must_use]
    pub fn left(&self) -> Left {
        let here = &self.known.here;
        let mut left = Left {
            entries_out: here.unsent.entries,
            photos_out: here.photos,
            photo_bytes_out: here.photo_bytes,
            photos_in: self.lane.wanted,
            photo_bytes_in: self.lane.wanted_bytes,
            ..Left::default()
        };
        if let Some(LinkState::Online(progress)) = self.link.as_ref().map(|link| &link.state) {
            left.entries_out = left.entries_out.max(progress.to_send);
            left.entries_in = progress.to_receive;
        }
        left
    }

    /// How long it will still take; only while it goes, and only when that can be said.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let link = self.link.as_ref().filter(|link| link.online())?;
        // What waits for tomorrow's bytes is not a matter of speed.
        if self.lane.waits.is_some() {
            return None;
        }
        self.left().remaining(&link.pace?)
    }

    /// For `status --json`, in the words of programs.
    #[must_use]
    pub fn value(&self) -> Value {
        let (here, left) = (&self.known.here, self.left());
        let cases = here.cases.iter().take(NAMED as usize).map(|case| {
            json!({
                "number": case.row.number, "since_ms": case.here.oldest_ms,
                "entries": case.here.entries, "bytes": case.here.bytes,
                "photos": case.here.photos, "photo_bytes": case.here.photo_bytes,
            })
        });
        let pace = self.link.as_ref().and_then(|link| link.pace);
        json!({
            "only_here": {
                "cases": here.cases.len(), "others": here.others,
                "entries": here.unsent.entries, "bytes": here.unsent.bytes,
                "photos": here.photos, "photo_bytes": here.photo_bytes,
                "oldest_ms": here.unsent.oldest_ms,
                "list": cases.collect::<Value>(),
            },
            "left": {
                "entries_out": left.entries_out, "entries_in": left.entries_in,
                "photos_out": left.photos_out, "photo_bytes_out": left.photo_bytes_out,
                "photos_in": left.photos_in, "photo_bytes_in": left.photo_bytes_in,
                "remaining_s": self.remaining().map(|left| left.as_secs()),
            },
            "speed": pace.map(|pace| json!({
                "out_bytes_s": pace.sent, "in_bytes_s": pace.received,
                "over_s": pace.over.as_secs(),
            })),
            "last_completed_ms": self.known.status.last_completed_ms,
            "last_contact_ms": self.last_contact_ms,
            "state": self.link.as_ref().map(|link| match link.state {
                LinkState::Connecting => "connecting",
                LinkState::Online(_) => "online",
                LinkState::Busy { .. } => "busy",
                LinkState::Offline { .. } => "offline",
            }),
            "failure": self.link.as_ref().and_then(|link| link.failure.as_ref()).map(|failure| {
                let ago = |at: std::time::Instant| {
                    let ms = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
                    self.now_ms.saturating_sub(ms)
                };
                json!({
                    "why": failure.why.word(), "words": failure.words, "relay": failure.relay,
                    "times": failure.times, "since_ms": ago(failure.since),
                    "at_ms": ago(failure.at),
                })
            }),
            "needs": self.needs.iter().map(Need::value).collect::<Value>(),
        })
    }
}

fn numbers(rows: &[CaseRow]) -> Vec<(String, String)> {
    let of = |row: &CaseRow| {
        let id = cunkou_casework::ids::SubjectId(row.subject);
        (id.to_string(), cunkou_casework::number::grouped(&row.number))
    };
    rows.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(over: u64, sent: u64, entries_out: f64) -> Pace {
        Pace { over: Duration::from_secs(over), sent, entries_out, ..Pace::default() }
    }

    #[test]
    fn a_remaining_time_is_told_only_when_everything_that_is_left_moves_and_has_a_size() {
        let entries = |n| Left { entries_out: n, ..Left::default() };
        let photos = |n, bytes| Left { photos_out: n, photo_bytes_out: bytes, ..Left::default() };
        let s = |n| Some(Duration::from_secs(n));
        let table = [
            (Left::default(), pace(8, 1000, 1.0), None, "nothing is left"),
            (entries(60), pace(8, 1000, 2.0), s(30), "measured"),
            (entries(60), pace(4, 1000, 2.0), None, "four seconds are no measurement"),
            (entries(60), pace(8, 1000, 0.0), None, "it does not move"),
            (photos(2, 120_000), pace(8, 12_000, 0.0), s(10), "photos by their bytes"),
            (photos(2, 120_000), pace(8, 50, 0.0), None, "only kept open"),
            (photos(2, 0), pace(8, 12_000, 0.0), None, "of unknown size"),
            (entries(1_000_000), pace(8, 1000, 1.0), None, "longer than anybody waits"),
        ];
        for (left, pace, expected, why) in table {
            assert_eq!(left.remaining(&pace), expected, "{why}");
        }
        let both = Left { entries_in: 100, ..photos(1, 12_000) };
        let pace = Pace { entries_in: 10.0, ..pace(8, 12_000, 0.0) };
        assert_eq!(both.remaining(&pace), s(10), "beside each other: the longer one");
    }
}
