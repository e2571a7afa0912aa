//! The county's certificate authority: a root that is carried away, and an issuing certificate that
//! the relay works with.

use crate::identity::{Facts, IdentityError, address_of};
use minicbor::bytes::ByteVec;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256, SerialNumber, SubjectPublicKeyInfo,
};
use rustls_pki_types::CertificateDer;
use std::net::IpAddr;
use std::str::FromStr;
use time::{Duration, OffsetDateTime};

/// A device's certificate lives so long.
pub const DEVICE_DAYS: i64 = 90;
/// An issuing certificate lives so long.
pub(crate) const ISSUING_DAYS: i64 = 2 * 365;
/// A root lives so long.
pub(crate) const ROOT_DAYS: i64 = 20 * 365;
/// Certificates begin so long before they are made: clocks differ. Milliseconds.
pub const BACKDATED_MS: i64 = 3_600_000;
/// The addresses under which a county's pages are reached, unless it says otherwise: private
/// networks (RFC 1918, RFC 4193) and the machine itself.
pub const SUBNETS: [&str; 6] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"];
/// A box is reached under so many addresses at most.
pub const ADDRESSES_MAX: usize = 8;

/// The names and addresses that certificates of a county may carry; nothing else is believed by
/// whoever trusts its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The county's domain: `c130999.home.arpa` (RFC 8375).
    pub domain: String,
    /// Further names of the relay.
    pub hosts: Vec<String>,
    /// Subnets, `10.0.0.0/8`.
    pub subnets: Vec<String>,
}

impl Bounds {
    /// Those of a county with this code.
    #[must_use]
    pub fn of(code: &str) -> Self {
        Self {
            domain: format!("c{code}.home.arpa"),
            hosts: Vec::new(),
            subnets: SUBNETS.map(str::to_owned).to_vec(),
        }
    }

    /// The relay's name.
    #[must_use]
    pub fn relay_name(&self) -> String {
        format!("relay.{}", self.domain)
    }

    /// The name of a box; `device` is its id in hexadecimal digits.
    #[must_use]
    pub fn box_name(&self, device: &str) -> String {
        format!("box-{}.{}", device.get(..8).unwrap_or(device), self.domain)
    }

    fn constraints(&self) -> Result<NameConstraints, IdentityError> {
        let names = std::iter::once(&self.domain).chain(&self.hosts);
        let mut permitted: Vec<GeneralSubtree> =
            names.map(|name| GeneralSubtree::DnsName(name.clone())).collect();
        for subnet in &self.subnets {
            let parsed = parse_subnet(subnet).ok_or_else(|| {
                IdentityError::Name(format!(
                    "{subnet} is no subnet; write for example 192.168.0.0/16"
                ))
            })?;
            permitted.push(GeneralSubtree::IpAddress(parsed));
        }
        Ok(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() })
    }

    /// Whether an address lies in one of the subnets.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let within = |net: &[u8], mask: &[u8], given: &[u8]| {
            net.len() == given.len()
                && net.iter().zip(mask).zip(given).all(|((n, m), g)| n & m == g & m)
        };
        self.subnets.iter().filter_map(|s| parse_subnet(s)).any(|subnet| match (subnet, address) {
            (CidrSubnet::V4(net, mask), IpAddr::V4(a)) => within(&net, &mask, &a.octets()),
            (CidrSubnet::V6(net, mask), IpAddr::V6(a)) => within(&net, &mask, &a.octets()),
            _ => false,
        })
    }

    /// The addresses that a box asks for, if certificates may carry them.
    ///
    /// # Errors
    /// [`IdentityError::Name`], in words for the box.
    pub fn addresses(&self, asked: &[ByteVec]) -> Result<Vec<IpAddr>, IdentityError> {
        if asked.len() > ADDRESSES_MAX {
            return Err(IdentityError::Name(format!("more than {ADDRESSES_MAX} addresses")));
        }
        let read = asked.iter().map(|bytes| match address_of(bytes) {
            Some(address) if self.holds(address) => Ok(address),
            Some(address) => Err(IdentityError::Name(format!(
                "{address} is not in a subnet of this county ({})",
                self.subnets.join(", ")
            ))),
            None => Err(IdentityError::Name("an address that cannot be read".into())),
        });
        read.collect()
    }
}

fn parse_subnet(text: &str) -> Option<CidrSubnet> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix) = (IpAddr::from_str(address).ok()?, u8::from_str(prefix).ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= most).then(|| CidrSubnet::from_addr_prefix(address, prefix))
}

fn moment(ms: i64) -> Result<OffsetDateTime, IdentityError> {
    OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000))
        .map_err(|_| IdentityError::Name("this machine's clock shows no usable date".into()))
}

/// A serial number that never comes twice: a browser refuses two certificates of one issuer that
/// share theirs.
fn serial() -> Result<SerialNumber, IdentityError> {
    let mut bytes = [0; 9];
    getrandom::fill(&mut bytes).map_err(|e| IdentityError::Read(e.to_string()))?;
    bytes[0] &= 0x7f;
    bytes[0] |= 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn params(now_ms: i64, days: i64) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(serial()?);
    params.not_before = moment(now_ms - BACKDATED_MS)?;
    params.not_after = moment(now_ms)? + Duration::days(days);

    Ok(params)
}

