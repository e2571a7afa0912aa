//! What a link is like, and the settings that fit it: a plain table, so that it can be read and
//! argued with. The reasons stand at each value; measurements in decision 0026.

use crate::LinkError;
use quinn::congestion::{BbrConfig, CubicConfig};
use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// What a box's link is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Fibre or copper, paid by the month.
    Wired,
    /// A mobile network with some megabits and some loss. What is not told is taken for this: its
    /// settings waste little on a wire and work on most mobile links.
    #[default]
    Mobile4g,
    /// A mobile network with some kilobits a second and a round trip of seconds.
    Mobile2g,
    /// Over a satellite: wide, slow to answer, lossy in rain, paid by the byte.
    Satellite,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Wired, Self::Mobile4g, Self::Mobile2g, Self::Satellite];

    /// The word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wired => "wired",
            Self::Mobile4g => "4g",
            Self::Mobile2g => "2g",
            Self::Satellite => "satellite",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.word() == word)
            .ok_or_else(|| format!("{word} is no kind of link; write wired, 4g, 2g or satellite"))
    }
}

/// How fast to send: what a lost packet means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Congestion {
    /// Loss means a full link. Fair beside other traffic; collapses where loss means bad radio.
    Cubic,
    /// The link is as wide as what arrives; loss means little. Experimental in quinn.
    Bbr,
}

impl Congestion {
    /// The word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }
}

impl FromStr for Congestion {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Cubic, Self::Bbr]
            .into_iter()
            .find(|c| c.word() == word)
            .ok_or_else(|| format!("{word} is no way of congestion control; write cubic or bbr"))
    }
}

/// The settings of one side of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How fast this side sends.
    pub congestion: Congestion,
    /// Whether this side tries longer packets than 1,200 bytes. Costs about 6 kB in each new
    /// connection.
    pub mtu_discovery: bool,
    /// What the peer may send ahead on one stream. Bytes.
    pub stream_window: u32,
    /// What the peer may send ahead on all streams. Bytes.
    pub window: u32,
    /// After so long without traffic a sign of life is sent, 73 bytes both ways; never if absent.
    pub keep_alive: Option<Duration>,
    /// After so long without a sign of life the connection is over. The shorter of both sides counts.
    pub silence: Duration,
    /// The round trip that is assumed before one was measured: when the first packets are repeated.
    pub initial_rtt: Duration,
    /// So long is waited for a handshake with one relay.
    pub connect: Duration,
    /// So long until the next address of the same relay is tried beside the one before.
    pub next_address: Duration,
    /// The shortest wait between two attempts to connect.
    pub retry_first: Duration,
    /// The longest wait between two attempts to connect.
    pub retry_most: Duration,
    /// So many bytes of attachments a day go over the link, both ways together.
    pub attachment_bytes_per_day: u64,
}

