//! Looks of boxes on their way to the county's audit.
#![allow(missing_docs)]

mod county;

use county::*;
use cunkou_casework::county::Role;
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::event::encode;
use cunkou_casework::ids::{PersonId, SubjectId};
use cunkou_casework::looking::{LOOKS_MAX, Look, Looks};
use cunkou_engine::Port;
use cunkou_store::{EntryState, LOOK_KEPT_MS, Listed, LookRow, StoreError};

const RESIDENT: [u8; 16] = [0x11; 16];
const DAY_MS: i64 = 24 * 3600 * 1000;

fn look(station: &Station, at_ms: i64, uncovered: bool) {
    let row = LookRow {
        at_ms,
        person: [AGENT_YUNLING; 16],
        subject: RESIDENT,
        what: "GET /residents/{id}".into(),
        uncovered,
        ..LookRow::default()
    };
    station.store().write(|tx| tx.look(&row)).expect("written");
}

fn looks(station: &Station) -> Vec<LookRow> {
    let listed: Result<Listed, StoreError> =
        station.store().read(|view| view.looks_at(&RESIDENT, 1000));
    listed.expect("readable").rows
}

fn told(county: &County) {
    for _ in 0..2 {
        Talk::begin(&county.relay, &county.yunling).finish();
    }
}

/// What a box would say of a look, signed by whoever.
fn forged(of: u8, by: u8, salt: u8, county: &County) -> Entry {
    let look = Look {
        at_ms: 5,
        until_ms: 5,
        person: PersonId([AGENT_LONGTAN; 16]),
        subject: Some(SubjectId(RESIDENT)),
        what: "GET /residents/{id}".into(),
        uncovered: true,
        purpose: 0,
        scope: None,
    };
    let payload = encode(&Looks { looks: vec![look] });
    let head = county.relay.county().head();
    let subject = Looks::subject(device_id(of));
    forge(subject, Kind::Looks, (None, of), (None, by), salt, payload, head)
}

#[test]
fn what_was_looked_at_on_a_box_is_at_the_county_after_the_next_contact_with_the_name_of_the_box() {
    let county = County::founded();
    county.settle();
    let now = county.yunling.now_ms();
    look(&county.yunling, now, true);
    look(&county.yunling, now, false);
    assert!(looks(&county.relay).is_empty());
    told(&county);
    let there = looks(&county.relay);
    assert_eq!(there.len(), 1, "the masked page may still be open");
    assert!(there[0].uncovered);
    assert_eq!(there[0].device, device_id(BOX_YUNLING).0);
    assert_eq!((there[0].at_ms, there[0].person), (now, [AGENT_YUNLING; 16]));
    assert!(!there[0].no_post, "she works there");
    county.yunling.wait_days(1);
    told(&county);
    assert_eq!(looks(&county.relay).len(), 2);
    assert!(looks(&county.yunling).iter().all(|l| l.device == [0; 16]), "looked at here");
    assert_eq!(county.yunling.unsent(), 0);
    assert!(looks(&county.centre).is_empty() && looks(&county.longtan).is_empty());
}

#[test]
fn whoever_works_for_the_county_signs_in_at_the_relay_audit_administrators_too() {
    let county = County::founded();
    let roles = [Role::Finance, Role::It, Role::Security, Role::Audit, Role::DataOfficer];
    let people = (80..).zip(roles).map(|(n, role)| person(n, role, COUNTY)).collect();
    county.relay.state(&authority(), people).expect("stated");
    let at_relay: Vec<PersonId> = county.relay.workers().iter().map(|p| p.id).collect();
    for (n, role) in (80..).zip(roles) {
        assert!(at_relay.contains(&PersonId([n; 16])), "{role:?}");
    }
    assert!(!at_relay.contains(&PersonId([AGENT_YUNLING; 16])), "agents sign in at their box");
}

#[test]
fn looks_wait_for_each_other_for_an_hour_or_until_an_entry_is_full() {
    let county = County::founded();
    let now = county.yunling.now_ms();
    let gather = || county.yunling.gather_looks(false).expect("the store works");
    for n in 0..LOOKS_MAX as i64 - 1 {
        look(&county.yunling, now + n, true);
    }
    assert_eq!(gather(), 0);
    look(&county.yunling, now + 500, true);
    assert_eq!(gather(), 1, "full");
    look(&county.yunling, now + 501, true);
    assert_eq!(gather(), 0);
    county.yunling.wait_days(1);
    assert_eq!((gather(), gather()), (1, 0), "an hour is over, and nothing is told twice");
    assert_eq!(county.yunling.head(&upward(BOX_YUNLING)), 2);
    assert_eq!(county.yunling.unsent(), 0, "nobody's work waits");
    told(&county);
    assert_eq!(looks(&county.relay).len(), LOOKS_MAX + 1);
}

