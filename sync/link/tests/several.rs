//! Several relays in order: real servers in one process.

mod county;

use county::*;
use cunkou_link::{Again, Dialer, LinkHandle, Profile, Settings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A link on which a relay that is gone is given up at once.
fn quick() -> Settings {
    Settings {
        connect: Duration::from_millis(400),
        retry_first: Duration::from_millis(1),
        retry_most: Duration::from_millis(20),
        ..Settings::of(Profile::Wired)
    }
}

struct Talking {
    link: LinkHandle,
    port: Arc<Empty>,
    task: JoinHandle<()>,
}

fn talk(relays: &[&str], me: &Arc<Kept>, first_again: Duration) -> Talking {
    let port = Empty::new();
    let relays = relays.iter().map(|r| (*r).to_owned()).collect();
    let dialer = Dialer::new(relays, me.clone(), port.clone())
        .with_links(quick().into())
        .with_again(Again { first: first_again, ..Again::default() });
    Talking { link: dialer.handle(), port, task: tokio::spawn(dialer.run(|| 0)) }
}

impl Talking {
    async fn with(&self, relay: &str) {
        while self.link.contact().is_none_or(|contact| contact.relay != relay) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Talking {
    /// Until the box and this relay have greeted each other.
    async fn met(&self, seed: &[u8; 32]) {
        let last = || self.port.met.lock().expect("as the test made it").last().copied();
        while last() != Some(device(seed)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

const SECOND: [u8; 32] = [3; 32];
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_box_whose_relay_goes_away_talks_to_the_next_and_knows_it_as_another_peer() {
    let (relay, root) = Relay::new();
    let (first, second) = (serve(&relay), serve(&Relay::of(&root, SECOND)));
    let me = Kept::new(&relay);
    let talking = talk(&[&first.address, &second.address], &me, HOUR);
    talking.with(&first.address).await;
    talking.met(&RELAY).await;
    drop(first);
    talking.with(&second.address).await;
    talking.met(&SECOND).await;
    let met = talking.port.met.lock().expect("as the test made it").clone();
    assert_eq!(met.first(), Some(&device(&RELAY)));
    assert_eq!(met.last(), Some(&device(&SECOND)));
    // What the first conversation cost was written down when it ended, for that relay.
    let carried = talking.port.carried.lock().expect("as the test made it").clone();
    let [(of, sent, received)] = carried[..] else { panic!("one row: {carried:?}") };
    assert_eq!(of, device(&RELAY));
    assert!(sent > 1200 && received > 1200, "{carried:?}");
    talking.task.abort();
}

#[tokio::test]
async fn a_box_goes_back_to_its_first_relay_when_that_answers_again() {
    let (relay, root) = Relay::new();
    let second = serve(&Relay::of(&root, SECOND));
    let me = Kept::new(&relay);
    let gone = serve(&relay);
    let address = gone.address.clone();
    drop(gone);
    let talking = talk(&[&address, &second.address], &me, Duration::from_millis(50));
    talking.with(&second.address).await;
    let at: SocketAddr = address.parse().expect("as the test made it");
    let first = loop {
        // The server before may still be saying goodbye.
        if std::net::UdpSocket::bind(at).is_ok() {
            break serve_at(at, &relay);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    talking.with(&first.address).await;
    talking.task.abort();
}

#[tokio::test]
async fn who_ends_it_before_the_greeting_is_told_everything_the_next_time() {
    let (relay, _root) = Relay::new();
    let running = serve(&relay);
    running.port.revoked.store(true, std::sync::atomic::Ordering::SeqCst);
    let me = Kept::new(&relay);
    let talking = talk(&[&running.address], &me, HOUR);
    let mut forgot = talking.port.forgot.subscribe();
    forgot.wait_for(|times| *times > 0).await.expect("as the test made it");
    running.port.revoked.store(false, std::sync::atomic::Ordering::SeqCst);
    talking.met(&RELAY).await;
    talking.task.abort();
}

#[tokio::test]
async fn a_name_with_a_dead_address_is_reached_under_the_other() {
    let (relay, _root) = Relay::new();
    let running = serve(&relay);
    let me = Kept::new(&relay);
    // Listens on 127.0.0.1 alone; where localhost is ::1, too, that one does not answer.
    let port = running.address.rsplit(':').next().expect("as the test made it");
    let named = format!("localhost:{port}");
    let talking = talk(&[&named], &me, HOUR);
    talking.with(&named).await;
    talking.task.abort();
}

fn device(seed: &[u8; 32]) -> [u8; 16] {
    public(seed)[..16].try_into().expect("as the test made it")
}
