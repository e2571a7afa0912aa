//! Renewal: a device gets its next certificates, over the link or by a file that is carried.
//!
//! The request is signed with the device's key, the answer with the relay's, so that both are worth
//! the same on a stick as on the wire.

use crate::call::{Call, Links, Way};
use crate::enrol::Enroller;
use crate::line::Connection;
use crate::verify::Clock;
use crate::{DeviceCertificate, LinkError, explain, frames, tls};
use cunkou_engine::{Port, Refused};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

const PATIENCE: Duration = Duration::from_secs(20);
/// A request is never longer. Bytes.
pub const REQUEST_BYTES_MAX: usize = 4096;
/// An answer is never longer. Bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
const ASK: &[u8] = b"cunkou renewal v1\0";
const ANSWER: &[u8] = b"cunkou renewal answer v1\0";

/// What a device asks for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RenewRequest {
    /// The device's Ed25519 key.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// The public key of its pages, `SubjectPublicKeyInfo` in DER.
    #[n(1)]
    pub web_key: ByteVec,
    /// The addresses under which its pages are reached, 4 or 16 bytes each.
    #[n(2)]
    pub addresses: Vec<ByteVec>,
    /// The device's signature.
    #[n(3)]
    pub proof: ByteVec,
}

impl RenewRequest {
    /// A signed request.
    #[must_use]
    pub fn new(seed: &[u8; 32], web_key: Vec<u8>, addresses: Vec<ByteVec>) -> Self {
        let key = SigningKey::from_bytes(seed);
        let mut request = Self {
            key: key.verifying_key().to_bytes(),
            web_key: web_key.into(),
            addresses,
            proof: Vec::new().into(),
        };
        request.proof = key.sign(&request.said()).to_bytes().to_vec().into();
        request
    }

    fn said(&self) -> Vec<u8> {
        let unsigned = Self { proof: Vec::new().into(), ..self.clone() };
        [ASK, &minicbor::to_vec(&unsigned).unwrap_or_default()].concat()
    }

    /// Whether the device signed it.
    #[must_use]
    pub fn holds(&self) -> bool {
        verify(&self.key, &self.said(), &self.proof)
    }
}

/// What a device gets.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Renewed {
    /// Its certificate, DER.
    #[n(0)]
    pub certificate: ByteVec,
    /// The certificate that issued it, DER.
    #[n(1)]
    pub issuing: ByteVec,
    /// The roots to trust, DER. For the time being: the county log will say which they are.
    #[n(2)]
    pub roots: Vec<ByteVec>,
    /// The certificate of its pages, DER.
    #[n(3)]
    pub web_certificate: ByteVec,
}

/// [`Renewed`], signed by the relay's device key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedRenewal {
    /// [`Renewed`] as bytes.
    #[n(0)]
    pub body: ByteVec,
    /// The relay's signature over them.
    #[n(1)]
    pub proof: ByteVec,
}

impl SignedRenewal {
    /// Signs an answer with the relay's 32 secret bytes.
    #[must_use]
    pub fn new(renewed: &Renewed, seed: &[u8; 32]) -> Self {
        let body = minicbor::to_vec(renewed).unwrap_or_default();
        let proof = SigningKey::from_bytes(seed).sign(&[ANSWER, &body].concat());
        Self { body: body.into(), proof: proof.to_bytes().to_vec().into() }
    }

    /// What a relay with this key has signed.
    #[must_use]
    pub fn open(&self, relay: &[u8; 32]) -> Option<Renewed> {
        if !verify(relay, &[ANSWER, &self.body].concat(), &self.proof) {
            return None;
        }
        minicbor::decode(&self.body).ok()
    }
}

fn verify(key: &[u8; 32], said: &[u8], proof: &[u8]) -> bool {
    let (Ok(key), Ok(proof)) =
        (VerifyingKey::from_bytes(key), ed25519_dalek::Signature::from_slice(proof))
    else {
        return false;
    };
    key.verify_strict(said, &proof).is_ok()
}

