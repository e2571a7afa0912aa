//! Looks of a box on their way to the county's audit: in batches, signed by the box, in a scope
//! that the box and the relay share with nobody.

use crate::kinds::LOOKS;
use crate::{ActError, Replica};
use cunkou_casework::case::{Verdict, authenticate};
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::entry::{Entry, Kind, Signers};
use cunkou_casework::event::encode;
use cunkou_casework::ids::{DeviceId, PersonId, Scope, SubjectId};
use cunkou_casework::looking::{LOOKS_MAX, Look, Looks};
use cunkou_store::{EntryState, LookRow, StoreError, Txn, WaitingLooks};
use tracing::debug;

/// A masked page that renews itself is one look for so long; only then its end is known.
/// Milliseconds; not less than the store's own measure.
const OPEN_MS: i64 = 10 * 60 * 1000;
/// Looks wait no longer than this for others to go with them. Milliseconds.
const WAIT_MS: i64 = 3600 * 1000;
/// So many entries of looks are made in one go: the first contact of a box that has looked for a
/// year begins a conversation all the same.
const ENTRIES_MAX: usize = 20;
/// So many rows and entries are emptied in one transaction.
const FORGOTTEN: u32 = 500;

fn told(row: LookRow) -> Look {
    Look {
        at_ms: row.at_ms,
        until_ms: row.until_ms,
        person: PersonId(row.person),
        subject: (row.subject != [0; 16]).then_some(SubjectId(row.subject)),
        what: row.what,
        uncovered: row.uncovered,
        purpose: row.purpose,
        scope: (!row.scope.is_empty()).then_some(row.scope),
    }
}

/// What an entry of looks, or anything else in a scope of looks, is worth at the door.
pub(crate) fn looks_verdict(
    entry: &Entry,
    scope: &str,
    county: &CountyLog,
) -> (EntryState, Option<String>) {
    let quarantine = |why: &str| (EntryState::Quarantined, Some(why.to_owned()));
    let header = entry.header();
    let Ok(Scope::Upward(of)) = scope.parse() else {
        return quarantine("it does not belong into this scope");
    };
    if entry.kind() != Kind::Looks {
        return quarantine("it does not belong into this scope");
    }
    if header.device != of || entry.subject() != Looks::subject(of) || header.person.is_some() {
        return quarantine("a box tells of its own looks only");
    }
    if county.device(of).is_some_and(|device| device.kind == DeviceKind::Relay) {
        return quarantine("a relay tells of no looks");
    }
    if Looks::decode(entry.payload()).is_err() {
        return quarantine("the entry's content cannot be read");
    }
    match authenticate(entry, county, None) {
        Ok(_) | Err(Verdict::Accept) => (EntryState::Good, None),
        Err(Verdict::Pending(why)) => (EntryState::Waiting, Some(why.to_string())),
        Err(Verdict::Quarantine(why)) => (EntryState::Quarantined, Some(why.to_string())),
    }
}

/// Whether somebody has a post at a device, as the county log said at a position.
fn has_post(county: &CountyLog, person: PersonId, device: DeviceId, position: u64) -> bool {
    let counts = county.person_revoked_at(person).is_none_or(|revoked| revoked > position);
    let person = county.person_at(person, position).filter(|_| counts);
    let device = county.device_at(device, position);
    person.zip(device).is_some_and(|(person, device)| county.works_at(person, device))
}

impl Replica {
    /// Puts this box's looks that are over into entries for the county: when there are enough for
    /// one, when the oldest has waited for an hour, or at a contact. Gives how many entries were
    /// made; none at a relay.
    ///
    /// # Errors
    /// [`ActError`]; what was told until then is told.
    pub fn gather_looks(&self, contact: bool) -> Result<usize, ActError> {
        let Some(me) = self.device().filter(|me| me.kind != DeviceKind::Relay) else {
            return Ok(0);
        };
        let mut made = 0;
        while made < ENTRIES_MAX {
            let now_ms = self.now_ms();
            let enough = LOOKS_MAX as u32;
            let (over, ahead) = (now_ms - OPEN_MS, now_ms + OPEN_MS);
            let waiting: WaitingLooks =
                self.store.read(|view| view.waiting_looks(over, ahead, enough))?;
            let old = waiting.oldest_ms.is_some_and(|at| at <= now_ms - WAIT_MS);
            if waiting.count == 0 || !(contact || old || waiting.count >= enough) {
                break;
            }
            self.tell_looks(me.id, now_ms)?;
            made += 1;
        }
        if made > 0 {
            debug!(entries = made, "looks are on their way to the county");
        }
        Ok(made)
    }

