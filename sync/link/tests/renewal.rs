//! Certificates over their whole life, with clocks that the test sets: nothing here waits for time.

mod county;

use county::*;
use cunkou_link::{
    Credentials, LinkError, LinkState, RenewRequest, Renewed, RootAuthority, SignedRenewal, renew,
};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_box_talks_and_renews_from_two_thirds_of_its_life_on() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    assert!(talks(&call(&running, &me).await));
    let first = me.until();
    assert_eq!((first - BEGIN) / DAY, 90);
    for (day, renewed) in [(59, false), (61, true)] {
        let now = BEGIN + day * DAY;
        relay.at(now);
        me.clock_at(now, now);
        assert!(talks(&call(&running, &me).await), "day {day}");
        assert_eq!(me.until() > first, renewed, "day {day}");
    }
}

#[tokio::test]
async fn a_box_that_was_off_for_a_season_renews_and_talks() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let now = BEGIN + 200 * DAY;
    relay.at(now);
    me.clock_at(now, BEGIN);
    assert!(talks(&call(&running, &me).await));
    assert!(me.until() > now);
}

#[tokio::test]
async fn a_certificate_that_has_run_out_opens_renewal_and_nothing_else() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let now = BEGIN + 200 * DAY;
    relay.at(now);
    running.port.revoked.store(true, Ordering::SeqCst);
    me.clock_at(now, BEGIN);
    let refused = renew(&running.address, me.clone()).await;
    assert!(matches!(&refused, Err(LinkError::Refused(words)) if words.contains("revoked")));
    assert!(me.until() < now);
    assert_eq!(*running.port.greeted.borrow(), 0);
}

#[tokio::test]
async fn a_certificate_made_while_the_relays_clock_was_ahead_is_renewed() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    me.chain.lock().expect("as the test made it").0[0] = relay.issue(BEGIN + 300 * DAY);
    let ahead = me.until();
    assert!(talks(&call(&running, &me).await));
    assert!(me.until() < ahead, "a certificate that holds now instead");
}

#[tokio::test]
async fn a_box_whose_clock_is_behind_is_told_and_renews() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let now = BEGIN + 200 * DAY;
    relay.at(now);
    // It believes that nothing is due.
    me.clock_at(BEGIN + DAY, BEGIN);
    assert!(!me.due());
    assert!(talks(&call(&running, &me).await));
    assert!(me.until() > now);
}

#[tokio::test]
async fn no_clock_keeps_a_box_from_its_relay() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let now = BEGIN + 70 * DAY;
    relay.at(now);
    for clock in [0, of_2099(), now] {
        me.clock_at(clock, BEGIN);
        let state = call(&running, &me).await;
        assert!(talks(&state), "with its clock at {clock}: {state:?}");
    }
}

#[tokio::test]
async fn a_relay_whose_certificate_was_over_at_the_last_known_time_is_refused() {
    let (relay, _root) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let later = BEGIN + 100 * DAY;
    // Somebody shows the relay's certificate of the first day.
    for (now, floor) in [(0, later), (later, later), (of_2099(), later)] {
        me.clock_at(now, floor);
        let state = call(&running, &me).await;
        assert!(
            matches!(&state, LinkState::Offline { refused: true, .. }),
            "at {now}, certainly after {floor}: {state:?}"
        );
    }
}

#[tokio::test]
async fn a_new_root_is_learnt_at_a_renewal_and_then_used() {
    let (relay, _old) = Relay::new();
    let (running, me) = (serve(&relay), Kept::new(&relay));
    let root = RootAuthority::found("云溪县", &relay.bounds, BEGIN).expect("as the test made it");
    relay.inner.lock().expect("as the test made it").1.push(root.certificate().to_vec());
    relay.changes.send_modify(|n| *n += 1);
    renew(&running.address, me.clone()).await.expect("as the test made it");
    assert_eq!(me.chain.lock().expect("as the test made it").1.len(), 2);
    let issuing = root.issuing(BEGIN).expect("as the test made it");
    let own = own_of(&issuing, &relay.bounds, &RELAY, BEGIN);
    {
        let mut inner = relay.inner.lock().expect("as the test made it");
        inner.0 = issuing;
        inner.2 = own;
    }
    // Another process of the relay, so that the new certificate is certainly shown.
    let again = serve(&relay);
    assert!(talks(&call(&again, &me).await));
    let stranger = Kept::new(&relay);
    stranger.chain.lock().expect("as the test made it").1.truncate(1);
    assert!(!talks(&call(&again, &stranger).await), "only the old root is trusted");
}

#[test]
fn an_answer_counts_only_with_the_relays_signature() {
    let renewed = Renewed {
        certificate: vec![1].into(),
        issuing: vec![2].into(),
        roots: vec![],
        web_certificate: vec![3].into(),
    };
    let answer = SignedRenewal::new(&renewed, &RELAY);
    assert_eq!(answer.open(&public(&RELAY)), Some(renewed));
    assert_eq!(answer.open(&public(&BOX)), None);
    let mut other = answer;
    let mut body = other.body.to_vec();
    body[3] ^= 1;
    other.body = body.into();
    assert_eq!(other.open(&public(&RELAY)), None);
}

#[test]
fn a_request_counts_only_as_it_was_signed() {
    let request = RenewRequest::new(&BOX, vec![1, 2, 3], vec![vec![10, 0, 0, 1].into()]);
    assert!(request.holds());
    let tampered = [
        RenewRequest { key: public(&RELAY), ..request.clone() },
        RenewRequest { web_key: vec![1, 2, 4].into(), ..request.clone() },
        RenewRequest { addresses: vec![], ..request },
    ];
    for other in tampered {
        assert!(!other.holds());
    }
}
