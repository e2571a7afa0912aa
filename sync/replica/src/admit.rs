//! Admission: what comes from a peer is judged before it is committed, and committed before it is
//! acknowledged.

use crate::act::author;
use crate::county::{gives_credentials, too_many_credentials};
use crate::kinds::{RESIDENT, kind_code};
use crate::upward::looks_verdict;
use crate::{Desk, Replica, rescue};
use cunkou_casework::case::{Verdict, authenticate};
use cunkou_casework::county::{CountyLog, DeviceKind, LogError, Numbered, Statement};
use cunkou_casework::entry::{Entry, Kind, Signers, change_id};
use cunkou_casework::event::{Event, Step, Witness, decode, encode};
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, EntryId, Scope, SubjectId};
use cunkou_engine::{Admitted, Limits};
use cunkou_store::{EntryState, How, NewEntry, PARKED_REASON, PeerRow, StoreError, Txn};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use tracing::warn;

/// A witness names at most so many entries, to stay far below an entry's size.
const WITNESSED_MAX: usize = 500;

impl Replica {
    /// Commits a batch from a peer with its cursor, then derives what follows from it. `also` is
    /// done in the same transaction.
    ///
    /// # Errors
    /// When the store fails; nothing is then committed.
    pub fn admit(
        &self,
        peer: &PeerRow,
        scope: &str,
        upto: u64,
        batch: &[Vec<u8>],
        also: impl FnOnce(&Txn<'_>) -> Result<(), StoreError>,
    ) -> Result<Admitted, StoreError> {
        self.admit_by(How::Link, peer, scope, upto, batch, also)
    }

    /// The same for a batch that came in this way; it is remembered of each new entry.
    pub(crate) fn admit_by(
        &self,
        how: How,
        peer: &PeerRow,
        scope: &str,
        upto: u64,
        batch: &[Vec<u8>],
        also: impl FnOnce(&Txn<'_>) -> Result<(), StoreError>,
    ) -> Result<Admitted, StoreError> {
        self.take_in(how, peer, scope, batch, |tx| {
            also(tx)?;
            tx.set_cursor(peer.id, scope, upto)
        })
    }

    /// Commits entries that were lacking here; no cursor moves.
    ///
    /// # Errors
    /// When the store fails; nothing is then committed.
    pub(crate) fn take_lacking(
        &self,
        peer: &PeerRow,
        how: How,
        scope: &str,
        batch: &[Vec<u8>],
    ) -> Result<Admitted, StoreError> {
        self.take_in(how, peer, scope, batch, |_| Ok(()))
    }

    fn take_in(
        &self,
        how: How,
        peer: &PeerRow,
        scope: &str,
        batch: &[Vec<u8>],
        also: impl FnOnce(&Txn<'_>) -> Result<(), StoreError>,
    ) -> Result<Admitted, StoreError> {
        let mut entries = Vec::with_capacity(batch.len());
        for bytes in batch {
            match Entry::decode(bytes) {
                Ok(entry) => entries.push((entry, bytes.as_slice())),
                Err(why) => {
                    warn!(peer = %hex::encode(&peer.device), %why, "refused bytes that are no entry");
                }
            }
        }
        let refused = u32::try_from(batch.len() - entries.len()).unwrap_or(u32::MAX);
        let admitted = self.take_entries(how, peer, scope, &entries, also)?;
        Ok(Admitted { refused: refused.saturating_add(admitted.refused), ..admitted })
    }

    /// Commits entries and the bytes they were read from; no cursor moves but by `also`.
    pub(crate) fn take_entries<B: AsRef<[u8]>>(
        &self,
        how: How,
        peer: &PeerRow,
        scope: &str,
        batch: &[(Entry, B)],
        also: impl FnOnce(&Txn<'_>) -> Result<(), StoreError>,
    ) -> Result<Admitted, StoreError> {
        if self.has_lost(scope) {
            // From a relay that has not heard of it yet, or from before: it is not ours any more.
            return Ok(Admitted::default());
        }
        let mut county = (*self.county()).clone();
        let head_before = county.head().position;
        let now_ms = self.now_ms();
        let relay = self.device().is_some_and(|d| d.kind == DeviceKind::Relay);
        let mut touched: BTreeSet<[u8; 16]> = BTreeSet::new();
        let admitted = self.store.write(|tx| -> Result<Admitted, StoreError> {
            let desk = Desk { replica: self, tx, now_ms };
            let mut admitted = Admitted::default();
            touched.clear();
            let mut witnessed: BTreeMap<SubjectId, Vec<(u64, EntryId)>> = BTreeMap::new();
            for (entry, bytes) in batch {
                let (state, reason) = self.verdict(tx, entry, scope, &mut county)?;
                // It would be passed on as if this box vouched for it; its author has other ways.
                if how == How::Neighbour && state == EntryState::Quarantined {
                    admitted.refused += 1;
                    continue;
                }
                // What is erased does not come back, whoever brings it; that it came is known.
                let gone = entry.kind() != Kind::Erasure && tx.erased(&entry.subject().0)?;
                let new = NewEntry {
                    id: &entry.id().0,
                    subject: &entry.subject().0,
                    kind: kind_code(entry.kind()),
                    via: peer.id,
                    received_ms: now_ms,
                    state,
                    reason: reason.as_deref(),
                    bytes: if gone { &[] } else { bytes.as_ref() },
                };
                let pos = match tx.append(&new, scope)? {
                    Some(pos) => pos,
                    None if let Some(pos) = tx.refill(&again(new, entry.kind()), scope)? => pos,
                    // Whoever had it first may have put it where it does not belong: that does not
                    // keep it from its own place.
                    None if state != EntryState::Quarantined => match tx.admit_here(&new, scope)? {
                        Some(pos) => pos,
                        None => continue,
                    },
                    None => continue,
                };
                if how != How::Link {
                    tx.set_came(pos, how)?;
                }
                touched.insert(entry.subject().0);
                if state == EntryState::Quarantined {
                    admitted.quarantined += 1;
                    warn!(
                        peer = %hex::encode(&peer.device), entry = %entry.id(),
                        reason = reason.as_deref().unwrap_or_default(), "quarantined an entry"
                    );
                    continue;
                }
                admitted.new += 1;
                // Nobody is held to a history that is not signed by their own device.
                if reason.is_none() {
                    tx.note_author(pos, author(entry.header()), now_ms)?;
                }
                if matches!(entry.kind(), Kind::Event | Kind::Edit) {
                    witnessed.entry(entry.subject()).or_default().push((pos, entry.id()));
                }
                if state == EntryState::Good
                    && entry.header().device == self.me.device
                    && let Ok(Event { step: Step::Opened { number, .. }, .. }) =
                        Event::decode(entry.payload())
                {
                    desk.number_is_out(&number)?;
                }
                if entry.kind() == Kind::Witness && state == EntryState::Good {
                    self.note_witness(tx, entry)?;
                }
                if entry.kind() == Kind::Looks && state == EntryState::Good {
                    self.take_looks(tx, entry, &county)?;
                }
                if entry.kind() == Kind::County {
                    self.want_catalogue(&desk, entry)?;
                }
                if entry.kind() == Kind::Credential && state == EntryState::Good && relay {
                    desk.pass_on_credential(entry, scope)?;
                }
            }
            if relay {
                for (subject, entries) in witnessed {
                    desk.witness(subject, scope, &entries)?;
                }
            }
            also(tx)?;
            tx.count_contact(peer.id, u64::from(admitted.new), 0)?;
            Ok(admitted)
        })?;
        if county.head().position > head_before {
            self.county_grew()?;
        }
        let aside_before = self.set_aside.load(Ordering::Relaxed);
        let touched: Vec<[u8; 16]> = touched.into_iter().collect();
        self.materialise_these(&touched)?;
        // What came is committed and acknowledged whatever becomes of the files; the next minute
        // tries again.
        if let Err(error) = self.finish_erasures() {
            warn!(%error, "what is erased is not yet off the disk");
        }
        let aside = self.set_aside.load(Ordering::Relaxed) != aside_before;
        // What another relay passes on is not its own fault.
        let passed_on =
            self.county().device(DeviceId(peer.device)).map(|d| d.kind) == Some(DeviceKind::Relay);
        if (aside || admitted.quarantined > 0) && relay && !passed_on {
            self.suspend_if_due(&peer.device)?;
        }
        self.changed();
        Ok(admitted)
    }

    /// What a relay says it has of ours, its log is to show.
    fn note_witness(&self, tx: &Txn<'_>, entry: &Entry) -> Result<(), StoreError> {
        let relay = entry.header().device;
        if let Ok(witness) = decode::<Witness>(entry.payload()) {
            for id in &witness.entries {
                tx.to_prove(&relay.0, &self.me.device.0, &id.0, witness.position)?;
            }
        }
        Ok(())
    }

    /// A relay suspends a device that has too much in quarantine. Sessions are cut by the news.
    fn suspend_if_due(&self, device: &[u8; 16]) -> Result<(), StoreError> {
        let now_ms = self.now_ms();
        let suspended = self.store.write(|tx| -> Result<bool, StoreError> {
            let due = tx.suspended(device)?.is_none()
                && tx.quarantined_of(device)? >= Limits::START.quarantined;
            if due {
                tx.suspend(device, now_ms)?;
            }
            Ok(due)
        })?;
        if suspended {
            warn!(device = %hex::encode(device), "suspended a box: too much of it does not count");
        }
        Ok(())
    }

    /// Lets a suspended device in again; what is in quarantine counts no more against it. Returns
    /// false when it was not suspended.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lift(&self, device: DeviceId) -> Result<bool, StoreError> {
        let now_ms = self.now_ms();
        self.store.write(|tx| tx.lift(&device.0, now_ms))
    }

    fn want_catalogue(&self, desk: &Desk<'_>, entry: &Entry) -> Result<(), StoreError> {
        let numbered: Result<Numbered, _> = decode(entry.payload());
        if let Ok(Numbered { statement: Statement::Catalogue { digest, .. }, .. }) = numbered {
            let system = Scope::System.to_string();
            desk.tx.attachment_named(&digest.0, &system, &self.me.county.0)?;
        }
        Ok(())
    }

    /// What an entry is worth at the door. Authority over steps is the fold's matter.
    fn verdict(
        &self,
        view: &cunkou_store::View<'_>,
        entry: &Entry,
        scope: &str,
        county: &mut CountyLog,
    ) -> Result<(EntryState, Option<String>), StoreError> {
        let quarantine = |why: &str| Ok((EntryState::Quarantined, Some(why.to_owned())));
        if entry.kind() == Kind::Looks || matches!(scope.parse(), Ok(Scope::Upward(_))) {
            return Ok(looks_verdict(entry, scope, county));
        }
        let system = scope == Scope::System.to_string();
        match entry.kind() {
            Kind::County if system => match county.take(entry) {
                Ok(()) => return Ok((EntryState::Good, None)),
                Err(why @ LogError::OutOfOrder { .. }) => {
                    return Ok((EntryState::Waiting, Some(why.to_string())));
                }
                Err(why) => return quarantine(&why.to_string()),
            },
            Kind::Credential if !system => {
                return match gives_credentials(entry, county) {
                    Ok(true) if too_many_credentials(view, entry, self.now_ms())? => {
                        quarantine("too many new PINs of one person in a day")
                    }
                    Ok(true) => Ok((EntryState::Good, None)),
                    Err(Verdict::Pending(why)) => Ok((EntryState::Waiting, Some(why.to_string()))),
                    _ => quarantine("not signed by a relay of this county"),
                };
            }
            Kind::Rescue if !system => {
                match rescue::judged(entry, county, scope) {
                    Ok(_) => {}
                    Err(Verdict::Quarantine(why)) => return quarantine(&why.to_string()),
                    Err(Verdict::Pending(why)) => {
                        return Ok((EntryState::Waiting, Some(why.to_string())));
                    }
                    Err(Verdict::Accept) => unreachable!("an error is never an acceptance"),
                }
                if rescue::too_many(view, entry.header().device, self.now_ms())? {
                    return quarantine("too many ways back of one box in a day");
                }
                return Ok((EntryState::Good, None));
            }
            Kind::Event | Kind::Edit | Kind::Witness | Kind::Erasure if !system => {}
            _ => return quarantine("it does not belong into this scope"),
        }
        // Residents move: which of their villages a step or a save belongs to is the fold's matter.
        if let Some((schema, known)) = view.subject(&entry.subject().0)?
            && known != scope
            && schema != RESIDENT
        {
            return quarantine("the subject belongs to another village");
        }
        if entry.kind() == Kind::Event {
            let Ok(event) = Event::decode(entry.payload()) else {
                return quarantine("the entry's content cannot be read");
            };
            // What a subject says of its own place must be where it came. A resident may have moved
            // on since: whoever serves the new village hears of the beginning there.
            if let Step::Opened { place, .. } | Step::DutyOffered { place, .. } = event.step
                && Scope::Place(place).to_string() != scope
            {
                return quarantine("the subject belongs to another village");
            }
        }
        if entry.kind() == Kind::Edit && change_id(entry.payload()).is_err() {
            return quarantine("not one plain change");
        }
        Ok(match authenticate(entry, county, None) {
            Ok(_) if entry.kind() == Kind::Witness => {
                let relay = county.device(entry.header().device);
                if relay.is_some_and(|d| d.kind == DeviceKind::Relay) {
                    (EntryState::Good, None)
                } else {
                    (EntryState::Quarantined, Some("a witness that is no relay".to_owned()))
                }
            }
            Ok(_) => (EntryState::Good, None),
            Err(Verdict::Pending(why)) => (EntryState::Waiting, Some(why.to_string())),
            Err(Verdict::Quarantine(why)) => (EntryState::Quarantined, Some(why.to_string())),
            Err(Verdict::Accept) => unreachable!("an error is never an acceptance"),
        })
    }

    /// The county log has grown: what waited for it, or did not count without it, is judged again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn county_grew(&self) -> Result<(), StoreError> {
        let before = self.county();
        self.reload_county().map_err(|_| StoreError::Damaged { what: "county log" })?;
        let revoked = self.county().revoked_since(&before);
        self.store.write(|tx| -> Result<(), StoreError> {
            for id in &revoked {
                tx.mark_author_dirty(id)?;
            }
            tx.mark_aside_dirty()
        })?;
        self.materialise_dirty()?;
        self.villages_changed()
    }
}

/// An entry that comes back with its village. A save may come after later ones are in the document
/// already: it waits, so that it is looked at whatever its place in the log.
fn again(new: NewEntry<'_>, kind: Kind) -> NewEntry<'_> {
    match new.state {
        EntryState::Good if kind == Kind::Edit => {
            NewEntry { state: EntryState::Waiting, reason: Some(PARKED_REASON), ..new }
        }
        _ => new,
    }
}

impl Desk<'_> {
    /// States what this relay has just committed.
    fn witness(
        &self,
        subject: SubjectId,
        scope: &str,
        entries: &[(u64, EntryId)],
    ) -> Result<(), StoreError> {
        let log = self.tx.meta("store")?.unwrap_or_default();
        for part in entries.chunks(WITNESSED_MAX) {
            let mut ids: Vec<EntryId> = part.iter().map(|(_, id)| *id).collect();
            ids.sort_unstable();
            let witness = Witness {
                entries: ids,
                log: log.as_slice().try_into().unwrap_or_default(),
                position: part.iter().map(|(pos, _)| *pos).max().unwrap_or(0),
                time_ms: self.now_ms,
            };
            let signers = Signers { device: &self.replica.me.key, person: None, authority: None };
            let header = self.header(None)?;
            let entry = Entry::sign(subject, Kind::Witness, header, encode(&witness), signers)
                .map_err(|_| StoreError::Damaged { what: "witness" })?;
            self.append_only(&entry, scope)?;
        }
        Ok(())
    }
}
