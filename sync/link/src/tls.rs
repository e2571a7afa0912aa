//! TLS 1.3 settings of both sides, and the transport's.

use crate::identity::{DeviceCertificate, Facts};
use crate::line::Connection;
use crate::profile::Settings;
use crate::verify::{Anybody, BesideVerifier, BoxVerifier, Clock, RelayVerifier};
use crate::{ALPN_BESIDE, ALPN_ENROL, ALPN_RENEW, ALPN_SYNC, ALPN_TEST, LinkError};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, EndpointConfig, ServerConfig};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::sync::Arc;

fn setup(e: impl std::fmt::Display) -> LinkError {
    LinkError::Setup(e.to_string())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(roots: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, LinkError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(setup)?;
    }
    Ok(Arc::new(store))
}

/// Keys that outlive a restart: a box that still talks to the relay's former process is told at
/// once that it is gone, instead of waiting for silence.
pub(crate) fn endpoint(me: &DeviceCertificate) -> EndpointConfig {
    let derive = |what: &str| {
        let digest = ring::digest::digest(
            &ring::digest::SHA256,
            &[what.as_bytes(), me.key.secret_der()].concat(),
        );
        <[u8; 32]>::try_from(digest.as_ref()).unwrap_or_default()
    };
    let reset = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &derive("cunkou reset v1"));
    let mut config = EndpointConfig::new(Arc::new(reset));
    let mut key = [0; 8];
    key.copy_from_slice(&derive("cunkou connection ids v1")[..8]);
    let key = u64::from_be_bytes(key);
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config
}

/// The relay's side. A client certificate is checked when there is one; who has none may only
/// enrol, whose has run out may only renew.
pub(crate) fn server(me: &DeviceCertificate) -> Result<rustls::ServerConfig, LinkError> {
    let usual = WebPkiClientVerifier::builder_with_provider(roots(&me.roots)?, provider())
        .allow_unauthenticated()
        // A box has one certificate to show; it needs no list of roots to choose by.
        .clear_root_hint_subjects()
        .build()
        .map_err(setup)?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_client_cert_verifier(Arc::new(BoxVerifier { usual }))
        .with_single_cert(me.chain.clone(), me.key.clone_key())
        .map_err(setup)?;
    tls.alpn_protocols = [ALPN_SYNC, ALPN_RENEW, ALPN_ENROL, ALPN_TEST].map(<[u8]>::to_vec).into();
    Ok(tls)
}

/// The same over QUIC.
pub(crate) fn quic_server(
    tls: rustls::ServerConfig,
    settings: &Settings,
) -> Result<ServerConfig, LinkError> {
    let mut config =
        ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(setup)?));
    config.transport_config(Arc::new(settings.transport()?));
    config.max_incoming(256);
    Ok(config)
}

/// The box's side, with its certificate or, to enrol, without.
pub(crate) fn client(
    trusted: &[CertificateDer<'static>],
    me: Option<&DeviceCertificate>,
    clock: Clock,
    alpn: &[u8],
) -> Result<rustls::ClientConfig, LinkError> {
    let usual = WebPkiServerVerifier::builder_with_provider(roots(trusted)?, provider())
        .build()
        .map_err(setup)?;
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(RelayVerifier { usual, clock }));
    let mut tls = match me {
        Some(me) => {
            builder.with_client_auth_cert(me.chain.clone(), me.key.clone_key()).map_err(setup)?
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    Ok(tls)
}

/// The same over QUIC.
pub(crate) fn quic_client(
    tls: rustls::ClientConfig,
    settings: &Settings,
) -> Result<ClientConfig, LinkError> {
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(setup)?));
    config.transport_config(Arc::new(settings.transport()?));
    Ok(config)
}

/// A box towards one that calls it on the local network: both are boxes of the county, or there is no
/// connection.
pub(crate) fn beside_server(
    me: &DeviceCertificate,
    clock: Clock,
) -> Result<rustls::ServerConfig, LinkError> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_client_cert_verifier(Arc::new(BesideVerifier { usual: boxes(me)?, clock }))
        .with_single_cert(me.chain.clone(), me.key.clone_key())
        .map_err(setup)?;
    tls.alpn_protocols = vec![ALPN_BESIDE.to_vec()];
    // There is nothing to resume: they meet too seldom.
    tls.send_tls13_tickets = 0;
    Ok(tls)
}

/// A box that calls another on the local network.
pub(crate) fn beside_client(
    me: &DeviceCertificate,
    clock: Clock,
) -> Result<rustls::ClientConfig, LinkError> {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(BesideVerifier { usual: boxes(me)?, clock }))
        .with_client_auth_cert(me.chain.clone(), me.key.clone_key())
        .map_err(setup)?;
    tls.alpn_protocols = vec![ALPN_BESIDE.to_vec()];
    tls.resumption = rustls::client::Resumption::disabled();
    Ok(tls)
}

fn boxes(me: &DeviceCertificate) -> Result<Arc<dyn ClientCertVerifier>, LinkError> {
    WebPkiClientVerifier::builder_with_provider(roots(&me.roots)?, provider())
        .clear_root_hint_subjects()
        .build()
        .map_err(setup)
}

/// The box's side when it only fetches what is checked by a hash afterwards.
pub(crate) fn client_of_anybody(alpn: &[u8]) -> Result<rustls::ClientConfig, LinkError> {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    Ok(tls)
}

/// Fails unless the chain is a relay's of that name and one of the roots vouches for it, at the
/// moment where it begins: who carries files may have no clock.
pub(crate) fn vouched(
    trusted: &[CertificateDer<'static>],
    chain: &[CertificateDer<'static>],
    relay_name: &str,
) -> Result<(), LinkError> {
    let usual = WebPkiServerVerifier::builder_with_provider(roots(trusted)?, provider())
        .build()
        .map_err(setup)?;
    let (leaf, others) = chain.split_first().ok_or_else(|| setup("no certificate"))?;
    let name = ServerName::try_from(relay_name.to_owned()).map_err(setup)?;
    let clock = Clock { now_ms: 0, floor_ms: 0 };
    RelayVerifier { usual, clock }
        .verify_server_cert(leaf, others, &name, &[], UnixTime::now())
        .map_err(setup)?;
    Ok(())
}

/// Towards whoever answers on 443: a proxy of any kind, of which nothing is believed. TLS 1.2, too,
/// for that is what many speak.
pub(crate) fn outer() -> Result<rustls::ClientConfig, LinkError> {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

/// Whether the certificate of the peer holds at a moment, milliseconds since 1970 UTC.
pub(crate) fn peer_holds(connection: &Connection, now_ms: i64) -> Option<bool> {
    let facts = Facts::read(&connection.peer_certificate()?).ok()?;
    Some(facts.from_ms <= now_ms && now_ms <= facts.until_ms)
}

/// What serves pages: TLS 1.3 alone.
pub(crate) fn web(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<rustls::ServerConfig>, LinkError> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(setup)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

/// The Ed25519 key in the peer's certificate, which TLS has checked.
pub(crate) fn peer_key(connection: &Connection) -> Option<[u8; 32]> {
    key_of(&connection.peer_certificate()?)
}

/// The Ed25519 key in a certificate.
pub(crate) fn key_of(certificate: &CertificateDer<'static>) -> Option<[u8; 32]> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let spki = certificate.subject_public_key_info();
    let bytes: &[u8] = spki.as_ref();
    let key = bytes
        .strip_prefix(&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00])?;
    key.try_into().ok()
}
