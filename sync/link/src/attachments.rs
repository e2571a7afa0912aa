//! The lane of attachments: pulled by hash, one stream each, behind the entries.
//!
//! Between programs that both know it an attachment comes in checked pieces ([`pieces`]); with one
//! of the first version it comes whole ([`whole`]). What is asked for is told apart by its length.

mod pieces;
mod whole;

use crate::LinkError;
use crate::line::{Connection, RecvStream, SendStream};
use crate::quotas::Account;
use cunkou_engine::ranges::{Pace, RangeViolation};
use cunkou_engine::{PeerInfo, Port, Progress};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{debug, info, warn};

const AT_ONCE: usize = 16;
/// What the peer lacks is asked for again after growing pauses.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Who was put off until tomorrow asks again this often: somebody may want it now.
const LATER_MAX: Duration = Duration::from_secs(600);

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LinkError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| LinkError::Broken(e.to_string()))
}

/// What became of one attachment.
enum Pulled {
    /// It is here; so many bytes came.
    Here(usize),
    /// The peer does not have it, or it went away; what came of it stays where it is still wanted.
    Lacking(usize),
    /// Today's bytes are used up, here or there.
    Later { wait: Duration, here: bool, moved: usize },
    /// The peer gave what cannot be. Nothing more is asked of it in this conversation.
    False(RangeViolation),
}

/// One conversation's lane.
pub(crate) struct Puller {
    pub(crate) connection: Connection,
    pub(crate) port: Arc<dyn Port>,
    pub(crate) peer: PeerInfo,
    pub(crate) changes: watch::Receiver<u64>,
    pub(crate) progress: watch::Receiver<Option<Progress>>,
    pub(crate) account: Option<Arc<Account>>,
    /// Both sides know how to do it in pieces.
    pub(crate) in_pieces: bool,
    /// How quickly pieces come.
    pub(crate) pace: Pace,
}

impl Puller {
    /// Pulls what is wanted as long as the connection lasts.
    pub(crate) async fn run(mut self) -> Result<(), LinkError> {
        let mut pause = PAUSE_MIN;
        // What the peer lacked, so that it does not stand in the way of the others.
        let mut lacking = BTreeSet::new();
        loop {
            self.changes.mark_unchanged();
            let (from, of) = (Arc::clone(&self.port), self.peer.clone());
            let limit = AT_ONCE + lacking.len();
            let wanted = blocking(move || from.wanted(&of, limit)).await??;
            let (mut got, mut wait, mut here) = (0, Duration::ZERO, false);
            let next: Vec<[u8; 32]> =
                wanted.iter().filter(|id| !lacking.contains(*id)).take(AT_ONCE).copied().collect();
            for id in &next {
                let moved = match self.pull(id).await? {
                    Pulled::Here(bytes) => {
                        got += 1;
                        bytes
                    }
                    Pulled::Lacking(bytes) => {
                        debug!("an attachment was not received");
                        lacking.insert(*id);
                        bytes
                    }
                    Pulled::Later { wait: later, here: ours, moved } => {
                        info!(peer = %self.peer.name, "attachments wait: today's bytes are used up");
                        (wait, here) = (later.min(LATER_MAX), ours);
                        moved
                    }
                    Pulled::False(violation) => return self.leave_alone(violation).await,
                };
                if let Some(account) = &self.account {
                    wait = wait.max(account.attachment_in(moved));
                }
                if !wait.is_zero() {
                    break;
                }
            }
            // What is used up is used up; but somebody here may want something now.
            if here {
                let _ = tokio::time::timeout(wait, self.changes.changed()).await;
            } else {
                tokio::time::sleep(wait).await;
            }
            if got > 0 || wanted.iter().any(|id| !lacking.contains(id)) {
                pause = PAUSE_MIN;
                continue;
            }
            lacking.clear();
            if wanted.is_empty() {
                if self.changes.changed().await.is_err() {
                    return Ok(());
                }
                pause = PAUSE_MIN;
            } else {
                // The peer does not have it yet: wait for news, or ask again in a while.
                let news = tokio::time::timeout(pause, self.changes.changed()).await;
                pause = if news.is_ok() { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
            }
        }
    }

    async fn pull(&mut self, id: &[u8; 32]) -> Result<Pulled, LinkError> {
        let (port, of) = (Arc::clone(&self.port), *id);
        if let Some(wait) = blocking(move || port.lane_waits(&of)).await?? {
            return Ok(Pulled::Later { wait, here: true, moved: 0 });
        }
        if self.in_pieces {
            pieces::fetch(self, id).await
        } else {
            self.entries_first().await?;
            whole::fetch(self, id).await
        }
    }

    /// Waits while entries are on their way and the link is slow: they would feel what is asked for
    /// beside them.
    async fn entries_first(&mut self) -> Result<(), LinkError> {
        while self.pace.is_slow() {
            let busy = match *self.progress.borrow_and_update() {
                Some(progress) => progress.to_send + progress.to_receive > 0,
                None => true,
            };
            if !busy {
                break;
            }
            self.progress.changed().await.map_err(|e| LinkError::Broken(e.to_string()))?;
        }
        Ok(())
    }

    /// Entries go on; of attachments this peer is asked no more until it connects anew.
    async fn leave_alone(self, violation: RangeViolation) -> Result<(), LinkError> {
        let words = violation.to_string();
        warn!(peer = %self.peer.name, %words, "no more attachments are asked of this peer");
        let (port, peer) = (Arc::clone(&self.port), self.peer.clone());
        blocking(move || port.lane_fault(&peer, &words)).await??;
        Ok(())
    }
}

/// A stream that ended before its time is no reason to end the conversation: the other side may
/// have erased what was asked for. A connection that ended is noticed elsewhere, too.
async fn whole_or_none(receive: &mut RecvStream, room: &mut [u8]) -> bool {
    receive.read_exact(room).await.is_ok()
}

/// Answers one stream; gives how many bytes it took.
pub(crate) async fn answer(
    port: Arc<dyn Port>,
    peer: PeerInfo,
    send: SendStream,
    mut receive: RecvStream,
    account: Option<&Account>,
) -> Result<(), LinkError> {
    send.set_priority(-1);
    let mut id = [0; 32];
    if !whole_or_none(&mut receive, &mut id).await {
        return Ok(());
    }
    let mut how = [0; 1];
    match receive.read(&mut how).await {
        Ok(None) => whole::answer(port, peer, &id, send, account).await,
        Ok(Some(1)) if how == [cunkou_engine::ranges::IN_PIECES] => {
            pieces::answer(port, peer, &id, send, receive, account).await
        }
        Ok(Some(_)) => Err(LinkError::Violation(RangeViolation::Ask.to_string())),
        Err(_) => Ok(()),
    }
}
