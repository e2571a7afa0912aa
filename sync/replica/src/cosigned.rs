//! A relay's checkpoints on their way to auditors and back: the letter it writes, what it takes
//! back, and what an exported case shows of it.

use crate::Replica;
use crate::audit::Tree;
use cunkou_casework::checkpoint::{COSIGNATURES_MAX, Checkpoint, Cosigned, SignedCheckpoint, told};
use cunkou_casework::cosign::{Letter, SINCE_MAX};
use cunkou_casework::event::{decode, encode};
use cunkou_casework::export::BadExport;
use cunkou_casework::merkle;
use cunkou_casework::suite::PublicKey;
use cunkou_store::{CosignedRow, StoreError, View};
use std::collections::BTreeSet;

/// Why a letter was not written or not taken.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be read, or would be too large.
    #[error(transparent)]
    Letter(#[from] BadExport),
    /// The log is empty.
    #[error("there is no checkpoint yet")]
    Nothing,
    /// Asked for a beginning that the log does not have.
    #[error("the log holds {0} entries only")]
    Beyond(u64),
    /// Not a checkpoint of this relay's log.
    #[error("it is not a checkpoint of this relay's log as it is")]
    NotOurs,
    /// Nobody but this relay has signed it.
    #[error("nobody but this relay has signed it")]
    Unsigned,
}

/// Somebody who has signed checkpoints of this relay's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigner {
    /// Their key.
    pub key: PublicKey,
    /// What they are called here; may be empty.
    pub name: String,
    /// What they signed last.
    pub checkpoint: Checkpoint,
    /// When it came back, milliseconds.
    pub received_ms: i64,
}

impl Replica {
    /// This relay's latest checkpoint as a letter to auditors, which shows how the log went on from
    /// what each of them signed, and from the lengths in `since`.
    ///
    /// # Errors
    /// [`LetterError`].
    pub fn letter(&self, since: &[u64]) -> Result<Letter, LetterError> {
        self.checkpoint()?;
        self.store.read(|view| {
            let latest = self.latest(view)?.ok_or(LetterError::Nothing)?;
            let (signed, Checkpoint { size, log, .. }) = latest;
            let mut sizes: BTreeSet<u64> = since.iter().copied().collect();
            if sizes.iter().any(|asked| *asked > size) {
                return Err(LetterError::Beyond(size));
            }
            sizes.extend(view.cosigned(&log)?.iter().map(|row| row.size).filter(|s| *s <= size));
            let mut shown = Vec::new();
            for old in sizes.into_iter().rev().take(SINCE_MAX) {
                shown.push((old, merkle::consistency(&Tree(view), old, size)?));
            }
            Ok(Letter::new(&self.statements(view)?, signed, shown)?)
        })
    }

    /// The latest checkpoint that this relay signed.
    fn latest(
        &self,
        view: &View<'_>,
    ) -> Result<Option<(SignedCheckpoint, Checkpoint)>, StoreError> {
        let damaged = |_| StoreError::Damaged { what: "checkpoint" };
        let Some(bytes) = view.checkpoint(&self.me().device.0)? else { return Ok(None) };
        let signed: SignedCheckpoint = decode(&bytes).map_err(damaged)?;
        let says = decode(&signed.body).map_err(damaged)?;
        Ok(Some((signed, says)))
    }

    /// Takes a letter back: keeps the signatures of others that hold, under `name` if it is not
    /// empty. Only for a checkpoint of this relay's log as it is here. Gives whose.
    ///
    /// # Errors
    /// [`LetterError`]; nothing is kept then.
    pub fn take_letter(&self, letter: &Letter, name: &str) -> Result<Vec<PublicKey>, LetterError> {
        let own = self.me().key.public();
        let says = letter.checkpoint.read(&own).map_err(|_| LetterError::NotOurs)?;
        let keys = letter.cosigners(&own);
        if keys.is_empty() {
            return Err(LetterError::Unsigned);
        }
        let now_ms = self.now_ms();
        self.store.write(|tx| {
            let ours = self.log_name(tx)? == says.log && says.size > 0;
            if !ours
                || says.size > tx.tree_size()?
                || merkle::root(&Tree(tx), says.size)? != says.root
            {
                return Err(LetterError::NotOurs);
            }
            for key in &keys {
                let mut kept = letter.checkpoint.clone();
                kept.signatures.retain(|s| s.key == own || s.key == *key);
                let row = CosignedRow {
                    key: key.0,
                    name: name.to_owned(),
                    size: says.size,
                    bytes: encode(&kept),
                    received_ms: now_ms,
                };
                tx.keep_cosigned(&says.log, &row)?;
            }
            Ok(keys.clone())
        })
    }

    /// Who has signed checkpoints of this relay's log, whoever signed the longest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn cosigners(&self) -> Result<Vec<Cosigner>, StoreError> {
        let damaged = |_| StoreError::Damaged { what: "signed checkpoint" };
        let rows = self.store.read(|view| view.cosigned(&self.log_name(view)?))?;
        let each = rows.into_iter().map(|row| {
            let signed: SignedCheckpoint = decode(&row.bytes).map_err(damaged)?;
            let checkpoint = decode(&signed.body).map_err(damaged)?;
            let CosignedRow { name, received_ms, .. } = row;
            Ok(Cosigner { key: PublicKey(row.key), name, checkpoint, received_ms })
        });
        each.collect()
    }

    /// What this relay's latest checkpoint says; nothing before the first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.store.read(|view| self.latest(view))?.map(|(_, says)| says))
    }

    /// What others have signed of the log of `latest`, for an exported case.
    pub(crate) fn cosigned_before(
        &self,
        view: &View<'_>,
        latest: &SignedCheckpoint,
    ) -> Result<Option<Vec<Cosigned>>, StoreError> {
        let damaged = |_| StoreError::Damaged { what: "signed checkpoint" };
        let Checkpoint { log, size, .. } = decode(&latest.body).map_err(damaged)?;
        let mut rows = view.cosigned(&log)?;
        rows.retain(|row| row.size <= size);
        rows.truncate(COSIGNATURES_MAX);
        let each = rows.iter().map(|row| {
            let checkpoint = decode(&row.bytes).map_err(damaged)?;
            let consistency = told(merkle::consistency(&Tree(view), row.size, size)?);
            Ok(Cosigned { checkpoint, consistency })
        });
        let each = each.collect::<Result<Vec<_>, StoreError>>()?;
        Ok((!each.is_empty()).then_some(each))
    }
}
