//! Wires that count what goes over them.

use anyhow::Result;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What went over a wire. Bytes of payload; packets are counted of UDP alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Went {
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) packets: u64,
}

impl Went {
    pub(crate) fn both(self) -> u64 {
        self.up + self.down
    }

    /// With the headers of IPv4 and UDP.
    pub(crate) fn with_headers(self) -> u64 {
        self.both() + 28 * self.packets
    }
}

#[derive(Debug, Default)]
struct Counts {
    up: AtomicU64,
    down: AtomicU64,
    packets: AtomicU64,
    over: AtomicBool,
}

impl Counts {
    fn went(&self, up: bool, bytes: usize) {
        let way = if up { &self.up } else { &self.down };
        way.fetch_add(bytes as u64, Ordering::Relaxed);
        self.packets.fetch_add(1, Ordering::Relaxed);
    }

    fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// A wire in front of a server.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) address: String,
    counts: Arc<Counts>,
}

const LOOK: Duration = Duration::from_millis(200);

impl Wire {
    /// Opens a wire of UDP to `to`.
    pub(crate) fn open(to: &str) -> Result<Self> {
        let to: SocketAddr = to.parse()?;
        let front = UdpSocket::bind("127.0.0.1:0")?;
        front.set_read_timeout(Some(LOOK))?;
        let (address, counts) = (front.local_addr()?.to_string(), Arc::<Counts>::default());
        let wire = Self { address, counts: Arc::clone(&counts) };
        std::thread::spawn(move || {
            let mut clients: HashMap<SocketAddr, UdpSocket> = HashMap::new();
            let mut buffer = [0; 65_536];
            while !counts.over() {
                let Ok((n, from)) = front.recv_from(&mut buffer) else { continue };
                if !clients.contains_key(&from)
                    && let Some(back) = answer_to(from, to, &front, &counts)
                {
                    clients.insert(from, back);
                }
                if let Some(back) = clients.get(&from)
                    && back.send(&buffer[..n]).is_ok()
                {
                    counts.went(true, n);
                }
            }
        });
        Ok(wire)
    }

    /// Opens a wire of TCP to `to`.
    pub(crate) fn open_tcp(to: &str) -> Result<Self> {
        let to: SocketAddr = to.parse()?;
        let front = TcpListener::bind("127.0.0.1:0")?;
        let (address, counts) = (front.local_addr()?.to_string(), Arc::<Counts>::default());
        let wire = Self { address, counts: Arc::clone(&counts) };
        std::thread::spawn(move || {
            for client in front.incoming() {
                if counts.over() {
                    break;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else { continue };
                for stream in [&client, &server] {
                    // A wire does not wait for more.
                    let _ = stream.set_nodelay(true);
                }
                let ends = (client.try_clone(), server.try_clone());
                let (Ok(client_too), Ok(server_too)) = ends else { continue };
                let (up, down) = (Arc::clone(&counts), Arc::clone(&counts));
                std::thread::spawn(move || pass(client, server_too, true, &up));
                std::thread::spawn(move || pass(server, client_too, false, &down));
            }
        });
        Ok(wire)
    }

    /// What went over it so far.
    pub(crate) fn went(&self) -> Went {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Went {
            up: of(&self.counts.up),
            down: of(&self.counts.down),
            packets: of(&self.counts.packets),
        }
    }

    /// Forgets what went over it.
    pub(crate) fn forget(&self) {
        for count in [&self.counts.up, &self.counts.down, &self.counts.packets] {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// Waits until nothing has gone over it for two seconds, and takes what went over it.
    pub(crate) fn take(&self) -> Went {
        let (mut last, mut since) = (self.went(), Instant::now());
        while last.both() == 0 || since.elapsed() < Duration::from_secs(2) {
            std::thread::park_timeout(Duration::from_millis(50));
            let now = self.went();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        self.forget();
        last
    }

    /// As [`Wire::take`], bytes both ways.
    pub(crate) fn drain(&self) -> u64 {
        self.take().both()
    }
}

/// A socket towards the relay for one client; what comes back goes to the client.
fn answer_to(
    client: SocketAddr,
    relay: SocketAddr,
    front: &UdpSocket,
    counts: &Arc<Counts>,
) -> Option<UdpSocket> {
    let back = UdpSocket::bind("127.0.0.1:0").ok()?;
    back.connect(relay).ok()?;
    back.set_read_timeout(Some(LOOK)).ok()?;
    let (read, front) = (back.try_clone().ok()?, front.try_clone().ok()?);
    let counts = Arc::clone(counts);
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while !counts.over() {
            if let Ok(n) = read.recv(&mut buffer)
                && front.send_to(&buffer[..n], client).is_ok()
            {
                counts.went(false, n);
            }
        }
    });
    Some(back)
}

/// One way of a connection.
fn pass(mut from: TcpStream, mut to: TcpStream, up: bool, counts: &Counts) {
    let mut buffer = [0; 65_536];
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 || to.write_all(&buffer[..n]).is_err() {
            break;
        }
        counts.went(up, n);
    }
    // Already closed from the other side, or closed now.
    let _ = to.shutdown(Shutdown::Both);
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.counts.over.store(true, Ordering::Relaxed);
    }
}
