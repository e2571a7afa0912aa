//! A wire that counts what goes over it.

use anyhow::Result;
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A UDP relay in front of the relay. Counts payload bytes.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) address: String,
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

const LOOK: Duration = Duration::from_millis(200);

impl Wire {
    /// Opens a wire to `to`.
    pub(crate) fn open(to: &str) -> Result<Self> {
        let to: SocketAddr = to.parse()?;
        let front = UdpSocket::bind("127.0.0.1:0")?;
        front.set_read_timeout(Some(LOOK))?;
        let wire = Self {
            address: front.local_addr()?.to_string(),
            up: Arc::default(),
            down: Arc::default(),
            over: Arc::default(),
        };
        let (up, down, over) = (wire.up.clone(), wire.down.clone(), wire.over.clone());
        std::thread::spawn(move || {
            let mut clients: HashMap<SocketAddr, UdpSocket> = HashMap::new();
            let mut buffer = [0; 65_536];
            while !over.load(Ordering::Relaxed) {
                let Ok((n, from)) = front.recv_from(&mut buffer) else { continue };
                if !clients.contains_key(&from)
                    && let Some(back) = answer_to(from, to, &front, &down, &over)
                {
                    clients.insert(from, back);
                }
                if let Some(back) = clients.get(&from)
                    && back.send(&buffer[..n]).is_ok()
                {
                    up.fetch_add(n as u64, Ordering::Relaxed);
                }
            }
        });
        Ok(wire)
    }

    fn bytes(&self) -> u64 {
        self.up.load(Ordering::Relaxed) + self.down.load(Ordering::Relaxed)
    }

    /// Forgets what went over it.
    pub(crate) fn forget(&self) {
        self.up.store(0, Ordering::Relaxed);
        self.down.store(0, Ordering::Relaxed);
    }

    /// Waits until nothing has gone over it for two seconds, and takes what went over it.
    pub(crate) fn drain(&self) -> u64 {
        let (mut last, mut since) = (self.bytes(), Instant::now());
        while last == 0 || since.elapsed() < Duration::from_secs(2) {
            std::thread::park_timeout(Duration::from_millis(50));
            let now = self.bytes();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        self.up.swap(0, Ordering::Relaxed) + self.down.swap(0, Ordering::Relaxed)
    }
}

/// A socket towards the relay for one client; what comes back goes to the client.
fn answer_to(
    client: SocketAddr,
    relay: SocketAddr,
    front: &UdpSocket,
    down: &Arc<AtomicU64>,
    over: &Arc<AtomicBool>,
) -> Option<UdpSocket> {
    let back = UdpSocket::bind("127.0.0.1:0").ok()?;
    back.connect(relay).ok()?;
    back.set_read_timeout(Some(LOOK)).ok()?;
    let (read, front) = (back.try_clone().ok()?, front.try_clone().ok()?);
    let (down, over) = (Arc::clone(down), Arc::clone(over));
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while !over.load(Ordering::Relaxed) {
            if let Ok(n) = read.recv(&mut buffer)
                && front.send_to(&buffer[..n], client).is_ok()
            {
                down.fetch_add(n as u64, Ordering::Relaxed);
            }
        }
    });
    Some(back)
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
