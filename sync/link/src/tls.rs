//! TLS 1.3 settings of both sides, and the transport's.

use crate::identity::DeviceCertificate;
use crate::{ALPN_ENROL, ALPN_SYNC, LinkError};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;

fn setup(e: impl std::fmt::Display) -> LinkError {
    LinkError::Setup(e.to_string())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(root: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, LinkError> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).map_err(setup)?;
    Ok(Arc::new(roots))
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    // Learning the path's MTU costs more bytes than a whole session that has nothing to say.
    transport.mtu_discovery_config(None);
    transport.max_concurrent_bidi_streams(VarInt::from_u32(8));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.datagram_receive_buffer_size(None);
    transport.stream_receive_window(VarInt::from_u32(512 * 1024));
    transport.receive_window(VarInt::from_u32(2 * 1024 * 1024));
    transport.keep_alive_interval(Some(Duration::from_secs(10)));
    transport.max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(30_000))));
    transport
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
/// enrol.
pub(crate) fn server(me: &DeviceCertificate) -> Result<ServerConfig, LinkError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(&me.root)?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(setup)?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![me.certificate.clone()], me.key.clone_key())
        .map_err(setup)?;
    tls.alpn_protocols = vec![ALPN_SYNC.to_vec(), ALPN_ENROL.to_vec()];
    let mut config =
        ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(setup)?));
    config.transport_config(Arc::new(transport()));
    config.max_incoming(256);
    Ok(config)
}

/// The box's side, with its certificate or, to enrol, without.
pub(crate) fn client(
    root: &CertificateDer<'static>,
    me: Option<&DeviceCertificate>,
) -> Result<ClientConfig, LinkError> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_root_certificates(roots(root)?);
    let mut tls = match me {
        Some(me) => builder
            .with_client_auth_cert(vec![me.certificate.clone()], me.key.clone_key())
            .map_err(setup)?,
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![if me.is_some() { ALPN_SYNC } else { ALPN_ENROL }.to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(setup)?));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

/// The Ed25519 key in the peer's certificate, which TLS has checked.
pub(crate) fn peer_key(connection: &quinn::Connection) -> Option<[u8; 32]> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let certificate = webpki::EndEntityCert::try_from(chain.first()?).ok()?;
    let spki = certificate.subject_public_key_info();
    let bytes: &[u8] = spki.as_ref();
    let key = bytes
        .strip_prefix(&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00])?;
    key.try_into().ok()
}
