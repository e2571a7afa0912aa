//! Checkpoints: a relay signs how long its log is and what it holds, so that it can neither take
//! anything back nor show different logs to different boxes.

use crate::event::{BadPayload, decode, encode};
use crate::ids::{AttachmentId, DeviceId, EntryId};
use crate::merkle::{self, Hash, PROOF_NODES_MAX};
use crate::suite::{PublicKey, SecretKey};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// A box asks for the proofs of at most so many entries at once.
pub const ASKED_MAX: usize = 16;
/// At most so many attachments are asked about at once.
pub const FILES_ASKED_MAX: usize = 48;

/// What a relay signs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Checkpoint {
    /// The log: the relay's store and its epoch, one after the other.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub log: [u8; 32],
    /// How many entries it holds.
    #[n(1)]
    pub size: u64,
    /// The root of the Merkle tree over them.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub root: Hash,
    /// The relay's time, milliseconds since 1970 UTC.
    #[n(3)]
    pub time_ms: i64,
    /// The relay.
    #[n(4)]
    pub relay: DeviceId,
}

/// A checkpoint with signatures: the relay's, and those of whoever has seen that it continues
/// what they held before.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedCheckpoint {
    /// An encoded [`Checkpoint`].
    #[n(0)]
    pub body: ByteVec,
    /// At most [`COSIGNATURES_MAX`].
    #[n(1)]
    pub signatures: Vec<Cosignature>,
}

/// A checkpoint carries at most so many signatures.
pub const COSIGNATURES_MAX: usize = 16;

/// One signature under a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cosignature {
    /// Whose.
    #[n(0)]
    pub key: PublicKey,
    /// 64 bytes.
    #[n(1)]
    pub bytes: ByteVec,
}

/// Why a checkpoint is not believed. Each is evidence against the relay or whoever stands between.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// Not readable.
    #[error(transparent)]
    Payload(#[from] BadPayload),
    /// The relay has not signed it.
    #[error("the relay's signature does not hold")]
    Signature,
    /// The log has become shorter.
    #[error("the relay's log held {held} entries and now holds {size}")]
    Shorter {
        /// What was held.
        held: u64,
        /// What is said now.
        size: u64,
    },
    /// It does not continue what was held.
    #[error("the relay's log does not continue what it was")]
    Rewritten,
    /// An entry that the relay said it had is not in its log.
    #[error("the relay's log does not hold an entry that it had acknowledged")]
    Missing(EntryId),
}

impl SignedCheckpoint {
    /// A checkpoint with the relay's signature.
    #[must_use]
    pub fn new(checkpoint: &Checkpoint, relay: &SecretKey) -> Self {
        let mut made = Self { body: encode(checkpoint).into(), signatures: Vec::new() };
        made.cosign(relay);
        made
    }

    fn message(&self) -> Vec<u8> {
        [&b"cunkou checkpoint v1\0"[..], blake3::hash(&self.body).as_bytes()].concat()
    }

    /// Adds a signature; one of the same key is replaced.
    pub fn cosign(&mut self, key: &SecretKey) {
        let bytes = key.sign(&self.message()).into();
        let signed = Cosignature { key: key.public(), bytes };
        self.signatures.retain(|s| s.key != signed.key);
        self.signatures.push(signed);
        self.signatures.sort_by_key(|s| s.key);
    }

    /// True when this key signed it.
    #[must_use]
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        let message = self.message();
        let few = self.signatures.iter().take(COSIGNATURES_MAX);
        few.filter(|s| s.key == *key).any(|s| key.verifies(&message, &s.bytes))
    }

    /// What it says, when the relay's key signed it.
    ///
    /// # Errors
    /// [`Inconsistent`].
    pub fn read(&self, relay: &PublicKey) -> Result<Checkpoint, Inconsistent> {
        let checkpoint: Checkpoint = decode(&self.body)?;
        if self.signed_by(relay) { Ok(checkpoint) } else { Err(Inconsistent::Signature) }
    }
}

/// What a box asks its relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Question {
    /// The log of which it holds a checkpoint; absent when it holds none.
    #[n(0)]
    pub log: Option<ByteVec>,
    /// That checkpoint's size.
    #[n(1)]
    pub size: u64,
    /// Entries whose proof it wants, at most [`ASKED_MAX`].
    #[n(2)]
    pub prove: Vec<EntryId>,
    /// Attachments of which it wants to know whether the relay holds them, at most
    /// [`FILES_ASKED_MAX`]; absent, never empty.
    #[n(3)]
    pub files: Option<Vec<AttachmentId>>,
}

