//! A link measured with a real relay, within its bounds.

mod county;

use county::*;
use cunkou_link::{Congestion, LinkError, Settings, TestBounds, measure};
use std::sync::atomic::Ordering;
use std::time::Duration;

const BOUNDS: TestBounds =
    TestBounds { transfer_bytes: 256 * 1024, transfer: Duration::from_secs(2) };

#[tokio::test]
async fn a_box_measures_its_link_with_both_ways_of_congestion_control_within_what_it_said() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let settings = Settings::default();
    let mut used = 0;
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        let sample = measure(&running.address, &*me, &settings, congestion, &BOUNDS).await;
        let sample = sample.expect("measured");
        assert_eq!(sample.congestion, congestion);
        assert!(sample.up > 0 && sample.down > 0, "{sample:?}");
        assert!(sample.rtt[0] <= sample.rtt[1] && sample.rtt[1] <= sample.rtt[2], "{sample:?}");
        assert!(sample.handshake > Duration::ZERO && sample.mtu >= 1200, "{sample:?}");
        assert!(sample.up_packets[0] > 0 && sample.down_packets[0] > 0, "{sample:?}");
        used += sample.cost[0] + sample.cost[1];
    }
    assert!(used > 2 * 2 * BOUNDS.transfer_bytes, "{used}");
    assert!(used < BOUNDS.bytes_max(), "{used} of {}", BOUNDS.bytes_max());
}

#[tokio::test]
async fn a_box_that_the_county_revoked_measures_nothing() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    running.port.revoked.store(true, Ordering::SeqCst);
    let settings = Settings::default();
    let sample = measure(&running.address, &*me, &settings, Congestion::Bbr, &BOUNDS).await;
    assert!(matches!(sample, Err(LinkError::Refused(words)) if words.contains("revoked")));
}

#[tokio::test]
async fn tests_of_a_link_count_against_the_quota_of_the_box() {
    let (relay, _root) = Relay::new();
    let mut limits = cunkou_engine::Limits::START;
    limits.attachments_out.burst = 300_000;
    limits.attachments_out.amount = 1_000;
    let (running, me) = (serve_with(&relay, limits), Kept::new(&relay));
    let settings = Settings::default();
    let once = || measure(&running.address, &*me, &settings, Congestion::Bbr, &BOUNDS);
    let first = once().await;
    // The first is over the quota by its last transfer; the next is told to come back.
    let second = once().await;
    let busy = |sample| matches!(sample, Err(LinkError::Busy(wait)) if wait > Duration::ZERO);
    assert!(busy(first) || busy(second));
}
