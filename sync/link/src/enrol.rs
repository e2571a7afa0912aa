//! Enrolment: a box with a one-time file becomes a box of the county.

use crate::identity::pem_to_der;
use crate::verify::Clock;
use crate::{ALPN_ENROL, CLOSE_DONE, LinkError, explain, frames, tls};
use cunkou_engine::Refused;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use quinn::Connection;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST_BYTES_MAX: usize = 4096;
const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;
const DOMAIN: &[u8] = b"cunkou enrolment v1\0";

/// What a box says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EnrolRequest {
    /// The one-time token of the file.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub token: [u8; 32],
    /// The key that the box made for itself.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// The key's signature over the token: the box has the key.
    #[n(2)]
    pub proof: ByteVec,
    /// The public key of its pages, `SubjectPublicKeyInfo` in DER.
    #[n(3)]
    pub web_key: Option<ByteVec>,
    /// The addresses under which its pages are reached, 4 or 16 bytes each.
    #[n(4)]
    pub addresses: Option<Vec<ByteVec>>,
}

impl EnrolRequest {
    /// A request with its proof.
    #[must_use]
    pub fn new(
        token: [u8; 32],
        seed: &[u8; 32],
        web_key: Vec<u8>,
        addresses: Vec<ByteVec>,
    ) -> Self {
        let key = SigningKey::from_bytes(seed);
        let proof = key.sign(&[DOMAIN, &token].concat()).to_bytes().to_vec();
        Self {
            token,
            key: key.verifying_key().to_bytes(),
            proof: proof.into(),
            web_key: Some(web_key.into()),
            addresses: Some(addresses),
        }
    }

    fn holds(&self) -> bool {
        let (Ok(key), Ok(proof)) = (
            VerifyingKey::from_bytes(&self.key),
            ed25519_dalek::Signature::from_slice(&self.proof),
        ) else {
            return false;
        };
        key.verify_strict(&[DOMAIN, &self.token].concat(), &proof).is_ok()
    }
}

/// What the box becomes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OfferedEnrolment {
    /// Its id.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub device: [u8; 16],
    /// Its certificate, DER.
    #[n(1)]
    pub certificate: ByteVec,
    /// The county as a subject.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub county: [u8; 16],
    /// The name of the founding statement: the county's fingerprint.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub founding: [u8; 32],
    /// The county's secret for the index of ID numbers.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub index_secret: [u8; 32],
    /// The county log so far.
    #[n(5)]
    pub county_log: Vec<ByteVec>,
    /// The certificate that issued its own, DER.
    #[n(6)]
    pub issuing: Option<ByteVec>,
    /// The roots to trust, DER.
    #[n(7)]
    pub roots: Option<Vec<ByteVec>>,
    /// The certificate of its pages, DER.
    #[n(8)]
    pub web_certificate: Option<ByteVec>,
    /// The county's recovery key (X25519), to which the box seals its work key.
    #[cbor(n(9), with = "minicbor::bytes")]
    pub recovery: Option<[u8; 32]>,
    /// The secret of this box's lease, shared with the relay alone.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub lease: Option<[u8; 32]>,
}

/// What the relay answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum EnrolResponse {
    /// Welcome.
    #[n(1)]
    Enrolled(#[n(0)] OfferedEnrolment),
    /// No, and why.
    #[n(2)]
    Refused(#[n(0)] String),
}

/// The relay's part: redeems a token, once.
pub trait Enroller: Send + Sync + 'static {
    /// Enrols the box that holds this key. May block.
    ///
    /// # Errors
    /// [`Refused`], to be told to the box.
    fn enrol(&self, request: &EnrolRequest) -> Result<OfferedEnrolment, Refused>;
}

