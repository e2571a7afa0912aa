//! What people do here: events and edits, written, judged and committed in one transaction.

use crate::file::gather;
use crate::kinds::{CASE, DUTY, RESIDENT, kind_code, schema_of};
use crate::{ActError, Replica};
use cunkou_casework::case::{Reason, Record, Standing, Verdict, authenticate, fold};
use cunkou_casework::document::{Write, actor};
use cunkou_casework::duty;
use cunkou_casework::entry::{ClockSource, Entry, Header, Kind, Signers};
use cunkou_casework::event::{Event, Step, encode};
use cunkou_casework::ids::{EntryId, PersonId, Scope, SubjectId};
use cunkou_casework::number::{BLOCK_SIZE, case_number, parts};
use cunkou_casework::registry;
use cunkou_casework::suite::SecretKey;
use cunkou_store::{Author, EntryState, NewEntry, StoreError, StoredDocument, Txn};

/// A relay's time this recent vouches for our clock. Milliseconds.
const CLOCK_FRESH_MS: i64 = 24 * 3600 * 1000;

/// Who acts.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The person.
    pub person: PersonId,
    /// Their own key; absent where only the relay vouches for them.
    pub key: Option<&'a SecretKey>,
}

/// A transaction in which somebody acts. Nothing is written unless all of it is.
pub struct Desk<'a> {
    pub(crate) replica: &'a Replica,
    /// The transaction, for what is local to the store.
    pub tx: &'a Txn<'a>,
    pub(crate) now_ms: i64,
}

/// An event before it is signed.
pub(crate) struct Composed {
    pub(crate) event: Event,
    /// The subject's events that are here.
    pub(crate) before: Vec<Record>,
    pub(crate) about: About,
}

/// What a subject is: which fold judges its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Case,
    Resident,
    Duty,
}

impl About {
    /// What a step is about, given what came before it: a withdrawal may be of a case or of a
    /// hand-over.
    fn of(step: &Step, before: &[Record]) -> Self {
        let handed = |r: &Record| r.event.step.of_duty();
        let opened = |r: &Record| matches!(r.event.step, Step::Opened { .. });
        match step {
            Step::ResidentAdded { .. }
            | Step::ResidentMoved { .. }
            | Step::SamePerson { .. }
            | Step::NotSamePerson { .. } => Self::Resident,
            Step::DutyOffered { .. } | Step::DutyTaken { .. } => Self::Duty,
            _ if before.iter().any(handed) && !before.iter().any(opened) => Self::Duty,
            _ => Self::Case,
        }
    }
}