fn authority_params(
    what: &str,
    key: &KeyPair,
    depth: u8,
    now_ms: i64,
    days: i64,
) -> Result<CertificateParams, IdentityError> {
    let mut params = params(now_ms, days)?;
    // Two of a county must not have one name: who builds a chain goes by it.
    let mark = crate::identity::fingerprint(key.public_key_raw());
    let mark: String = mark[..4].iter().map(|b| format!("{b:02x}")).collect();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = ["Cunkou", what, &mark].join(" ").replace("  ", " ");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A county's root: made, used to sign an issuing certificate, and carried away.
#[derive(Debug)]
pub struct RootAuthority {
    certificate: Vec<u8>,
    key: KeyPair,
}

impl RootAuthority {
    /// A new root for twenty years, bound to the county's names and addresses.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn found(county: &str, bounds: &Bounds, now_ms: i64) -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = authority_params(county, &key, 1, now_ms, ROOT_DAYS)?;
        params.name_constraints = Some(bounds.constraints()?);
        let certificate = params.self_signed(&key)?.der().to_vec();
        Ok(Self { certificate, key })
    }

    /// The root of this key among certificates that are trusted.
    ///
    /// # Errors
    /// [`IdentityError::Read`] when the key cannot be read or belongs to none of them.
    pub fn read(key_pem: &str, trusted: &[Vec<u8>]) -> Result<Self, IdentityError> {
        let key = KeyPair::from_pem(key_pem)?;
        let own = trusted.iter().find(|root| {
            Facts::read(root).is_ok_and(|facts| facts.key.ends_with(key.public_key_raw()))
        });
        let certificate = own.cloned().ok_or_else(|| {
            IdentityError::Read("this key is of none of the county's trusted roots".into())
        })?;
        Ok(Self { certificate, key })
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The secret key, PEM: never kept where the relay runs.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// A new issuing certificate for two years.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn issuing(&self, now_ms: i64) -> Result<IssuingAuthority, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // A short name: it goes over the wire twice in each direction of every session.
        let mut params = authority_params("", &key, 0, now_ms, ISSUING_DAYS)?;
        params.not_after = params.not_after.min(moment(Facts::read(&self.certificate)?.until_ms)?);
        let root = CertificateDer::from(self.certificate.as_slice());
        let issuer = Issuer::from_ca_cert_der(&root, &self.key)?;
        let certificate = params.signed_by(&key, &issuer)?.der().to_vec();
        Ok(IssuingAuthority { certificate, key })
    }
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A box calls its relay.
    Box,
    /// The relay answers boxes.
    Relay,
    /// Pages for browsers.
    Web,
}

/// The issuing certificate with its key: what a running relay needs.
#[derive(Debug)]
pub struct IssuingAuthority {
    certificate: Vec<u8>,
    key: KeyPair,
}

impl IssuingAuthority {
    /// Reads one.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn read(certificate: Vec<u8>, key_pem: &str) -> Result<Self, IdentityError> {
        Facts::read(&certificate)?;
        Ok(Self { certificate, key: KeyPair::from_pem(key_pem)? })
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The secret key, PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Issues a certificate for a public key (`SubjectPublicKeyInfo` in DER) for ninety days, or
    /// until the issuing certificate itself ends.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn issue(
        &self,
        public_key: &[u8],
        names: &[String],
        addresses: &[IpAddr],
        purpose: Purpose,
        now_ms: i64,
    ) -> Result<Vec<u8>, IdentityError> {
        let subject = SubjectPublicKeyInfo::from_der(public_key)?;
        let all: Vec<String> =
            names.iter().cloned().chain(addresses.iter().map(ToString::to_string)).collect();
        let mut params = params(now_ms, DEVICE_DAYS)?;
        params.subject_alt_names = CertificateParams::new(all)?.subject_alt_names;
        params.distinguished_name = rcgen::DistinguishedName::new();
        // On the link every byte counts, and nobody reads it there.
        let name = match purpose {
            Purpose::Web => names.first().map_or("cunkou", String::as_str),
            Purpose::Box => "box",
            Purpose::Relay => "relay",
        };
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match purpose {
            Purpose::Box => ExtendedKeyUsagePurpose::ClientAuth,
            Purpose::Relay | Purpose::Web => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        let ends = moment(Facts::read(&self.certificate)?.until_ms)?;
        params.not_after = params.not_after.min(ends);
        let certificate = CertificateDer::from(self.certificate.as_slice());
        let issuer = Issuer::from_ca_cert_der(&certificate, &self.key)?;
        Ok(params.signed_by(&subject, &issuer)?.der().to_vec())
    }
}

/// A device's Ed25519 key as `SubjectPublicKeyInfo` in DER (RFC 8410).
#[must_use]
pub fn device_spki(public_key: &[u8; 32]) -> Vec<u8> {
    let mut spki = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    spki.extend_from_slice(public_key);
    spki
}

/// A key for the pages of one machine: P-256, because browsers do not take Ed25519 there.
#[derive(Debug)]
pub struct WebKey(KeyPair);

impl WebKey {
    /// A new one.
    ///
    /// # Errors
    /// [`IdentityError::Make`].
    pub fn generate() -> Result<Self, IdentityError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// The secret key, PKCS #8 in DER.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        self.0.serialize_der()
    }

    /// The public key, `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        use rcgen::PublicKeyData;
        self.0.subject_public_key_info()
    }

    /// Reads the PKCS #8 form.
    ///
    /// # Errors
    /// [`IdentityError::Make`].
    pub fn read(pkcs8: &[u8]) -> Result<Self, IdentityError> {
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from(pkcs8);
        Ok(Self(KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)?))
    }
}

/// Whether a peer may have its web key certified: P-256 and nothing else.
#[must_use]
pub fn is_web_key(spki: &[u8]) -> bool {
    // SubjectPublicKeyInfo of an uncompressed P-256 point: a fixed head and 65 bytes.
    const HEAD: [u8; 27] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    spki.len() == HEAD.len() + 64 && spki.starts_with(&HEAD)
}
