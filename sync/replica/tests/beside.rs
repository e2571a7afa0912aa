//! Two boxes that meet without the county: what they exchange, and what that is worth.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::entry::Kind;
use cunkou_engine::{Call, Input, Output, Port, Session, perform};
use cunkou_replica::{Beside, Replica};
use cunkou_store::{How, Left};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// One side of a conversation.
struct Side<'a> {
    port: &'a dyn Port,
    session: Session,
    peer: cunkou_engine::PeerInfo,
    inbox: VecDeque<Vec<u8>>,
}

impl<'a> Side<'a> {
    fn new(port: &'a dyn Port, other: u8, call: Call) -> Self {
        let peer = port.admit_peer(&secret(other).public().0).expect("they may meet");
        let hello = port.hello(&peer).expect("a hello");
        let session = Session::new(Duration::ZERO, hello, call);
        Self { port, session, peer, inbox: VecDeque::new() }
    }

    /// Does all that it can; gives the frames for the other side.
    fn act(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            let input = match self.session.poll_output() {
                None => match self.inbox.pop_front() {
                    Some(frame) => vec![Input::Received(frame)],
                    None => return out,
                },
                Some(Output::Send(frame)) => {
                    out.push(frame);
                    Vec::new()
                }
                Some(Output::Greeted(hello)) => {
                    self.port.greeted(&self.peer, &hello).expect("greeted");
                    Vec::new()
                }
                Some(Output::Store { scope, upto, entries }) => {
                    self.port.store(&self.peer, &scope, upto, &entries).expect("kept");
                    vec![Input::Stored { scope, upto }]
                }
                Some(Output::Completed) => {
                    self.port.completed(&self.peer).expect("completed");
                    Vec::new()
                }
                Some(Output::Close(violation)) => panic!("{violation}"),
                Some(output) => perform(self.port, &self.peer, output).expect("the store works"),
            };
            for input in input {
                self.session.handle(Duration::ZERO, input);
            }
        }
    }
}

/// The replica of a station that is off, as its program holds it.
fn open(station: &mut Station) -> Arc<Replica> {
    station.off();
    Arc::new(station.try_on().expect("it opens"))
}

/// Both say all they have to say.
fn meet(a: (u8, &Arc<Replica>), b: (u8, &Arc<Replica>)) {
    let (port_a, port_b) = (Beside(Arc::clone(a.1)), Beside(Arc::clone(b.1)));
    let mut first = Side::new(&port_a, b.0, Call::Out { knows: 0 });
    let mut second = Side::new(&port_b, a.0, Call::In);
    loop {
        second.inbox.extend(first.act());
        let back = second.act();
        if back.is_empty() && second.inbox.is_empty() {
            return;
        }
        first.inbox.extend(back);
    }
}

#[test]
fn a_case_goes_to_the_township_beside_it_and_from_there_to_the_county_and_both_say_how() {
    let mut county = County::founded();
    county.settle();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    let before = county.yunling.unsent();
    let relay_seen = |replica: &Replica| replica.store().read(|view| view.peers()).expect("read");
    let (village, town) = (open(&mut county.yunling), open(&mut county.centre));
    let peers = (relay_seen(&village), relay_seen(&town));
    let completed = village.status().expect("status").last_completed_ms;
    meet((BOX_YUNLING, &village), (CENTRE, &town));

    let there = town.case(case).expect("read").expect("the case");
    let came = town.store().read(|view| view.came(&case.0)).expect("read");
    assert!(!came.is_empty() && came.values().all(|how| *how == How::Neighbour), "{came:?}");
    assert_eq!(there.steps.len(), village.case(case).expect("read").expect("a case").steps.len());
    // Where it was made it is not with the county, and the county was not heard.
    let left = village.store().read(|view| view.left(&case.0)).expect("read");
    assert!(!left.is_empty());
    assert!(left.values().all(|l| matches!(l, Left::OnItsWay(How::Neighbour, _))), "{left:?}");
    let status = village.status().expect("status");
    assert_eq!((status.unsent.entries, status.last_completed_ms), (before, completed));
    assert_eq!((relay_seen(&village), relay_seen(&town)), peers, "no clock, no lease");
    let contact = village.store().read(|view| view.contacts(1)).expect("read").remove(0);
    assert_eq!(contact.how, How::Neighbour);
    assert!(contact.completed_ms.is_some());

    // The township reaches the county first and takes the case along.
    drop((village, town));
    county.yunling.on();
    county.centre.on();
    Talk::begin(&county.relay, &county.centre).finish();
    assert!(county.relay.case(case).expect("read").is_some());
    Talk::begin(&county.relay, &county.yunling).finish();
    assert_eq!(county.yunling.unsent(), 0);
    let left = county.yunling.store().read(|view| view.left(&case.0)).expect("read");
    assert!(left.is_empty(), "what the county has said is no news of the neighbour: {left:?}");
}

#[test]
fn boxes_of_different_villages_exchange_the_county_log_alone() {
    let mut county = County::founded();
    county.settle();
    let case = county.yunling.open_case(AGENT_YUNLING, YUNLING);
    // Longtan's box hears of a revocation that Yunling's has not heard of.
    let revoked = cunkou_casework::county::Statement::DeviceRevoked {
        device: device_id(CENTRE),
        reason: "lost".into(),
    };
    county.relay.state(&authority(), vec![revoked]).expect("stated");
    Talk::begin(&county.relay, &county.longtan).finish();
    let (yunling, longtan) = (open(&mut county.yunling), open(&mut county.longtan));
    assert!(yunling.county().device_counts(device_id(CENTRE)));
    meet((BOX_YUNLING, &yunling), (BOX_LONGTAN, &longtan));
    assert!(longtan.case(case).expect("read").is_none());
    let peer = Beside(Arc::clone(&longtan)).admit_peer(&secret(BOX_YUNLING).public().0);
    assert_eq!(peer.expect("they may meet").scopes, ["system"]);
    assert!(!yunling.county().device_counts(device_id(CENTRE)), "the revocation has spread");
    let refused = Beside(yunling).admit_peer(&secret(CENTRE).public().0);
    assert!(refused.is_err_and(|e| e.words.contains("revoked")));
}

#[test]
fn what_does_not_count_is_not_taken_from_a_neighbour_nor_passed_on() {
    let mut county = County::founded();
    county.settle();
    let (village, town) = (open(&mut county.yunling), open(&mut county.centre));
    let port = Beside(Arc::clone(&town));
    let peer = port.admit_peer(&secret(BOX_YUNLING).public().0).expect("they may meet");
    let back = Beside(Arc::clone(&village));
    let of_town = back.admit_peer(&secret(CENTRE).public().0).expect("they may meet");
    port.greeted(&peer, &back.hello(&of_town).expect("a hello")).expect("greeted");
    // A case of the other village, which this box does not serve.
    let subject = cunkou_casework::ids::SubjectId([7; 16]);
    let says = event(&[], opened("000300000015".into(), LONGTAN));
    let by = (Some(AGENT_YUNLING), BOX_YUNLING);
    let bad = forge(subject, Kind::Event, by, by, 7, says, village.county().head());
    let head = town.store().read(|view| view.head("place:11")).expect("read");
    let admitted = port.store(&peer, "place:11", 1_000, &[bad.encode()]).expect("works");
    assert_eq!((admitted.new, admitted.quarantined, admitted.refused), (0, 0, 1));
    assert_eq!(town.store().read(|view| view.head("place:11")).expect("read"), head);
}
