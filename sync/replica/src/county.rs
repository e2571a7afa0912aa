//! The county log and the catalogue of a replica, and what its status says.

use crate::kinds::kind_code;
use crate::rescue::DAY_MS;
use crate::{ActError, Desk, OpenError, Replica, Who};
use cunkou_casework::case::{Attestation, Verdict, authenticate};
use cunkou_casework::catalogue::Release;
use cunkou_casework::county::{
    Act, CountyLog, Credential, DeviceKind, LogError, Numbered, Statement,
};
use cunkou_casework::entry::{Entry, Kind, LogPosition, Signers};
use cunkou_casework::event::{decode, encode};
use cunkou_casework::ids::{EntryId, PersonId, PlaceId, Scope};
use cunkou_casework::suite::SecretKey;
use cunkou_store::{EntryRow, EntryState, NewEntry, StoreError, Unsent, View};
use std::sync::{Arc, PoisonError};
use tracing::warn;

/// So many changes of PIN of one person are believed of one device in a day.
const CREDENTIALS_A_DAY: u64 = 100;

/// A key with which this device makes statements of the county log: the single administrator's,
/// or one that holds a grant.
#[derive(Clone, Debug)]
pub struct Authority(pub SecretKey);

/// What a replica says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What no peer has acknowledged.
    pub unsent: Unsent,
    /// When everything was last exchanged with some peer, milliseconds.
    pub last_completed_ms: Option<i64>,
    /// Where the clock's time comes from.
    pub clock: cunkou_casework::entry::ClockSource,
    /// The relay's clock minus ours, milliseconds, when known.
    pub clock_error_ms: Option<i64>,
    /// Entries in quarantine.
    pub quarantine: u64,
}

/// A wrapped key, with when its author says that it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenCredential {
    /// The wrapped key.
    pub credential: Credential,
    /// Claimed time, milliseconds.
    pub claimed_ms: i64,
    /// The entry.
    pub entry: EntryId,
}