/// What the relay answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Answer {
    /// Its latest checkpoint.
    #[n(0)]
    pub checkpoint: SignedCheckpoint,
    /// That it continues what the box holds.
    #[n(1)]
    pub consistency: Vec<ByteVec>,
    /// For each entry asked for: where it is, and the proof; nothing for one the checkpoint does
    /// not cover.
    #[n(2)]
    pub inclusion: Vec<Option<Inclusion>>,
    /// Of the attachments asked for, those that are on the relay's disk; absent when none was
    /// asked for.
    #[n(3)]
    pub files: Option<Vec<AttachmentId>>,
}

/// That an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Inclusion {
    /// Its place, from 0.
    #[n(0)]
    pub index: u64,
    /// The proof, from the leaf upwards.
    #[n(1)]
    pub proof: Vec<ByteVec>,
}

/// A proof as it is told.
#[must_use]
pub fn told(proof: Vec<Hash>) -> Vec<ByteVec> {
    proof.into_iter().map(|node| node.to_vec().into()).collect()
}

/// What shows, away from the relay, that entries were in its log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Proofs {
    /// The checkpoint.
    #[n(0)]
    pub checkpoint: SignedCheckpoint,
    /// The entries, sorted by name.
    #[n(1)]
    pub shown: Vec<Shown>,
    /// Earlier checkpoints of the same log that others have signed, too; never empty, at most
    /// [`COSIGNATURES_MAX`].
    #[n(2)]
    pub cosigned: Option<Vec<Cosigned>>,
}

/// An earlier checkpoint with a signature of an auditor, and that the log continues it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cosigned {
    /// The checkpoint.
    #[n(0)]
    pub checkpoint: SignedCheckpoint,
    /// That the checkpoint of the file continues it.
    #[n(1)]
    pub consistency: Vec<ByteVec>,
}

impl Cosigned {
    /// What it says, when `relay` and `auditor` signed it and `latest` continues it.
    #[must_use]
    pub fn read(
        &self,
        relay: &PublicKey,
        auditor: &PublicKey,
        latest: &Checkpoint,
    ) -> Option<Checkpoint> {
        let earlier = self.checkpoint.read(relay).ok()?;
        let proof = nodes(&self.consistency)?;
        let (then, now) = ((earlier.size, &earlier.root), (latest.size, &latest.root));
        let holds = self.checkpoint.signed_by(auditor)
            && earlier.log == latest.log
            && earlier.relay == latest.relay
            && merkle::continues(then, now, &proof);
        holds.then_some(earlier)
    }
}

/// One entry in the log of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Shown {
    /// Which.
    #[n(0)]
    pub entry: EntryId,
    /// Where it stands.
    #[n(1)]
    pub inclusion: Inclusion,
}

/// Nodes of a proof; nothing when one has a wrong length or there are too many.
#[must_use]
pub fn nodes(proof: &[ByteVec]) -> Option<Vec<Hash>> {
    if proof.len() > PROOF_NODES_MAX {
        return None;
    }
    proof.iter().map(|node| node.as_slice().try_into().ok()).collect()
}

impl Inclusion {
    /// True when it shows that `entry` is in the log of `checkpoint`.
    #[must_use]
    pub fn holds(&self, entry: EntryId, checkpoint: &Checkpoint) -> bool {
        let Checkpoint { size, root, .. } = checkpoint;
        nodes(&self.proof)
            .is_some_and(|p| merkle::includes(merkle::leaf(entry), self.index, *size, &p, root))
    }
}

/// Holds an answer against what was held and asked. A relay whose log is another one than before
/// has been set up anew: its new log is measured from now on, and the caller says so.
///
/// # Errors
/// [`Inconsistent`]: the relay has taken something back or shows another log to others.
pub fn check(
    answer: &Answer,
    relay: &PublicKey,
    held: Option<&Checkpoint>,
    asked: &[(EntryId, u64)],
) -> Result<Checkpoint, Inconsistent> {
    let new = answer.checkpoint.read(relay)?;
    if let Some(held) = held.filter(|held| held.log == new.log) {
        if new.size < held.size {
            return Err(Inconsistent::Shorter { held: held.size, size: new.size });
        }
        let proof = nodes(&answer.consistency).ok_or(Inconsistent::Rewritten)?;
        let (then, now) = ((held.size, &held.root), (new.size, &new.root));
        if !merkle::continues(then, now, &proof) {
            return Err(Inconsistent::Rewritten);
        }
    }
    for (i, (entry, position)) in asked.iter().enumerate() {
        let shown = answer.inclusion.get(i).and_then(Option::as_ref);
        let holds = shown.map(|shown| shown.holds(*entry, &new));
        // The witness named a position: a log that reaches beyond it must hold the entry.
        if holds == Some(false) || (holds.is_none() && *position <= new.size) {
            return Err(Inconsistent::Missing(*entry));
        }
    }
    Ok(new)
}

#[cfg(test)]
pub(crate) mod tests;
