//! The entry: the unit of replication, at most 64 KiB, deterministic bytes, named by its hash.
//!
//! Frozen by version 1 (docs/formats.md has the layout and test vectors): every version ever
//! released stays readable and verifiable.

use crate::ids::{ChangeId, DeviceId, EntryId, Incarnation, PersonId, SubjectId};
use crate::suite::{self, BLAKE3_ED25519, PublicKey, SIGNATURE_BYTES_MAX, SecretKey};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// The version that is written; every version up to it is read.
pub const VERSION: u8 = 1;
/// An entry, encoded, is never longer. Bytes.
pub const ENTRY_BYTES_MAX: usize = 64 * 1024;
/// An entry carries at most this many signatures.
pub const SIGNATURES_MAX: usize = 8;

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// One step of a subject (环节), signed by a person and a device.
    #[n(1)]
    Event,
    /// One save: one Automerge change of the subject's document, signed by the device.
    #[n(2)]
    Edit,
    /// A relay's signed statement of what it had and when.
    #[n(3)]
    Witness,
    /// A statement of the county log, signed by the county's authority.
    #[n(4)]
    County,
    /// A person's key wrapped by their PIN, for the places where they work; signed by the authority.
    #[n(5)]
    Credential,
    /// Who may help a person of a box who has forgotten their PIN; signed by the box.
    #[n(6)]
    Rescue,
    /// Who looked at whom on a box, for the county's audit; signed by the box.
    #[n(7)]
    Looks,
    /// What two people of the county agreed to destroy, and which device has.
    #[n(8)]
    Erasure,
}

/// Where the author's clock came from, and so how far a claimed time can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum ClockSource {
    /// Compared with the relay's clock within the last day.
    #[n(1)]
    Relay,
    /// The device's own battery-backed clock.
    #[n(2)]
    Rtc,
    /// Taken from a tablet's browser.
    #[n(3)]
    Tablet,
    /// Nothing vouches for it.
    #[n(4)]
    Unknown,
}

/// The place in the county log up to which the author had read: not-before evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LogPosition {
    /// Number of the last statement known; 0 before the founding one.
    #[n(0)]
    pub position: u64,
    /// Name of that statement; zeros at position 0.
    #[n(1)]
    pub head: EntryId,
}

impl LogPosition {
    /// Before the county log begins.
    pub const START: Self = Self { position: 0, head: EntryId([0; 32]) };
}

/// Who wrote an entry, as which step of which device, and when they say so.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// 16 random bytes, so that a hash kept after erasure confirms no guess.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// The person who acted; absent where a device speaks for itself.
    #[n(1)]
    pub person: Option<PersonId>,
    /// The device that wrote it.
    #[n(2)]
    pub device: DeviceId,
    /// The run of the device's process.
    #[n(3)]
    pub incarnation: Incarnation,
    /// Counts the entries of this incarnation from 1.
    #[n(4)]
    pub seq: u64,
    /// The device's entry before this one: evidence, never a dependency.
    #[n(5)]
    pub previous: Option<EntryId>,
    /// How much of the county log the author had.
    #[n(6)]
    pub log: LogPosition,
    /// Claimed time, milliseconds since 1970 UTC.
    #[n(7)]
    pub claimed_ms: i64,
    /// Where that time came from.
    #[n(8)]
    pub clock: ClockSource,
}

/// In what quality a signature was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum SignerRole {
    /// The person's own key.
    #[n(1)]
    Person,
    /// The device's key.
    #[n(2)]
    Device,
    /// A key of the county's authority.
    #[n(3)]
    Authority,
}

/// One signature over an entry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signature {
    /// In what quality.
    #[n(0)]
    pub role: SignerRole,
    /// The suite of this signature, which may differ from the entry's.
    #[n(1)]
    pub suite: u8,
    /// Short name of the key.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub key: [u8; 8],
    /// The signature itself, at most [`SIGNATURE_BYTES_MAX`].
    #[n(3)]
    pub bytes: ByteVec,
}