impl Replica {
    /// Reads the county log and the catalogue from the store.
    ///
    /// # Errors
    /// When the store fails or the log on this disk does not hold.
    pub(crate) fn reload_county(&self) -> Result<(), OpenError> {
        let rows = self
            .store
            .read(|view| view.entries_in(&Scope::System.to_string(), kind_code(Kind::County)))?;
        // What was quarantined never counts; what came early counts when its turn comes.
        let mut statements = Vec::new();
        for row in rows.iter().filter(|row| row.state != EntryState::Quarantined) {
            let entry = Entry::decode(&row.bytes)?;
            if let Ok(Numbered { position, .. }) = decode(entry.payload()) {
                statements.push((position, row, entry));
            }
        }
        // At one position what counts already comes before what only claims it.
        statements.sort_by_key(|(position, row, _)| (*position, row.state != EntryState::Good));
        let mut log = CountyLog::new(self.me.county, self.me.anchor);
        let (mut in_turn, mut false_ones) = (Vec::new(), Vec::new());
        for (_, row, entry) in statements {
            match log.take(&entry) {
                Ok(()) if row.state == EntryState::Waiting => in_turn.push(row.pos),
                Ok(()) => {}
                Err(LogError::OutOfOrder { .. }) => break,
                // What only waited for its turn may be anybody's.
                Err(error) if row.state != EntryState::Good => {
                    false_ones.push((row.pos, error.to_string()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !in_turn.is_empty() || !false_ones.is_empty() {
            self.store.write(|tx| -> Result<(), StoreError> {
                for pos in &in_turn {
                    tx.set_state(*pos, EntryState::Good, None)?;
                }
                for (pos, why) in &false_ones {
                    tx.set_state(*pos, EntryState::Quarantined, Some(why))?;
                }
                Ok(())
            })?;
        }
        *self.county.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(log);
        self.reload_release();
        Ok(())
    }

    /// Takes in the county log given at enrolment, before any peer is known.
    ///
    /// # Errors
    /// When the store fails or the log is not this county's.
    pub fn bootstrap(&self, county_log: &[Vec<u8>]) -> Result<(), OpenError> {
        let mut log = (*self.county()).clone();
        let entries =
            county_log.iter().map(|bytes| Entry::decode(bytes)).collect::<Result<Vec<_>, _>>()?;
        for entry in &entries {
            log.take(entry)?;
        }
        let scope = Scope::System.to_string();
        let now_ms = self.now_ms();
        self.store.write(|tx| -> Result<(), StoreError> {
            for entry in &entries {
                tx.append(
                    &NewEntry {
                        id: &entry.id().0,
                        subject: &entry.subject().0,
                        kind: kind_code(entry.kind()),
                        // Not ours to send: it came from the county, before there was a peer.
                        via: -1,
                        received_ms: now_ms,
                        state: EntryState::Good,
                        reason: None,
                        bytes: &entry.encode(),
                    },
                    &scope,
                )?;
            }
            if let Some((_, digest)) = log.catalogue() {
                tx.attachment_named(&digest.0, &scope, &self.me.county.0)?;
            }
            Ok(())
        })?;
        self.reload_county()?;
        self.materialise_dirty()?;
        Ok(())
    }

    /// Wants the published catalogue, when it is not here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn want_published(&self) -> Result<(), StoreError> {
        let county = self.county();
        let Some((_, digest)) = county.catalogue() else { return Ok(()) };
        let system = Scope::System.to_string();
        self.store.write(|tx| tx.attachment_named(&digest.0, &system, &self.me.county.0))
    }

    /// Loads the published catalogue if its bytes are here; a broken one leaves the old in place.
    pub(crate) fn reload_release(&self) {
        let county = self.county();
        let Some((_, digest)) = county.catalogue() else { return };
        let release = match self.store.read_attachment(&digest.0) {
            Ok(Some(bytes)) => Release::decode(&bytes).map_err(|e| e.to_string()),
            Ok(None) => return,
            Err(e) => Err(e.to_string()),
        };
        match release {
            Ok(release) => {
                *self.release.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Arc::new(release));
            }
            Err(why) => warn!(%why, "the published catalogue cannot be read; the old one stays"),
        }
    }

    /// The wrapped keys of a person that are here and wrap the key they have now, the one that
    /// counts first: the highest turn, then the latest claimed, whatever arrived late.
    ///
    /// # Errors
    /// When the store fails.
    pub fn credentials(&self, person: PersonId) -> Result<Vec<GivenCredential>, StoreError> {
        let county = self.county();
        let key = county.person(person).and_then(|p| p.key);
        let mut found = self.all_credentials(person)?;
        found.retain(|c| c.credential.key.is_none_or(|named| Some(named) == key));
        found.sort_by_key(|c| {
            let turn = c.credential.turn.unwrap_or(0);
            std::cmp::Reverse((turn, c.claimed_ms, c.entry))
        });
        Ok(found)
    }

    /// The turn that the next wrapped key of a person has.
    ///
    /// # Errors
    /// When the store fails.
    pub fn next_turn(&self, person: PersonId) -> Result<u64, StoreError> {
        let known = self.all_credentials(person)?;
        let highest = known.iter().filter_map(|c| c.credential.turn).max().unwrap_or(0);
        Ok(highest.saturating_add(1))
    }

    fn all_credentials(&self, person: PersonId) -> Result<Vec<GivenCredential>, StoreError> {
        let county = self.county();
        let mut scopes: Vec<String> =
            county.places().map(|p| Scope::Place(p.id).to_string()).collect();
        scopes.push(Scope::System.to_string());
        let mut found = Vec::new();
        self.store.read(|view| -> Result<(), StoreError> {
            for scope in &scopes {
                for row in view.entries_in(scope, kind_code(Kind::Credential))? {
                    let waits = row.state == EntryState::Waiting;
                    let Some((entry, credential)) =
                        credential_in(&row).filter(|(_, c)| c.person == person)
                    else {
                        continue;
                    };
                    // What came before the county log did is judged now.
                    if !waits || matches!(gives_credentials(&entry, &county), Ok(true)) {
                        let claimed_ms = entry.header().claimed_ms;
                        found.push(GivenCredential { credential, claimed_ms, entry: entry.id() });
                    }
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// What this replica says of itself.
    ///
    /// # Errors
    /// When the store fails.
    pub fn status(&self) -> Result<Status, StoreError> {
        let (clock, clock_error_ms) = self.clock()?;
        self.store.read(|view| {
            Ok(Status {
                unsent: view.unsent()?,
                last_completed_ms: view.peers()?.iter().filter_map(|p| p.completed_ms).max(),
                clock,
                clock_error_ms,
                quarantine: view.quarantined()?,
            })
        })
    }

    /// Makes statements of the county log, in one transaction. Each is numbered and signed.
    ///
    /// # Errors
    /// [`ActError`]; nothing is then said.
    pub fn state(&self, authority: &Authority, statements: Vec<Statement>) -> Result<(), ActError> {
        let _one_at_a_time = self.stating.lock().unwrap_or_else(PoisonError::into_inner);
        self.act(|desk| desk.state(authority, statements))?;
        self.stated()
    }

    /// Makes statements of the county log that stand or fall with something local to the store,
    /// done by `prepare` in the same transaction.
    ///
    /// # Errors
    /// What `prepare` returns, or [`ActError`]; nothing is then said or written.
    pub fn state_with<T, E: From<ActError>>(
        &self,
        authority: &Authority,
        prepare: impl FnOnce(&Desk<'_>) -> Result<(Vec<Statement>, T), E>,
    ) -> Result<T, E> {
        let _one_at_a_time = self.stating.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.act(|desk| {
            let (statements, done) = prepare(desk)?;
            desk.state(authority, statements)?;
            Ok::<T, E>(done)
        })?;
        self.stated()?;
        Ok(done)
    }

    /// Gives an act, signed elsewhere, its place in the county log.
    ///
    /// # Errors
    /// [`ActError`]; the act is then not taken.
    pub fn enact(&self, act: Act) -> Result<(), ActError> {
        let _one_at_a_time = self.stating.lock().unwrap_or_else(PoisonError::into_inner);
        self.act(|desk| {
            let mut log = (*self.county()).clone();
            desk.say(&mut log, None, Statement::Act(act))
        })?;
        self.stated()
    }

    fn stated(&self) -> Result<(), ActError> {
        self.county_grew()?;
        // Sessions look again at what their peers are now: a revoked one is cut.
        self.changed();
        Ok(())
    }
}

impl Desk<'_> {
    fn state(&self, authority: &Authority, statements: Vec<Statement>) -> Result<(), ActError> {
        let mut log = (*self.replica.county()).clone();
        for statement in statements {
            self.say(&mut log, Some(&authority.0), statement)?;
        }
        Ok(())
    }

    /// Numbers, signs, tries and appends one statement.
    fn say(
        &self,
        log: &mut CountyLog,
        authority: Option<&SecretKey>,
        statement: Statement,
    ) -> Result<(), ActError> {
        let LogPosition { position, head } = log.head();
        let numbered = Numbered { position: position + 1, previous: head, statement };
        let mut header = self.header(None)?;
        header.log = log.head();
        let me = &self.replica.me;
        let signers = Signers { device: &me.key, person: None, authority };
        let entry = Entry::sign(me.county, Kind::County, header, encode(&numbered), signers)?;
        // Taken as every replica will take it; what these would refuse is not written.
        log.take(&entry)?;
        let system = Scope::System.to_string();
        self.append_only(&entry, &system)?;
        if let Some((_, digest)) = log.catalogue() {
            self.tx.attachment_named(&digest.0, &system, &me.county.0)?;
        }
        Ok(())
    }

    /// Somebody changed their PIN at one box: a relay gives it to the places where they work and
    /// which that box does not serve, where no later turn is yet.
    pub(crate) fn pass_on_credential(&self, entry: &Entry, scope: &str) -> Result<(), StoreError> {
        let county = self.replica.county();
        let credential: Option<Credential> = decode(entry.payload()).ok();
        let (Some(credential), Some(author)) = (credential, entry.header().person) else {
            return Ok(());
        };
        let Some(person) = county.person(author) else { return Ok(()) };
        // Another key than the one they have now opens nothing anywhere.
        if credential.key.is_some_and(|key| Some(key) != person.key) {
            return Ok(());
        }
        let served = county.device(entry.header().device).map(|d| d.places.clone());
        let served = served.unwrap_or_default();
        let mut elsewhere: Vec<PlaceId> = person.posts.iter().map(|p| p.place).collect();
        elsewhere.retain(|p| !served.contains(p) && Scope::Place(*p).to_string() != scope);
        elsewhere.sort_unstable();
        elsewhere.dedup();
        for place in elsewhere {
            let here = self
                .tx
                .entries_in(&Scope::Place(place).to_string(), kind_code(Kind::Credential))?;
            // What waits may be anybody's.
            let good = here.iter().filter(|row| row.state == EntryState::Good);
            let mut known = good.filter_map(credential_in).map(|(_, known)| known);
            let as_late = known.any(|known| {
                known.person == credential.person
                    && known.key == credential.key
                    && known.turn >= credential.turn
            });
            if !as_late {
                self.give_credential(None, &credential, &[place])
                    .map_err(|_| StoreError::Damaged { what: "wrapped key" })?;
            }
        }
        Ok(())
    }

    /// Gives a person's wrapped key to the boxes of the places where they work: a relay does, or
    /// the person, who has changed their PIN.
    ///
    /// # Errors
    /// [`ActError`].
    pub fn give_credential(
        &self,
        who: Option<Who<'_>>,
        credential: &Credential,
        places: &[PlaceId],
    ) -> Result<(), ActError> {
        for place in places {
            let signers = Signers {
                device: &self.replica.me.key,
                person: who.and_then(|who| who.key),
                authority: None,
            };
            let entry = Entry::sign(
                self.replica.me.county,
                Kind::Credential,
                self.header(who.map(|who| who.person))?,
                encode(credential),
                signers,
            )?;
            self.append_only(&entry, &Scope::Place(*place).to_string())?;
        }
        Ok(())
    }
}

/// What an entry says of a wrapped key; nothing when it was set aside at the door.
fn credential_in(row: &EntryRow) -> Option<(Entry, Credential)> {
    if !matches!(row.state, EntryState::Good | EntryState::Waiting) {
        return None;
    }
    let entry = Entry::decode(&row.bytes).ok()?;
    let credential = decode(entry.payload()).ok()?;
    Some((entry, credential))
}

/// Whether somebody has changed their own PIN at one device too often lately. A relay, which gives
/// keys in nobody's name, may do so as often as it must.
pub(crate) fn too_many_credentials(
    view: &View<'_>,
    entry: &Entry,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let header = entry.header();
    let Some(person) = header.person else { return Ok(false) };
    let (kind, since) = (kind_code(Kind::Credential), now_ms.saturating_sub(DAY_MS));
    let lately = view.given_since(kind, &header.device.0, Some(&person.0), since)?;
    Ok(lately >= CREDENTIALS_A_DAY)
}

/// Whether a wrapped key comes from a relay of the county, or from its owner, who has changed
/// their PIN.
///
/// # Errors
/// The verdict where its signatures do not hold, or not yet.
pub(crate) fn gives_credentials(entry: &Entry, county: &CountyLog) -> Result<bool, Verdict> {
    Ok(match authenticate(entry, county, None)? {
        Attestation::Person => {
            let credential: Option<Credential> = decode(entry.payload()).ok();
            credential.is_some_and(|c| Some(c.person) == entry.header().person)
        }
        Attestation::Device => {
            let from = county.device(entry.header().device);
            from.is_some_and(|d| d.kind == DeviceKind::Relay)
        }
        _ => false,
    })
}
