//! Co-signing: an auditor, or whoever keeps a second relay, signs checkpoints of a relay's log, each
//! only after having seen that it continues the one signed before. The relay's word alone can then
//! no longer be exchanged for another.

use crate::checkpoint::{Checkpoint, SignedCheckpoint, nodes, told};
use crate::county::DeviceKind;
use crate::entry::Entry;
use crate::event::{BadPayload, decode, encode};
use crate::export::{BadExport, STATEMENTS_MAX, fingerprint, peek, read_county_log};
use crate::ids::{EntryId, SubjectId};
use crate::merkle::{self, Hash};
use crate::suite::{PublicKey, SecretKey};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// The first words of every letter.
pub const MAGIC: &str = "cunkou checkpoint";
/// The version that is written; every version up to it is read.
pub const VERSION: u8 = 1;
/// A letter is never longer. Bytes.
pub const LETTER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// A letter shows how the log continues from at most so many of its beginnings.
pub const SINCE_MAX: usize = 64;

/// A checkpoint on its way to an auditor and back, as a file: with the county log, from which the
/// relay's key is known, and with what shows that earlier checkpoints are continued.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Letter {
    /// [`MAGIC`].
    #[n(0)]
    pub magic: String,
    /// [`VERSION`].
    #[n(1)]
    pub version: u8,
    /// The county.
    #[n(2)]
    pub county: SubjectId,
    /// The statement with which it began.
    #[n(3)]
    pub founded: EntryId,
    /// The county log, all of it, in its order.
    #[n(4)]
    pub county_log: Vec<ByteVec>,
    /// The checkpoint, with the signatures it has.
    #[n(5)]
    pub checkpoint: SignedCheckpoint,
    /// That it continues logs of these lengths, sorted; at most [`SINCE_MAX`].
    #[n(6)]
    pub since: Vec<Since>,
}

/// That a log continues its own beginning.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Since {
    /// How many entries the beginning holds.
    #[n(0)]
    pub size: u64,
    /// The proof.
    #[n(1)]
    pub consistency: Vec<ByteVec>,
}

/// What an auditor has signed last of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The fingerprint of the county.
    pub fingerprint: String,
    /// The checkpoint with the signatures it had: with the relay's it is evidence.
    pub checkpoint: SignedCheckpoint,
}

/// Why an auditor does not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The file cannot be read.
    #[error(transparent)]
    Letter(#[from] BadExport),
    /// The county log in it does not hold.
    #[error("the county log in the file breaks at statement {0}")]
    CountyLog(u64),
    /// It is of another county.
    #[error("it is of another county: {0}")]
    OtherCounty(String),
    /// The checkpoint is not signed by a relay that counts in this county.
    #[error("no relay of this county has signed the checkpoint")]
    NoRelay,
    /// The relay has begun another log.
    #[error("the relay has begun a new log")]
    NewLog,
    /// It is older than what was signed.
    #[error("it is older than what was signed last")]
    Older,
    /// The log has become shorter.
    #[error("the log held {held} entries and now holds {size}")]
    Shorter {
        /// What was signed.
        held: u64,
        /// What is said now.
        size: u64,
    },
    /// It does not continue what was signed.
    #[error("the log does not continue what it was: it was rewritten")]
    Rewritten,
    /// The file does not show how the log went on from what was signed.
    #[error("the file does not show how the log went on from its first {0} entries")]
    NotShown(u64),
}

impl Refused {
    /// True when the relay has broken its word, and the file is evidence.
    #[must_use]
    pub fn is_evidence(&self) -> bool {
        matches!(self, Self::Shorter { .. } | Self::Rewritten)
    }
}

impl Letter {
    /// Puts a letter together.
    ///
    /// # Errors
    /// [`BadExport::TooLarge`]; [`BadExport::Form`] when there is no county log.
    pub fn new(
        county_log: &[Entry],
        checkpoint: SignedCheckpoint,
        since: impl IntoIterator<Item = (u64, Vec<Hash>)>,
    ) -> Result<Self, BadExport> {
        let first = county_log.first().ok_or_else(|| BadExport::Form("no county log".into()))?;
        let since = since.into_iter().map(|(size, proof)| (size, told(proof)));
        let mut since: Vec<Since> =
            since.map(|(size, consistency)| Since { size, consistency }).collect();
        since.sort_by_key(|s| s.size);
        since.dedup_by_key(|s| s.size);
        let letter = Self {
            magic: MAGIC.into(),
            version: VERSION,
            county: first.subject(),
            founded: first.id(),
            county_log: county_log.iter().map(|e| e.encode().into()).collect(),
            checkpoint,
            since,
        };
        letter.within_limits()?;
        Ok(letter)
    }

