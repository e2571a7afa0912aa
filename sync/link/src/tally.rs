//! What a conversation costs, told to the store now and then: a write per packet would wear the disk.

use crate::line::Connection;
use cunkou_engine::{PeerInfo, Port};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// So often; what came since is lost in a power cut.
pub(crate) const EVERY: Duration = Duration::from_secs(600);

/// Counts one connection. What is not yet told is told when it is dropped.
pub(crate) struct Tally {
    connection: Connection,
    port: Arc<dyn Port>,
    peer: PeerInfo,
    told: (u64, u64),
}

impl Tally {
    pub(crate) fn new(connection: Connection, port: Arc<dyn Port>, peer: PeerInfo) -> Self {
        Self { connection, port, peer, told: (0, 0) }
    }

    /// What is new since it was told last, as work that writes it down.
    fn news(&mut self) -> Option<impl FnOnce() + Send + 'static> {
        let now = self.connection.carried();
        let (sent, received) = (now.0 - self.told.0, now.1 - self.told.1);
        if sent + received == 0 {
            return None;
        }
        self.told = now;
        let (port, peer) = (Arc::clone(&self.port), self.peer.clone());
        Some(move || {
            if let Err(error) = port.carried(&peer, sent, received) {
                warn!(%error, "what the link carried cannot be written down");
            }
        })
    }

    /// Tells the store, beside what goes on.
    pub(crate) fn tell(&mut self) {
        if let Some(work) = self.news() {
            tokio::task::spawn_blocking(work);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        // Here and now: when the program ends, nothing runs beside it any more.
        if let Some(work) = self.news() {
            work();
        }
    }
}
