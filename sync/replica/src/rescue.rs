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
use std::collections::BTreeMap;
use tracing::warn;

/// A box that says more rescues in a day is not believed: it makes one a month for each person,
/// and one whenever others may help them.
const A_DAY: u64 = 300;
pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;
/// So many of one person and box are looked at, the latest first: a box keeps two of them, and
/// makes few before it hears which one has arrived.
const LOOKED_AT: usize = 20;
/// So many that came before the county log did are looked at of one place.
const WAITING_MAX: usize = 200;
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
    if entry.subject() != county.subject() {
        return Err(Verdict::Quarantine(Reason::OutOfScope));
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

/// Whether a box has said too many lately.
pub(crate) fn too_many(view: &View<'_>, device: DeviceId, now_ms: i64) -> Result<bool, StoreError> {
    let lately = view.given_since(RESCUE, &device.0, None, now_ms.saturating_sub(DAY_MS))?;
    Ok(lately >= A_DAY)
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
                let (mut waited, mut looked_at) = (0, BTreeMap::new());
                for row in view.entries_in(&scope, RESCUE)?.into_iter().rev() {
                    // What came before the county log did is judged now.
                    let waits = row.state == EntryState::Waiting;
                    waited += usize::from(waits);
                    if row.state != EntryState::Good && (!waits || waited > WAITING_MAX) {
                        continue;
                    }
                    let Some((entry, helpable)) = for_helper(&row.bytes, helper) else { continue };
                    let (device, person) = (helpable.device, helpable.person);
                    let counts =
                        county.device_counts(device) && county.person_revoked_at(person).is_none();
                    let seen: &mut usize = looked_at.entry((device, person)).or_default();
                    // Anybody may have written what waits: it takes no other's place.
                    *seen += usize::from(!waits);
                    if counts && *seen <= LOOKED_AT && judged(&entry, &county, &scope).is_ok() {
                        found.push((row.pos, helpable));
                    }
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

/// A rescue that names this helper, before anything else is asked of it.
fn for_helper(bytes: &[u8], helper: &PublicKey) -> Option<(Entry, Helpable)> {
    let entry = Entry::decode(bytes).ok()?;
    let rescue = Rescue::read(entry.payload()).ok()?;
    let (device, person) = (entry.header().device, rescue.person);
    let mine = rescue.helpers.iter().find(|h| h.key == *helper)?;
    let of = RescueFor { device: device.0, person: person.0, id: rescue.id };
    let sealed = mine.sealed.to_vec();
    Some((entry, Helpable { device, person, of, sealed }))
}

fn helped(view: &View<'_>) -> Result<Vec<Helped>, StoreError> {
    let Some(bytes) = view.meta(HELPED)? else { return Ok(Vec::new()) };
    cunkou_casework::event::decode(&bytes).map_err(|_| StoreError::Damaged { what: "list of help" })
}
