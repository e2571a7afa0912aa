//! A locked box takes a bundle as it takes what comes over a link: what it must know at once it
//! learns, the rest waits sealed in its inbox.

use super::{Came, Fault, ours, past_of, sender, unreadable};
use cunkou_bundle::{ImportError, Imported, Reader, import as unpack};
use cunkou_engine::{Admitted, Hello, Loaded, PeerInfo, Port, PortError, Refused};
use cunkou_replica::{ByHand, Replica};
use cunkou_store::How;
use std::io::Read;
use std::sync::Arc;

/// The inbox as a bundle sees it: a stick is no contact at the time when it is read, so the lease
/// hears of it only when the box is open.
struct Inbox {
    open: ByHand,
    vault: Arc<dyn Port>,
}

impl Port for Inbox {
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        self.vault.admit_peer(key)
    }

    fn hello(&self, peer: &PeerInfo) -> Result<Hello, PortError> {
        self.vault.hello(peer)
    }

    fn greeted(&self, peer: &PeerInfo, hello: &Hello) -> Result<(), PortError> {
        self.open.greeted(peer, hello)
    }

    fn load(
        &self,
        peer: &PeerInfo,
        scope: &str,
        after: u64,
        most: usize,
    ) -> Result<Loaded, PortError> {
        self.vault.load(peer, scope, after, most)
    }

    fn store(
        &self,
        peer: &PeerInfo,
        scope: &str,
        upto: u64,
        entries: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        self.vault.store(peer, scope, upto, entries)
    }

    fn acked(&self, peer: &PeerInfo, scope: &str, upto: u64) -> Result<(), PortError> {
        self.vault.acked(peer, scope, upto)
    }

    fn completed(&self, peer: &PeerInfo) -> Result<(), PortError> {
        self.open.completed(peer)
    }

    fn heads(&self, peer: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        self.vault.heads(peer)
    }

    fn heard(&self, peer: &PeerInfo, words: &[u8]) -> Result<bool, PortError> {
        self.vault.heard(peer, words)
    }

    fn wanted(&self, peer: &PeerInfo, limit: usize) -> Result<Vec<[u8; 32]>, PortError> {
        self.vault.wanted(peer, limit)
    }

    fn attachment(&self, peer: &PeerInfo, id: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        self.vault.attachment(peer, id)
    }

    fn keep_attachment(&self, id: &[u8; 32], bytes: &[u8]) -> Result<(), PortError> {
        self.vault.keep_attachment(id, bytes)
    }

    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.vault.on_change(notify);
    }
}

/// Brings a bundle into the inbox of a locked box. It is not noted as come in: read once more when
/// the box is open it brings its photos, and the county hears that it came.
///
/// # Errors
/// As [`super::import`].
pub fn import_locked<R: Read>(
    open: &Arc<Replica>,
    vault: Arc<dyn Port>,
    input: R,
    progress: &dyn Fn(&Imported, u64),
) -> Result<Came, Fault> {
    let seed = open.me().key.seed();
    let mut reader = Reader::begin(&seed, input).map_err(|e| unreadable(open, e))?;
    let head = reader.head().clone();
    let (peer, device) = sender(open, reader.sender())?;
    if past_of(open, &peer, &head)? {
        return Err(Fault::Past(device.name));
    }
    let by_hand = ByHand { replica: Arc::clone(open), how: How::Stick, made_ms: head.made_ms };
    let port = Inbox { open: by_hand, vault };
    let brought = unpack(&port, &peer, &mut reader, progress);
    let brought = brought.map_err(|e| match e {
        ImportError::Gap(_) => {
            Fault::Gap { from: device.name.clone(), number: head.number, missing: Vec::new() }
        }
        ImportError::Read(e) => unreadable(open, e),
        ImportError::Port(e) => ours(e),
    })?;
    port.completed(&peer).map_err(ours)?;
    open.told_by_hand();
    Ok(Came {
        from: device.name,
        number: head.number,
        part: head.part,
        made_ms: head.made_ms,
        known: false,
        locked: true,
        brought,
        acked: 0,
    })
}
