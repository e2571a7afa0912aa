//! An entry whose person signs elsewhere: on a security key, or by a one-time password.

use super::{BadEntry, Entry, Header, Kind, Signature, SignerRole, commitment_of, message};
use crate::decider::{DeciderKey, SUITE_OTP, SUITE_WEBAUTHN};
use crate::ids::{EntryId, SubjectId};
use crate::suite::{BLAKE3_ED25519, PublicKey, SIGNATURE_BYTES_MAX, SecretKey};
use crate::webauthn;

/// An entry without signatures: its exact bytes stand, so a key elsewhere can sign them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft(pub(super) Entry);

impl Draft {
    /// An entry to be signed.
    ///
    /// # Errors
    /// When the payload of an edit is no change.
    pub fn new(
        subject: SubjectId,
        kind: Kind,
        header: Header,
        payload: Vec<u8>,
    ) -> Result<Self, BadEntry> {
        let commitment = commitment_of(kind, &payload)?;
        Ok(Self(Entry {
            id: EntryId([0; 32]),
            subject,
            kind,
            header,
            payload,
            commitment,
            signatures: Vec::new(),
        }))
    }

    /// What it says; its name and signatures are not there yet.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.0
    }

    /// What the person's key signs.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        message(SignerRole::Person, &self.0.digest(), &[])
    }

    /// The WebAuthn challenge for it.
    #[must_use]
    pub fn challenge(&self) -> [u8; 32] {
        webauthn::challenge(&self.message())
    }

    /// The entry with a signature that the person's key has made elsewhere.
    ///
    /// # Errors
    /// When signature or entry are too long. Whether it holds is [`Entry::confirmed_by`].
    pub fn sign(
        mut self,
        key: &DeciderKey,
        signature: Vec<u8>,
        device: &SecretKey,
    ) -> Result<Entry, BadEntry> {
        if signature.len() > SIGNATURE_BYTES_MAX {
            return Err(BadEntry::Form("a signature is too long".into()));
        }
        let by_device = message(SignerRole::Device, &self.0.digest(), &signature);
        self.put(SignerRole::Person, key.suite, key.short_id(), signature);
        self.by_device(device, &by_device);
        self.0.named()
    }

    /// The entry with the device's word that the person gave the right one-time password.
    ///
    /// # Errors
    /// When the entry is too long.
    pub fn vouch(mut self, key: &DeciderKey, device: &SecretKey) -> Result<Entry, BadEntry> {
        let digest = self.0.digest();
        self.by_device(device, &message(SignerRole::Device, &digest, &[]));
        let word = device.sign(&otp_message(&digest, key));
        self.put(SignerRole::Device, SUITE_OTP, key.short_id(), word);
        self.0.named()
    }

    fn by_device(&mut self, device: &SecretKey, message: &[u8]) {
        let id = device.public().short_id();
        self.put(SignerRole::Device, BLAKE3_ED25519, id, device.sign(message));
    }

    fn put(&mut self, role: SignerRole, suite: u8, key: [u8; 8], bytes: Vec<u8>) {
        self.0.signatures.push(Signature { role, suite, key, bytes: bytes.into() });
    }
}

/// What a relay signs when somebody gave the right one-time password for this very entry.
fn otp_message(digest: &[u8; 32], key: &DeciderKey) -> Vec<u8> {
    [&b"cunkou otp v1\0"[..], digest, &key.key].concat()
}

impl Entry {
    /// True when this key of a person stands behind the entry: by its own signature, or for
    /// one-time passwords by the word of `device`.
    #[must_use]
    pub fn confirmed_by(&self, key: &DeciderKey, device: &PublicKey) -> bool {
        let over = match key.suite {
            SUITE_OTP => otp_message(&self.digest(), key),
            _ => message(SignerRole::Person, &self.digest(), &[]),
        };
        self.signatures.iter().filter(|s| named(s, key)).any(|s| match key.suite {
            SUITE_OTP => device.verifies(&over, &s.bytes),
            _ => key.verifies(&over, &s.bytes),
        })
    }

    /// True when it says that this key stands behind it; whether that holds is
    /// [`Entry::confirmed_by`].
    #[must_use]
    pub fn names_key(&self, key: &DeciderKey) -> bool {
        self.signatures.iter().any(|s| named(s, key))
    }

    /// The WebAuthn assertion on it, if there is one in its form.
    #[must_use]
    pub fn assertion(&self) -> Option<webauthn::Assertion> {
        let by = self.signatures.iter().find(|s| s.suite == SUITE_WEBAUTHN)?;
        crate::event::decode(&by.bytes).ok()
    }
}

fn named(signature: &Signature, key: &DeciderKey) -> bool {
    let role = if key.suite == SUITE_OTP { SignerRole::Device } else { SignerRole::Person };
    signature.role == role && signature.suite == key.suite && signature.key == key.short_id()
}
