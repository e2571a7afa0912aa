//! Erasure on a device: what was agreed takes effect in the transaction that brings it, and the
//! device says so once files are gone, too.

use crate::kinds::ERASURE;
use crate::{ActError, Desk, Replica, Who};
use cunkou_casework::calendar::{china_day, day_begins};
use cunkou_casework::case::{Phase, Reason, Verdict, authenticate};
use cunkou_casework::county::{CountyLog, Device, DeviceKind};
use cunkou_casework::entry::{Entry, Kind, Signers};
use cunkou_casework::erasure::{self, Basis, Judged, Said, Saying};
use cunkou_casework::event::encode;
use cunkou_casework::ids::{EntryId, Scope, SubjectId};
use cunkou_casework::retention::closed_before;
use cunkou_store::{CaseRow, EntryState, ErasedRow, PARKED_REASON, StoreError, Txn, View};

/// So many erasures are finished in one go.
const BATCH: u32 = 100;

/// An entry about an erasure: its row, and what it says if its signatures hold.
struct Heard {
    pos: u64,
    state: EntryState,
    said: Result<Said, Verdict>,
}

fn heard(
    view: &View<'_>,
    county: &CountyLog,
    subject: SubjectId,
) -> Result<Vec<Heard>, StoreError> {
    let rows = view.entries_of_kind(&subject.0, ERASURE)?;
    // What was set aside at the door says nothing.
    let let_in = rows.into_iter().filter(|row| row.state != EntryState::Quarantined);
    let read = let_in.filter_map(|row| {
        let entry = Entry::decode(&row.bytes).ok()?;
        let said = authenticate(&entry, county, None).and_then(|attestation| {
            let saying = Saying::decode(entry.payload())
                .map_err(|_| Verdict::Quarantine(Reason::Unreadable))?;
            Ok(Said { id: entry.id(), header: entry.header().clone(), attestation, saying })
        });
        Some(Heard { pos: row.pos, state: row.state, said })
    });
    Ok(read.collect())
}

/// What counts of it.
fn counting(heard: &[Heard]) -> Vec<Said> {
    heard.iter().filter_map(|heard| heard.said.as_ref().ok().cloned()).collect()
}

fn judged(view: &View<'_>, county: &CountyLog, subject: SubjectId) -> Result<Judged, StoreError> {
    Ok(erasure::judge(&counting(&heard(view, county, subject)?), county))
}

impl Replica {
    /// What was said about the erasure of a subject.
    ///
    /// # Errors
    /// When the store fails.
    pub fn erasure(&self, subject: SubjectId) -> Result<Judged, StoreError> {
        self.store.read(|view| judged(view, &self.county(), subject))
    }

    /// What was said about erasures, the latest asked first: at most `limit` subjects after
    /// `offset`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn erasures(
        &self,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<(SubjectId, String, Judged)>, StoreError> {
        let county = self.county();
        self.store.read(|view| {
            let mut out = Vec::new();
            for subject in view.subjects_with(ERASURE, limit, offset)? {
                let scope = view.scope_of(&subject)?.unwrap_or_default();
                let subject = SubjectId(subject);
                out.push((subject, scope, judged(view, &county, subject)?));
            }
            Ok(out)
        })
    }

    /// Closed cases whose retention is over and which nobody asks to erase now, item by item, the
    /// oldest first, at most `limit`; with each whether an earlier asking was declined.
    ///
    /// # Errors
    /// When the store fails.
    pub fn retention_over(&self, limit: usize) -> Result<Vec<(CaseRow, bool)>, StoreError> {
        let (county, today) = (self.county(), china_day(self.now_ms()));
        let Some(release) = self.release() else { return Ok(Vec::new()) };
        self.store.read(|view| {
            let mut out = Vec::new();
            for item in &release.items.items {
                let day = item.retention.and_then(|years| closed_before(today, years));
                let Some(before_ms) = day.map(day_begins) else { continue };
                for offset in (0..).step_by(BATCH as usize) {
                    let rows =
                        view.closed_before(&item.key, before_ms, ERASURE, (BATCH, offset))?;
                    let last = rows.len() < BATCH as usize;
                    for row in rows {
                        let said = counting(&heard(view, &county, SubjectId(row.subject))?);
                        if erasure::judge(&said, &county).open.is_empty() {
                            out.push((row, !said.is_empty()));
                        }
                        if out.len() >= limit {
                            return Ok(out);
                        }
                    }
                    if last {
                        break;
                    }
                }
            }
            Ok(out)
        })
    }

