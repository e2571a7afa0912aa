//! What a measured link is, in settings.

use crate::measure::Sample;
use crate::profile::{Congestion, Profile, Settings};

/// What fits a measured link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The kind of link.
    pub profile: Profile,
    /// How to send, where it differs from what the kind says.
    pub congestion: Option<Congestion>,
    /// Whether the relay would better send to this box otherwise than it is set to.
    pub relay: Option<Congestion>,
}

/// One is better than the other when it is faster by a fifth: less is chance.
fn better(cubic: u64, bbr: u64) -> Option<Congestion> {
    if bbr > cubic / 5 * 6 {
        Some(Congestion::Bbr)
    } else if cubic > bbr / 5 * 6 {
        Some(Congestion::Cubic)
    } else {
        None
    }
}

/// Thousandths lost.
fn lost([sent, lost]: [u64; 2]) -> u64 {
    lost.saturating_mul(1000) / sent.max(1)
}

/// Judges the same link measured with CUBIC and with BBR.
#[must_use]
pub fn advise(cubic: &Sample, bbr: &Sample) -> Advice {
    let rtt = cubic.rtt[1].min(bbr.rtt[1]).as_millis();
    let uneven = cubic.rtt[2].min(bbr.rtt[2]).saturating_sub(cubic.rtt[0].min(bbr.rtt[0]));
    let widest = cubic.down.max(bbr.down).max(cubic.up).max(bbr.up);
    // BBR fills queues and loses more by itself: what the gentler one loses is the link's.
    let lossy = lost(cubic.up_packets).min(lost(bbr.up_packets))
        + lost(cubic.down_packets).min(lost(bbr.down_packets));
    let profile = if widest < 300_000 {
        Profile::Mobile2g
    } else if rtt >= 450 {
        Profile::Satellite
    } else if rtt >= 60 || lossy >= 5 || uneven.as_millis() >= 40 {
        Profile::Mobile4g
    } else {
        Profile::Wired
    };
    let of_profile = Settings::of(profile).congestion;
    Advice {
        profile,
        congestion: better(cubic.up, bbr.up).filter(|best| *best != of_profile),
        relay: better(cubic.down, bbr.down).filter(|best| *best != Settings::relay().congestion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Round trip and its p95 in milliseconds, kbit/s up and down, thousandths lost.
    fn sample(congestion: Congestion, rtt: [u64; 2], up: u64, down: u64, lost: u64) -> Sample {
        let ms = Duration::from_millis;
        Sample {
            congestion,
            handshake: ms(3 * rtt[0]),
            rtt: [ms(rtt[0]), ms(rtt[0]), ms(rtt[1])],
            up: up * 1000,
            down: down * 1000,
            up_packets: [1000, lost],
            down_packets: [1000, lost],
            mtu: 1452,
            cost: [0, 0],
        }
    }

    #[test]
    fn a_measured_link_gets_the_settings_that_fit_it() {
        use Congestion::{Bbr, Cubic};
        let link = |rtt, kbit, lost| {
            advise(&sample(Cubic, rtt, kbit, kbit, lost), &sample(Bbr, rtt, kbit, kbit, lost))
        };
        let of = |profile| Advice { profile, congestion: None, relay: None };
        assert_eq!(link([8, 12], 90_000, 0), of(Profile::Wired));
        assert_eq!(link([45, 120], 20_000, 0), of(Profile::Mobile4g));
        assert_eq!(link([20, 30], 20_000, 12), of(Profile::Mobile4g));
        assert_eq!(link([640, 900], 8_000, 8), of(Profile::Satellite));
        assert_eq!(link([640, 2000], 60, 50), of(Profile::Mobile2g));
    }

    #[test]
    fn where_one_way_is_much_faster_it_is_advised_and_a_little_faster_is_chance() {
        use Congestion::{Bbr, Cubic};
        let link = |cubic: [u64; 2], bbr: [u64; 2]| {
            advise(
                &sample(Cubic, [10, 15], cubic[0], cubic[1], 0),
                &sample(Bbr, [10, 15], bbr[0], bbr[1], 0),
            )
        };
        let wired = |congestion, relay| Advice { profile: Profile::Wired, congestion, relay };
        assert_eq!(link([700, 700], [7000, 7000]), wired(Some(Bbr), None));
        assert_eq!(link([7000, 7000], [7700, 7700]), wired(None, None));
        assert_eq!(link([7000, 7000], [7000, 700]), wired(None, Some(Cubic)));
    }
}
