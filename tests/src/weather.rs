//! A UDP wire with weather: slow, far away, lossy; the same again with the same seed.

use crate::agent::Dice;
use anyhow::Result;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a wire does to each packet.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// From which everything that happens by chance follows.
    pub seed: u64,
    /// On the way, one way.
    pub delay: Duration,
    /// The delay is longer or shorter by so much at most; packets overtake each other.
    pub jitter: Duration,
    /// Lost of a thousand.
    pub loss: u64,
    /// So wide each way. Bits a second.
    pub bits: u64,
    /// What would wait longer for its turn is lost.
    pub queue: Duration,
}

/// What went over a wire one way.
#[derive(Debug, Default)]
pub struct Way {
    /// Bytes given to it.
    pub bytes: AtomicU64,
    /// Packets given to it.
    pub packets: AtomicU64,
    /// Packets that were lost.
    pub lost: AtomicU64,
}

/// A wire to a relay.
#[derive(Debug)]
pub struct Wire {
    /// Where it begins, host:port.
    pub address: String,
    /// Towards the relay.
    pub up: Arc<Way>,
    /// Back.
    pub down: Arc<Way>,
    over: Arc<AtomicBool>,
    forget: Arc<AtomicBool>,
}

const LOOK: Duration = Duration::from_micros(500);

/// One direction.
struct Lane {
    weather: Weather,
    /// Come twice of a thousand.
    twice: u64,
    dice: Dice,
    free: Instant,
    count: Arc<Way>,
}

impl Lane {
    /// When a packet that sets out now arrives: never, once, or twice.
    fn arrives(&mut self, now: Instant, bytes: usize) -> Vec<Instant> {
        let Weather { delay, jitter, loss, bits, queue, .. } = self.weather;
        self.count.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.count.packets.fetch_add(1, Ordering::Relaxed);
        // IP and UDP headers travel, too.
        let takes = Duration::from_nanos((bytes as u64 + 28) * 8 * 1_000_000_000 / bits.max(1));
        let begins = self.free.max(now);
        let lost = self.dice.below(1000) < loss;
        if begins - now > queue || lost {
            self.count.lost.fetch_add(1, Ordering::Relaxed);
            if lost {
                // It was sent all the same.
                self.free = begins + takes;
            }
            return Vec::new();
        }
        self.free = begins + takes;
        let times = 1 + usize::from(self.twice > 0 && self.dice.below(1000) < self.twice);
        let spread = 2 * u64::try_from(jitter.as_micros()).unwrap_or(0) + 1;
        let shift = |dice: &mut Dice| Duration::from_micros(dice.below(spread));
        let free = self.free;
        (0..times).map(|_| free + (delay + shift(&mut self.dice)).saturating_sub(jitter)).collect()
    }
}

impl Wire {
    /// Opens a wire to `to`.
    ///
    /// # Errors
    /// When no socket is to be had.
    pub fn open(to: &str, weather: Weather) -> Result<Self> {
        Self::open_at(SocketAddr::from(([127, 0, 0, 1], 0)), to, weather, 0)
    }

    /// Opens a wire from `at` to `to`, on which so many of a thousand packets come twice.
    ///
    /// # Errors
    /// When no socket is to be had.
    pub fn open_at(at: SocketAddr, to: &str, weather: Weather, twice: u64) -> Result<Self> {
        let to: SocketAddr = to.parse()?;
        let front = UdpSocket::bind(at)?;
        front.set_nonblocking(true)?;
        let wire = Self {
            address: front.local_addr()?.to_string(),
            up: Arc::default(),
            down: Arc::default(),
            over: Arc::default(),
            forget: Arc::default(),
        };
        let (up, down) = (wire.up.clone(), wire.down.clone());
        let (over, forget) = (wire.over.clone(), wire.forget.clone());
        std::thread::spawn(move || {
            let lane = |count, seed| {
                let dice = Dice::new(seed);
                Lane { weather, twice, dice, free: Instant::now(), count }
            };
            let lanes = [lane(up, weather.seed), lane(down, weather.seed.wrapping_add(1))];
            carry(&front, to, lanes, &over, &forget);
        });
        Ok(wire)
    }

    /// What an address translator does when it has forgotten a flow: from now on the relay sees the
    /// box at another port.
    pub fn translate_anew(&self) {
        self.forget.store(true, Ordering::Relaxed);
    }
}

fn carry(
    front: &UdpSocket,
    to: SocketAddr,
    [mut up, mut down]: [Lane; 2],
    over: &AtomicBool,
    forget: &AtomicBool,
) {
    let mut clients: BTreeMap<SocketAddr, UdpSocket> = BTreeMap::new();
    // Arrival, number, client, towards the relay, bytes.
    let mut under_way = BinaryHeap::new();
    let (mut buffer, mut number) = ([0; 65_536], 0_u64);
    while !over.load(Ordering::Relaxed) {
        let now = Instant::now();
        if forget.swap(false, Ordering::Relaxed) {
            clients.clear();
        }
        while let Ok((n, from)) = front.recv_from(&mut buffer) {
            if let std::collections::btree_map::Entry::Vacant(new) = clients.entry(from) {
                let any = if to.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
                let Ok(socket) = UdpSocket::bind(any) else { continue };
                if socket.connect(to).is_err() || socket.set_nonblocking(true).is_err() {
                    continue;
                }
                new.insert(socket);
            }
            for at in up.arrives(now, n) {
                number += 1;
                under_way.push(Reverse((at, number, from, true, buffer[..n].to_vec())));
            }
        }
        for (client, socket) in &clients {
            while let Ok(n) = socket.recv(&mut buffer) {
                for at in down.arrives(now, n) {
                    number += 1;
                    under_way.push(Reverse((at, number, *client, false, buffer[..n].to_vec())));
                }
            }
        }
        while under_way.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, _, client, towards, bytes))) = under_way.pop() else { break };
            // What a real wire loses is repeated by those who talk.
            let _ = if towards {
                clients.get(&client).map(|socket| socket.send(&bytes))
            } else {
                Some(front.send_to(&bytes, client))
            };
        }
        std::thread::park_timeout(LOOK);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weather(seed: u64) -> Weather {
        Weather {
            seed,
            delay: Duration::from_millis(300),
            jitter: Duration::from_millis(80),
            loss: 50,
            bits: 64_000,
            queue: Duration::from_secs(4),
        }
    }

    fn arrivals(seed: u64, packets: usize) -> Vec<Option<Duration>> {
        let begun = Instant::now();
        let mut lane = Lane {
            weather: weather(seed),
            twice: 0,
            dice: Dice::new(seed),
            free: begun,
            count: Arc::default(),
        };
        let mut arrives = || lane.arrives(begun, 972).first().map(|at| *at - begun);
        (0..packets).map(|_| arrives()).collect()
    }

    #[test]
    fn the_same_seed_is_the_same_weather() {
        assert_eq!(arrivals(7, 30), arrivals(7, 30));
        assert_ne!(arrivals(7, 30), arrivals(8, 30));
    }

    #[test]
    fn a_thousand_bytes_take_their_time_and_what_waits_too_long_is_lost() {
        let all = arrivals(1, 100);
        let first = all.iter().flatten().next().expect("some arrive");
        assert!(first.as_millis() >= 125 + 220, "{first:?}");
        let last = all.iter().flatten().max().expect("some arrive");
        assert!(last.as_millis() <= 4000 + 250 + 380, "{last:?}");
        assert!(all[60..].iter().all(Option::is_none));
    }
}