    /// Whether two people agreed to destroy a subject, and it is gone here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_erased(&self, subject: SubjectId) -> Result<bool, StoreError> {
        self.store.read(|view| view.erased(&subject.0))
    }

    /// The devices that must say that an erasure in a scope is done: the relays, and those that
    /// serve the village.
    #[must_use]
    pub fn holders(&self, scope: &str) -> Vec<Device> {
        let county = self.county();
        let place = match scope.parse() {
            Ok(Scope::Place(place)) => Some(place),
            _ => None,
        };
        let holds = |device: &&Device| {
            county.device_counts(device.id)
                && (device.kind == DeviceKind::Relay
                    || place.is_some_and(|place| device.places.contains(&place)))
        };
        county.devices().filter(holds).cloned().collect()
    }

    /// How many erasures are in force that not every device has confirmed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unconfirmed_erasures(&self) -> Result<usize, StoreError> {
        let all = self.erasures(u32::MAX, 0)?;
        let waits = |(_, scope, judged): &&(SubjectId, String, Judged)| {
            let Some(erased) = &judged.erased else { return false };
            self.holders(scope).iter().any(|device| !erased.done.contains_key(&device.id))
        };
        Ok(all.iter().filter(waits).count())
    }

    /// Takes an agreed erasure into effect; true when the subject is gone from here on.
    pub(crate) fn erase_if_agreed(
        &self,
        tx: &Txn<'_>,
        subject: SubjectId,
    ) -> Result<bool, StoreError> {
        let county = self.county();
        let heard = heard(tx, &county, subject)?;
        let known = erasure::judge(&counting(&heard), &county).erased;
        for Heard { pos, state: before, said } in &heard {
            let (state, why) = match said {
                // Whoever says done of what nobody agreed to waits for the agreement.
                Ok(said) if known.is_none() && matches!(said.saying, Saying::Done { .. }) => {
                    (EntryState::Waiting, Some(PARKED_REASON.to_owned()))
                }
                Ok(said) => match erasure::authorise(said, &county) {
                    Ok(()) => (EntryState::Good, None),
                    Err(why) => (EntryState::Unfounded, Some(why.to_string())),
                },
                Err(Verdict::Pending(why)) => (EntryState::Waiting, Some(why.to_string())),
                Err(Verdict::Quarantine(why)) => (EntryState::Unfounded, Some(why.to_string())),
                Err(Verdict::Accept) => unreachable!("an error is never an acceptance"),
            };
            if state != *before {
                tx.set_state(*pos, state, why.as_deref())?;
            }
        }
        if tx.erased(&subject.0)? {
            tx.blank_but(&subject.0, ERASURE)?;
            tx.leave_out_erased(&subject.0, ERASURE)?;
            return Ok(true);
        }
        let Some(erased) = known else { return Ok(false) };
        // A number that is out is not given out again, though its case is gone.
        let desk = Desk { replica: self, tx, now_ms: self.now_ms() };
        desk.number_is_out(&erased.asking.number)?;
        let agreed = heard.iter().find(|h| h.said.as_ref().is_ok_and(|s| s.id == erased.agreed));
        let scope = agreed.map_or(Ok(None), |heard| tx.scope_at(heard.pos))?.unwrap_or_default();
        let row =
            ErasedRow { subject: subject.0, agreed: erased.agreed.0, scope, at_ms: self.now_ms() };
        tx.erase(&row, ERASURE)?;
        Ok(true)
    }

    /// Finishes erasures that have taken effect: removes the files, empties the write-ahead log,
    /// and says so. What a power cut interrupts is done at the next call. Gives how many were said.
    ///
    /// # Errors
    /// When the store or the disk fails.
    pub fn finish_erasures(&self) -> Result<usize, StoreError> {
        let (todo, files) = self.store.read(|view| -> Result<_, StoreError> {
            Ok((view.erasures_to_say(BATCH)?, view.attachments_gone()?))
        })?;
        if todo.is_empty() && files.is_empty() {
            return Ok(0);
        }
        for id in &files {
            self.store.remove_attachment(id)?;
            self.store.write(|tx| tx.attachment_removed(id))?;
        }
        if !self.store.checkpoint()? {
            // A reader holds the old pages: they are gone, and it is said, at the next call.
            return Ok(0);
        }
        let said = self.act(|desk| -> Result<usize, ActError> {
            for row in &todo {
                let saying = Saying::Done { agreed: EntryId(row.agreed) };
                desk.say_of_erasure(SubjectId(row.subject), &row.scope, None, &saying)?;
                desk.tx.erasure_said(&row.subject)?;
            }
            Ok(todo.len())
        });
        let said = said.map_err(|_| StoreError::Damaged { what: "erasure" })?;
        tracing::info!(subjects = said, files = files.len(), "erased");
        Ok(said)
    }
}

