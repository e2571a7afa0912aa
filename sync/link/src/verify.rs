//! Who is believed at which moment: two verifiers that differ from the usual ones in time alone.
//!
//! **A box** may have no clock: no battery, no network time, set back to 1970 or on to 2099 by a
//! power cut. It must reach its relay all the same, for that is where it learns the time. So a
//! certificate that does not hold at the time it guesses is held against what it knows for certain:
//! a moment before which it is not. One that was already over then is refused; any other is taken,
//! at the moment where it begins if that is later. What an outsider gains: the key of a relay that
//! was stolen and whose certificate has run out since works a while longer against such a box – and
//! fails at the next step, because the county log says which keys are relays'.
//!
//! **A relay** takes a box's certificate that has run out, for renewal alone: a box that was off
//! for a season must not need a journey. So, too, with one that has not begun, made while the
//! relay's own clock was wrong. Whether the box still counts is the county log's matter. Before it
//! replicates, its certificate is looked at again (see [`crate::serve`]).

use crate::identity::Facts;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::Duration;

/// What a device knows of the time. Milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The best guess: its clock, corrected by what a relay said.
    pub now_ms: i64,
    /// It is certainly not earlier than this.
    pub floor_ms: i64,
}

impl Clock {
    /// The guess, never before what is certain.
    #[must_use]
    pub fn best_ms(&self) -> i64 {
        self.now_ms.max(self.floor_ms)
    }

    /// Holds a chain against the guess, and, where that fails for its time alone, against what is
    /// certain: there where the chain begins, if that is later.
    fn verified<T>(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        at: impl Fn(UnixTime) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match at(unix(self.best_ms())) {
            Err(error) if about_time(&error) => {
                let begins = intermediates.iter().chain([end_entity]).map(|certificate| {
                    Facts::read(certificate).map(|facts| facts.from_ms).unwrap_or(0)
                });
                at(unix(begins.fold(self.floor_ms, i64::max)))
            }
            result => result,
        }
    }
}

fn unix(ms: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

fn about_time(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        )
    )
}

/// The box's look at its relay's certificate.
#[derive(Debug)]
pub(crate) struct RelayVerifier {
    pub(crate) usual: Arc<WebPkiServerVerifier>,
    pub(crate) clock: Clock,
}

impl ServerCertVerifier for RelayVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.clock.verified(end_entity, intermediates, |now| {
            self.usual.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            )
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Takes any certificate of whoever has its key: for what is checked by a hash afterwards.
#[derive(Debug)]
pub(crate) struct Anybody(pub(crate) Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The relay's look at a box's certificate: one that does not hold now may still ask for renewal.
#[derive(Debug)]
pub(crate) struct BoxVerifier {
    pub(crate) usual: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for BoxVerifier {
    fn offer_client_auth(&self) -> bool {
        self.usual.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.usual.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.usual.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.usual.verify_client_cert(end_entity, intermediates, now) {
            Err(error) if about_time(&error) => {
                let Ok(leaf) = Facts::read(end_entity) else { return Err(error) };
                let begins = intermediates.iter().filter_map(|c| Facts::read(c).ok());
                let begins = begins.fold(leaf.from_ms, |latest, c| latest.max(c.from_ms));
                let now_ms = i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000);
                let nearest = now_ms.min(leaf.until_ms).max(begins);
                self.usual.verify_client_cert(end_entity, intermediates, unix(nearest))
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// A box's look at another beside it, whoever called: a box's certificate of this county, at the
/// moment that [`RelayVerifier`] would take. A relay's certificate is not one.
#[derive(Debug)]
pub(crate) struct BesideVerifier {
    pub(crate) usual: Arc<dyn ClientCertVerifier>,
    pub(crate) clock: Clock,
}

impl BesideVerifier {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let verified = self.clock.verified(end_entity, intermediates, |now| {
            self.usual.verify_client_cert(end_entity, intermediates, now)
        });
        verified.map(|_| ())
    }
}

impl ClientCertVerifier for BesideVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.usual.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

impl ServerCertVerifier for BesideVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
