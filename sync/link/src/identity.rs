//! Certificates as both sides use them: they only open the pipe; authority is the county log's.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// While making one.
    #[error("the certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// While reading one.
    #[error("the certificate could not be read: {0}")]
    Read(String),
    /// A name, address or subnet that no certificate of this county may carry.
    #[error("{0}")]
    Name(String),
}

/// A device's certificate with what is needed to use it.
#[derive(Debug)]
pub struct DeviceCertificate {
    /// The certificate and the one that issued it: two, no more, go over the wire.
    pub chain: Vec<CertificateDer<'static>>,
    /// The device's key, PKCS #8.
    pub key: PrivateKeyDer<'static>,
    /// The county's roots that are trusted.
    pub roots: Vec<CertificateDer<'static>>,
    /// The DNS name in the relay's certificate.
    pub relay_name: String,
}

impl DeviceCertificate {
    /// Puts a chain and the device's 32 secret bytes together.
    #[must_use]
    pub fn new(
        chain: Vec<Vec<u8>>,
        seed: &[u8; 32],
        roots: Vec<Vec<u8>>,
        relay_name: String,
    ) -> Self {
        // RFC 8410, version 1: the seed alone.
        let mut pkcs8 = vec![
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        pkcs8.extend_from_slice(seed);
        Self {
            chain: chain.into_iter().map(CertificateDer::from).collect(),
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8)),
            roots: roots.into_iter().map(CertificateDer::from).collect(),
            relay_name,
        }
    }
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Valid from, milliseconds since 1970 UTC.
    pub from_ms: i64,
    /// Valid until, milliseconds since 1970 UTC.
    pub until_ms: i64,
    /// DNS names.
    pub names: Vec<String>,
    /// IP addresses.
    pub addresses: Vec<IpAddr>,
    /// The public key, `SubjectPublicKeyInfo` in DER.
    pub key: Vec<u8>,
}

impl Facts {
    /// Reads them from DER. A certificate of a stranger may be read: nothing is believed.
    ///
    /// # Errors
    /// [`IdentityError::Read`].
    pub fn read(certificate: &[u8]) -> Result<Self, IdentityError> {
        let bad = |e: String| IdentityError::Read(e);
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|e| bad(e.to_string()))?;
        let validity = parsed.validity();
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        let alternative =
            parsed.subject_alternative_name().map_err(|e| bad(e.to_string()))?.map(|e| e.value);
        for name in alternative.into_iter().flat_map(|san| &san.general_names) {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => addresses.extend(address_of(bytes)),
                _ => {}
            }
        }
        Ok(Self {
            from_ms: validity.not_before.timestamp().saturating_mul(1000),
            until_ms: validity.not_after.timestamp().saturating_mul(1000),
            names,
            addresses,
            key: parsed.public_key().raw.to_vec(),
        })
    }

    /// The moment from which it is to be renewed: two thirds of its life. Milliseconds.
    #[must_use]
    pub fn renew_ms(&self) -> i64 {
        let third = self.until_ms.saturating_sub(self.from_ms) / 3;
        self.until_ms.saturating_sub(third)
    }
}

/// The address in four or sixteen bytes.
#[must_use]
pub fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// The bytes of an address: four or sixteen.
#[must_use]
pub fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// SHA-256 of a certificate: what people compare.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    <[u8; 32]>::try_from(digest.as_ref()).unwrap_or_default()
}

/// The DER forms of all certificates in a PEM text.
///
/// # Errors
/// [`IdentityError::Read`]; also when there is none.
pub fn pem_to_der(pem: &str) -> Result<Vec<Vec<u8>>, IdentityError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|e| IdentityError::Read(e.to_string()))?;
    if all.is_empty() {
        return Err(IdentityError::Read("there is no certificate in it".into()));
    }
    Ok(all.into_iter().map(|der| der.to_vec()).collect())
}
