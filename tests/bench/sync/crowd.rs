//! Many boxes in one process that are connected and have nothing to say.

use anyhow::{Result, ensure};
use cunkou_engine::{Admitted, Hello, Loaded, PROTOCOL, PeerInfo, Port, PortError, Refused};
use cunkou_link::{Credentials, Dialer};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{interval, timeout};

/// A relay answers at most so many handshakes a second from one address.
const APART: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(300);

/// A box without a store.
struct Nobody {
    greeted: Arc<AtomicU32>,
    device: [u8; 16],
    /// Held, though nothing ever changes: a link ends when nobody can tell it any more.
    told: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Port for Nobody {
    fn admit_peer(&self, _: &[u8; 32]) -> Result<PeerInfo, Refused> {
        Ok(PeerInfo { device: [1; 16], name: "relay".into(), scopes: vec![], handed_in: vec![] })
    }
    fn hello(&self, _: &PeerInfo) -> Result<Hello, PortError> {
        Ok(Hello {
            protocol: PROTOCOL,
            store: self.device,
            epoch: self.device,
            incarnation: self.device,
            software: String::new(),
            time_ms: 0,
            scopes: Vec::new(),
            features: None,
        })
    }
    fn greeted(&self, _: &PeerInfo, _: &Hello) -> Result<(), PortError> {
        self.greeted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn load(&self, _: &PeerInfo, _: &str, _: u64, _: usize) -> Result<Loaded, PortError> {
        Ok(Loaded { upto: 0, head: 0, entries: Vec::new() })
    }
    fn store(&self, _: &PeerInfo, _: &str, _: u64, _: &[Vec<u8>]) -> Result<Admitted, PortError> {
        Ok(Admitted::default())
    }
    fn acked(&self, _: &PeerInfo, _: &str, _: u64) -> Result<(), PortError> {
        Ok(())
    }
    fn completed(&self, _: &PeerInfo) -> Result<(), PortError> {
        Ok(())
    }
    fn heads(&self, _: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        Ok(Vec::new())
    }
    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }
    fn wanted(&self, _: &PeerInfo, _: usize) -> Result<Vec<[u8; 32]>, PortError> {
        Ok(Vec::new())
    }
    fn attachment(&self, _: &PeerInfo, _: &[u8; 32]) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }
    fn keep_attachment(&self, _: &[u8; 32], _: &[u8]) -> Result<(), PortError> {
        Ok(())
    }
    fn on_change(&self, notify: Box<dyn Fn() + Send + Sync>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(notify);
    }
}

/// Has so many boxes call at `address`, one after another, and waits until the relay has greeted
/// each.
pub(crate) async fn call<C: Credentials>(
    count: u16,
    address: &str,
    papers: impl Fn(u16) -> Arc<C>,
) -> Result<()> {
    let greeted = Arc::<AtomicU32>::default();
    let mut tick = interval(APART);
    for n in 0..count {
        tick.tick().await;
        let mut device = [0xcc; 16];
        device[..2].copy_from_slice(&n.to_be_bytes());
        let nobody =
            Arc::new(Nobody { greeted: Arc::clone(&greeted), device, told: Mutex::default() });
        let dialer = Dialer::new(vec![address.to_owned()], papers(n), nobody);
        tokio::spawn(dialer.run(|| 0));
    }
    let all = async {
        while greeted.load(Ordering::Relaxed) < u32::from(count) {
            tick.tick().await;
        }
    };
    ensure!(timeout(PATIENCE, all).await.is_ok(), "the relay has not greeted all of them");
    Ok(())
}