impl Replica {
    /// Runs one act. It is on disk when this returns `Ok`; peers are told then.
    ///
    /// # Errors
    /// What the act returns, or the store's own failure; nothing is then written.
    pub fn act<T, E: From<ActError>>(
        &self,
        act: impl FnOnce(&Desk<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        struct Wrap<E>(E);
        impl<E: From<ActError>> From<StoreError> for Wrap<E> {
            fn from(e: StoreError) -> Self {
                Self(ActError::from(e).into())
            }
        }
        let now_ms = self.now_ms();
        let result = self
            .store
            .write(|tx| act(&Desk { replica: self, tx, now_ms }).map_err(Wrap))
            .map_err(|Wrap(e)| e)?;
        self.changed();
        Ok(result)
    }

    /// Where our clock stands, and how far it is off as far as is known, milliseconds.
    ///
    /// # Errors
    /// When the store fails.
    pub fn clock(&self) -> Result<(ClockSource, Option<i64>), StoreError> {
        if self.device().is_some_and(|d| d.kind == cunkou_casework::county::DeviceKind::Relay) {
            return Ok((ClockSource::Relay, Some(0)));
        }
        let now = self.now_ms();
        self.store.read(|view| {
            let Some(peer) = view.peers()?.into_iter().next() else {
                return Ok((ClockSource::Unknown, None));
            };
            let fresh = (now - peer.seen_ms).abs() < CLOCK_FRESH_MS;
            Ok(match (view.heard_by_hand(peer.id)?, peer.completed_ms) {
                (true, None) => (ClockSource::Unknown, None),
                (false, _) if fresh => (ClockSource::Relay, Some(peer.clock_error_ms)),
                _ => (ClockSource::Rtc, Some(peer.clock_error_ms)),
            })
        })
    }
}

impl Desk<'_> {
    /// The time of this act, milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The replica that is acted on.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        self.replica
    }

    /// Random bytes from outside.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        self.replica.random()
    }

    /// Opens a case of a resident with the next number of this device.
    ///
    /// # Errors
    /// [`ActError`].
    pub fn open_case(
        &self,
        who: Who<'_>,
        step: impl FnOnce(String) -> Step,
    ) -> Result<SubjectId, ActError> {
        let subject = SubjectId(self.random());
        let number = self.number()?;
        self.event(subject, who, step(number))?;
        Ok(subject)
    }

    /// The next case number of this device's blocks.
    fn number(&self) -> Result<String, ActError> {
        let county = self.replica.county();
        let blocks = county.blocks(self.replica.me.device);
        let used = self.tx.count_up("numbers")?;
        // Counters run from 1; the number 0 of a block is not given out.
        let per_block = u64::from(BLOCK_SIZE) - 1;
        let block = usize::try_from(used / per_block).unwrap_or(usize::MAX);
        let counter = (used % per_block) as u32 + 1;
        blocks.get(block).and_then(|b| case_number(*b, counter)).ok_or(ActError::NoNumbers)
    }

    /// A number of this device that is out in the world is not given out again: a box whose disk
    /// was restored hears of its own cases from the relay.
    pub(crate) fn number_is_out(&self, number: &str) -> Result<(), StoreError> {
        let county = self.replica.county();
        let blocks = county.blocks(self.replica.me.device);
        let Some((block, counter)) = parts(number) else { return Ok(()) };
        let Some(index) = blocks.iter().position(|b| *b == block) else { return Ok(()) };
        let per_block = u64::from(BLOCK_SIZE) - 1;
        self.tx.count_at_least("numbers", index as u64 * per_block + u64::from(counter))
    }

    /// Takes a step on a case or a resident's record. It is judged as every replica will judge
    /// it; one that would not count is not written.
    ///
    /// # Errors
    /// [`ActError::Refused`] with the reason; [`ActError::Unknown`].
    pub fn event(&self, subject: SubjectId, who: Who<'_>, step: Step) -> Result<EntryId, ActError> {
        let Composed { event, before, about } = self.compose(subject, step)?;
        let county = self.replica.county();
        let header = self.header(Some(who.person))?;
        let payload = encode(&event);
        Event::decode(&payload).map_err(|_| ActError::Refused(Reason::Unreadable))?;
        let signers = Signers { device: &self.replica.me.key, person: who.key, authority: None };
        let entry = Entry::sign(subject, Kind::Event, header.clone(), payload, signers)?;
        // Judged here as it will be judged everywhere: signatures, revocations, posts, state.
        let attestation = authenticate(&entry, &county, None).map_err(|verdict| match verdict {
            Verdict::Pending(why) | Verdict::Quarantine(why) => ActError::Refused(why),
            Verdict::Accept => unreachable!("an error is never an acceptance"),
        })?;
        // Who moves is told of where they were: that is where everybody has them.
        let moves = matches!(event.step, Step::ResidentMoved { .. });
        let from = if moves { self.tx.subject(&subject.0)?.map(|(_, scope)| scope) } else { None };
        let record = Record { id: entry.id(), header, event, attestation };
        let place = self.judge(&before, record, about)?;
        let scope = from.unwrap_or_else(|| Scope::Place(place).to_string());
        self.append(&entry, &scope)?;
        Ok(entry.id())
    }

    /// The event of a step, built on what is here, with what it builds on.
    pub(crate) fn compose(&self, subject: SubjectId, step: Step) -> Result<Composed, ActError> {
        self.has_room()?;
        self.freshen(subject)?;
        let county = self.replica.county();
        let gathered = gather(self.tx.entries_of(&subject.0)?, &county);
        let new = gathered.records.is_empty();
        // A hand-over may be offered anew, in place of what was offered before.
        let begins = match step {
            Step::Opened { .. } | Step::ResidentAdded { .. } => true,
            Step::DutyOffered { .. } => new,
            _ => false,
        };
        if begins != new {
            return Err(ActError::Unknown);
        }
        let about = About::of(&step, &gathered.records);
        let after = match about {
            About::Case => fold(&gathered.records, &county).frontier,
            About::Resident => registry::fold(&gathered.records, &county).frontier,
            About::Duty => duty::fold(&gathered.records, &county).frontier,
        };
        let (heads, digest) = if begins || about == About::Duty {
            (Vec::new(), None)
        } else {
            let schema = schema_of(if about == About::Case { CASE } else { RESIDENT });
            let document = self.replica.document_in(self.tx, subject, schema)?;
            (document.heads(), Some(document.projection().digest()))
        };
        let event = Event { after, heads, digest, step };
        Ok(Composed { event, before: gathered.records, about })
    }

    /// Judges a step as the fold of every replica will; gives the subject's village.
    pub(crate) fn judge(
        &self,
        before: &[Record],
        record: Record,
        about: About,
    ) -> Result<cunkou_casework::ids::PlaceId, ActError> {
        let county = self.replica.county();
        let id = record.id;
        let mut records = before.to_vec();
        records.push(record);
        let counts = |standings: &[(EntryId, Standing)]| match standings
            .iter()
            .find(|(e, _)| *e == id)
            .map(|(_, s)| *s)
        {
            Some(Standing::Effective | Standing::Rival) => Ok(()),
            Some(Standing::Quarantined(why) | Standing::Waiting(why)) => Err(why),
            Some(Standing::Overtaken) | None => Err(Reason::NotNow),
        };
        match about {
            About::Case => {
                let folded = fold(&records, &county);
                counts(&folded.standings)?;
                folded.state.opened.map(|o| o.place).ok_or(ActError::Unknown)
            }
            About::Resident => {
                let registered = registry::fold(&records, &county);
                if registered.refused.contains(&id) {
                    return Err(Reason::NoPost.into());
                }
                registered.place.ok_or(ActError::Unknown)
            }
            About::Duty => {
                let folded = duty::fold(&records, &county);
                counts(&folded.standings)?;
                folded.duty.given.map(|given| given.place).ok_or(ActError::Unknown)
            }
        }
    }

    /// Saves values in a subject's document. Returns false when nothing would change.
    ///
    /// # Errors
    /// [`ActError::Unknown`]; [`ActError::Document`].
    pub fn edit(
        &self,
        subject: SubjectId,
        who: Who<'_>,
        writes: &[Write],
    ) -> Result<bool, ActError> {
        self.has_room()?;
        self.freshen(subject)?;
        let known = self.tx.subject(&subject.0)?.filter(|(schema, _)| *schema != DUTY);
        let Some((schema, scope)) = known else {
            return Err(ActError::Unknown);
        };
        let me = &self.replica.me;
        let county = self.replica.county();
        if let Ok(Scope::Place(place)) = scope.parse()
            && !county.serves_at(me.device, place, county.head().position)
        {
            return Err(Reason::OutOfScope.into());
        }
        let mut document = self.replica.document_in(self.tx, subject, schema_of(schema))?;
        let actor = actor(me.device, self.replica.incarnation);
        let Some(change) = document.write(actor, self.now_ms, writes)? else {
            return Ok(false);
        };
        let signers = Signers { device: &me.key, person: None, authority: None };
        let header = self.header(Some(who.person))?;
        let entry = Entry::sign(subject, Kind::Edit, header, change, signers)?;
        // The change is our own and already in `document`: no need to apply it again.
        let pos = self.append_only(&entry, &scope)?;
        let saved = StoredDocument { pos, bytes: document.save() };
        self.tx.set_document(&subject.0, &saved)?;
        self.replica.materialise(self.tx, subject)?;
        Ok(true)
    }

    fn has_room(&self) -> Result<(), ActError> {
        self.replica.no_forms().map_or(Ok(()), |why| Err(ActError::NoRoom(why)))
    }

    /// What came from a peer but is not derived yet is derived first, so that nothing is built
    /// beside it.
    fn freshen(&self, subject: SubjectId) -> Result<(), StoreError> {
        if self.tx.is_dirty(&subject.0)? {
            self.replica.materialise(self.tx, subject)?;
        }
        Ok(())
    }

    pub(crate) fn append(&self, entry: &Entry, scope: &str) -> Result<(), StoreError> {
        self.append_only(entry, scope)?;
        self.replica.materialise(self.tx, entry.subject())
    }

    /// Appends an entry of our own and remembers it as the device's last.
    pub(crate) fn append_only(&self, entry: &Entry, scope: &str) -> Result<u64, StoreError> {
        let header = entry.header();
        let chain =
            [&header.incarnation.0[..], &header.seq.to_be_bytes(), &entry.id().0[..]].concat();
        self.tx.set_meta("chain", &chain)?;
        self.insert(entry, scope)
    }

    /// Appends an entry of our own that stands outside the device's chain.
    pub(crate) fn insert(&self, entry: &Entry, scope: &str) -> Result<u64, StoreError> {
        let new = NewEntry {
            id: &entry.id().0,
            subject: &entry.subject().0,
            kind: kind_code(entry.kind()),
            via: 0,
            received_ms: self.now_ms,
            state: EntryState::Good,
            reason: None,
            bytes: &entry.encode(),
        };
        let pos = self.tx.append(&new, scope)?.ok_or(StoreError::Damaged { what: "entry log" })?;
        self.tx.note_author(pos, author(entry.header()), self.now_ms)?;
        Ok(pos)
    }

    /// The header of this device's next entry.
    pub(crate) fn header(&self, person: Option<PersonId>) -> Result<Header, StoreError> {
        let incarnation = self.replica.incarnation;
        let chain = self.tx.meta("chain")?.unwrap_or_default();
        let (mut seq, mut previous) = (1, None);
        if chain.len() == 16 + 8 + 32 {
            previous = EntryId::try_from(&chain[24..]).ok();
            if chain[..16] == incarnation.0 {
                seq = u64::from_be_bytes(chain[16..24].try_into().unwrap_or_default()) + 1;
            }
        }
        let (clock, _) = self.replica.clock()?;
        Ok(Header {
            salt: self.random(),
            person,
            device: self.replica.me.device,
            incarnation,
            seq,
            previous,
            log: self.replica.county().head(),
            claimed_ms: self.now_ms,
            clock,
        })
    }
}

pub(crate) fn author(header: &Header) -> Author<'_> {
    Author {
        device: &header.device.0,
        person: header.person.as_ref().map(|p| &p.0),
        incarnation: &header.incarnation.0,
        seq: header.seq,
        previous: header.previous.as_ref().map(|p| &p.0),
    }
}
