//! Certificates: they only open the pipe; authority is the county log's.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SubjectPublicKeyInfo,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// While making one.
    #[error("the certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// While reading one.
    #[error("the certificate could not be read: {0}")]
    Read(String),
}

/// The county's issuing authority.
#[derive(Debug)]
pub struct CertificateAuthority {
    certificate_pem: String,
    key: KeyPair,
}

/// A device's certificate with what is needed to use it.
#[derive(Debug)]
pub struct DeviceCertificate {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The device's key, PKCS #8.
    pub key: PrivateKeyDer<'static>,
    /// The county's root.
    pub root: CertificateDer<'static>,
    /// The DNS name in the relay's certificate.
    pub relay_name: String,
}

impl DeviceCertificate {
    /// Puts a certificate and the device's 32 secret bytes together.
    #[must_use]
    pub fn new(certificate: Vec<u8>, seed: &[u8; 32], root: Vec<u8>, relay_name: String) -> Self {
        // RFC 8410, version 1: the seed alone.
        let mut pkcs8 = vec![
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        pkcs8.extend_from_slice(seed);
        Self {
            certificate: CertificateDer::from(certificate),
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8)),
            root: CertificateDer::from(root),
            relay_name,
        }
    }
}

/// The DER form of a PEM certificate.
///
/// # Errors
/// [`IdentityError::Read`].
pub fn pem_to_der(pem: &str) -> Result<Vec<u8>, IdentityError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map(|der| der.to_vec())
        .map_err(|e| IdentityError::Read(e.to_string()))
}

impl CertificateAuthority {
    /// A new authority for a county; `years` from `from_year`.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn found(county: &str, from_year: i32) -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("Cunkou {county}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = rcgen::date_time_ymd(from_year, 1, 1);
        params.not_after = rcgen::date_time_ymd(from_year + 20, 1, 1);
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { certificate_pem, key })
    }

    /// Reads an authority from its two PEM texts.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn read(certificate_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let key = KeyPair::from_pem(key_pem)?;
        Ok(Self { certificate_pem: certificate_pem.to_owned(), key })
    }

    /// The certificate and the key, PEM.
    #[must_use]
    pub fn pem(&self) -> (String, String) {
        (self.certificate_pem.clone(), self.key.serialize_pem())
    }

    /// Issues a certificate for a device's Ed25519 key under a DNS name.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn issue(
        &self,
        public_key: &[u8; 32],
        dns_name: &str,
        relay: bool,
        from_year: i32,
    ) -> Result<Vec<u8>, IdentityError> {
        let mut spki = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        spki.extend_from_slice(public_key);
        let subject = SubjectPublicKeyInfo::from_der(&spki)?;
        let mut params = CertificateParams::new(vec![dns_name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, dns_name);
        params.extended_key_usages = vec![if relay {
            ExtendedKeyUsagePurpose::ServerAuth
        } else {
            ExtendedKeyUsagePurpose::ClientAuth
        }];
        // Long-lived until renewal over the link exists (second issue): a box that was off for a
        // season must not be locked out.
        params.not_before = rcgen::date_time_ymd(from_year - 1, 1, 1);
        params.not_after = rcgen::date_time_ymd(from_year + 5, 1, 1);
        let issuer = Issuer::from_ca_cert_pem(&self.certificate_pem, &self.key)?;
        Ok(params.signed_by(&subject, &issuer)?.der().to_vec())
    }
}
