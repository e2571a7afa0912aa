//! The lane of attachments: pulled by hash, one stream each, behind the entries.
//!
//! A request is 32 bytes of hash; the answer is 8 bytes of length and the bytes. Length 0 means
//! that the peer does not have it, or not for us.

use crate::LinkError;
use crate::line::{Connection, RecvStream, SendStream};
use crate::quotas::Account;
use cunkou_engine::{PeerInfo, Port, PortError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{debug, warn};

/// An attachment is never longer. Bytes.
const ATTACHMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
const AT_ONCE: usize = 16;
/// What the peer lacks is asked for again after growing pauses.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LinkError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| LinkError::Broken(e.to_string()))
}

/// Pulls what is wanted as long as the connection lasts.
pub(crate) async fn pull(
    connection: Connection,
    port: Arc<dyn Port>,
    peer: PeerInfo,
    mut changes: watch::Receiver<u64>,
    account: Option<Arc<Account>>,
) -> Result<(), LinkError> {
    let mut pause = PAUSE_MIN;
    // What the peer lacked, so that it does not stand in the way of the others.
    let mut lacking = BTreeSet::new();
    loop {
        changes.mark_unchanged();
        let (from, of) = (Arc::clone(&port), peer.clone());
        let limit = AT_ONCE + lacking.len();
        let wanted = blocking(move || from.wanted(&of, limit)).await??;
        let (mut got, mut wait) = (0, Duration::ZERO);
        let next: Vec<[u8; 32]> =
            wanted.iter().filter(|id| !lacking.contains(*id)).take(AT_ONCE).copied().collect();
        for id in &next {
            let kept = match fetch(&connection, id).await? {
                Some(bytes) => {
                    if let Some(account) = &account {
                        wait = wait.max(account.attachment_in(bytes.len()));
                    }
                    let (to, id) = (Arc::clone(&port), *id);
                    blocking(move || to.keep_attachment(&id, &bytes)).await?
                }
                None => Err(PortError("the peer does not have it".into())),
            };
            match kept {
                Ok(()) => got += 1,
                Err(why) => {
                    debug!(%why, "an attachment was not received");
                    lacking.insert(*id);
                }
            }
        }
        // A quota is used up: the rest stays with the peer until tomorrow.
        tokio::time::sleep(wait).await;
        if got > 0 || wanted.iter().any(|id| !lacking.contains(id)) {
            pause = PAUSE_MIN;
            continue;
        }
        lacking.clear();
        if wanted.is_empty() {
            if changes.changed().await.is_err() {
                return Ok(());
            }
            pause = PAUSE_MIN;
        } else {
            // The peer does not have it yet: wait for news, or ask again in a while.
            let news = tokio::time::timeout(pause, changes.changed()).await;
            pause = if news.is_ok() { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
        }
    }
}

async fn fetch(connection: &Connection, id: &[u8; 32]) -> Result<Option<Vec<u8>>, LinkError> {
    let broken = |e: String| LinkError::Broken(e);
    let (mut send, mut receive) = connection.open_bi().await.map_err(|e| crate::explain(&e))?;
    send.set_priority(-1);
    send.write_all(id).await.map_err(|e| broken(e.to_string()))?;
    send.finish();
    let mut length = [0; 8];
    receive.read_exact(&mut length).await.map_err(|e| broken(e.to_string()))?;
    let length = u64::from_be_bytes(length);
    if length > ATTACHMENT_BYTES_MAX {
        return Err(LinkError::Violation(format!("an attachment of {length} bytes")));
    }
    if length == 0 {
        return Ok(None);
    }
    let bytes = receive
        .read_to_end(usize::try_from(length).unwrap_or(0))
        .await
        .map_err(|e| broken(e.to_string()))?;
    // A wrong hash is refused by the store; a wrong length shows here.
    if bytes.len() as u64 != length {
        warn!("an attachment came incomplete");
        return Ok(None);
    }
    debug!(bytes = length, "received an attachment");
    Ok(Some(bytes))
}

/// Answers one request; gives how many bytes it took.
pub(crate) async fn answer(
    port: Arc<dyn Port>,
    peer: PeerInfo,
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<usize, LinkError> {
    let broken = |e: String| LinkError::Broken(e);
    let mut id = [0; 32];
    receive.read_exact(&mut id).await.map_err(|e| broken(e.to_string()))?;
    let found = blocking(move || port.attachment(&peer, &id)).await??;
    let bytes = found.unwrap_or_default();
    send.set_priority(-1);
    send.write_all(&(bytes.len() as u64).to_be_bytes()).await.map_err(|e| broken(e.to_string()))?;
    send.write_all(&bytes).await.map_err(|e| broken(e.to_string()))?;
    send.finish();
    Ok(bytes.len())
}
