//! A step that waits for its person's security key: prepared, confirmed elsewhere, then written.

use crate::act::Composed;
use crate::{ActError, Desk};
use cunkou_casework::case::{Attestation, Reason, Record, Verdict, authenticate, fold};
use cunkou_casework::decider::DeciderKey;
use cunkou_casework::entry::{Draft, Kind};
use cunkou_casework::event::{Event, Step, encode};
use cunkou_casework::ids::{EntryId, Incarnation, PersonId, Scope, SubjectId};

/// A step whose exact bytes stand and that nobody has signed.
#[derive(Clone, Debug)]
pub struct Prepared {
    draft: Draft,
    event: Event,
}

/// How the person stood behind it.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A signature by their key.
    Signature(Vec<u8>),
    /// The right one-time password, checked by us.
    Password,
}

impl Prepared {
    /// What a WebAuthn key signs.
    #[must_use]
    pub fn challenge(&self) -> [u8; 32] {
        self.draft.challenge()
    }

    /// What any other key signs.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        self.draft.message()
    }

    /// The step.
    #[must_use]
    pub fn step(&self) -> &Step {
        &self.event.step
    }

    /// The case.
    #[must_use]
    pub fn subject(&self) -> SubjectId {
        self.draft.entry().subject()
    }

    /// The person.
    #[must_use]
    pub fn person(&self) -> Option<PersonId> {
        self.draft.entry().header().person
    }
}

impl Desk<'_> {
    /// Prepares a step of a case. One that would not count is refused now, before anybody
    /// reaches for a key. Nothing is written.
    ///
    /// It gets an incarnation of its own: the device's chain goes on while the person looks for
    /// their key, and two entries under one number would look like a cloned disk.
    ///
    /// # Errors
    /// [`ActError`].
    pub fn prepare(
        &self,
        subject: SubjectId,
        person: PersonId,
        step: Step,
    ) -> Result<Prepared, ActError> {
        let Composed { event, before, about } = self.compose(subject, step)?;
        let mut header = self.header(Some(person))?;
        header.incarnation = Incarnation(self.random());
        (header.seq, header.previous) = (1, None);
        let payload = encode(&event);
        Event::decode(&payload).map_err(|_| ActError::Refused(Reason::Unreadable))?;
        let draft = Draft::new(subject, Kind::Event, header.clone(), payload)?;
        let as_if = Record {
            id: EntryId([0; 32]),
            header,
            event: event.clone(),
            attestation: Attestation::Relay,
        };
        self.judge(&before, as_if, about)?;
        Ok(Prepared { draft, event })
    }

    /// Writes a prepared step with the proof that its person stands behind it.
    ///
    /// # Errors
    /// [`ActError::Refused`] when the proof does not hold, or the case has moved on meanwhile.
    pub fn confirm(
        &self,
        prepared: Prepared,
        key: &DeciderKey,
        proof: Proof,
    ) -> Result<EntryId, ActError> {
        let Prepared { draft, event } = prepared;
        let (subject, device) = (draft.entry().subject(), &self.replica.me.key);
        let Composed { before, about, .. } = self.compose(subject, event.step.clone())?;
        let county = self.replica.county();
        if fold(&before, &county).frontier != event.after {
            return Err(Reason::NotNow.into());
        }
        let entry = match proof {
            Proof::Signature(bytes) => draft.sign(key, bytes, device)?,
            Proof::Password => draft.vouch(key, device)?,
        };
        let attestation = authenticate(&entry, &county, None).map_err(|verdict| match verdict {
            Verdict::Pending(why) | Verdict::Quarantine(why) => ActError::Refused(why),
            Verdict::Accept => unreachable!("an error is never an acceptance"),
        })?;
        let header = entry.header().clone();
        let record = Record { id: entry.id(), header, event, attestation };
        let place = self.judge(&before, record, about)?;
        self.insert(&entry, &Scope::Place(place).to_string())?;
        self.replica.materialise(self.tx, subject)?;
        Ok(entry.id())
    }
}