/// One entry, decoded. Fields are private: an `Entry` is always well-formed and within limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    id: EntryId,
    subject: SubjectId,
    kind: Kind,
    header: Header,
    payload: Vec<u8>,
    commitment: [u8; 32],
    signatures: Vec<Signature>,
}

/// What is signed and named: everything but the payload itself, which `commitment` binds.
#[derive(Encode)]
struct Body<'a> {
    #[n(0)]
    version: u8,
    #[n(1)]
    suite: u8,
    #[n(2)]
    subject: SubjectId,
    #[n(3)]
    kind: Kind,
    #[n(4)]
    header: &'a Header,
    #[cbor(n(5), with = "minicbor::bytes")]
    commitment: [u8; 32],
}

#[derive(Encode)]
struct Frame<'a> {
    #[n(0)]
    body: Body<'a>,
    #[n(1)]
    signatures: &'a [Signature],
}

#[derive(Encode, Decode)]
struct Wire {
    #[n(0)]
    version: u8,
    #[n(1)]
    suite: u8,
    #[n(2)]
    subject: SubjectId,
    #[n(3)]
    kind: Kind,
    #[n(4)]
    header: Header,
    #[n(5)]
    payload: ByteVec,
    #[n(6)]
    signatures: Vec<Signature>,
}

/// Why bytes are not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// Longer than [`ENTRY_BYTES_MAX`].
    #[error("the entry has {0} bytes; at most {ENTRY_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A version this program cannot read.
    #[error("the entry is of version {0}; this program reads up to {VERSION}")]
    Version(u8),
    /// A suite this program does not know.
    #[error("the entry uses suite {0}, which this program does not know")]
    Suite(u8),
    /// Not the one deterministic form of the layout.
    #[error("the entry is not in its deterministic form: {0}")]
    Form(String),
    /// An edit whose payload is no Automerge change.
    #[error("the edit does not hold one plain Automerge change")]
    NotAChange,
}

/// Keys to sign with: the device's always, the person's when a person acts.
#[derive(Clone, Copy, Debug)]
pub struct Signers<'a> {
    /// The device's key.
    pub device: &'a SecretKey,
    /// The acting person's own key; absent for devices and relay-attested steps.
    pub person: Option<&'a SecretKey>,
    /// The authority's key, for county-log statements.
    pub authority: Option<&'a SecretKey>,
}

fn cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a Vec cannot fail: its error type is uninhabited.
    match minicbor::encode(value, &mut out) {
        Ok(()) => out,
        Err(e) => unreachable!("encoding into memory failed: {e}"),
    }
}

fn commitment_of(kind: Kind, payload: &[u8]) -> Result<[u8; 32], BadEntry> {
    match kind {
        // Signed over the change's own hash, so that a compacted document's changes can still be
        // held against the signatures.
        Kind::Edit => change_id(payload).map(|id| id.0),
        Kind::Event
        | Kind::Witness
        | Kind::County
        | Kind::Credential
        | Kind::Rescue
        | Kind::Looks
        | Kind::Erasure => Ok(suite::commitment(payload)),
    }
}

/// The hash Automerge gives a plain change chunk, read from its envelope alone: magic, four
/// checksum bytes, type 1, length. The checksum must agree with the hash.
///
/// # Errors
/// [`BadEntry::NotAChange`] for any other chunk, length or checksum.
pub fn change_id(chunk: &[u8]) -> Result<ChangeId, BadEntry> {
    const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
    const PLAIN_CHANGE: u8 = 1;
    let rest = chunk.strip_prefix(&MAGIC).ok_or(BadEntry::NotAChange)?;
    let (checksum, hashed) = rest.split_at_checked(4).ok_or(BadEntry::NotAChange)?;
    let (&kind, body) = hashed.split_first().ok_or(BadEntry::NotAChange)?;
    let (length, used) = leb128(body).ok_or(BadEntry::NotAChange)?;
    if kind != PLAIN_CHANGE || body.len() - used != length {
        return Err(BadEntry::NotAChange);
    }
    let hash = sha256(hashed);
    if hash[..4] != *checksum {
        return Err(BadEntry::NotAChange);
    }
    Ok(ChangeId(hash))
}

fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for (i, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

impl Entry {
    /// Makes and signs an entry. The person signs the body, the device signs the body and the
    /// person's signature, the authority signs the body.
    ///
    /// # Errors
    /// When the payload of an edit is no change, or the whole is longer than an entry may be.
    pub fn sign(
        subject: SubjectId,
        kind: Kind,
        header: Header,
        payload: Vec<u8>,
        signers: Signers<'_>,
    ) -> Result<Self, BadEntry> {
        let mut entry = Draft::new(subject, kind, header, payload)?.0;
        let digest = entry.digest();
        let mut put = |role, key: &SecretKey, message: Vec<u8>| {
            entry.signatures.push(Signature {
                role,
                suite: BLAKE3_ED25519,
                key: key.public().short_id(),
                bytes: key.sign(&message).into(),
            });
        };
        let mut by_person = Vec::new();
        if let Some(key) = signers.person {
            let message = message(SignerRole::Person, &digest, &[]);
            by_person = key.sign(&message);
            put(SignerRole::Person, key, message);
        }
        put(SignerRole::Device, signers.device, message(SignerRole::Device, &digest, &by_person));
        if let Some(key) = signers.authority {
            put(SignerRole::Authority, key, message(SignerRole::Authority, &digest, &[]));
        }
        entry.named()
    }

    /// The entry with its name, once all signatures are on it.
    fn named(mut self) -> Result<Self, BadEntry> {
        self.id = suite::entry_id(&self.frame());
        let length = self.encode().len();
        if length > ENTRY_BYTES_MAX {
            return Err(BadEntry::TooLong(length));
        }
        Ok(self)
    }

    /// Reads an entry. Only the one deterministic form is accepted: what is read encodes to the
    /// same bytes again. Signatures are not checked here; see [`Entry::signed_by`].
    ///
    /// # Errors
    /// [`BadEntry`], before anything larger than the input is allocated.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadEntry> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(BadEntry::TooLong(bytes.len()));
        }
        let mut decoder = minicbor::Decoder::new(bytes);
        let form = |e: minicbor::decode::Error| BadEntry::Form(e.to_string());
        // The version stands first, so that a newer entry is named as such and not as garbage.
        let mut peek = decoder.clone();
        peek.array().map_err(form)?;
        let version = peek.u8().map_err(form)?;
        if version == 0 || version > VERSION {
            return Err(BadEntry::Version(version));
        }
        let wire: Wire = decoder.decode().map_err(form)?;
        if wire.suite != BLAKE3_ED25519 {
            return Err(BadEntry::Suite(wire.suite));
        }
        if wire.signatures.len() > SIGNATURES_MAX {
            return Err(BadEntry::Form("too many signatures".into()));
        }
        if wire.signatures.iter().any(|s| s.bytes.len() > SIGNATURE_BYTES_MAX) {
            return Err(BadEntry::Form("a signature is too long".into()));
        }
        if cbor(&wire) != bytes {
            return Err(BadEntry::Form("another form exists".into()));
        }
        let commitment = commitment_of(wire.kind, &wire.payload)?;
        let mut entry = Self {
            id: EntryId([0; 32]),
            subject: wire.subject,
            kind: wire.kind,
            header: wire.header,
            payload: wire.payload.into(),
            commitment,
            signatures: wire.signatures,
        };
        entry.id = suite::entry_id(&entry.frame());
        Ok(entry)
    }

    /// The deterministic bytes of the entry.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encoded_with(&self.payload)
    }

    fn encoded_with(&self, payload: &[u8]) -> Vec<u8> {
        cbor(&Wire {
            version: VERSION,
            suite: BLAKE3_ED25519,
            subject: self.subject,
            kind: self.kind,
            header: self.header.clone(),
            payload: payload.to_vec().into(),
            signatures: self.signatures.clone(),
        })
    }

    /// The change that an edit holds; nothing for any other kind.
    #[must_use]
    pub fn change(&self) -> Option<ChangeId> {
        (self.kind == Kind::Edit).then_some(ChangeId(self.commitment))
    }

    /// The bytes of an edit without its change, and the first four bytes of the change's hash: for a
    /// carrier that brings the changes in another form. Nothing for any other kind.
    #[must_use]
    pub fn without_change(&self) -> Option<(Vec<u8>, [u8; 4])> {
        let checksum =
            self.payload.get(4..8)?.try_into().ok().filter(|_| self.kind == Kind::Edit)?;
        Some((self.encoded_with(&[]), checksum))
    }

    /// Puts a change back into an edit that went without it. Nobody's word is taken for it: the
    /// entry's name and signatures cover the change's hash.
    ///
    /// # Errors
    /// [`BadEntry`], as for [`Entry::decode`].
    pub fn with_change(head: &[u8], change: Vec<u8>) -> Result<Self, BadEntry> {
        if head.len() + change.len() > ENTRY_BYTES_MAX {
            return Err(BadEntry::TooLong(head.len() + change.len()));
        }
        let mut wire: Wire = minicbor::decode(head).map_err(|e| BadEntry::Form(e.to_string()))?;
        if wire.kind != Kind::Edit || !wire.payload.is_empty() {
            return Err(BadEntry::NotAChange);
        }
        wire.payload = change.into();
        Self::decode(&cbor(&wire))
    }

    fn body(&self) -> Body<'_> {
        Body {
            version: VERSION,
            suite: BLAKE3_ED25519,
            subject: self.subject,
            kind: self.kind,
            header: &self.header,
            commitment: self.commitment,
        }
    }

    fn frame(&self) -> Vec<u8> {
        cbor(&Frame { body: self.body(), signatures: &self.signatures })
    }

    fn digest(&self) -> [u8; 32] {
        suite::body_digest(&cbor(&self.body()))
    }

    /// True when `key` signed this entry in the quality of `role`.
    #[must_use]
    pub fn signed_by(&self, role: SignerRole, key: &PublicKey) -> bool {
        let digest = self.digest();
        let by_person = self.signature(SignerRole::Person).map_or(&[][..], |s| &s.bytes);
        let over = message(role, &digest, if role == SignerRole::Device { by_person } else { &[] });
        self.signatures.iter().any(|s| {
            s.role == role
                && s.suite == BLAKE3_ED25519
                && s.key == key.short_id()
                && key.verifies(&over, &s.bytes)
        })
    }

    fn signature(&self, role: SignerRole) -> Option<&Signature> {
        self.signatures.iter().find(|s| s.role == role)
    }

    /// True when a person's own signature is on it (whether it holds is [`Entry::signed_by`]).
    #[must_use]
    pub fn has_person_signature(&self) -> bool {
        self.signature(SignerRole::Person).is_some()
    }

    /// The entry's name.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }
    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> SubjectId {
        self.subject
    }
    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// Who wrote it and when.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }
    /// The bytes of the event, change, witness or statement.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

fn message(role: SignerRole, digest: &[u8; 32], by_person: &[u8]) -> Vec<u8> {
    let domain: &[u8] = match role {
        SignerRole::Person => b"cunkou person v1\0",
        SignerRole::Device => b"cunkou device v1\0",
        SignerRole::Authority => b"cunkou authority v1\0",
    };
    [domain, digest, by_person].concat()
}

mod draft;
pub use draft::Draft;

#[cfg(test)]
mod tests;