#[test]
fn what_was_told_does_not_go_on_and_a_page_that_goes_on_is_another_look() {
    let county = County::founded();
    let now = county.yunling.now_ms();
    // The clock was ahead when it was looked at, and has been set back since.
    look(&county.yunling, now + DAY_MS, false);
    told(&county);
    assert_eq!(looks(&county.relay).len(), 1, "the future is not waited for");
    look(&county.yunling, now + DAY_MS + 120_000, false);
    assert_eq!(looks(&county.yunling).len(), 2);
}

#[test]
fn looks_that_are_sent_again_are_written_down_once() {
    let county = County::founded();
    let now = county.yunling.now_ms();
    look(&county.yunling, now, true);
    county.yunling.gather_looks(true).expect("the store works");
    let talk = Talk::begin(&county.yunling, &county.relay);
    let scope = upward(BOX_YUNLING);
    assert!(talk.part(0, &scope, usize::MAX, 1), "cut before the commit");
    assert!(looks(&county.relay).is_empty());
    assert!(talk.part(0, &scope, usize::MAX, 2), "cut before the acknowledgement");
    talk.again(0, &scope, 0);
    told(&county);
    assert_eq!(looks(&county.relay).len(), 1);
}

#[test]
fn a_box_whose_disk_was_restored_doubles_no_look() {
    let mut county = County::founded();
    let now = county.yunling.now_ms();
    look(&county.yunling, now, true);
    look(&county.yunling, now + 1, false);
    county.yunling.off();
    let before = county.yunling.copied();
    county.yunling.on();
    county.yunling.wait_days(1);
    look(&county.yunling, now + DAY_MS, true);
    told(&county);
    assert_eq!(looks(&county.relay).len(), 3);
    // The old disk knows of two, and tells of them in an entry of its own.
    before.wait_days(1);
    for _ in 0..3 {
        Talk::begin(&county.relay, &before).finish();
    }
    assert_eq!(looks(&county.relay).len(), 3);
    // A relay that has forgotten whence its entries came sends them back: the box has its looks.
    assert!(looks(&before).len() >= 2);
    assert!(looks(&before).iter().all(|l| l.device == [0; 16]));
}

#[test]
fn nobody_writes_into_the_looks_of_another_box_or_reads_them() {
    let county = County::founded();
    look(&county.yunling, county.yunling.now_ms(), true);
    told(&county);
    let scope = upward(BOX_YUNLING);
    let seen_by = |n: u8| county.relay.admit_peer(&secret(n).public().0).expect("enrolled").scopes;
    assert!(seen_by(BOX_YUNLING).contains(&scope));
    for other in [BOX_LONGTAN, CENTRE] {
        assert!(!seen_by(other).contains(&scope), "a session speaks of what both sides name");
        assert!(seen_by(other).contains(&upward(other)));
    }
    // Should one get that far all the same, what it sends does not count.
    let peer = county.relay.peer(&county.longtan);
    Talk::begin(&county.relay, &county.longtan).finish();
    let in_its_name = forged(BOX_YUNLING, BOX_LONGTAN, 1, &county);
    let own = forged(BOX_LONGTAN, BOX_LONGTAN, 2, &county);
    for (scope, entry) in [(&scope, &in_its_name), (&scope, &own)] {
        county.relay.take_in(&peer, scope, 1, &[entry.encode()]);
        let (state, why) = county.relay.state_of(entry.id()).expect("kept");
        assert_eq!(state, EntryState::Quarantined, "{why:?}");
    }
    assert_eq!(looks(&county.relay).len(), 1);
}

#[test]
fn a_look_that_a_box_tells_of_somebody_who_has_no_post_there_is_kept_and_marked() {
    let county = County::founded();
    Talk::begin(&county.relay, &county.yunling).finish();
    Talk::begin(&county.relay, &county.longtan).finish();
    let take = |of: u8, salt: u8| {
        let peer = county.relay.peer(&county.yunling);
        let entry = forged(of, of, salt, &county);
        county.relay.take_in(&peer, &upward(of), 1, &[entry.encode()]);
        assert_eq!(county.relay.state_of(entry.id()).expect("kept").0, EntryState::Good);
    };
    let marked = |of: u8| {
        let there = looks(&county.relay);
        there.iter().find(|look| look.device == device_id(of).0).map(|look| look.no_post)
    };
    // The agent of Longtan never sat at the box of Yunling.
    take(BOX_YUNLING, 1);
    assert_eq!(marked(BOX_YUNLING), Some(true));
    take(BOX_LONGTAN, 2);
    assert_eq!(marked(BOX_LONGTAN), Some(false));
    // The same look again says nothing new.
    take(BOX_YUNLING, 3);
    assert_eq!(looks(&county.relay).len(), 2);
}

