//! From a store into a bundle.

use crate::wire::{ACKS_MAX, ATTACHMENT_BYTES_MAX, BundleId, Head, Start, WANTED_MAX};
use crate::write::{WriteError, Writer};
use cunkou_engine::{BATCH_BYTES, PeerInfo, Port, PortError};
use std::collections::BTreeMap;
use std::io::Write;

/// A bundle is never limited to less: an attachment and a batch must fit. Bytes.
pub const SIZE_MIN: u64 = 16 * 1024 * 1024;

/// What a bundle is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name: random.
    pub id: BundleId,
    /// Counts this sender's bundles for this receiver, from 1.
    pub number: u64,
    /// Which stick of a series, from 1.
    pub part: u32,
    /// When, milliseconds since 1970 UTC.
    pub made_ms: i64,
    /// Where it begins in our log of each scope; a scope not named begins at its beginning.
    pub starts: BTreeMap<String, u64>,
    /// Bundles of the receiver that came in whole here, the latest last.
    pub acks: Vec<BundleId>,
    /// It is never longer. Bytes, at least [`SIZE_MIN`].
    pub limit: u64,
}

/// A part of our log that is in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Of which scope.
    pub scope: String,
    /// It follows on this place.
    pub after: u64,
    /// It ends here.
    pub upto: u64,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// How long the file is. Bytes.
    pub bytes: u64,
    /// How many entries it holds.
    pub entries: u64,
    /// Which parts of our log.
    pub carried: Vec<Carried>,
    /// Which attachments.
    pub attachments: Vec<[u8; 32]>,
    /// It was full: another one is to go on from here.
    pub more: bool,
}

/// Why it could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Too small a limit.
    #[error("a bundle needs room for at least {} MB", SIZE_MIN / 1024 / 1024)]
    TooSmall,
    /// The store.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The file.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes a bundle for a peer whose device key is `receiver`, signed with our device's seed.
/// `attachments` is told what was carried and says which attachments are to follow; `progress`
/// hears of every batch and attachment.
///
/// # Errors
/// [`ExportError`].
pub fn export<W: Write>(
    port: &dyn Port,
    (peer, receiver): (&PeerInfo, &[u8; 32]),
    (plan, seed): (&Plan, &[u8; 32]),
    out: W,
    attachments: impl FnOnce(&[Carried]) -> Result<Vec<[u8; 32]>, PortError>,
    progress: &dyn Fn(&Exported),
) -> Result<(Exported, W), ExportError> {
    if plan.limit < SIZE_MIN {
        return Err(ExportError::TooSmall);
    }
    let hello = port.hello(peer)?;
    let mut scopes: Vec<(String, u64)> =
        hello.scopes.iter().map(|s| (s.scope.clone(), s.head)).collect();
    // The county log first: what follows is judged by it.
    scopes.sort_by_key(|(scope, _)| scope != "system");
    let start = |scope: &str| plan.starts.get(scope).copied().unwrap_or(0);
    let head = Head {
        id: plan.id,
        number: plan.number,
        part: plan.part,
        made_ms: plan.made_ms,
        starts: scopes
            .iter()
            .map(|(scope, head)| Start { scope: scope.clone(), after: start(scope).min(*head) })
            .collect(),
        acks: plan.acks.iter().rev().take(ACKS_MAX).rev().map(|id| (*id).into()).collect(),
        wanted: port.wanted(peer, WANTED_MAX)?.into_iter().map(Into::into).collect(),
        hello,
    };
    let mut writer = Writer::begin(receiver, seed, &head, out)?;
    let mut done = Exported::default();
    for (scope, head) in scopes {
        let begin = start(&scope).min(head);
        let mut after = begin;
        while after < head && !done.more {
            let part = port.load(peer, &scope, after, BATCH_BYTES)?;
            let size: usize = part.entries.iter().map(|e| e.len() + 8).sum();
            if part.upto <= after {
                break;
            }
            if !writer.fits(size + scope.len(), plan.limit) {
                done.more = true;
                break;
            }
            done.entries += part.entries.len() as u64;
            writer.entries(&scope, (after, part.upto, part.head), part.entries)?;
            after = part.upto;
            done.bytes = writer.length();
            progress(&done);
        }
        // A scope that did not begin is not in it: what the other lacks of it, it goes on lacking.
        if after > begin || after == head {
            done.carried.push(Carried { scope, after: begin, upto: after });
        }
    }
    for id in attachments(&done.carried)? {
        let Some(bytes) = port.attachment(peer, &id)? else { continue };
        if bytes.is_empty() || bytes.len() as u64 > ATTACHMENT_BYTES_MAX {
            continue;
        }
        if done.more || !writer.fits(bytes.len(), plan.limit) {
            done.more = true;
            break;
        }
        writer.attachment(&id, &bytes)?;
        done.attachments.push(id);
        done.bytes = writer.length();
        progress(&done);
    }
    let more = done.more;
    done.bytes = writer.length();
    let out = writer.finish(more)?;
    Ok((done, out))
}
