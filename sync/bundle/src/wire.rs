//! The records of a bundle and what is signed of them.

use cunkou_engine::{FRAME_BYTES_MAX, Hello, SCOPES_MAX};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

/// A record is never longer: that of the longest frame, and a little around it. Bytes.
pub const RECORD_BYTES_MAX: usize = FRAME_BYTES_MAX + 4096;
/// An attachment is never longer. Bytes.
pub const ATTACHMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// A bundle acknowledges at most so many others.
pub const ACKS_MAX: usize = 1024;
/// A bundle asks for at most so many attachments.
pub const WANTED_MAX: usize = 4096;

pub(crate) const MAGIC: &[u8; 4] = b"CKC1";
/// Length of the sealed key: an HPKE key of 32 bytes, the key, a tag.
pub(crate) const SEALED_KEY: usize = 32 + 32 + 16;
pub(crate) const INFO: &[u8] = b"cunkou bundle v1\0";
const HEAD: &[u8] = b"cunkou bundle head v1\0";
const END: &[u8] = b"cunkou bundle end v1\0";

/// The name of a bundle: random.
pub type BundleId = [u8; 16];

/// The code that names a receiver on the stick: of its device key.
#[must_use]
pub fn code_of(receiver: &[u8; 32]) -> [u8; 8] {
    let hash = blake3::derive_key("cunkou bundle receiver v1", receiver);
    let mut out = [0; 8];
    out.copy_from_slice(&hash[..8]);
    out
}

/// Where a bundle goes on in the sender's log of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Start {
    /// Which.
    #[n(0)]
    pub scope: String,
    /// The receiver must have read up to here.
    #[n(1)]
    pub after: u64,
}

/// What stands before everything else in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Head {
    /// The bundle's name.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub id: BundleId,
    /// Counts this sender's bundles for this receiver, from 1.
    #[n(1)]
    pub number: u64,
    /// Which stick of a series, from 1.
    #[n(2)]
    pub part: u32,
    /// When it was made, by the sender's clock, milliseconds since 1970 UTC.
    #[n(3)]
    pub made_ms: i64,
    /// What the sender would say in a conversation.
    #[n(4)]
    pub hello: Hello,
    /// Where it goes on, one for each scope of the hello.
    #[n(5)]
    pub starts: Vec<Start>,
    /// Bundles of the receiver that came in whole at the sender, the latest last.
    #[n(6)]
    pub acks: Vec<ByteArray<16>>,
    /// Attachments that the sender lacks.
    #[n(7)]
    pub wanted: Vec<ByteArray<32>>,
}

impl Head {
    /// Reads a head and holds it to its bounds.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let head: Self = minicbor::decode(bytes).ok()?;
        let bounded = head.hello.scopes.len() <= SCOPES_MAX
            && head.starts.len() <= SCOPES_MAX
            && head.acks.len() <= ACKS_MAX
            && head.wanted.len() <= WANTED_MAX
            && head.part > 0
            && head.number > 0;
        bounded.then_some(head)
    }
}

/// What a bundle came to: the last thing that is said in it, and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct End {
    /// BLAKE3 of all records before this one, with their lengths.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) digest: [u8; 32],
    /// Another bundle goes on from here: this one was full.
    #[n(1)]
    pub(crate) more: bool,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Record {
    /// The head and whose it is. Always the first.
    #[n(1)]
    Head {
        /// The sender's device key.
        #[cbor(n(0), with = "minicbor::bytes")]
        sender: [u8; 32],
        /// An encoded [`Head`].
        #[n(1)]
        body: ByteVec,
        /// The sender's signature over it, the receiver and the key of this file.
        #[n(2)]
        proof: ByteVec,
    },
    /// Entries of the sender's log of one scope.
    #[n(2)]
    Entries {
        /// Which scope.
        #[n(0)]
        scope: String,
        /// They follow on this place.
        #[n(1)]
        after: u64,
        /// After them the reader is here.
        #[n(2)]
        upto: u64,
        /// Where the sender's log ended.
        #[n(3)]
        head: u64,
        /// The entries in log order, without those the receiver gave.
        #[n(4)]
        entries: Vec<ByteVec>,
    },
    /// A part of an attachment; parts follow each other without gaps.
    #[n(3)]
    Part {
        /// Which attachment: BLAKE3 of all its bytes.
        #[cbor(n(0), with = "minicbor::bytes")]
        id: [u8; 32],
        /// How long the whole is.
        #[n(1)]
        length: u64,
        /// Its bytes from where the part before ended.
        #[n(2)]
        bytes: ByteVec,
    },
    /// The end. Always the last.
    #[n(4)]
    End {
        /// What it came to: an array of digest (BLAKE3 of all records before, with their lengths)
        /// and whether another bundle goes on from here.
        #[n(0)]
        body: ByteVec,
        /// The sender's signature over it and the bundle's name.
        #[n(1)]
        proof: ByteVec,
    },
}

impl Record {
    /// The record's bytes, without its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a record; nothing when it is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        minicbor::decode(bytes).ok()
    }
}

pub(crate) fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    match minicbor::encode(value, &mut out) {
        Ok(()) => out,
        Err(e) => unreachable!("encoding into memory failed: {e}"),
    }
}

/// What the head's signature is over: only who knows the file's key (sender and receiver) can have
/// written what follows, and nobody can put this head before another file.
pub(crate) fn head_message(receiver: &[u8; 32], key: &[u8; 32], body: &[u8]) -> Vec<u8> {
    let key = blake3::derive_key("cunkou bundle key v1", key);
    [HEAD, receiver, &key, body].concat()
}

pub(crate) fn end_message(id: &BundleId, body: &[u8]) -> Vec<u8> {
    [END, id, body].concat()
}

pub(crate) fn sign(seed: &[u8; 32], message: &[u8]) -> ByteVec {
    SigningKey::from_bytes(seed).sign(message).to_bytes().to_vec().into()
}

pub(crate) fn verifies(key: &[u8; 32], message: &[u8], proof: &[u8]) -> bool {
    let (Ok(key), Ok(proof)) = (VerifyingKey::from_bytes(key), Signature::from_slice(proof)) else {
        return false;
    };
    key.verify_strict(message, &proof).is_ok()
}