    /// One entry of looks: the entry and what it tells of are one transaction.
    fn tell_looks(&self, me: DeviceId, now_ms: i64) -> Result<(), ActError> {
        self.act(|desk| -> Result<(), ActError> {
            let rows =
                desk.tx.looks_to_tell(now_ms - OPEN_MS, now_ms + OPEN_MS, LOOKS_MAX as u32)?;
            let (ids, rows): (Vec<i64>, Vec<LookRow>) = rows.into_iter().unzip();
            let looks = Looks::fill(rows.into_iter().map(told));
            let Some(ids) = ids.get(..looks.looks.len()).filter(|ids| !ids.is_empty()) else {
                return Ok(());
            };
            let signers = Signers { device: &self.me.key, person: None, authority: None };
            let header = desk.header(None)?;
            let subject = Looks::subject(me);
            let entry = Entry::sign(subject, Kind::Looks, header, encode(&looks), signers)?;
            desk.append(&entry, &Scope::Upward(me).to_string())?;
            desk.tx.looks_told(ids)?;
            Ok(())
        })
    }

    /// Writes down what an entry tells of that counts: at a relay as looks on that box, at the box
    /// itself, whose disk was restored, as its own again. Nothing but the box's word says who
    /// looked: who had no post there by what it had read of the county log is marked.
    pub(crate) fn take_looks(
        &self,
        tx: &Txn<'_>,
        entry: &Entry,
        county: &CountyLog,
    ) -> Result<(), StoreError> {
        let Ok(read) = Looks::decode(entry.payload()) else { return Ok(()) };
        let (from, position) = (entry.header().device, entry.header().log.position);
        let device = if from == self.me.device { [0; 16] } else { from.0 };
        let now_ms = self.now_ms();
        for look in &read.looks {
            let row = LookRow {
                at_ms: look.at_ms,
                until_ms: look.until_ms,
                person: look.person.0,
                subject: look.subject.map_or([0; 16], |subject| subject.0),
                what: look.what.clone(),
                uncovered: look.uncovered,
                purpose: look.purpose,
                scope: look.scope.clone().unwrap_or_default(),
                device,
                no_post: device != [0; 16] && !has_post(county, look.person, from, position),
                received_ms: now_ms,
            };
            tx.take_look(&row, now_ms)?;
        }
        Ok(())
    }

    /// Entries of a box's looks that waited for the county log are judged again.
    pub(crate) fn judge_waiting_looks(
        &self,
        tx: &Txn<'_>,
        subject: SubjectId,
        county: &CountyLog,
    ) -> Result<(), StoreError> {
        let scope = Scope::Upward(DeviceId(subject.0)).to_string();
        for row in tx.waiting_of(&subject.0, LOOKS)? {
            let Ok(entry) = Entry::decode(&row.bytes) else { continue };
            let (state, reason) = looks_verdict(&entry, &scope, county);
            if state == EntryState::Good {
                self.take_looks(tx, &entry, county)?;
            }
            tx.set_state(row.pos, state, reason.as_deref())?;
        }
        Ok(())
    }

    /// Lets go of looks that were kept long enough, and empties the entries that told of them.
    /// Gives how many entries were emptied.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forget_looks(&self) -> Result<usize, StoreError> {
        let Some(me) = self.device() else { return Ok(0) };
        let county = self.county();
        let relay = me.kind == DeviceKind::Relay;
        let boxes = county.devices().filter(|d| d.kind != DeviceKind::Relay);
        let scopes: Vec<String> = boxes
            .filter(|d| relay || d.id == me.id)
            .map(|d| Scope::Upward(d.id).to_string())
            .collect();
        let now_ms = self.now_ms();
        let mut emptied = 0;
        while self.store.write(|tx| tx.prune_looks(now_ms, FORGOTTEN))? == FORGOTTEN as usize {}
        for scope in &scopes {
            loop {
                let gone: usize =
                    self.store.write(|tx| tx.empty_looks(scope, !relay, now_ms, FORGOTTEN))?;
                emptied += gone;
                if gone < FORGOTTEN as usize {
                    break;
                }
            }
        }
        Ok(emptied)
    }
}