const KB: u32 = 1024;
const MB: u64 = 1_000_000;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Settings {
    /// Those of a box on such a link.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Wired => Self {
                // A wire loses packets when it is full, and others use it, too.
                congestion: Congestion::Cubic,
                // The connection lasts for months: longer packets pay for having looked.
                mtu_discovery: true,
                stream_window: 512 * KB,
                window: 2048 * KB,
                // Bytes cost nothing here, and a gone relay is seen within half a minute.
                keep_alive: Some(secs(10)),
                silence: secs(30),
                initial_rtt: Duration::from_millis(100),
                connect: secs(6),
                // RFC 8305, section 5.
                next_address: Duration::from_millis(250),
                retry_first: secs(1),
                retry_most: secs(60),
                attachment_bytes_per_day: 4000 * MB,
            },
            Profile::Mobile4g => Self {
                // At 2 % loss CUBIC gets a tenth of what BBR gets (decision 0026).
                congestion: Congestion::Bbr,
                mtu_discovery: false,
                stream_window: 512 * KB,
                window: 1024 * KB,
                // Address translators of mobile networks forget a UDP flow after 30 s at worst.
                // 450 kB a day with headers.
                keep_alive: Some(secs(25)),
                silence: secs(75),
                initial_rtt: Duration::from_millis(200),
                connect: secs(10),
                next_address: Duration::from_millis(250),
                retry_first: secs(1),
                // An attempt that nobody answers costs 5 kB: a day without the relay 1.5 MB.
                retry_most: secs(300),
                attachment_bytes_per_day: 300 * MB,
            },
            Profile::Mobile2g => Self {
                congestion: Congestion::Bbr,
                mtu_discovery: false,
                // 64 kbit/s for 4 s: more would only lie in the network's queue before an entry.
                stream_window: 32 * KB,
                window: 64 * KB,
                // 250 kB a day. Where the translator forgets sooner, the box connects anew.
                keep_alive: Some(secs(45)),
                silence: secs(150),
                // Repeating the handshake each second would fill the link with repetitions.
                initial_rtt: secs(1),
                connect: secs(30),
                next_address: secs(2),
                retry_first: secs(2),
                retry_most: secs(900),
                attachment_bytes_per_day: 5 * MB,
            },
            Profile::Satellite => Self {
                congestion: Congestion::Bbr,
                mtu_discovery: false,
                // 20 Mbit/s for 0.7 s is 1.75 MB under way.
                stream_window: 2048 * KB,
                window: 4096 * KB,
                keep_alive: Some(secs(25)),
                silence: secs(90),
                initial_rtt: Duration::from_millis(700),
                connect: secs(15),
                next_address: secs(1),
                retry_first: secs(1),
                retry_most: secs(900),
                attachment_bytes_per_day: 50 * MB,
            },
        }
    }

    /// Those of a relay, which has boxes on links of every kind.
    #[must_use]
    pub fn relay() -> Self {
        Self {
            // Most of its boxes are on mobile links, and what it sends is what they wait for.
            congestion: Congestion::Bbr,
            // It would cost every box 6 kB in each new connection.
            mtu_discovery: false,
            stream_window: 512 * KB,
            window: 2048 * KB,
            // The box knows its link and says that it lives; the box's own silence counts.
            keep_alive: None,
            silence: secs(150),
            initial_rtt: Duration::from_millis(333),
            connect: secs(10),
            next_address: Duration::from_millis(250),
            retry_first: secs(1),
            retry_most: secs(60),
            // Its quotas say so per device.
            attachment_bytes_per_day: u64::MAX,
        }
    }

    pub(crate) fn transport(&self) -> Result<TransportConfig, LinkError> {
        let mut transport = TransportConfig::default();
        match self.congestion {
            Congestion::Cubic => {
                transport.congestion_controller_factory(Arc::new(CubicConfig::default()));
            }
            Congestion::Bbr => {
                transport.congestion_controller_factory(Arc::new(BbrConfig::default()));
            }
        }
        transport.mtu_discovery_config(self.mtu_discovery.then(MtuDiscoveryConfig::default));
        transport.max_concurrent_bidi_streams(VarInt::from_u32(8));
        transport.max_concurrent_uni_streams(VarInt::from_u32(0));
        transport.datagram_receive_buffer_size(None);
        transport.stream_receive_window(VarInt::from_u32(self.stream_window));
        transport.receive_window(VarInt::from_u32(self.window));
        transport.initial_rtt(self.initial_rtt);
        transport.keep_alive_interval(self.keep_alive);
        let silence =
            IdleTimeout::try_from(self.silence).map_err(|e| LinkError::Setup(e.to_string()))?;
        transport.max_idle_timeout(Some(silence));
        Ok(transport)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::of(Profile::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_link_is_found_by_its_word_and_no_other() {
        for profile in Profile::ALL {
            assert_eq!(profile.word().parse(), Ok(profile));
        }
        assert!("5g".parse::<Profile>().is_err_and(|words| words.contains("wired, 4g, 2g")));
    }

    #[test]
    fn every_row_of_the_table_fits_together() {
        let rows = Profile::ALL.map(Settings::of);
        for row in rows.into_iter().chain([Settings::relay()]) {
            assert!(row.stream_window <= row.window, "{row:?}");
            assert!(row.keep_alive.is_none_or(|every| every * 2 < row.silence), "{row:?}");
            assert!(row.silence <= Settings::relay().silence, "the box's silence counts: {row:?}");
            assert!(row.retry_first >= secs(1) && row.retry_most <= secs(900), "{row:?}");
            assert!(row.next_address < row.connect, "{row:?}");
            assert!(row.transport().is_ok(), "{row:?}");
        }
    }
}
