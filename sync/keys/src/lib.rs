//! Keys at rest: where they come from and what they lock.
//!
//! A [`HardwareSecret`] is what a machine has and its disk (with luck) has not. From it comes the
//! machine key, which opens `open.db` and everything of a relay. The work key of a box is random,
//! and lies on disk only in [`Slot`]s: sealed to each person's own key and mixed with the machine's
//! secret. What reaches a locked box is sealed to the box ([`seal_to`]); files are encrypted in
//! chunks ([`files`]), what is too long for memory as a stream ([`Sealing`], [`Opening`]). A person's key also lies behind a code that only helpers can read out ([`Spoken`]).
//!
//! **Invariant:** no construction of our own. Sealed boxes and slots are RFC 9180 (HPKE with
//! X25519, HKDF-SHA256, ChaCha20-Poly1305), files are STREAM over XChaCha20-Poly1305, derived keys
//! are HKDF-SHA256.
//! **Invariant:** keys are wiped when dropped and never shown by `Debug`.

mod archive;
mod chunks;
mod codes;
mod kept;
mod machine;
pub mod passphrase;
mod rescue;
mod sealed;
mod slots;
mod streamed;
mod stretch;

/// Encrypted files, readable from any chunk on.
pub mod files {
    pub use crate::chunks::{CHUNK, Pieces, Reader, Writer, encrypt, length, open, open_from};
}
pub use archive::{ARCHIVE_PART, ArchiveError, ArchiveKind, ArchiveReader, ArchiveWriter, Member};
pub use codes::{CHALLENGE_DIGITS, EXTENSION_DIGITS, extension_code};
pub use kept::{keep_sealed, read_sealed};
pub use machine::{FileSecret, HardwareSecret, Tpm2, machine_secret};
pub use rescue::{Behind, RESCUE_DIGITS, RescueFor, Spoken, behind};
pub use sealed::{BoxSecret, open_sealed, seal_to, seal_under, unseal_under};
pub use slots::Slot;
pub use streamed::{Opening, Sealing, StreamError};
pub use stretch::{MEMORY_KIB, PASSES, stretch, stretch_with};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Why a key or what it locks could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The wrong key, or damaged bytes; the two cannot be told apart.
    #[error("this key does not open it, or it is damaged")]
    Wrong,
    /// The file of the machine's secret.
    #[error("the machine's secret at {path}: {source}")]
    Machine {
        /// Where.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is kept under the machine's secret.
    #[error("{path}: {source}")]
    File {
        /// Where.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The security chip.
    #[error("the security chip: {0}")]
    Chip(String),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    NoRandomness,
}

/// A key of 32 bytes. It is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// These 32 bytes.
    #[must_use]
    pub fn of(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new one.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another key for one purpose: HKDF-SHA256 with the purpose as its info.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Self {
        let mut out = [0; 32];
        match Hkdf::<Sha256>::new(Some(b"cunkou at rest v1"), &self.0)
            .expand(purpose.as_bytes(), &mut out)
        {
            Ok(()) => Self(out),
            Err(_) => unreachable!("32 bytes are within what HKDF gives"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_for_one_purpose_is_not_the_key_for_another() {
        let key = Key::of([7; 32]);
        assert_ne!(key.derive("a"), key.derive("b"));
        assert_eq!(key.derive("a"), key.derive("a"));
        assert_ne!(key.derive("a"), Key::of([8; 32]).derive("a"));
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", Key::of([7; 32])), "Key(…)");
    }
}
