//! From a bundle into a store.

use crate::read::{ReadError, Reader};
use crate::wire::{ATTACHMENT_BYTES_MAX, Head, Record};
use cunkou_engine::{PeerInfo, Port, PortError};
use std::collections::BTreeMap;
use std::io::Read;

/// What an import brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Entries that are new here.
    pub new: u64,
    /// Entries that were in the bundle.
    pub entries: u64,
    /// Entries set aside or refused at the door.
    pub aside: u64,
    /// Attachments kept.
    pub attachments: Vec<[u8; 32]>,
    /// Scopes that are no more shared with the sender: passed over.
    pub passed_over: Vec<String>,
    /// The bundle was read to its end, and its end holds.
    pub whole: bool,
    /// Another bundle goes on from here.
    pub more: bool,
}

/// Where the bundle does not follow on what is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Of which scope.
    pub scope: String,
    /// What is here ends at this place of the sender's log.
    pub here: u64,
    /// The bundle goes on after this one.
    pub after: u64,
}

/// Why it was not imported, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Something between what is here and this bundle is missing. Nothing was changed.
    #[error("something before this bundle is missing here")]
    Gap(Vec<Step>),
    /// The file; what came before the fault is kept.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Where a bundle does not follow on what is here; empty when it does.
///
/// # Errors
/// When the store fails.
pub fn gaps(port: &dyn Port, peer: &PeerInfo, head: &Head) -> Result<Vec<Step>, PortError> {
    let read = cursors(port, peer, head)?;
    let steps = head.starts.iter().filter_map(|start| {
        let here = *read.get(&start.scope)?;
        (here < start.after).then(|| Step { scope: start.scope.clone(), here, after: start.after })
    });
    Ok(steps.collect())
}

/// How far the sender's log is read here, of the scopes that are shared.
fn cursors(
    port: &dyn Port,
    peer: &PeerInfo,
    head: &Head,
) -> Result<BTreeMap<String, u64>, PortError> {
    let ours = port.hello(peer)?;
    // As in a conversation: a cursor of another epoch is void.
    let read = ours.scopes.into_iter().map(|s| {
        let read = if s.epoch == head.hello.epoch { s.read } else { 0 };
        (s.scope, read)
    });
    Ok(read.collect())
}

/// Brings a bundle's entries and attachments into the store, batch by batch, each committed before
/// the next is read. Whether its sender may talk to us, and whether this bundle is wanted, was
/// decided before. `progress` hears of every batch and attachment.
///
/// # Errors
/// [`ImportError`]. After [`ImportError::Gap`] nothing has changed; after others what came before
/// the fault is kept, and the same bundle, whole, goes on from there.
pub fn import<R: Read>(
    port: &dyn Port,
    peer: &PeerInfo,
    reader: &mut Reader<R>,
    progress: &dyn Fn(&Imported, u64),
) -> Result<Imported, ImportError> {
    let missing = gaps(port, peer, reader.head())?;
    if !missing.is_empty() {
        return Err(ImportError::Gap(missing));
    }
    let mut read = cursors(port, peer, reader.head())?;
    let hello = reader.head().hello.clone();
    port.greeted(peer, &hello)?;
    let mut done = Imported::default();
    let mut photo: Option<([u8; 32], u64, Vec<u8>)> = None;
    while let Some(record) = reader.record()? {
        match record {
            Record::Entries { scope, after, upto, head, entries } => {
                if upto < after || head < upto {
                    return Err(ReadError::Damaged.into());
                }
                done.entries += entries.len() as u64;
                let Some(cursor) = read.get_mut(&scope) else {
                    if !done.passed_over.contains(&scope) {
                        done.passed_over.push(scope);
                    }
                    continue;
                };
                if *cursor < after {
                    return Err(ReadError::Damaged.into());
                }
                if upto > *cursor {
                    let entries: Vec<Vec<u8>> = entries.into_iter().map(Into::into).collect();
                    let admitted = port.store(peer, &scope, upto, &entries)?;
                    done.new += u64::from(admitted.new);
                    done.aside += u64::from(admitted.quarantined) + u64::from(admitted.refused);
                    *cursor = upto;
                }
                progress(&done, reader.position());
            }
            Record::Part { id, length, bytes } => {
                if length > ATTACHMENT_BYTES_MAX || bytes.is_empty() {
                    return Err(ReadError::Damaged.into());
                }
                let (of, whole, so_far) = photo.get_or_insert_with(|| (id, length, Vec::new()));
                if *of != id || *whole != length || so_far.len() + bytes.len() > length as usize {
                    return Err(ReadError::Damaged.into());
                }
                so_far.extend_from_slice(&bytes);
                if so_far.len() as u64 == length {
                    if blake3::hash(so_far) != id {
                        return Err(ReadError::Damaged.into());
                    }
                    port.keep_attachment(&id, so_far)?;
                    done.attachments.push(id);
                    photo = None;
                    progress(&done, reader.position());
                }
            }
            Record::Head { .. } | Record::End { .. } => return Err(ReadError::Damaged.into()),
        }
    }
    if photo.is_some() {
        return Err(ReadError::Damaged.into());
    }
    done.whole = true;
    done.more = reader.more().unwrap_or(false);
    Ok(done)
}
