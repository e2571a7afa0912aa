//! The session's port while the box is locked: it receives, commits and acknowledges, and gives
//! nothing.
//!
//! Photos are not asked for while locked: nobody waits for their acknowledgement, the county has
//! them, and the disk is not filled with what nobody can look at.

use crate::{Vault, VaultError};
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::event::{decode, encode};
use cunkou_casework::ids::Scope;
use cunkou_engine::ranges::Outline;
use cunkou_engine::{Admitted, Hello, Kept, Loaded, PeerInfo, Port, PortError, Refused};
use cunkou_keys::{BoxSecret, Key, open_sealed, seal_to};
use cunkou_store::{InboxRow, StoreError};
use minicbor::bytes::ByteVec;
use std::sync::atomic::Ordering;

/// The inbox's public key.
pub(crate) const PUBLIC: &str = "inbox public";
/// The inbox's secret: in `work.db`; in `open.db` only until the first sign-in.
pub(crate) const SECRET: &str = "inbox secret";
const DOMAIN: &[u8] = b"cunkou inbox v1\0";
/// A locked box takes in no more than this. Bytes.
const INBOX_BYTES_MAX: u64 = 512 * 1024 * 1024;

fn failed(e: impl std::fmt::Display) -> PortError {
    PortError(e.to_string())
}

fn info(device: &[u8; 16], scope: &str, upto: u64) -> Vec<u8> {
    [DOMAIN, device, &upto.to_be_bytes(), scope.as_bytes()].concat()
}

/// Opens a batch with the first secret that fits.
pub(crate) fn unseal(row: &InboxRow, secrets: &[BoxSecret]) -> Result<Vec<Vec<u8>>, VaultError> {
    let info = info(&row.device, &row.scope, row.upto);
    let plain = secrets
        .iter()
        .find_map(|secret| open_sealed(secret, None, &info, &row.sealed).ok())
        .ok_or(VaultError::Damaged("inbox"))?;
    let entries: Vec<ByteVec> = decode(&plain).map_err(|_| VaultError::Damaged("inbox"))?;
    Ok(entries.into_iter().map(Into::into).collect())
}

/// The secret of a stored value.
pub(crate) fn secret(bytes: &[u8]) -> Option<BoxSecret> {
    bytes.try_into().ok().map(Key::of).map(BoxSecret::of)
}

impl Vault {
    fn seal(
        &self,
        peer: &PeerInfo,
        scope: &str,
        upto: u64,
        entries: &[Vec<u8>],
    ) -> Result<Vec<u8>, PortError> {
        let public = self.open.store().read(|view| view.meta(PUBLIC)).map_err(failed)?;
        let public: [u8; 32] = public
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| failed("the inbox has no key"))?;
        let batch: Vec<ByteVec> = entries.iter().cloned().map(Into::into).collect();
        seal_to(&public, None, &info(&peer.device, scope, upto), &encode(&batch)).map_err(failed)
    }
}

/// What a locked box must know at once: statements (a revocation!) and wrapped keys.
fn is_public(bytes: &[u8]) -> bool {
    Entry::decode(bytes).is_ok_and(|e| matches!(e.kind(), Kind::County | Kind::Credential))
}

impl Port for Vault {
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        self.open.admit_peer(key)
    }

    fn hello(&self, peer: &PeerInfo) -> Result<Hello, PortError> {
        let mut hello = self.open.hello(peer)?;
        // A locked box has nothing to give: with an empty log the peer neither waits for anything
        // nor forgets how far it had read.
        for scope in &mut hello.scopes {
            (scope.head, scope.sum) = (0, None);
        }
        // And speaks as the first version did: it has nothing to offer or to compare.
        hello.features = None;
        Ok(hello)
    }

    fn greeted(&self, peer: &PeerInfo, hello: &Hello) -> Result<(), PortError> {
        self.open.greeted(peer, hello)?;
        self.contact().map_err(failed)
    }

    fn load(&self, _: &PeerInfo, _: &str, after: u64, _: usize) -> Result<Loaded, PortError> {
        Ok(Loaded { upto: after, head: after, entries: Vec::new() })
    }

    fn store(
        &self,
        peer: &PeerInfo,
        scope: &str,
        upto: u64,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        let _turn = self.lock_turn();
        if !self.receiving.load(Ordering::SeqCst) {
            return Err(failed("the box is being unlocked"));
        }
        let (_, bytes) = self.inbox().map_err(failed)?;
        if bytes > INBOX_BYTES_MAX {
            return Err(failed("the inbox of the locked box is full; somebody must sign in"));
        }
        let known = self.open.store().read(|view| view.peer(&peer.device)).map_err(failed)?;
        let known = known.ok_or_else(|| failed("the peer has not said hello"))?;
        let sealed = self.seal(peer, scope, upto, entries)?;
        let public: Vec<Vec<u8>> = entries.iter().filter(|e| is_public(e)).cloned().collect();
        let empty = entries.is_empty();
        let admitted = self
            .open
            .admit(&known, scope, upto, &public, |tx| {
                if empty { Ok(()) } else { tx.put_inbox(&peer.device, scope, upto, &sealed) }
            })
            .map_err(failed)?;
        self.prune_slots().map_err(failed)?;
        let unread = u32::try_from(entries.len() - public.len()).unwrap_or(u32::MAX);
        Ok(Admitted { new: admitted.new.saturating_add(unread), ..admitted })
    }

    fn acked(&self, _: &PeerInfo, _: &str, _: u64) -> Result<(), PortError> {
        Ok(())
    }

    fn completed(&self, peer: &PeerInfo) -> Result<(), PortError> {
        self.open.completed(peer)?;
        self.contact().map_err(failed)
    }

    fn heads(&self, peer: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        Ok(peer.scopes.iter().map(|scope| (scope.clone(), 0)).collect())
    }

    fn last_word(&self) -> Result<Option<Vec<u8>>, PortError> {
        self.stored_last_word().map_err(|e: StoreError| failed(e))
    }

    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }

    fn wanted(&self, peer: &PeerInfo, limit: usize) -> Result<Vec<[u8; 32]>, PortError> {
        // The catalogue is public: guides can be read on a locked box.
        let scopes = vec![Scope::System.to_string()];
        self.open.wanted(&PeerInfo { scopes, ..peer.clone() }, limit)
    }

    fn attachment(&self, _: &PeerInfo, _: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }

    fn keep_attachment(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), PortError> {
        self.open.keep_attachment(id, bytes)
    }

    fn carried(&self, peer: &PeerInfo, sent: u64, received: u64) -> Result<(), PortError> {
        self.open.carried(peer, sent, received)
    }

    fn part(&self, id: &[u8; 32]) -> Result<Option<(Outline, u16)>, PortError> {
        self.open.part(id)
    }

    fn drop_part(&self, id: &[u8; 32]) -> Result<(), PortError> {
        self.open.drop_part(id)
    }

    fn keep_groups(&self, of: &Outline, first: u16, bytes: &[u8]) -> Result<Kept, PortError> {
        self.open.keep_groups(of, first, bytes)
    }

    fn lane_fault(&self, peer: &PeerInfo, words: &str) -> Result<(), PortError> {
        self.open.lane_fault(peer, words)
    }

    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.open.on_change(notify);
    }
}
