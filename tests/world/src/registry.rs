//! Who is who in a county of models: what the county log says, known to all at once.

use cunkou_engine::{PeerInfo, RefusalCode, Refused};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The scope that everybody has.
pub(crate) const SYSTEM: &str = "system";

/// A device of the county.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id.
    pub id: [u8; 16],
    /// Whether it is a relay.
    pub relay: bool,
    /// What it may have.
    pub scopes: BTreeSet<String>,
}

/// All devices by their keys, and the scopes that were taken from them.
#[derive(Debug, Default)]
pub struct Registry {
    devices: BTreeMap<[u8; 32], Device>,
    lost: Mutex<BTreeMap<[u8; 16], BTreeSet<String>>>,
}

/// The key of a model device.
#[must_use]
pub fn key_of(id: &[u8; 16]) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(id);
    key[16..].copy_from_slice(id);
    key
}

impl Registry {
    /// A county of these devices.
    #[must_use]
    pub fn new(devices: impl IntoIterator<Item = Device>) -> Self {
        let devices = devices.into_iter().map(|d| (key_of(&d.id), d)).collect();
        Self { devices, lost: Mutex::default() }
    }

    fn all_lost(&self) -> MutexGuard<'_, BTreeMap<[u8; 16], BTreeSet<String>>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The county takes a scope from a box, or gives it back.
    pub(crate) fn shrink(&self, device: [u8; 16], scope: &str, away: bool) {
        let mut lost = self.all_lost();
        let of = lost.entry(device).or_default();
        if away {
            of.insert(scope.to_owned())
        } else {
            of.remove(scope)
        };
    }

    /// What a device may have no more.
    pub(crate) fn lost(&self, device: &[u8; 16]) -> BTreeSet<String> {
        self.all_lost().get(device).cloned().unwrap_or_default()
    }

    pub(crate) fn is_relay(&self, device: &[u8; 16]) -> bool {
        self.devices.get(&key_of(device)).is_some_and(|d| d.relay)
    }

    /// What `me` may talk about with the holder of a key.
    pub(crate) fn admit(&self, me: &[u8; 16], key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        let refused = |words: &str| Refused { code: RefusalCode::NotEnrolled, words: words.into() };
        let other = self.devices.get(key).ok_or_else(|| refused("unknown"))?;
        let me = self.devices.get(&key_of(me)).ok_or_else(|| refused("unknown"))?;
        if !me.relay && !other.relay {
            return Err(refused("only a box and a relay talk to each other"));
        }
        let lost = self.lost(if me.relay { &other.id } else { &me.id });
        let shared = || me.scopes.intersection(&other.scopes).filter(|s| *s != SYSTEM);
        // System first, then what the box has, as the replica says it.
        let mut scopes = vec![SYSTEM.to_owned()];
        scopes.extend(shared().filter(|s| !lost.contains(*s)).cloned());
        let handed_in: Vec<String> = shared().filter(|s| lost.contains(*s)).cloned().collect();
        scopes.extend(handed_in.iter().cloned());
        let name = format!("{:02x}{:02x}", other.id[0], other.id[1]);
        Ok(PeerInfo { device: other.id, name, scopes, handed_in })
    }
}