    fn within_limits(&self) -> Result<(), BadExport> {
        let fits = self.county_log.len() <= STATEMENTS_MAX && self.since.len() <= SINCE_MAX;
        if fits { Ok(()) } else { Err(BadExport::TooLarge) }
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a file; no signature is checked yet.
    ///
    /// # Errors
    /// [`BadExport`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BadExport> {
        if bytes.len() > LETTER_BYTES_MAX {
            return Err(BadExport::TooLarge);
        }
        peek(bytes, MAGIC, VERSION)?;
        let letter: Self = decode(bytes).map_err(|BadPayload(why)| BadExport::Form(why))?;
        letter.within_limits()?;
        if !letter.since.is_sorted_by(|a, b| a.size < b.size) {
            return Err(BadExport::Form("the proofs are not sorted".into()));
        }
        Ok(letter)
    }

    /// The fingerprint of the county that it says it is of.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.county, self.founded)
    }

    /// What the checkpoint says, when a relay of the county has signed it; with the county's name.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn read(&self) -> Result<(Checkpoint, String), Refused> {
        let read = read_county_log(self.county, self.founded, &self.county_log)?;
        if let Some((number, _)) = read.broken {
            return Err(Refused::CountyLog(number));
        }
        let named: Checkpoint = decode(&self.checkpoint.body).map_err(|_| Refused::NoRelay)?;
        let relay = read.log.device(named.relay);
        let relay = relay.filter(|d| d.kind == DeviceKind::Relay && read.log.device_counts(d.id));
        let relay = relay.ok_or(Refused::NoRelay)?;
        let checkpoint = self.checkpoint.read(&relay.key).map_err(|_| Refused::NoRelay)?;
        Ok((checkpoint, read.log.name().to_owned()))
    }

    /// Holds the letter against everything an auditor has signed before. A log of which nothing
    /// was signed is only begun when there is none yet, or when `new_log` says that its owner has
    /// explained it. Gives what the checkpoint says, and with it what was held of the same log.
    ///
    /// # Errors
    /// [`Refused`]; nothing is to be signed then.
    pub fn judge(
        &self,
        held: &[Held],
        new_log: bool,
    ) -> Result<(Checkpoint, Option<Checkpoint>), Refused> {
        let (new, _) = self.read()?;
        let own = self.fingerprint();
        if held.iter().any(|held| held.fingerprint != own) {
            return Err(Refused::OtherCounty(own));
        }
        let mut known = Vec::new();
        for held in held {
            let signed: Result<Checkpoint, BadPayload> = decode(&held.checkpoint.body);
            known.push(signed.map_err(|BadPayload(why)| BadExport::Form(why))?);
        }
        let Some(then) = known.iter().find(|c| c.log == new.log) else {
            let begins = known.is_empty() || new_log;
            return if begins { Ok((new, None)) } else { Err(Refused::NewLog) };
        };
        if new.size < then.size && new.time_ms < then.time_ms {
            return Err(Refused::Older);
        }
        if new.size < then.size {
            return Err(Refused::Shorter { held: then.size, size: new.size });
        }
        if new.size == then.size {
            let same = new.root == then.root;
            return if same { Ok((new, Some(then.clone()))) } else { Err(Refused::Rewritten) };
        }
        let shown = self.since.iter().find(|s| s.size == then.size);
        let shown = shown.ok_or(Refused::NotShown(then.size))?;
        let proof = nodes(&shown.consistency).ok_or(Refused::Rewritten)?;
        if merkle::continues((then.size, &then.root), (new.size, &new.root), &proof) {
            Ok((new, Some(then.clone())))
        } else {
            Err(Refused::Rewritten)
        }
    }

    /// Signs it; [`Letter::judge`] comes first.
    pub fn cosign(&mut self, auditor: &SecretKey) {
        self.checkpoint.cosign(auditor);
    }

    /// Whose signatures it has besides the relay's, as far as they hold.
    #[must_use]
    pub fn cosigners(&self, relay: &PublicKey) -> Vec<PublicKey> {
        let keys = self.checkpoint.signatures.iter().map(|s| s.key);
        keys.filter(|key| key != relay && self.checkpoint.signed_by(key)).collect()
    }
}

#[cfg(test)]
mod tests;
