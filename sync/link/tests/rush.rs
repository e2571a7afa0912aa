//! Many boxes that begin from nothing: a real server that lets one at a time.

mod county;

use county::*;
use cunkou_engine::{
    Admitted, Hello, Limits, Loaded, PROTOCOL, PeerInfo, Port, PortError, Rate, Refused, ScopeState,
};
use cunkou_link::{Dialer, LinkHandle, LinkState, Server};
use std::net::UdpSocket;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const SCOPE: &str = "place:1";

#[derive(Default)]
struct Inner {
    /// Where its log ends.
    head: u64,
    /// How far it has read the other.
    read: u64,
    /// Whoever commits entries waits meanwhile.
    held: bool,
}

/// A store whose log is a number.
struct Count {
    inner: Mutex<Inner>,
    gate: Condvar,
    news: watch::Sender<u64>,
    /// How often it was given something.
    begun: watch::Sender<u32>,
    /// Whom news would be told.
    told: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Count {
    fn new(head: u64, held: bool) -> Arc<Self> {
        let inner = Mutex::new(Inner { head, held, read: 0 });
        Arc::new(Self {
            inner,
            gate: Condvar::new(),
            news: watch::channel(0).0,
            begun: watch::channel(0).0,
            told: Mutex::default(),
        })
    }

    fn let_go(&self) {
        self.inner.lock().expect("as the test made it").held = false;
        self.gate.notify_all();
    }

    /// Until so much was read of the other.
    async fn reads(&self, all: u64) {
        let mut news = self.news.subscribe();
        news.wait_for(|read| *read >= all).await.expect("as the test made it");
    }
}

impl Port for Count {
    fn admit_peer(&self, key: &[u8; 32]) -> Result<PeerInfo, Refused> {
        let device = key[..16].try_into().expect("16 bytes");
        Ok(PeerInfo { device, name: "peer".into(), scopes: vec![SCOPE.into()], handed_in: vec![] })
    }
    fn hello(&self, _: &PeerInfo) -> Result<Hello, PortError> {
        let inner = self.inner.lock().expect("as the test made it");
        let (scope, head, read, epoch) = (SCOPE.to_owned(), inner.head, inner.read, [0; 16]);
        let state = ScopeState { scope, head, read, epoch, acked: Some(0), sum: None, whole: None };
        Ok(Hello {
            protocol: PROTOCOL,
            store: [0; 16],
            epoch,
            incarnation: [0; 16],
            software: String::new(),
            time_ms: 0,
            scopes: vec![state],
            features: None,
        })
    }
    fn greeted(&self, _: &PeerInfo, _: &Hello) -> Result<(), PortError> {
        Ok(())
    }
    fn load(&self, _: &PeerInfo, _: &str, after: u64, _: usize) -> Result<Loaded, PortError> {
        let head = self.inner.lock().expect("as the test made it").head;
        let upto = head.min(after + 1000);
        Ok(Loaded {
            upto,
            head,
            entries: vec![vec![7]; usize::try_from(upto - after).expect("few")],
        })
    }
    fn store(
        &self,
        _: &PeerInfo,
        _: &str,
        upto: u64,
        _: &[Vec<u8>],
    ) -> Result<Admitted, PortError> {
        self.begun.send_modify(|n| *n += 1);
        let inner = self.inner.lock().expect("as the test made it");
        // A test that failed meanwhile does not keep its threads for ever.
        let most = Duration::from_secs(60);
        let waited = self.gate.wait_timeout_while(inner, most, |inner| inner.held);
        waited.expect("as the test made it").0.read = upto;
        self.news.send_replace(upto);
        Ok(Admitted::default())
    }
    fn acked(&self, _: &PeerInfo, _: &str, _: u64) -> Result<(), PortError> {
        Ok(())
    }
    fn completed(&self, _: &PeerInfo) -> Result<(), PortError> {
        Ok(())
    }
    fn heard(&self, _: &PeerInfo, _: &[u8]) -> Result<bool, PortError> {
        Ok(false)
    }
    fn heads(&self, _: &PeerInfo) -> Result<Vec<(String, u64)>, PortError> {
        Ok(Vec::new())
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
        self.told.lock().expect("as the test made it").push(notify);
    }
}

fn talk(relay: &str, relays: &Relay, seed: u8, port: &Arc<Count>) -> (LinkHandle, JoinHandle<()>) {
    let me = Kept::of(relays, [seed; 32]);
    let dialer = Dialer::new(vec![format!("{relay}+")], me, port.clone());
    (dialer.handle(), tokio::spawn(dialer.run(|| 0)))
}

#[tokio::test]
async fn who_begins_from_nothing_while_another_does_gives_what_it_has_and_comes_again() {
    let (relay, _root) = Relay::new();
    let county = Count::new(5_000, false);
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let free = free.expect("a free port");
    let entries = Rate { burst: 1_000_000, ..Limits::START.entries };
    let generous = Limits { entries, ..Limits::START };
    let server = Server::bind(free, county.clone(), relay.clone()).expect("as the test made it");
    tokio::spawn(server.with_limits(generous).with_cold_starts(1).run(std::future::pending()));
    let address = free.to_string();

    let first = Count::new(0, true);
    let (_, first_task) = talk(&address, &relay, 40, &first);
    // It is in the middle of it when the others come.
    first.begun.subscribe().wait_for(|times| *times > 0).await.expect("as the test made it");

    // What a box has that begins from nothing, too, is taken nevertheless.
    let second = Count::new(3, false);
    let (link, second_task) = talk(&address, &relay, 41, &second);
    county.reads(3).await;
    let again = loop {
        match link.state() {
            LinkState::Busy { again } => break again,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert!(again >= Duration::from_secs(30), "{again:?}");
    assert_eq!(second.inner.lock().expect("as the test made it").read, 0, "it got nothing");
    second_task.abort();

    // Who holds as much from another relay is served at once.
    let third = Count::new(6_000, false);
    let (_, third_task) = talk(&address, &relay, 42, &third);
    third.reads(5_000).await;
    third_task.abort();

    // And when the first has all, so is who comes again.
    first.let_go();
    first.reads(5_000).await;
    let (_, second_task) = talk(&address, &relay, 43, &second);
    second.reads(5_000).await;
    [first_task, second_task].iter().for_each(JoinHandle::abort);
}
