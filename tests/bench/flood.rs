//! What an honest box notices while another enrolled box floods the relay.

use crate::report::{Report, median, ms};
use crate::world::{World, patiently};
use anyhow::Result;
use cunkou_tests::wild::{Says, WildBox};
use std::time::{Duration, Instant};

/// Villages of the two, so that neither is sent what the other says.
const HONEST: u32 = 103;
const FLOODING: u32 = 104;

fn round_trips(honest: &WildBox, n: usize) -> Result<Vec<f64>> {
    (0..n)
        .map(|_| {
            std::thread::park_timeout(Duration::from_millis(50));
            honest.round_trip().map(ms)
        })
        .collect()
}

/// Round trips of an honest box (a save until the relay's acknowledgement) in a quiet county, in
/// the burst of a flood, and after it.
pub(crate) fn latency(report: &Report, world: &World) -> Result<()> {
    for (name, place) in [("honest", HONEST), ("flooding", FLOODING)] {
        let place = place.to_string();
        world.county.offer(name, "village", &place, &world.county.quic())?;
    }
    let quic = world.county.quic();
    let folder = |name: &str| world.county.data.join(format!("{name}.enrol"));
    let honest = WildBox::start(&folder("honest"), HONEST, &quic, Says::OneByOne, 1)?;
    patiently("a first round trip", || honest.round_trip().ok())?;
    let quiet = round_trips(&honest, 200)?;
    let middle = median(&quiet);
    report.times("roundtrip.quiet", &quiet, None)?;
    let flood = WildBox::start(&folder("flooding"), FLOODING, &quic, Says::Flood, 4)?;
    patiently("a flood", || (flood.acked() > 0).then_some(()))?;
    let burst = round_trips(&honest, 100)?;
    report.times("roundtrip.burst", &burst, Some(middle))?;
    // When nothing more comes through for a while the burst is used up, and the quota holds.
    let mut last = (flood.acked(), Instant::now());
    patiently("the end of the burst", || {
        let now = flood.acked();
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(10)).then_some(())
    })?;
    let slowed = round_trips(&honest, 200)?;
    report.times("roundtrip.flooded", &slowed, Some(middle))?;
    let committed = flood.acked() as f64;
    report.value("roundtrip.flood.committed", committed, "entries", 300, None)
}
