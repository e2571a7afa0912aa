//! Enrolment: a box with a one-time file becomes a box of the county.

use crate::call::{Call, Links, Way};
use crate::identity::{fingerprint, pem_to_der};
use crate::line::Connection;
use crate::renewal::RelayCredentials;
use crate::verify::Clock;
use crate::{ALPN_ENROL, LinkError, explain, frames, tls};
use cunkou_engine::{RefusalCode, Refused};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST_BYTES_MAX: usize = 4096;
const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;
const DOMAIN: &[u8] = b"cunkou enrolment v1\0";
const BIND: &[u8] = b"cunkou binding v1\0";

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

    /// Whether whoever made it has the key.
    #[must_use]
    pub fn holds(&self) -> bool {
        signed(&self.key, &[DOMAIN, &self.token].concat(), &self.proof)
    }
}

fn signed(key: &[u8; 32], said: &[u8], proof: &[u8]) -> bool {
    let (Ok(key), Ok(proof)) =
        (VerifyingKey::from_bytes(key), ed25519_dalek::Signature::from_slice(proof))
    else {
        return false;
    };
    key.verify_strict(said, &proof).is_ok()
}

/// What a spare box says to be bound to places.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BindRequest {
    /// The hash of the code that the county gave.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub code: [u8; 32],
    /// The box's key.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// The key's signature over the hash.
    #[n(2)]
    pub proof: ByteVec,
}

impl BindRequest {
    /// A request with its proof.
    #[must_use]
    pub fn new(code: [u8; 32], seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let proof = key.sign(&[BIND, &code].concat()).to_bytes().to_vec().into();
        Self { code, key: key.verifying_key().to_bytes(), proof }
    }

    /// Whether whoever made it has the key.
    #[must_use]
    pub fn holds(&self) -> bool {
        signed(&self.key, &[BIND, &self.code].concat(), &self.proof)
    }
}

