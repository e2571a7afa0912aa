//! Who is who in a county of models: what the county log says, known to all at once.

use cunkou_engine::{PeerInfo, RefusalCode, Refused};
use std::collections::{BTreeMap, BTreeSet};

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

/// All devices by their keys.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<[u8; 32], Device>);

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
        Self(devices.into_iter().map(|d| (key_of(&d.id), d)).collect())
    }

    /// What `me` may talk about with the holder of a key.
    pub(crate) fn admit(&self, me: &[u8; 16], key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        let refused = |words: &str| Refused { code: RefusalCode::NotEnrolled, words: words.into() };
        let other = self.0.get(key).ok_or_else(|| refused("unknown"))?;
        let me = self.0.get(&key_of(me)).ok_or_else(|| refused("unknown"))?;
        if !me.relay && !other.relay {
            return Err(refused("only a box and a relay talk to each other"));
        }
        // System first, as the replica says it.
        let mut scopes = vec![SYSTEM.to_owned()];
        scopes.extend(me.scopes.intersection(&other.scopes).filter(|s| *s != SYSTEM).cloned());
        let name = format!("{:02x}{:02x}", other.id[0], other.id[1]);
        Ok(PeerInfo { device: other.id, name, scopes, handed_in: Vec::new() })
    }
}
