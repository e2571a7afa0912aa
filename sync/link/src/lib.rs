//! QUIC between a box and its relay: drives sessions of the engine over quinn, with mutual TLS.
//!
//! One connection carries one control stream with the session's frames, and one stream per
//! attachment, at a lower priority. **Invariant:** no decisions about entries are taken here; what
//! to say is the engine's matter, what to keep is the port's.

mod advice;
mod attachments;
mod authority;
mod beside;
mod call;
mod colds;
mod dial;
mod diary;
mod doubles;
mod driver;
mod enrol;
mod frames;
mod https;
mod identity;
mod line;
mod measure;
mod order;
mod pace;
mod profile;
mod quotas;
mod reach;
mod renewal;
mod serve;
mod tally;
mod tls;
mod verify;
mod web;

pub use advice::{Advice, advise};
pub use authority::{
    ADDRESSES_MAX, BACKDATED_MS, Bounds, DEVICE_DAYS, IssuingAuthority, Purpose, RootAuthority,
    SUBNETS, WebKey, device_spki, is_web_key,
};
pub use beside::Neighbours;
pub use call::{LINK_PATH, Links, Way};
pub use dial::{Again, Contact, Dialer, Failure, LinkHandle, LinkState};
pub use diary::{Diary, Ending, Trouble};
pub use enrol::{
    BindRequest, EnrolRequest, EnrolResponse, Enroller, OFFER_BYTES_MAX, OfferedEnrolment,
    SealedOffer, bind, enrol, enrol_under, fetch_root,
};
pub use https::{Https, TlsConnection, WebSettings};
pub use identity::{
    DeviceCertificate, Facts, IdentityError, address_bytes, address_of, fingerprint, pem_to_der,
};
pub use measure::{Sample, TRANSFER_BYTES_MAX, TestBounds, measure};
pub use pace::Pace;
pub use profile::{Congestion, Profile, Settings};
pub use renewal::{
    ANSWER_BYTES_MAX, Credentials, REQUEST_BYTES_MAX, RelayCredentials, RenewRequest, Renewed,
    SignedRenewal, renew,
};
pub use serve::{Server, WebDoor};
pub use verify::Clock;

use line::Closed;
use std::time::Duration;

/// Why a conversation could not be had, in words for the person who looks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nobody answers.
    #[error("the relay cannot be reached: {0}")]
    Unreachable(String),
    /// The other side does not want to talk to us.
    #[error("refused by the relay: {0}")]
    Refused(String),
    /// The relay has no time for us now.
    #[error("the relay has no time for this box now; it may ask again in {} s", .0.as_secs())]
    Busy(Duration),
    /// Another machine with this device's key is talking to it.
    #[error(
        "另一台机器正用着本盒子的身份 / another machine is talking with this box's identity; call \
         county IT"
    )]
    Double,
    /// Our certificate has run out; it is to be renewed first.
    #[error("the certificate of this box has run out; it is being renewed")]
    RunOut,
    /// The other side belongs to another county, or we do in its eyes.
    #[error("refused: this box and that relay do not belong to the same county ({0})")]
    OtherCounty(String),
    /// The conversation broke off.
    #[error("the connection broke off: {0}")]
    Broken(String),
    /// The peer broke the protocol.
    #[error("the conversation was ended: {0}")]
    Violation(String),
    /// The last word of a revoked box was kept; nothing more is said.
    #[error("the county has heard this box's last word")]
    Heard,
    /// Our own store failed.
    #[error(transparent)]
    Store(#[from] cunkou_engine::PortError),
    /// Our own certificate or address cannot be used.
    #[error("{0}")]
    Setup(String),
}

/// Application close codes.
pub(crate) const CLOSE_DONE: u32 = 0;
pub(crate) const CLOSE_REFUSED: u32 = 1;
pub(crate) const CLOSE_VIOLATION: u32 = 2;
pub(crate) const CLOSE_SCOPES: u32 = 3;
pub(crate) const CLOSE_RUN_OUT: u32 = 4;
pub(crate) const CLOSE_HEARD: u32 = 5;
pub(crate) const CLOSE_BUSY: u32 = 6;
pub(crate) const CLOSE_DOUBLE: u32 = 7;
pub(crate) const CLOSE_REPLACED: u32 = 8;

pub(crate) const ALPN_SYNC: &[u8] = b"cunkou-sync/1";
pub(crate) const ALPN_RENEW: &[u8] = b"cunkou-renew/1";
pub(crate) const ALPN_TEST: &[u8] = b"cunkou-test/1";
pub(crate) const ALPN_BESIDE: &[u8] = b"cunkou-beside/1";
pub(crate) const ALPN_ENROL: &[u8] = b"cunkou-enrol/1";

/// What a closed connection means to a person.
pub(crate) fn explain(closed: &Closed) -> LinkError {
    use quinn::ConnectionError as E;
    // TLS alerts arrive as 0x100 + alert: 42..=49 are about certificates, 116 asks for one.
    let about_certificate = |code: u64| matches!(code, 0x12a..=0x131 | 0x174);
    match closed {
        Closed::Said(code, words) => said(*code, words),
        Closed::Quic(E::ConnectionClosed(close)) if about_certificate(close.error_code.into()) => {
            LinkError::OtherCounty("the relay does not accept this box's certificate".into())
        }
        Closed::Quic(E::TransportError(error)) if about_certificate(error.code.into()) => {
            LinkError::OtherCounty("the relay's certificate is not of this county".into())
        }
        Closed::Quic(E::TimedOut | E::Reset) | Closed::Silent => {
            LinkError::Unreachable("no answer".into())
        }
        Closed::Quic(other) => LinkError::Broken(other.to_string()),
        Closed::Broken(words) => LinkError::Broken(words.clone()),
    }
}

/// What the peer said when it closed.
fn said(code: u32, words: &[u8]) -> LinkError {
    let text = || String::from_utf8_lossy(words).into_owned();
    match code {
        CLOSE_REFUSED => LinkError::Refused(text()),
        CLOSE_RUN_OUT => LinkError::RunOut,
        CLOSE_HEARD => LinkError::Heard,
        CLOSE_DOUBLE => LinkError::Double,
        CLOSE_BUSY => {
            let seconds = text().parse().unwrap_or(60);
            LinkError::Busy(Duration::from_secs(seconds))
        }
        _ => LinkError::Broken(format!("closed by peer: {} (code {code})", text())),
    }
}
