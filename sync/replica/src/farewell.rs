//! The end of a box: it learns from the county log that it was revoked, destroys its keys, and
//! says so, signed, as the last thing it ever says.

use crate::Replica;
use cunkou_casework::county::{CountyLog, Numbered};
use cunkou_casework::event::{decode, encode};
use cunkou_casework::ids::{DeviceId, Scope, SubjectId};
use cunkou_casework::suite::SecretKey;
use cunkou_engine::PeerInfo;
use cunkou_store::{EntryState, StoreError, View};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

const DOMAIN: &[u8] = b"cunkou keys destroyed v1\0";

/// A box's statement that it has destroyed its keys.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LastWord {
    /// The county.
    #[n(0)]
    pub county: SubjectId,
    /// The box.
    #[n(1)]
    pub device: DeviceId,
    /// The statement of the county log that revoked it.
    #[n(2)]
    pub revoked_at: u64,
    /// When its keys were destroyed by its own clock, milliseconds.
    #[n(3)]
    pub at_ms: i64,
    /// The device key's signature over the fields above.
    #[n(4)]
    pub signature: ByteVec,
}

impl LastWord {
    fn signed_bytes(&self) -> Vec<u8> {
        let fields = Self { signature: Vec::new().into(), ..self.clone() };
        [DOMAIN, &encode(&fields)].concat()
    }

    /// Says it.
    #[must_use]
    pub fn sign(
        county: SubjectId,
        device: DeviceId,
        revoked_at: u64,
        at_ms: i64,
        key: &SecretKey,
    ) -> Self {
        let signature = Vec::new().into();
        let mut word = Self { county, device, revoked_at, at_ms, signature };
        word.signature = key.sign(&word.signed_bytes()).into();
        word
    }

    /// Whether this box said it, of its own revocation.
    #[must_use]
    pub fn holds(&self, county: &CountyLog) -> bool {
        self.county == county.county
            && county.device_revoked_at(self.device) == Some(self.revoked_at)
            && county
                .device(self.device)
                .is_some_and(|d| d.key.verifies(&self.signed_bytes(), &self.signature))
    }
}

fn place(device: DeviceId) -> String {
    format!("last word of {device}")
}

impl Replica {
    /// What a revoked box said last, if this relay has heard it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn last_word_of(&self, device: DeviceId) -> Result<Option<LastWord>, StoreError> {
        let bytes = self.store().read(|view| view.meta(&place(device)))?;
        Ok(bytes.and_then(|bytes| decode(&bytes).ok()))
    }

    /// Keeps what a revoked box says; false when it is not its word.
    pub(crate) fn hear(&self, peer: &PeerInfo, words: &[u8]) -> Result<bool, StoreError> {
        let Ok(word) = decode::<LastWord>(words) else { return Ok(false) };
        if word.device.0 != peer.device || !word.holds(&self.county()) {
            return Ok(false);
        }
        self.store().write(|tx| tx.set_meta(&place(word.device), words))?;
        Ok(true)
    }

    /// Where our log of a scope ends for a peer: a revoked box hears the county log up to its own
    /// revocation and nothing of what came later, and who lost a village hears nothing of it.
    pub(crate) fn head_for(
        &self,
        view: &View<'_>,
        peer: &PeerInfo,
        scope: &str,
    ) -> Result<u64, StoreError> {
        let head = view.head(scope)?;
        if self.withholds(peer, scope) {
            return Ok(0);
        }
        let Some(position) = self.county().device_revoked_at(DeviceId(peer.device)) else {
            return Ok(head);
        };
        let system = Scope::System.to_string();
        if scope != system {
            return Ok(0);
        }
        for row in view.entries_in(&system, crate::kinds::COUNTY)? {
            if row.state != EntryState::Good {
                continue;
            }
            let entry = cunkou_casework::entry::Entry::decode(&row.bytes).ok();
            let numbered: Option<Numbered> = entry.and_then(|e| decode(e.payload()).ok());
            if numbered.is_some_and(|n| n.position == position) {
                return Ok(view.seq_of(&system, row.pos)?.unwrap_or(0).min(head));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cunkou_casework::hex;

    /// The bytes of docs/wire.md: a relay of any version reads them.
    #[test]
    fn a_last_word_has_these_bytes() {
        let key = SecretKey::from_seed(&[7; 32]);
        let (county, device) = (SubjectId([1; 16]), DeviceId([2; 16]));
        let word = LastWord::sign(county, device, 9, 1_795_000_000_000, &key);
        let bytes = encode(&word);
        assert_eq!(
            hex::encode(&bytes[..45]),
            "8550010101010101010101010101010101015002020202020202020202020202020202091b000001a1ee565e00"
        );
        let read: LastWord = decode(&bytes).expect("read");
        assert_eq!(read, word);
        assert!(key.public().verifies(&read.signed_bytes(), &read.signature));
    }
}
