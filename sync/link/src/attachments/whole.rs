//! Attachments as programs of the first version move them: whole, from the first byte.
//!
//! A request is 32 bytes of hash and the end of the stream; the answer is 8 bytes of length and the
//! bytes. Length 0 means that the peer does not have it, or not for us.

use super::{Pulled, Puller, blocking, whole_or_none};
use crate::LinkError;
use crate::line::SendStream;
use crate::quotas::Account;
use cunkou_engine::ranges::{ATTACHMENT_BYTES_MAX, RangeViolation};
use cunkou_engine::{PeerInfo, Port};
use std::sync::Arc;
use tracing::debug;

pub(super) async fn fetch(lane: &Puller, id: &[u8; 32]) -> Result<Pulled, LinkError> {
    let (mut send, mut receive) = lane.connection.open_bi().await.map_err(|e| e.explain())?;
    send.set_priority(-1);
    if send.write_all(id).await.is_err() {
        return Ok(Pulled::Lacking(0));
    }
    send.finish();
    let mut length = [0; 8];
    if !whole_or_none(&mut receive, &mut length).await {
        return Ok(Pulled::Lacking(0));
    }
    let length = u64::from_be_bytes(length);
    if length > ATTACHMENT_BYTES_MAX {
        return Err(LinkError::Violation(RangeViolation::Length(length).to_string()));
    }
    if length == 0 {
        return Ok(Pulled::Lacking(0));
    }
    let size = usize::try_from(length).unwrap_or(0);
    let Ok(bytes) = receive.read_to_end(size).await else { return Ok(Pulled::Lacking(0)) };
    if bytes.len() != size {
        return Ok(Pulled::Lacking(bytes.len()));
    }
    debug!(bytes = length, "received an attachment");
    let (port, id) = (Arc::clone(&lane.port), *id);
    // A wrong hash is refused by the store.
    let kept = blocking(move || port.keep_attachment(&id, &bytes)).await?;
    Ok(if kept.is_ok() { Pulled::Here(size) } else { Pulled::Lacking(size) })
}

pub(super) async fn answer(
    port: Arc<dyn Port>,
    peer: PeerInfo,
    id: &[u8; 32],
    mut send: SendStream,
    account: Option<&Account>,
) -> Result<(), LinkError> {
    let id = *id;
    let bytes = blocking(move || port.attachment(&peer, &id)).await??.unwrap_or_default();
    send.write_all(&(bytes.len() as u64).to_be_bytes()).await?;
    send.write_all(&bytes).await?;
    send.finish();
    if let Some(account) = account {
        tokio::time::sleep(account.attachment_out(bytes.len())).await;
    }
    Ok(())
}
