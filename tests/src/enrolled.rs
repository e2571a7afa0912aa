//! A box that exists on paper only: its enrolment is real, its program is whoever holds this.

use anyhow::{Context, Result};
use cunkou_casework::county::CountyLog;
use cunkou_casework::entry::Entry;
use cunkou_casework::hex;
use cunkou_casework::ids::{DeviceId, EntryId, SubjectId};
use cunkou_link::{DeviceCertificate, EnrolRequest, LinkError, OfferedEnrolment, WebKey, enrol};
use cunkou_replica::{SystemWorld, World};
use quinn::ClientConfig;
use quinn::crypto::rustls::QuicClientConfig;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// A redeemed enrolment file.
pub struct Enrolled {
    file: Value,
    /// What the relay gave.
    pub offer: OfferedEnrolment,
    /// The 32 secret bytes of the box's key.
    pub seed: [u8; 32],
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrolled({})", self.device())
    }
}

/// Bytes that nobody has drawn before.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    SystemWorld.random(&mut out);
    out
}

fn word(file: &Value, name: &str) -> String {
    file[name].as_str().unwrap_or_default().to_owned()
}

async fn redeem(
    file: &Value,
    relay: &str,
    seed: &[u8; 32],
) -> Result<Result<OfferedEnrolment, LinkError>> {
    let token = hex::decode(&word(file, "token")).and_then(|t| t.try_into().ok());
    let token = token.context("no token in the enrolment file")?;
    let request = EnrolRequest::new(token, seed, WebKey::generate()?.public(), Vec::new());
    let (name, root) = (word(file, "relay_name"), word(file, "root"));
    Ok(enrol(&[relay.to_owned()], &name, &root, &request).await)
}

impl Enrolled {
    /// Redeems an enrolment file with a key of its own.
    ///
    /// # Errors
    /// When the relay does not enrol it.
    pub async fn redeem(file: &Path, relay: &str) -> Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
        let file: Value = serde_json::from_slice(&text)?;
        let seed = random();
        let offer = redeem(&file, relay, &seed).await?.context("it was not enrolled")?;
        Ok(Self { file, offer, seed })
    }

    /// Redeems the same file once more, with another key: what the relay answers.
    ///
    /// # Errors
    /// When the file has no token.
    pub async fn again(&self, relay: &str) -> Result<Result<OfferedEnrolment, LinkError>> {
        redeem(&self.file, relay, &random()).await
    }

    /// Its id.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        DeviceId(self.offer.device)
    }

    /// The county log as it was at enrolment.
    ///
    /// # Errors
    /// When the relay gave one that does not hold.
    pub fn county(&self) -> Result<CountyLog> {
        let offer = &self.offer;
        let mut log = CountyLog::new(SubjectId(offer.county), EntryId(offer.founding));
        for statement in &offer.county_log {
            log.take(&Entry::decode(statement)?)?;
        }
        Ok(log)
    }

    /// The DNS name in the relay's certificate.
    #[must_use]
    pub fn relay_name(&self) -> String {
        word(&self.file, "relay_name")
    }

    /// What it shows and trusts.
    ///
    /// # Errors
    /// When the relay gave no issuing certificate.
    pub fn certificate(&self) -> Result<DeviceCertificate> {
        let roots = self.offer.roots.iter().flatten().map(|root| root.to_vec()).collect();
        let issuing = self.offer.issuing.as_ref().context("no issuing certificate")?;
        let chain = vec![self.offer.certificate.to_vec(), issuing.to_vec()];
        Ok(DeviceCertificate::new(chain, &self.seed, roots, self.relay_name()))
    }

    /// Settings of a connection that it opens as itself.
    ///
    /// # Errors
    /// When its certificates cannot be used.
    pub fn client(&self) -> Result<ClientConfig> {
        let me = self.certificate()?;
        let mut trusted = rustls::RootCertStore::empty();
        for root in me.roots {
            trusted.add(root)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(trusted)
            .with_client_auth_cert(me.chain, me.key)?;
        tls.alpn_protocols = vec![b"cunkou-sync/1".to_vec()];
        Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?)))
    }
}