/// What else is asked where boxes enrol.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Ask {
    /// Which roots the county trusts: they are public, and checked by who asks.
    #[n(1)]
    Roots,
    /// To be bound to places.
    #[n(2)]
    Bind(#[n(0)] BindRequest),
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
    Enrolled(#[n(0)] Box<OfferedEnrolment>),
    /// No, and why.
    #[n(2)]
    Refused(#[n(0)] String),
    /// The county's roots, DER.
    #[n(3)]
    Roots(#[n(0)] Vec<ByteVec>),
    /// Bound: the names of the places.
    #[n(4)]
    Bound(#[n(0)] Vec<String>),
}

/// The relay's part: redeems a token, once.
pub trait Enroller: Send + Sync + 'static {
    /// Enrols the box that holds this key; `from` says where the request came from. May block.
    ///
    /// # Errors
    /// [`Refused`], to be told to the box.
    fn enrol(&self, request: &EnrolRequest, from: &str) -> Result<OfferedEnrolment, Refused>;

    /// Binds a spare box to the places of a code; gives their names. May block.
    ///
    /// # Errors
    /// [`Refused`], to be told to the box.
    fn bind(&self, _request: &BindRequest, _from: &str) -> Result<Vec<String>, Refused> {
        Err(Refused { code: RefusalCode::Token, words: "this relay binds no boxes".into() })
    }
}

/// What to say to one message.
fn respond(bytes: &[u8], relay: &dyn RelayCredentials, from: &str) -> EnrolResponse {
    let unreadable = || EnrolResponse::Refused("the request cannot be read".into());
    let refused = |refused: Refused| {
        warn!(%from, why = %refused.words, "refused an enrolment");
        EnrolResponse::Refused(refused.words)
    };
    if let Ok(request) = minicbor::decode::<EnrolRequest>(bytes) {
        if !request.holds() {
            return unreadable();
        }
        return relay.enrol(&request, from).map_or_else(refused, |offer| {
            info!(%from, "enrolled a box");
            EnrolResponse::Enrolled(Box::new(offer))
        });
    }
    match minicbor::decode::<Ask>(bytes) {
        Ok(Ask::Roots) => match relay.certificate() {
            Ok(me) => EnrolResponse::Roots(me.roots.iter().map(|r| r.to_vec().into()).collect()),
            Err(_) => EnrolResponse::Refused("the relay cannot read its certificates".into()),
        },
        Ok(Ask::Bind(request)) if request.holds() => {
            relay.bind(&request, from).map_or_else(refused, EnrolResponse::Bound)
        }
        _ => unreadable(),
    }
}

/// Answers one message on a connection without a client certificate.
pub(crate) async fn answer(connection: Connection, relay: Arc<dyn RelayCredentials>) {
    let address = connection.remote_address();
    let talk = async {
        let (mut send, mut receive) = connection.accept_bi().await.map_err(|e| explain(&e))?;
        let request = frames::receive(&mut receive, REQUEST_BYTES_MAX).await?.unwrap_or_default();
        let work = move || respond(&request, &*relay, &address.ip().to_string());
        let response = tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| LinkError::Broken(e.to_string()))?;
        let bytes = minicbor::to_vec(&response).map_err(|e| LinkError::Broken(e.to_string()))?;
        frames::send(&mut send, &bytes).await?;
        send.finish();
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

/// Whom a box that asks believes.
enum Believe {
    /// A relay whose certificate these roots vouch for.
    Roots(Vec<CertificateDer<'static>>),
    /// Anybody, for what is checked by its hash afterwards. Never say a secret to such a one.
    Anybody,
}

/// Redeems an enrolment at the first of `relays` that answers. `root_pem` is PEM.
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
    enrol_under(relays, relay_name, root, request, &Links::default()).await
}

/// As [`enrol`], with roots in DER, over links of a kind.
///
/// # Errors
/// [`LinkError`] in words.
pub async fn enrol_under(
    relays: &[String],
    relay_name: &str,
    roots: Vec<Vec<u8>>,
    request: &EnrolRequest,
    links: &Links,
) -> Result<OfferedEnrolment, LinkError> {
    let bytes = minicbor::to_vec(request).map_err(|e| LinkError::Setup(e.to_string()))?;
    let believe = Believe::Roots(roots.into_iter().map(CertificateDer::from).collect());
    match ask(relays, relay_name, &believe, &bytes, links).await? {
        EnrolResponse::Enrolled(offer) => Ok(*offer),
        other => Err(unexpected(other)),
    }
}

/// Fetches the root certificate, DER, whose SHA-256 is `hash`. The relay is not believed: what it
/// gives is, if the hash is right.
///
/// # Errors
/// [`LinkError`] in words; [`LinkError::OtherCounty`] when no root has the hash.
pub async fn fetch_root(
    relays: &[String],
    relay_name: &str,
    hash: &[u8; 32],
    links: &Links,
) -> Result<Vec<u8>, LinkError> {
    let bytes = minicbor::to_vec(Ask::Roots).map_err(|e| LinkError::Setup(e.to_string()))?;
    match ask(relays, relay_name, &Believe::Anybody, &bytes, links).await? {
        EnrolResponse::Roots(roots) => {
            let mut roots = roots.into_iter().map(|root| root.to_vec());
            roots.find(|root| fingerprint(root) == *hash).ok_or_else(|| {
                LinkError::OtherCounty("the relay's root is not the one of the code".into())
            })
        }
        other => Err(unexpected(other)),
    }
}

/// Binds a spare box with a county's code; gives the names of its places.
///
/// # Errors
/// [`LinkError`] in words.
pub async fn bind(
    relays: &[String],
    relay_name: &str,
    roots: Vec<Vec<u8>>,
    request: &BindRequest,
    links: &Links,
) -> Result<Vec<String>, LinkError> {
    let bytes = minicbor::to_vec(Ask::Bind(request.clone()))
        .map_err(|e| LinkError::Setup(e.to_string()))?;
    let believe = Believe::Roots(roots.into_iter().map(CertificateDer::from).collect());
    match ask(relays, relay_name, &believe, &bytes, links).await? {
        EnrolResponse::Bound(places) => Ok(places),
        other => Err(unexpected(other)),
    }
}

fn unexpected(response: EnrolResponse) -> LinkError {
    match response {
        EnrolResponse::Refused(words) => LinkError::Refused(words),
        _ => LinkError::Broken("the relay answers something else".into()),
    }
}

async fn ask(
    relays: &[String],
    relay_name: &str,
    believe: &Believe,
    message: &[u8],
    links: &Links,
) -> Result<EnrolResponse, LinkError> {
    let mut last = LinkError::Setup("no relay is named".into());
    for relay in relays {
        match attempt(relay, relay_name, believe, message, links).await {
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
    believe: &Believe,
    message: &[u8],
    links: &Links,
) -> Result<EnrolResponse, LinkError> {
    // The file is the first that a box hears of its county: nothing vouches for its clock yet.
    let clock = Clock { now_ms: 0, floor_ms: 0 };
    let tls = match believe {
        Believe::Roots(roots) => tls::client(roots, None, clock, ALPN_ENROL)?,
        Believe::Anybody => tls::client_of_anybody(ALPN_ENROL)?,
    };
    let call = Call { relay, name: relay_name, tls, links, single: true };
    let called = call.make(Way::Quic).await?;
    let talk = async {
        let (mut send, mut receive) = called.connection.open_bi().await.map_err(|e| explain(&e))?;
        frames::send(&mut send, message).await?;
        let answer = frames::receive(&mut receive, RESPONSE_BYTES_MAX).await?;
        let answer: Option<EnrolResponse> = answer.and_then(|b| minicbor::decode(&b).ok());
        answer.ok_or_else(|| LinkError::Broken("the relay's answer cannot be read".into()))
    };
    let result = tokio::time::timeout(PATIENCE, talk)
        .await
        .unwrap_or_else(|_| Err(LinkError::Unreachable("no answer".into())));
    called.end().await;
    result
}

/// An enrolment that travels as a file: sealed to the box, signed by the relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SealedOffer {
    /// [`OfferedEnrolment`], sealed to the box's key.
    #[n(0)]
    pub sealed: ByteVec,
    /// The relay's certificate and the one that issued it, DER.
    #[n(1)]
    pub chain: Vec<ByteVec>,
    /// Signature of the relay's key over `sealed`.
    #[n(2)]
    pub proof: ByteVec,
}

/// A sealed offer is never longer. Bytes.
pub const OFFER_BYTES_MAX: usize = RESPONSE_BYTES_MAX;
const OFFER: &[u8] = b"cunkou enrolment answer v1\0";

impl SealedOffer {
    /// Signs with the relay's 32 secret bytes.
    #[must_use]
    pub fn new(sealed: Vec<u8>, chain: Vec<Vec<u8>>, seed: &[u8; 32]) -> Self {
        let proof = SigningKey::from_bytes(seed).sign(&[OFFER, &sealed].concat());
        let chain = chain.into_iter().map(ByteVec::from).collect();
        Self { sealed: sealed.into(), chain, proof: proof.to_bytes().to_vec().into() }
    }

    /// What is sealed, if a relay of that name, vouched for by these roots, signed it.
    ///
    /// # Errors
    /// [`LinkError::OtherCounty`].
    pub fn checked(&self, relay_name: &str, roots: &[Vec<u8>]) -> Result<&[u8], LinkError> {
        let no = || LinkError::OtherCounty("the answer is not of this county's relay".into());
        let roots: Vec<_> = roots.iter().cloned().map(CertificateDer::from).collect();
        let chain: Vec<_> =
            self.chain.iter().take(2).map(|c| CertificateDer::from(c.to_vec())).collect();
        tls::vouched(&roots, &chain, relay_name).map_err(|_| no())?;
        let key = chain.first().and_then(tls::key_of).ok_or_else(no)?;
        let holds = signed(&key, &[OFFER, &self.sealed].concat(), &self.proof);
        if holds { Ok(&self.sealed) } else { Err(no()) }
    }
}
