//! The replica as a bundle sees it: the same port, and how things came is remembered.

use crate::Replica;
use crate::peer::failed;
use cunkou_casework::ids::DeviceId;
use cunkou_engine::{Admitted, Hello, Loaded, PeerInfo, Port, PortError, Refused};
use cunkou_store::{How, PeerRow, StoreError};
use std::sync::Arc;

/// A replica to which entries come by hand: what it admits it admits as from a link.
#[derive(Clone, Debug)]
pub struct ByHand {
    /// The replica.
    pub replica: Arc<Replica>,
    /// In which way.
    pub how: How,
    /// When the bundle at hand was made, milliseconds: so long ago its sender was alive.
    pub made_ms: i64,
}

impl Replica {
    /// Something came by hand that peers and pages are to hear of.
    pub fn told_by_hand(&self) {
        self.changed();
    }
}

impl Port for ByHand {
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        self.replica.admit_peer(key)
    }

    fn hello(&self, peer: &PeerInfo) -> Result<Hello, PortError> {
        self.replica.hello(peer)
    }

    fn greeted(&self, peer: &PeerInfo, hello: &Hello) -> Result<(), PortError> {
        let now_ms = self.replica.now_ms();
        let store = self.replica.store();
        let known = store.read(|view| view.peer(&peer.device)).map_err(failed)?;
        // A clock cannot be compared by what lay in a drawer, nor was anybody heard later than it.
        let seen_ms = self.made_ms.min(now_ms);
        let seen = PeerRow {
            id: 0,
            device: peer.device,
            store: hello.store,
            epoch: hello.epoch,
            name: peer.name.clone(),
            software: hello.software.chars().take(40).collect(),
            seen_ms: known.as_ref().map_or(seen_ms, |k| k.seen_ms.max(seen_ms)),
            clock_error_ms: known.as_ref().map_or(0, |k| k.clock_error_ms),
            completed_ms: None,
            features: known.as_ref().map_or(0, |k| k.features),
        };
        store
            .write(|tx| {
                let row = tx.greet_peer(&seen)?;
                self.replica.remember_handed_in(tx, row.id, DeviceId(peer.device))?;
                if known.as_ref().is_none_or(|k| k.seen_ms < seen_ms) {
                    tx.set_heard_by_hand(row.id)?;
                }
                tx.begin_contact(row.id, now_ms)?;
                tx.set_contact_kind(row.id, self.how)
            })
            .map_err(|e: StoreError| failed(e))
    }

    fn load(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: u64,
        bytes_max: usize,
    ) -> Result<Loaded, PortError> {
        self.replica.load(peer, scope, after, bytes_max)
    }

    fn store(
        &self,
        peer: &PeerInfo,
        scope: &str,
        upto: u64,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        let known = self.replica.known_peer(peer)?;
        let kept = self.replica.admit_by(self.how, &known, scope, upto, entries, |_| Ok(()));
        kept.map_err(failed)
    }

    fn acked(&self, peer: &PeerInfo, scope: &str, upto: u64) -> Result<(), PortError> {
        self.replica.acked(peer, scope, upto)
    }

    fn completed(&self, peer: &PeerInfo) -> Result<(), PortError> {
        let known = self.replica.known_peer(peer)?;
        let now_ms = self.replica.now_ms();
        let ended = self.replica.store().write(|tx| tx.end_contact(known.id, now_ms));
        ended.map_err(|e: StoreError| failed(e))?;
        self.replica.settle_villages().map_err(failed).map(|_| ())
    }

    fn heads(&self, peer: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        self.replica.heads(peer)
    }

    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }

    fn wanted(&self, peer: &PeerInfo, limit: usize) -> Result<Vec<[u8; 32]>, PortError> {
        self.replica.wanted(peer, limit)
    }

    fn attachment(&self, peer: &PeerInfo, id: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        self.replica.attachment(peer, id)
    }

    fn keep_attachment(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), PortError> {
        self.replica.keep_attachment(id, bytes)
    }

    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.replica.on_change(notify);
    }
}
