//! What two boxes may exchange that meet without the county between them.

use super::{CountyLog, Device, DeviceKind};
use crate::ids::{DeviceId, Scope};
use crate::suite::PublicKey;

/// Why a box exchanges nothing with whoever stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Apart {
    /// The county log does not know this key, or not yet.
    #[error("the county log here does not know that box")]
    Unknown,
    /// It is our own key: a copy of this machine.
    #[error("it has this box's own key")]
    Ourselves,
    /// One of the two is a relay: relays are called by their address and never found.
    #[error("a relay is not met beside a box")]
    Relay,
    /// One of the two was revoked.
    #[error("one of the two was revoked by the county")]
    Revoked,
}

impl CountyLog {
    /// Who holds `key`, and the scopes that `me` and they both have by what the county log here
    /// says: the log itself, and the places that both serve. A place that only one of them serves
    /// is never named to the other; what a box tells the county alone is in no scope of these.
    ///
    /// # Errors
    /// [`Apart`].
    pub fn beside(&self, me: DeviceId, key: &PublicKey) -> Result<(&Device, Vec<Scope>), Apart> {
        let me = self.device(me).ok_or(Apart::Unknown)?;
        if me.key == *key {
            return Err(Apart::Ourselves);
        }
        let other = self.devices().find(|d| d.key == *key).ok_or(Apart::Unknown)?;
        if [me, other].iter().any(|d| d.kind == DeviceKind::Relay) {
            return Err(Apart::Relay);
        }
        if ![me, other].iter().all(|d| self.device_counts(d.id)) {
            return Err(Apart::Revoked);
        }
        let both = me.places.iter().filter(|place| other.places.contains(place));
        let scopes = std::iter::once(Scope::System).chain(both.map(|p| Scope::Place(*p)));
        Ok((other, scopes.collect()))
    }
}
