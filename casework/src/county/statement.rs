//! What the county log says, statement by statement.

use super::authority::{ADMINISTRATORS_MAX, Constitution, Grant, GrantId};
use super::office::{Device, Person, Place};
use crate::event::{BadPayload, Route, decode, encode};
use crate::ids::{AttachmentId, DeviceId, EntryId, Incarnation, PersonId, SubjectId};
use crate::suite::{self, PublicKey, SecretKey};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Statement {
    /// The county begins.
    #[n(1)]
    Founded {
        /// Its name.
        #[n(0)]
        name: String,
        /// The authority's key.
        #[n(1)]
        authority: PublicKey,
    },
    /// Places as they are from now on; each replaces the one of the same id.
    #[n(2)]
    Places {
        /// At most a few hundred at a time.
        #[n(0)]
        places: Vec<Place>,
    },
    /// A device is enrolled or changed.
    #[n(3)]
    Device(#[n(0)] Device),
    /// A person is added or changed.
    #[n(4)]
    Person(#[n(0)] Person),
    /// A device may give out case numbers of these blocks.
    #[n(5)]
    Numbers {
        /// The device.
        #[n(0)]
        device: DeviceId,
        /// Blocks of a million numbers each, 0 to 99,999.
        #[n(1)]
        blocks: Vec<u32>,
    },
    /// A catalogue is published; its bytes are an attachment.
    #[n(6)]
    Catalogue {
        /// Version in words.
        #[n(0)]
        version: String,
        /// Hash of the release file.
        #[n(1)]
        digest: AttachmentId,
        /// Size of the release file, bytes.
        #[n(2)]
        bytes: u32,
        /// Who takes in, accepts and decides each item: a case that names another way does not
        /// count. Absent in what the first version wrote.
        #[n(3)]
        routes: Option<Vec<ItemRoute>>,
    },
    /// A device no longer counts from here on.
    #[n(7)]
    DeviceRevoked {
        /// Which.
        #[n(0)]
        device: DeviceId,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// A person no longer counts from here on.
    #[n(8)]
    PersonRevoked {
        /// Which.
        #[n(0)]
        person: PersonId,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// The county begins, with several administrators and its first relay.
    #[n(9)]
    Constituted {
        /// Its name.
        #[n(0)]
        name: String,
        /// Who guards it.
        #[n(1)]
        constitution: Constitution,
        /// The relay that keeps the log.
        #[n(2)]
        relay: Device,
    },
    /// Other administrators, another number of them, or another recovery key from here on.
    #[n(10)]
    Constitution(#[n(0)] Constitution),
    /// Somebody may make some statements.
    #[n(11)]
    Grant(#[n(0)] Grant),
    /// A grant, and whatever was handed on under it, ends here.
    #[n(12)]
    GrantEnded {
        /// Which.
        #[n(0)]
        grant: GrantId,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// Statements signed away from the log: by administrators at their own machines, or by the
    /// holder of a grant.
    #[n(13)]
    Act(#[n(0)] Act),
    /// The root certificates that devices trust from here on, DER.
    #[n(14)]
    Roots {
        /// One, or two while a root is replaced.
        #[n(0)]
        roots: Vec<ByteVec>,
    },
    /// Two histories of one device were looked at by a person and both stay: a disk was restored
    /// or a box set up again.
    #[n(15)]
    ForkCleared {
        /// The device.
        #[n(0)]
        device: DeviceId,
        /// The runs that stand beside each other.
        #[n(1)]
        runs: Vec<Incarnation>,
        /// What happened.
        #[n(2)]
        reason: String,
    },
}

/// The way of one item through the offices.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ItemRoute {
    /// Key of the item.
    #[n(0)]
    pub item: String,
    /// Who takes in, accepts and decides.
    #[n(1)]
    pub route: Route,
}

/// An act holds at most so many statements.
pub const ACT_STATEMENTS_MAX: usize = 1000;

/// Statements with the signatures that carry them, made anywhere and at any time before it ends;
/// a relay gives it its place in the log, once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Act {
    /// An encoded [`ActBody`].
    #[n(0)]
    pub body: ByteVec,
    /// At most [`super::ADMINISTRATORS_MAX`].
    #[n(1)]
    pub signatures: Vec<ActSignature>,
}

/// What an act says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ActBody {
    /// Of which county.
    #[n(0)]
    pub county: SubjectId,
    /// Random: an act is taken once.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// Not taken later than this, milliseconds since 1970 UTC.
    #[n(2)]
    pub until_ms: i64,
    /// At most [`ACT_STATEMENTS_MAX`]; none of them an act.
    #[n(3)]
    pub statements: Vec<Statement>,
}

/// One signature under an act.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ActSignature {
    /// Whose.
    #[n(0)]
    pub key: PublicKey,
    /// 64 bytes over [`Act::message`].
    #[n(1)]
    pub bytes: ByteVec,
}

impl Act {
    /// An act without signatures.
    #[must_use]
    pub fn new(body: &ActBody) -> Self {
        Self { body: encode(body).into(), signatures: Vec::new() }
    }

    /// What is signed.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        [&b"cunkou act v1\0"[..], &suite::act_digest(&self.body)].concat()
    }

    /// Adds a signature; one of the same key is replaced.
    pub fn sign(&mut self, key: &SecretKey) {
        let signed = ActSignature { key: key.public(), bytes: key.sign(&self.message()).into() };
        self.signatures.retain(|s| s.key != signed.key);
        self.signatures.push(signed);
        self.signatures.sort_by_key(|s| s.key);
    }

    /// The keys whose signatures hold. Each counts once.
    #[must_use]
    pub fn signers(&self) -> BTreeSet<PublicKey> {
        let message = self.message();
        let few = self.signatures.iter().take(ADMINISTRATORS_MAX);
        few.filter(|s| s.key.verifies(&message, &s.bytes)).map(|s| s.key).collect()
    }

    /// What it says.
    ///
    /// # Errors
    /// [`BadPayload`].
    pub fn read(&self) -> Result<ActBody, BadPayload> {
        let body: ActBody = decode(&self.body)?;
        if body.statements.len() > ACT_STATEMENTS_MAX {
            return Err(BadPayload("an act says too much".into()));
        }
        if body.statements.iter().any(|s| matches!(s, Statement::Act(_))) {
            return Err(BadPayload("an act stands inside an act".into()));
        }
        Ok(body)
    }
}

/// The payload of an entry of kind County: a numbered statement.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Numbered {
    /// From 1, without gaps.
    #[n(0)]
    pub position: u64,
    /// The statement before; zeros for the first.
    #[n(1)]
    pub previous: EntryId,
    /// What it says.
    #[n(2)]
    pub statement: Statement,
}

/// The payload of an entry of kind Credential: a person's key wrapped by their PIN. It goes only
/// to the places where the person works, never into the county log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Credential {
    /// Whose.
    #[n(0)]
    pub person: PersonId,
    /// 16 bytes of salt for the PIN.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// Argon2id memory, KiB.
    #[n(2)]
    pub memory_kib: u32,
    /// Argon2id passes.
    #[n(3)]
    pub passes: u32,
    /// Nonce and sealed key.
    #[n(4)]
    pub sealed: ByteVec,
    /// The public part of the key that is wrapped; absent in what the first version wrote. One that
    /// wraps another key than the county log names does not count.
    #[n(5)]
    pub key: Option<PublicKey>,
    /// One more than the highest that its author knew of this person; absent in what the first
    /// version wrote. The highest counts, whatever arrives late.
    #[n(6)]
    pub turn: Option<u64>,
    /// How the PIN came; absent in what the first version wrote.
    #[n(7)]
    pub given: Option<Given>,
}

/// How a PIN came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Given {
    /// The county gave it.
    #[n(1)]
    County,
    /// Its owner changed it and knew the old one.
    #[n(2)]
    Owner,
    /// Its owner set it anew, with a code read over the phone.
    #[n(3)]
    Code,
}