#[derive(Clone, Debug, Encode, Decode)]
enum RenewResponse {
    #[n(1)]
    Renewed(#[n(0)] SignedRenewal),
    #[n(2)]
    Refused(#[n(0)] String),
}

/// The box's part: what it shows and believes, asked before every connection.
pub trait Credentials: Send + Sync + 'static {
    /// What to show, whom to trust.
    ///
    /// # Errors
    /// [`LinkError::Setup`] when it cannot be read.
    fn certificate(&self) -> Result<DeviceCertificate, LinkError>;
    /// What is known of the time.
    fn clock(&self) -> Clock;
    /// Whether the certificates are to be renewed now.
    fn due(&self) -> bool;
    /// What to ask for.
    fn request(&self) -> RenewRequest;
    /// Keeps what came over the link, on disk, or says why it cannot be used. May block.
    ///
    /// # Errors
    /// In words.
    fn renewed(&self, answer: &SignedRenewal) -> Result<(), String>;
}

/// The relay's part.
pub trait RelayCredentials: Enroller {
    /// What to show, whom to trust.
    ///
    /// # Errors
    /// [`LinkError::Setup`] when it cannot be read.
    fn certificate(&self) -> Result<DeviceCertificate, LinkError>;
    /// The relay's time, milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;
    /// Issues the next certificates of a device whose signature has been checked. May block.
    ///
    /// # Errors
    /// [`Refused`], to be told to the device.
    fn renew(&self, request: &RenewRequest) -> Result<SignedRenewal, Refused>;
    /// Rises when [`RelayCredentials::certificate`] gives something new.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// Answers one renewal. The certificate may have run out; the county log must still count the box.
pub(crate) async fn answer(
    connection: Connection,
    port: Arc<dyn Port>,
    relay: Arc<dyn RelayCredentials>,
) {
    let address = connection.remote_address();
    let talk = async {
        let Some(key) = tls::peer_key(&connection) else {
            return Err(LinkError::Refused("no certificate was shown".into()));
        };
        let (mut send, mut receive) = connection.accept_bi().await.map_err(|e| explain(&e))?;
        let request = frames::receive(&mut receive, REQUEST_BYTES_MAX).await?;
        let request: Option<RenewRequest> = request.and_then(|bytes| minicbor::decode(&bytes).ok());
        let response = match (request, port.admit_peer(&key)) {
            (_, Err(refused)) => RenewResponse::Refused(refused.words),
            (Some(request), Ok(peer)) if request.key == key && request.holds() => {
                let work = move || relay.renew(&request);
                match tokio::task::spawn_blocking(work).await {
                    Ok(Ok(answer)) => {
                        info!(peer = %peer.name, "renewed a box's certificates");
                        RenewResponse::Renewed(answer)
                    }
                    Ok(Err(refused)) => RenewResponse::Refused(refused.words),
                    Err(e) => return Err(LinkError::Broken(e.to_string())),
                }
            }
            _ => RenewResponse::Refused("the request cannot be read".into()),
        };
        if let RenewResponse::Refused(why) = &response {
            warn!(%address, %why, "refused a renewal");
        }
        let bytes = minicbor::to_vec(&response).map_err(|e| LinkError::Broken(e.to_string()))?;
        frames::send(&mut send, &bytes).await?;
        send.finish();
        connection.closed().await;
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, talk).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%address, %error, "a renewal broke off"),
        Err(_) => warn!(%address, "a renewal took too long"),
    }
}

/// Renews the certificates at a relay, as the list of relays names it.
///
/// # Errors
/// [`LinkError`] in words.
pub async fn renew(relay: &str, me: Arc<dyn Credentials>) -> Result<(), LinkError> {
    renew_over(relay, me, &Links::default(), Way::Quic).await
}

/// The same over a link of another kind, trying one way first.
pub(crate) async fn renew_over(
    relay: &str,
    me: Arc<dyn Credentials>,
    links: &Links,
    first: Way,
) -> Result<(), LinkError> {
    let own = me.certificate()?;
    let tls = tls::client(&own.roots, Some(&own), me.clock(), crate::ALPN_RENEW)?;
    let call = Call { relay, name: &own.relay_name, tls, links, single: true };
    let called = call.make(first).await?;
    let talk = async {
        let (mut send, mut receive) = called.connection.open_bi().await.map_err(|e| explain(&e))?;
        let bytes = minicbor::to_vec(me.request()).map_err(|e| LinkError::Setup(e.to_string()))?;
        frames::send(&mut send, &bytes).await?;
        match frames::receive(&mut receive, ANSWER_BYTES_MAX).await? {
            None => Err(explain(&called.connection.closed().await)),
            Some(bytes) => match minicbor::decode(&bytes) {
                Ok(RenewResponse::Renewed(answer)) => Ok(answer),
                Ok(RenewResponse::Refused(words)) => Err(LinkError::Refused(words)),
                Err(_) => Err(LinkError::Broken("the relay's answer cannot be read".into())),
            },
        }
    };
    let answer = tokio::time::timeout(PATIENCE, talk)
        .await
        .unwrap_or_else(|_| Err(LinkError::Unreachable("no answer".into())));
    called.end().await;
    let answer = answer?;
    tokio::task::spawn_blocking(move || me.renewed(&answer))
        .await
        .map_err(|e| LinkError::Broken(e.to_string()))?
        .map_err(LinkError::Refused)
}
