//! Rescues: what boxes say to those who may help somebody who has forgotten their PIN, and how a
//! helper reads out a code.

use crate::kinds::RESCUE;
use crate::{ActError, Desk, Replica};
use cunkou_casework::case::{Attestation, Verdict, authenticate};
use cunkou_casework::county::{CountyLog, Helper, Person, Rescue};
use cunkou_casework::entry::{Entry, Kind, Signers};
use cunkou_casework::event::encode;
use cunkou_casework::ids::{DeviceId, PersonId, PlaceId, Scope};
use cunkou_casework::suite::{PublicKey, SecretKey};
use cunkou_keys::{RescueFor, Spoken};
use cunkou_store::{EntryState, StoreError, View};
use minicbor::{Decode, Encode};
use tracing::warn;

/// A box that says more rescues of one person in a day is not believed: it makes one a month.
const A_DAY: usize = 100;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Where a helper's machine keeps whom it helped.
const HELPED: &str = "rescues helped";
/// So many are kept.
const HELPED_MAX: usize = 200;

/// One rescue that can be helped with here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helpable {
    /// The box.
    pub device: DeviceId,
    /// The person who works there.
    pub person: PersonId,
    of: RescueFor,
    sealed: Vec<u8>,
}

/// That a code was read out: never the code, never the number.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Helped {
    /// When, milliseconds.
    #[n(0)]
    pub at_ms: i64,
    /// For which box.
    #[n(1)]
    pub device: DeviceId,
    /// For whom.
    #[n(2)]
    pub person: PersonId,
    /// By whom; absent for a command of the relay.
    #[n(3)]
    pub by: Option<PersonId>,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum HelpError {
    /// No rescue of this person and box is here for this number and helper.
    #[error("no way back of this person on this box is known here for this number")]
    Unknown,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether an entry is a rescue of somebody who works at the box that wrote it, in a scope that
/// the box serves. Says why not.
pub(crate) fn judged(entry: &Entry, county: &CountyLog, scope: &str) -> Result<Rescue, Verdict> {
    use cunkou_casework::case::Reason;
    let rescue =
        Rescue::read(entry.payload()).map_err(|_| Verdict::Quarantine(Reason::Unreadable))?;
    if authenticate(entry, county, None)? != Attestation::Device {
        return Err(Verdict::Quarantine(Reason::BadSignature));
    }
    let header = entry.header();
    let device = county.device_at(header.device, header.log.position);
    let serves = |place: &PlaceId| Scope::Place(*place).to_string() == scope;
    let Some(device) = device.filter(|d| d.places.iter().any(serves)) else {
        return Err(Verdict::Quarantine(Reason::OutOfScope));
    };
    let Some(person) = county.person_at(rescue.person, header.log.position) else {
        return Err(Verdict::Pending(Reason::UnknownPerson));
    };
    if person.key.is_none() || !county.works_at(person, device) {
        return Err(Verdict::Quarantine(Reason::NoPost));
    }
    Ok(rescue)
}

/// Whether a box has said too many of one person lately.
pub(crate) fn too_many(
    view: &View<'_>,
    scope: &str,
    device: DeviceId,
    person: PersonId,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let rows = view.entries_in(scope, RESCUE)?;
    let lately = rows.iter().filter(|row| now_ms - row.received_ms < DAY_MS);
    let same = lately.filter(|row| {
        Entry::decode(&row.bytes).is_ok_and(|e| {
            e.header().device == device
                && Rescue::read(e.payload()).is_ok_and(|r| r.person == person)
        })
    });
    Ok(same.count() >= A_DAY)
}

impl Desk<'_> {
    /// Says who may help a person of this box, in the scope of one of their places. Gives that
    /// scope and the place of the entry in its log; nothing when this box serves none, or nobody
    /// can help.
    ///
    /// # Errors
    /// [`ActError`].
    pub fn give_rescue(
        &self,
        person: &Person,
        id: u64,
        helpers: &[PublicKey],
        spoken: &Spoken,
    ) -> Result<Option<(String, u64)>, ActError> {
        let me = &self.replica.me;
        let of = RescueFor { device: me.device.0, person: person.id.0, id };
        let mut sealed = Vec::new();
        for key in helpers {
            match spoken.seal(&key.0, &of) {
                Ok(bytes) => sealed.push(Helper { key: *key, sealed: bytes.into() }),
                Err(why) => warn!(%why, "a helper's key cannot be sealed to"),
            }
        }
        let places = self.replica.device().map(|d| d.places).unwrap_or_default();
        let own = places.iter().find(|p| person.posts.iter().any(|post| post.place == **p));
        let Some(place) = own.or(places.first()).filter(|_| !sealed.is_empty()) else {
            return Ok(None);
        };
        let rescue = Rescue { person: person.id, id, helpers: sealed };
        let signers = Signers { device: &me.key, person: None, authority: None };
        let header = self.header(None)?;
        let entry = Entry::sign(me.county, Kind::Rescue, header, encode(&rescue), signers)?;
        let scope = Scope::Place(*place).to_string();
        self.append_only(&entry, &scope)?;
        let seq = self.tx.head(&scope)?;
        Ok(Some((scope, seq)))
    }
}

