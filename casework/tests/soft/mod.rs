//! A security key in software, for tests: always present, always verified.

use cunkou_casework::decider::{DeciderKey, Grade, SUITE_WEBAUTHN};
use cunkou_casework::webauthn::{Assertion, base64url};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};

pub const RP: &str = "c130999.home.arpa";

/// A key whose secret is made from `seed`.
#[derive(Clone)]
pub struct SoftKey(SigningKey, u8);

impl SoftKey {
    pub fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).expect("a scalar"), seed)
    }

    pub fn public(&self) -> DeciderKey {
        DeciderKey {
            suite: SUITE_WEBAUTHN,
            key: self.0.verifying_key().to_sec1_point(true).as_bytes().to_vec().into(),
            rp_id: RP.into(),
            credential: vec![self.1; 32].into(),
            name: "钥匙扣".into(),
            grade: Grade::SecurityKey,
            aaguid: Some([self.1; 16]),
        }
    }

    /// A signature's bytes for this challenge.
    pub fn assert(&self, challenge: &[u8; 32]) -> Vec<u8> {
        let client = format!(
            r#"{{"type":"webauthn.get","challenge":"{}","origin":"https://relay.{RP}","crossOrigin":false}}"#,
            base64url(challenge)
        );
        let data = [&Sha256::digest(RP.as_bytes())[..], &[0x05, 0, 0, 0, 1]].concat();
        let signed = [&data[..], &Sha256::digest(client.as_bytes())].concat();
        let signature: Signature = self.0.sign(&signed);
        let assertion = Assertion {
            authenticator_data: data.into(),
            client_data: client.into_bytes().into(),
            signature: signature.to_der().as_bytes().to_vec().into(),
        };
        assertion.encode().expect("short")
    }
}
