//! Two machines with one key, and one machine whose connection died: real servers in one process.

mod county;

use county::*;
use cunkou_link::{Dialer, LinkHandle, LinkState, Profile, Settings};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

struct Talking {
    link: LinkHandle,
    port: Arc<Empty>,
    task: JoinHandle<()>,
}

fn talk(relay: &str, me: &Arc<Kept>) -> Talking {
    let port = Empty::new();
    let dialer = Dialer::new(vec![format!("{relay}+")], me.clone(), port.clone())
        .with_links(Settings::of(Profile::Wired).into());
    Talking { link: dialer.handle(), port, task: tokio::spawn(dialer.run(|| 0)) }
}

impl Talking {
    async fn greeted(&self) {
        let mut greeted = self.port.greeted.subscribe();
        greeted.wait_for(|times| *times > 0).await.expect("as the test made it");
    }

    async fn until(&self, holds: impl Fn(&LinkState) -> bool) -> LinkState {
        while !holds(&self.link.state()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.link.state()
    }
}

#[tokio::test]
async fn a_second_machine_with_the_same_key_is_refused_and_people_hear_of_it_and_the_first_goes_on()
{
    let (relay, _root) = Relay::new();
    let running = serve(&relay);
    let me = Kept::new(&relay);
    let first = talk(&running.address, &me);
    first.greeted().await;
    let second = talk(&running.address, &me);
    let refused = second.until(|state| matches!(state, LinkState::Offline { .. })).await;
    let LinkState::Offline { why, refused: true } = refused else { panic!("{refused:?}") };
    assert!(why.contains("身份") && why.contains("identity"), "{why}");
    let mut doubles = running.port.doubles.subscribe();
    doubles.wait_for(|times| *times > 0).await.expect("as the test made it");
    assert_eq!(*second.port.greeted.borrow(), 0, "it was told nothing");
    assert!(matches!(first.link.state(), LinkState::Online(_)), "{:?}", first.link.state());

    // Once the first is gone the other is whoever has this key.
    first.task.abort();
    second.link.nudge();
    second.greeted().await;
    second.task.abort();
}

/// Passes datagrams between a box and a relay for as long as it is open.
fn wire(relay: String) -> (String, Arc<AtomicBool>) {
    let outside = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let inside = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    inside.connect(relay).expect("an address");
    let address = outside.local_addr().expect("an address").to_string();
    let open = Arc::new(AtomicBool::new(true));
    let (back, passes) = (inside.try_clone().expect("a socket"), Arc::clone(&open));
    let (to_box, from_box) = (outside.try_clone().expect("a socket"), outside);
    let (caller, called) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut room = [0; 2048];
        while let Ok((n, from)) = from_box.recv_from(&mut room) {
            let _ = caller.send(from);
            if open.load(Ordering::SeqCst) {
                let _ = inside.send(&room[..n]);
            }
        }
    });
    let open = Arc::clone(&passes);
    std::thread::spawn(move || {
        let Ok(to) = called.recv() else { return };
        let mut room = [0; 2048];
        while let Ok(n) = back.recv(&mut room) {
            if passes.load(Ordering::SeqCst) {
                let _ = to_box.send_to(&room[..n], to);
            }
        }
    });
    (address, open)
}

#[tokio::test]
async fn a_box_whose_connection_died_without_a_word_is_let_in_again_and_nobody_is_alarmed() {
    let (relay, _root) = Relay::new();
    let running = serve(&relay);
    let me = Kept::new(&relay);
    let (by_wire, open) = wire(running.address.clone());
    let before = talk(&by_wire, &me);
    before.greeted().await;
    // The relay would notice the silence after half a minute only.
    open.store(false, Ordering::SeqCst);
    let anew = talk(&running.address, &me);
    anew.greeted().await;
    assert_eq!(*running.port.doubles.borrow(), 0);
    before.task.abort();
    anew.task.abort();
}

#[tokio::test]
async fn a_box_that_calls_anew_before_its_old_connection_is_closed_is_waited_for() {
    let (relay, _root) = Relay::new();
    let running = serve(&relay);
    let me = Kept::new(&relay);
    let before = talk(&running.address, &me);
    before.greeted().await;
    // Opening ends the link of the locked box and begins another at once.
    let anew = talk(&running.address, &me);
    let sent_away = anew.until(|state| matches!(state, LinkState::Offline { .. }));
    let sent_away = tokio::time::timeout(Duration::from_millis(500), sent_away).await;
    assert!(sent_away.is_err(), "{sent_away:?}");
    before.task.abort();
    anew.greeted().await;
    assert_eq!(*running.port.doubles.borrow(), 0, "and nobody is alarmed");
    anew.task.abort();
}