impl Replica {
    /// Whether some peer has acknowledged what stands at this place of a scope's log.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_acknowledged(&self, scope: &str, seq: u64) -> Result<bool, StoreError> {
        self.store.read(|view| {
            for peer in view.peers()? {
                if view.acked(peer.id, scope)? >= seq {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// What the holder of this key can help with, the latest first. Boxes and people that no
    /// longer count are left out.
    ///
    /// # Errors
    /// When the store fails.
    pub fn helpable(&self, helper: &PublicKey) -> Result<Vec<Helpable>, StoreError> {
        let county = self.county();
        let mut found: Vec<(u64, Helpable)> = Vec::new();
        self.store.read(|view| -> Result<(), StoreError> {
            for place in county.places() {
                let scope = Scope::Place(place.id).to_string();
                for row in view.entries_in(&scope, RESCUE)? {
                    let Ok(entry) = Entry::decode(&row.bytes) else { continue };
                    // What came before the county log did is judged now.
                    let waits = row.state == EntryState::Waiting;
                    if row.state != EntryState::Good && !waits {
                        continue;
                    }
                    let Ok(rescue) = judged(&entry, &county, &scope) else { continue };
                    let device = entry.header().device;
                    let counts = county.device_counts(device)
                        && county.person_revoked_at(rescue.person).is_none();
                    let Some(mine) = rescue.helpers.iter().find(|h| counts && h.key == *helper)
                    else {
                        continue;
                    };
                    let person = rescue.person;
                    let of = RescueFor { device: device.0, person: person.0, id: rescue.id };
                    found.push((
                        row.pos,
                        Helpable { device, person, of, sealed: mine.sealed.to_vec() },
                    ));
                }
            }
            Ok(())
        })?;
        found.sort_by_key(|(pos, _)| std::cmp::Reverse(*pos));
        Ok(found.into_iter().map(|(_, helpable)| helpable).collect())
    }

    /// The code to read out to somebody in front of a box that shows this number. It is noted who
    /// was helped.
    ///
    /// # Errors
    /// [`HelpError`].
    pub fn help(
        &self,
        key: &SecretKey,
        device: DeviceId,
        person: PersonId,
        number: &str,
        by: Option<PersonId>,
    ) -> Result<String, HelpError> {
        let found = self.helpable(&key.public())?;
        let meant = found
            .iter()
            .filter(|h| h.device == device && h.person == person)
            .find(|h| h.of.may_be(number))
            .ok_or(HelpError::Unknown)?;
        let spoken =
            Spoken::open(&key.seed(), &meant.of, &meant.sealed).map_err(|_| HelpError::Unknown)?;
        let at_ms = self.now_ms();
        self.store.write(|tx| -> Result<(), StoreError> {
            let mut helped = helped(tx)?;
            helped.insert(0, Helped { at_ms, device, person, by });
            helped.truncate(HELPED_MAX);
            tx.set_meta(HELPED, &encode(&helped))
        })?;
        Ok(spoken.code(&meant.of, number))
    }

    /// Whom this machine helped, the latest first; at most 200.
    ///
    /// # Errors
    /// When the store fails.
    pub fn helped(&self) -> Result<Vec<Helped>, StoreError> {
        self.store.read(helped)
    }
}

fn helped(view: &View<'_>) -> Result<Vec<Helped>, StoreError> {
    let Some(bytes) = view.meta(HELPED)? else { return Ok(Vec::new()) };
    cunkou_casework::event::decode(&bytes).map_err(|_| StoreError::Damaged { what: "list of help" })
}