/// Answers one enrolment on a connection without a client certificate.
pub(crate) async fn answer<E: Enroller + ?Sized>(connection: Connection, enroller: Arc<E>) {
    let address = connection.remote_address();
    let talk = async {
        let (mut send, mut receive) = connection.accept_bi().await.map_err(|e| explain(&e))?;
        let request = frames::receive(&mut receive, REQUEST_BYTES_MAX).await?;
        let request: Option<EnrolRequest> = request.and_then(|bytes| minicbor::decode(&bytes).ok());
        let response = match request {
            Some(request) if request.holds() => {
                let work = move || enroller.enrol(&request);
                match tokio::task::spawn_blocking(work).await {
                    Ok(Ok(offer)) => {
                        info!(%address, "enrolled a box");
                        EnrolResponse::Enrolled(offer)
                    }
                    Ok(Err(refused)) => {
                        warn!(%address, why = %refused.words, "refused an enrolment");
                        EnrolResponse::Refused(refused.words)
                    }
                    Err(e) => return Err(LinkError::Broken(e.to_string())),
                }
            }
            _ => EnrolResponse::Refused("the request cannot be read".into()),
        };
        let bytes = minicbor::to_vec(&response).map_err(|e| LinkError::Broken(e.to_string()))?;
        frames::send(&mut send, &bytes).await?;
        send.finish().ok();
        // The box closes when it has read the answer.
        connection.closed().await;
        Ok::<(), LinkError>(())
    };
    match tokio::time::timeout(PATIENCE, talk).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%address, %error, "an enrolment broke off"),
        Err(_) => warn!(%address, "an enrolment took too long"),
    }
}

/// Redeems an enrolment file at the first of `relays` that answers.
///
/// # Errors
/// [`LinkError`] in words.
pub async fn enrol(
    relays: &[String],
    relay_name: &str,
    root_pem: &str,
    request: &EnrolRequest,
) -> Result<OfferedEnrolment, LinkError> {
    let root = pem_to_der(root_pem).map_err(|e| LinkError::Setup(e.to_string()))?;
    let roots: Vec<CertificateDer<'static>> = root.into_iter().map(CertificateDer::from).collect();
    let mut last = LinkError::Setup("the file names no relay".into());
    for relay in relays {
        match attempt(relay, relay_name, &roots, request).await {
            Err(LinkError::Unreachable(why)) => {
                last = LinkError::Unreachable(format!("{relay}: {why}"));
            }
            done => return done,
        }
    }
    Err(last)
}

async fn attempt(
    relay: &str,
    relay_name: &str,
    roots: &[CertificateDer<'static>],
    request: &EnrolRequest,
) -> Result<OfferedEnrolment, LinkError> {
    // The file is the first that a box hears of its county: nothing vouches for its clock yet.
    let clock = Clock { now_ms: 0, floor_ms: 0 };
    let config = tls::client(roots, None, clock, ALPN_ENROL)?;
    let (endpoint, address) = tls::dial(relay, config).await?;
    let talk = async {
        let connection = endpoint
            .connect(address, relay_name)
            .map_err(|e| LinkError::Setup(e.to_string()))?
            .await
            .map_err(|e| explain(&e))?;
        let (mut send, mut receive) = connection.open_bi().await.map_err(|e| explain(&e))?;
        let bytes = minicbor::to_vec(request).map_err(|e| LinkError::Setup(e.to_string()))?;
        frames::send(&mut send, &bytes).await?;
        let answer = frames::receive(&mut receive, RESPONSE_BYTES_MAX).await?;
        connection.close(CLOSE_DONE.into(), b"");
        let answer: Option<EnrolResponse> = answer.and_then(|b| minicbor::decode(&b).ok());
        match answer {
            Some(EnrolResponse::Enrolled(offer)) => Ok(offer),
            Some(EnrolResponse::Refused(words)) => Err(LinkError::Refused(words)),
            None => Err(LinkError::Broken("the relay's answer cannot be read".into())),
        }
    };
    let result = tokio::time::timeout(PATIENCE, talk)
        .await
        .unwrap_or_else(|_| Err(LinkError::Unreachable("no answer".into())));
    endpoint.wait_idle().await;
    result
}
