//! What the open database must know of what the work database learns while the box is unlocked.

use crate::{Vault, VaultError};
use cunkou_casework::event::encode;
use cunkou_engine::Port;
use cunkou_replica::Replica;
use cunkou_store::{AttachmentState, EntryRow, EntryState, NewEntry, StoreError, Txn};

const MARK: &str = "mirrored";
/// So many entries are copied at a time.
const PART: u32 = 500;

fn append(tx: &Txn<'_>, scope: &str, row: &EntryRow) -> Result<(), StoreError> {
    if row.state == EntryState::Quarantined {
        return Ok(());
    }
    let new = NewEntry {
        id: &row.id,
        subject: &row.subject,
        kind: row.kind,
        // Not ours to send: it came from the county.
        via: -1,
        received_ms: row.received_ms,
        state: row.state,
        reason: row.reason.as_deref(),
        bytes: &row.bytes,
    };
    tx.append(&new, scope).map(|_| ())
}

/// The published catalogue goes from one database to the other, so that it is fetched once.
pub(crate) fn carry_catalogue(from: &Replica, to: &Replica) -> Result<(), VaultError> {
    let county = to.county();
    let Some((_, digest)) = county.catalogue() else { return Ok(()) };
    let row = to.store().read(|view| view.attachment(&digest.0))?;
    if row.is_some_and(|row| row.state == AttachmentState::Here) {
        return Ok(());
    }
    if let Some(bytes) = from.store().read_attachment(&digest.0)? {
        to.keep_attachment(&digest.0, &bytes)
            .map_err(|_| StoreError::Damaged { what: "catalogue" })?;
    }
    Ok(())
}

impl Vault {
    /// Copies statements, credentials, peers and cursors into the open database. Reading is one
    /// view and writing one transaction, so that the cursors never pass what was copied; a crash
    /// before it only means that the county sends a little again.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn mirror(&self, work: &Replica) -> Result<(), VaultError> {
        let turn = self.lock_turn();
        let mark = self.open.store().read(|view| view.meta(MARK))?.unwrap_or_default();
        let mut mark = <[u8; 8]>::try_from(&mark[..]).map_or(0, u64::from_be_bytes);
        let (mut grew, mut contact) = (false, false);
        loop {
            let (rows, peers) = work.store().read(|view| -> Result<_, StoreError> {
                let rows = view.public_after(mark, PART)?;
                let mut peers = Vec::new();
                for peer in view.peers()? {
                    let cursors = view.cursors(peer.id)?;
                    peers.push((peer, cursors));
                }
                Ok((rows, peers))
            })?;
            let whole = rows.len() < PART as usize;
            let last = rows.last().map_or(mark, |(_, row)| row.pos);
            // A contact is one that the open database has not seen; what it knows is none again.
            contact |= self.open.store().read(|view| -> Result<bool, StoreError> {
                for (peer, _) in &peers {
                    if view.peer(&peer.device)?.is_none_or(|known| known.seen_ms != peer.seen_ms) {
                        return Ok(true);
                    }
                }
                Ok(false)
            })?;
            let same = self.open.store().read(|view| -> Result<bool, StoreError> {
                for (peer, cursors) in &peers {
                    let Some(known) = view.peer(&peer.device)? else { return Ok(false) };
                    let mut mine = view.cursors(known.id)?;
                    let mut theirs = cursors.clone();
                    mine.sort();
                    theirs.sort();
                    if known.epoch != peer.epoch
                        || known.completed_ms != peer.completed_ms
                        || known.seen_ms != peer.seen_ms
                        || mine != theirs
                    {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?;
            if !(rows.is_empty() && same) {
                self.open.store().write(|tx| -> Result<(), StoreError> {
                    for (scope, row) in &rows {
                        append(tx, scope, row)?;
                    }
                    tx.set_meta(MARK, &last.to_be_bytes())?;
                    if whole {
                        for (peer, cursors) in &peers {
                            let row = tx.greet_peer(peer)?;
                            for (scope, seq) in cursors {
                                tx.set_cursor(row.id, scope, *seq)?;
                            }
                            if let Some(at) = peer.completed_ms {
                                tx.set_completed(row.id, at)?;
                            }
                        }
                    }
                    Ok(())
                })?;
                grew |= !rows.is_empty();
            }
            mark = last;
            if whole {
                let seen = peers.iter().map(|(peer, _)| peer.seen_ms).max();
                drop(turn);
                if grew {
                    self.open.county_grew()?;
                }
                if let Some(at) = seen.filter(|_| contact) {
                    self.contact_at(at)?;
                }
                self.note_acknowledged(work)?;
                return carry_catalogue(work, &self.open);
            }
        }
    }

    /// A new work database gets the county log that enrolment and the locked time brought.
    pub(crate) fn copy_public(&self, work: &Replica) -> Result<(), VaultError> {
        if work.county().head().position >= self.open.county().head().position {
            return Ok(());
        }
        let rows = self.open.store().read(|view| view.public_after(0, u32::MAX))?;
        let system = cunkou_casework::ids::Scope::System.to_string();
        let log: Vec<_> = rows.iter().filter(|(scope, _)| *scope == system).collect();
        work.store().write(|tx| -> Result<(), StoreError> {
            for (scope, row) in &log {
                append(tx, scope, row)?;
            }
            Ok(())
        })?;
        work.county_grew()?;
        // A catalogue that was named in what was copied is wanted here too.
        work.want_published()?;
        Ok(())
    }

    /// What a value encodes to; here so that the callers need no codec.
    pub(crate) fn put<T: minicbor::Encode<()>>(
        &self,
        key: &str,
        value: &T,
    ) -> Result<(), StoreError> {
        self.open.store().write(|tx| tx.set_meta(key, &encode(value)))
    }
}
