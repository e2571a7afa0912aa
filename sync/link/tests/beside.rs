//! Boxes beside each other, over real QUIC on this machine; who is there is told, not found.

mod county;

use county::*;
use cunkou_link::{Bounds, Dialer, LinkHandle, Neighbours, Profile, Settings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const OTHER: [u8; 32] = [4; 32];

struct Boxed {
    port: Arc<Empty>,
    at: SocketAddr,
    tell: mpsc::Sender<SocketAddr>,
    met: tokio::sync::watch::Receiver<std::collections::BTreeMap<[u8; 16], String>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Boxed {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The link of a box whose relays are these.
fn link(me: &Arc<Kept>, relays: &[String]) -> (LinkHandle, JoinHandle<()>) {
    let settings = Settings {
        connect: Duration::from_millis(200),
        retry_first: Duration::from_millis(20),
        retry_most: Duration::from_millis(50),
        ..Settings::of(Profile::Wired)
    };
    let dialer = Dialer::new(relays.to_vec(), me.clone(), Empty::new()).with_links(settings.into());
    (dialer.handle(), tokio::spawn(dialer.run(|| 0)))
}

fn begin(me: &Arc<Kept>, relays: &[String]) -> Boxed {
    let port = Empty::new();
    let (link, dialling) = link(me, relays);
    let neighbours = Neighbours::new(me.clone(), port.clone(), link, Duration::ZERO).anywhere();
    let met = neighbours.met();
    let (tell, told) = mpsc::channel(4);
    let (at, running) = neighbours.run_told(told, || 0).expect("a socket");
    let at = SocketAddr::from(([127, 0, 0, 1], at));
    Boxed { port, at, tell, met, tasks: [tokio::spawn(running), dialling] }
}

/// An address at which nobody answers.
fn nowhere() -> Vec<String> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    vec![format!("{}+", socket.local_addr().expect("an address"))]
}

#[tokio::test]
async fn two_boxes_without_a_relay_talk_once_one_hears_of_the_other_and_each_knows_whom() {
    let (relay, _root) = Relay::new();
    let first = begin(&Kept::new(&relay), &nowhere());
    let mut second = begin(&Kept::of(&relay, OTHER), &nowhere());
    first.tell.send(second.at).await.expect("it listens");
    for port in [&first.port, &second.port] {
        port.greeted.subscribe().wait_for(|times| *times > 0).await.expect("as the test made it");
    }
    assert_eq!(*second.port.met.lock().expect("as the test made it"), [device(&BOX)]);
    assert_eq!(*first.port.met.lock().expect("as the test made it"), [device(&OTHER)]);
    // When one goes, its place is free.
    drop(first);
    second.met.wait_for(std::collections::BTreeMap::is_empty).await.expect("it goes on");
}

#[tokio::test]
async fn a_box_of_another_county_and_a_stranger_get_nothing() {
    let (relay, _root) = Relay::new();
    let ours = begin(&Kept::new(&relay), &nowhere());
    let (other, _root) = Relay::new();
    let foreign = begin(&Kept::of(&other, OTHER), &nowhere());
    foreign.tell.send(ours.at).await.expect("it listens");
    // One of our county that comes later is welcome: the one before did not take the door.
    let mine = begin(&Kept::of(&relay, [5; 32]), &nowhere());
    mine.tell.send(ours.at).await.expect("it listens");
    ours.port.greeted.subscribe().wait_for(|times| *times > 0).await.expect("it goes on");
    assert_eq!(*ours.port.met.lock().expect("as the test made it"), [device(&[5; 32])]);
    assert_eq!(*foreign.port.greeted.borrow(), 0);
}

#[tokio::test]
async fn a_relay_is_no_box_beside_this_one() {
    let (relay, root) = Relay::new();
    let ours = begin(&Kept::new(&relay), &nowhere());
    // Its certificate is of the county, and for relays.
    let me = Kept::of(&relay, RELAY);
    let issuing = root.issuing(BEGIN).expect("as the test made it");
    let own = own_of(&issuing, &Bounds::of("130999"), &RELAY, BEGIN);
    let chain = vec![own, issuing.certificate().to_vec()];
    me.chain.lock().expect("as the test made it").0 = chain;
    let posing = begin(&me, &nowhere());
    ours.tell.send(posing.at).await.expect("it listens");
    posing.tell.send(ours.at).await.expect("it listens");
    let mine = begin(&Kept::of(&relay, OTHER), &nowhere());
    mine.tell.send(ours.at).await.expect("it listens");
    ours.port.greeted.subscribe().wait_for(|times| *times > 0).await.expect("it goes on");
    assert_eq!(*ours.port.met.lock().expect("as the test made it"), [device(&OTHER)]);
}

#[tokio::test]
async fn who_talks_to_its_relay_answers_one_that_has_none() {
    let (relay, _root) = Relay::new();
    let running = serve(&relay);
    let with_relay = begin(&Kept::new(&relay), &[format!("{}+", running.address)]);
    running.port.greeted.subscribe().wait_for(|n| *n > 0).await.expect("as the test made it");
    let away = begin(&Kept::of(&relay, OTHER), &nowhere());
    away.tell.send(with_relay.at).await.expect("it listens");
    with_relay.port.greeted.subscribe().wait_for(|n| *n > 0).await.expect("it answers");
    assert_eq!(*with_relay.port.met.lock().expect("as the test made it"), [device(&OTHER)]);
}

fn device(seed: &[u8; 32]) -> [u8; 16] {
    public(seed)[..16].try_into().expect("as the test made it")
}