#[test]
fn only_looks_come_into_a_scope_of_looks_and_looks_into_no_other() {
    let county = County::founded();
    Talk::begin(&county.relay, &county.yunling).finish();
    let peer = county.relay.peer(&county.yunling);
    let by = (Some(AGENT_YUNLING), BOX_YUNLING);
    let head = county.relay.county().head();
    let step = event(&[], opened("000020000017".into(), YUNLING));
    let case = forge(SubjectId([9; 16]), Kind::Event, by, by, 1, step, head);
    let mine = forged(BOX_YUNLING, BOX_YUNLING, 2, &county);
    let by_relay = forged(RELAY, RELAY, 3, &county);
    let garbage = forge(
        Looks::subject(device_id(BOX_YUNLING)),
        Kind::Looks,
        (None, BOX_YUNLING),
        (None, BOX_YUNLING),
        4,
        vec![0x80],
        head,
    );
    for (scope, entry) in [
        (upward(BOX_YUNLING), &case),
        ("place:11".to_owned(), &mine),
        ("system".to_owned(), &forged(BOX_YUNLING, BOX_YUNLING, 5, &county)),
        (upward(RELAY), &by_relay),
        (upward(BOX_YUNLING), &garbage),
    ] {
        county.relay.take_in(&peer, &scope, 1, &[entry.encode()]);
        let (state, why) = county.relay.state_of(entry.id()).expect("kept");
        assert_eq!(state, EntryState::Quarantined, "{scope}: {why:?}");
    }
    assert!(looks(&county.relay).is_empty());
    assert!(county.relay.row(SubjectId([9; 16])).is_none());
}

#[test]
fn looks_that_name_more_of_the_county_log_than_is_here_wait_and_count_when_it_comes() {
    let mut county = County::founded();
    Talk::begin(&county.relay, &county.yunling).finish();
    // The relay comes back from a backup that is older than what the box has read.
    county.relay.off();
    let older = county.relay.copied();
    county.relay.on();
    let more = vec![person(77, Role::Agent, YUNLING)];
    county.relay.state(&authority(), more).expect("stated");
    let entry = forged(BOX_YUNLING, BOX_YUNLING, 1, &county);
    let peer = older.peer(&county.yunling);
    older.take_in(&peer, &upward(BOX_YUNLING), 1, &[entry.encode()]);
    assert_eq!(older.state_of(entry.id()).expect("kept").0, EntryState::Waiting);
    assert!(looks(&older).is_empty());
    let log = county.relay.load(&county.relay.peer(&county.yunling), "system", 0, usize::MAX);
    older.take_in(&peer, "system", 99, &log.expect("the county log").entries);
    assert_eq!(older.state_of(entry.id()).expect("kept").0, EntryState::Good);
    assert_eq!(looks(&older).len(), 1);
}

#[test]
fn looks_that_were_kept_long_enough_go_with_the_entries_that_told_of_them() {
    let county = County::founded();
    look(&county.yunling, county.yunling.now_ms(), true);
    told(&county);
    look(&county.yunling, county.yunling.now_ms(), true);
    county.yunling.gather_looks(true).expect("the store works");
    let days = LOOK_KEPT_MS / DAY_MS;
    county.relay.wait_days(days - 1);
    assert_eq!(county.relay.forget_looks().expect("the store works"), 0);
    assert_eq!(looks(&county.relay).len(), 1);
    for station in [&county.relay, &county.yunling] {
        station.wait_days(days + 2);
        assert_eq!(station.forget_looks().expect("the store works"), 1, "not what nobody has");
        assert_eq!(station.forget_looks().expect("the store works"), 0);
    }
    assert!(looks(&county.relay).is_empty() && looks(&county.yunling).is_empty());
    let size = county.relay.entry_count();
    told(&county);
    assert_eq!(county.relay.entry_count(), size + 1, "the names stay: nothing comes back");
    assert_eq!(looks(&county.relay).len(), 1, "the one that had not been told");
}