impl Desk<'_> {
    /// A data officer asks for the erasure of a closed case or of a resident's record.
    ///
    /// # Errors
    /// [`ActError::Refused`] when somebody asked already, it is still open, or the person may not;
    /// [`ActError::Unknown`].
    pub fn ask_erasure(
        &self,
        subject: SubjectId,
        who: Who<'_>,
        basis: Basis,
        reason: &str,
    ) -> Result<EntryId, ActError> {
        let scope = self.tx.subject(&subject.0)?.ok_or(ActError::Unknown)?.1;
        let before = judged(self.tx, &self.replica.county(), subject)?;
        if before.erased.is_some() || !before.open.is_empty() {
            return Err(Reason::NotNow.into());
        }
        let (number, item) = self.erasable(subject)?;
        let saying = Saying::Asked { basis, number, item, reason: reason.to_owned() };
        self.say_of_erasure(subject, &scope, Some(who), &saying)
    }

    /// Number and item of what may go as things stand; both empty for a resident's record.
    fn erasable(&self, subject: SubjectId) -> Result<(String, String), ActError> {
        match self.tx.case_row(&subject.0)? {
            // A draft that nobody submitted is nobody's file.
            Some(row) if row.open && row.phase != Phase::Draft.key() => Err(Reason::NotNow.into()),
            Some(row) => Ok((row.number, row.item)),
            None if self.tx.cases_of(&subject.0)? > 0 => Err(Reason::NotNow.into()),
            None => Ok((String::new(), String::new())),
        }
    }

    /// A second person agrees to the asking that is open: from the end of this act on it is gone
    /// here.
    ///
    /// # Errors
    /// [`ActError::Refused`]; [`ActError::Unknown`] when nothing is asked.
    pub fn agree_erasure(&self, subject: SubjectId, who: Who<'_>) -> Result<EntryId, ActError> {
        let before = judged(self.tx, &self.replica.county(), subject)?;
        let open = before.open.first().ok_or(ActError::Unknown)?;
        if open.by == who.person {
            return Err(Reason::OwnCase.into());
        }
        // Since it was asked for it may have been submitted, or a case been opened.
        self.erasable(subject)?;
        self.answer_erasure(subject, who, &Saying::Agreed { asked: open.id })
    }

    /// The asking that is open is declined, or taken back by who asked.
    ///
    /// # Errors
    /// As [`Desk::agree_erasure`].
    pub fn decline_erasure(
        &self,
        subject: SubjectId,
        who: Who<'_>,
        reason: &str,
    ) -> Result<EntryId, ActError> {
        let before = judged(self.tx, &self.replica.county(), subject)?;
        let open = before.open.first().ok_or(ActError::Unknown)?;
        let saying = Saying::Declined { asked: open.id, reason: reason.to_owned() };
        self.answer_erasure(subject, who, &saying)
    }

    fn answer_erasure(
        &self,
        subject: SubjectId,
        who: Who<'_>,
        saying: &Saying,
    ) -> Result<EntryId, ActError> {
        // Where the asking stands: whoever has the one has the other.
        let (Saying::Agreed { asked } | Saying::Declined { asked, .. }) = saying else {
            return Err(ActError::Unknown);
        };
        let heard = heard(self.tx, &self.replica.county(), subject)?;
        let asking = heard.iter().find(|h| h.said.as_ref().is_ok_and(|s| s.id == *asked));
        let scope = asking.map_or(Ok(None), |heard| self.tx.scope_at(heard.pos))?;
        self.say_of_erasure(subject, &scope.ok_or(ActError::Unknown)?, Some(who), saying)
    }

    fn say_of_erasure(
        &self,
        subject: SubjectId,
        scope: &str,
        who: Option<Who<'_>>,
        saying: &Saying,
    ) -> Result<EntryId, ActError> {
        let payload = encode(saying);
        Saying::decode(&payload).map_err(|_| ActError::Refused(Reason::Unreadable))?;
        let key = who.and_then(|who| who.key);
        let signers = Signers { device: &self.replica.me.key, person: key, authority: None };
        let header = self.header(who.map(|who| who.person))?;
        let entry = Entry::sign(subject, Kind::Erasure, header.clone(), payload, signers)?;
        // Judged here as it will be judged everywhere.
        let county = self.replica.county();
        let attestation = authenticate(&entry, &county, None).map_err(|verdict| match verdict {
            Verdict::Pending(why) | Verdict::Quarantine(why) => ActError::Refused(why),
            Verdict::Accept => unreachable!("an error is never an acceptance"),
        })?;
        let said = Said { id: entry.id(), header, attestation, saying: saying.clone() };
        erasure::authorise(&said, &county)?;
        self.append(&entry, scope)?;
        Ok(entry.id())
    }
}
