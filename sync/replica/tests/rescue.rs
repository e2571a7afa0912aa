//! Ways back for forgotten PINs and new PINs, on their way through a county.
#![allow(missing_docs)]

mod county;

use county::{
    AGENT_LONGTAN, AGENT_YUNLING, BOX_YUNLING, CLERK, County, LONGTAN, RELAY, REVIEWER, TOWNSHIP,
    Talk, YUNLING, authority, device_id, forge, person_id, secret,
};
use cunkou_casework::county::{
    Credential, Given, Grant, GrantId, Helper, Person, Post, Power, Rescue, Role, Statement,
};
use cunkou_casework::entry::Kind;
use cunkou_casework::event::encode;
use cunkou_casework::ids::{PlaceId, Scope, SubjectId};
use cunkou_casework::suite::PublicKey;
use cunkou_keys::{Key, RescueFor, behind};
use cunkou_replica::{HelpError, Who};
use cunkou_store::EntryState;

const ID: u64 = 77;

fn grant(holder: u8) -> Statement {
    Statement::Grant(Grant {
        id: GrantId([holder; 16]),
        holder: secret(holder).public(),
        powers: vec![Power::Agents],
        places: vec![TOWNSHIP],
        count: 10,
        until_ms: i64::MAX,
        depth: 0,
        parent: None,
    })
}

fn works_at(n: u8, places: &[PlaceId]) -> Person {
    let post = |place: &PlaceId| Post { role: Role::Agent, place: *place, department: None };
    Person {
        id: person_id(n),
        login: format!("p{n}"),
        name: format!("person {n}"),
        key: Some(secret(n).public()),
        posts: places.iter().map(post).collect(),
        phone: String::new(),
        kin: None,
        keys: None,
    }
}

/// The box of 云岭 says who may help this person.
fn say(county: &County, who: u8, helpers: &[PublicKey]) {
    let person = county.yunling.county().person(person_id(who)).cloned().expect("known");
    let of = RescueFor { device: device_id(BOX_YUNLING).0, person: person.id.0, id: ID };
    let (_, spoken) = behind(&[who; 32], &Key::of([9; 32]), &of).expect("made");
    let said = county.yunling.act(|desk| desk.give_rescue(&person, ID, helpers, &spoken));
    said.expect("said").expect("in its own place");
}

fn states_at_relay(county: &County, kind: u8) -> Vec<EntryState> {
    let scope = Scope::Place(YUNLING).to_string();
    let rows = county.relay.store().read(|view| view.entries_in(&scope, kind));
    rows.expect("the store works").into_iter().map(|row| row.state).collect()
}

#[test]
fn the_relay_and_a_colleague_by_grant_read_the_same_code_and_nobody_else_reads_any() {
    let county = County::founded();
    county.relay.state(&authority(), vec![grant(CLERK)]).expect("granted");
    county.settle();
    let agent = county.yunling.county().person(person_id(AGENT_YUNLING)).cloned().expect("known");
    let helpers = county.yunling.county().helpers_of(&agent);
    assert_eq!(helpers.len(), 2);
    say(&county, AGENT_YUNLING, &helpers);
    county.settle();
    let of_box = device_id(BOX_YUNLING);
    let by_relay = county.relay.help(&secret(RELAY), of_box, agent.id, "12345677", None);
    let by_relay = by_relay.expect("a code");
    let by = Some(person_id(CLERK));
    let by_clerk = county.centre.help(&secret(CLERK), of_box, agent.id, "12345677", by);
    assert_eq!(by_clerk.expect("a code"), by_relay);
    let helped = county.centre.helped().expect("the store works");
    assert_eq!((helped.len(), helped[0].person, helped[0].by), (1, agent.id, by));
    for stranger in [REVIEWER, AGENT_LONGTAN, AGENT_YUNLING] {
        let none = county.relay.help(&secret(stranger), of_box, agent.id, "12345677", None);
        assert!(matches!(none, Err(HelpError::Unknown)));
    }
    let of_other = county.relay.help(&secret(RELAY), of_box, agent.id, "12345678", None);
    assert!(matches!(of_other, Err(HelpError::Unknown)), "a number of another way back");
    assert!(county.longtan.helpable(&secret(RELAY).public()).expect("read").is_empty());
    assert_eq!(county.relay.helped().expect("the store works").len(), 1, "refusals are no help");
}

#[test]
fn a_box_speaks_of_ways_back_of_its_own_people_alone_and_not_without_end() {
    let county = County::founded();
    let relay = [secret(RELAY).public()];
    county.relay.state(&authority(), vec![]).expect("nothing new");
    county.settle();
    let stranger = county.relay.county().person(person_id(AGENT_LONGTAN)).cloned();
    let stranger = stranger.expect("known");
    let of = RescueFor { device: device_id(BOX_YUNLING).0, person: stranger.id.0, id: ID };
    let (_, spoken) = behind(&[1; 32], &Key::of([9; 32]), &of).expect("made");
    let said = county.yunling.act(|desk| desk.give_rescue(&stranger, ID, &relay, &spoken));
    said.expect("said").expect("in its own place");
    county.settle();
    assert_eq!(states_at_relay(&county, 6), [EntryState::Quarantined]);
    assert!(county.relay.helpable(&relay[0]).expect("read").is_empty());
    let agent = county.yunling.county().person(person_id(AGENT_YUNLING)).cloned().expect("known");
    for _ in 0..302 {
        let said = county.yunling.act(|desk| desk.give_rescue(&agent, ID, &relay, &spoken));
        said.expect("said").expect("in its own place");
    }
    county.settle();
    let states = states_at_relay(&county, 6);
    let good = states.iter().filter(|s| **s == EntryState::Good).count();
    assert_eq!((good, states.len()), (300, 303), "more than three hundred a day are set aside");
    let helpable = county.relay.helpable(&relay[0]).expect("read");
    assert_eq!(helpable.len(), 20, "and the latest are enough");
}

#[test]
fn a_way_back_is_about_the_county_and_nothing_else() {
    let county = County::founded();
    let of = RescueFor { device: device_id(BOX_YUNLING).0, person: [AGENT_YUNLING; 16], id: ID };
    let (_, spoken) = behind(&[1; 32], &Key::of([9; 32]), &of).expect("made");
    let relay = secret(RELAY).public();
    let sealed = spoken.seal(&relay.0, &of).expect("sealed").into();
    let helpers = vec![Helper { key: relay, sealed }];
    let rescue = Rescue { person: person_id(AGENT_YUNLING), id: ID, helpers };
    let (by, log) = ((None, BOX_YUNLING), county.relay.county().head());
    let (from, scope) = (county.relay.peer(&county.yunling), Scope::Place(YUNLING).to_string());
    Talk::begin(&county.relay, &county.yunling).finish();
    for (salt, subject, expected) in [
        (1, county.relay.county().subject(), EntryState::Good),
        (2, SubjectId([0x11; 16]), EntryState::Quarantined),
    ] {
        let entry = forge(subject, Kind::Rescue, by, by, salt, encode(&rescue), log);
        county.relay.take_in(&from, &scope, 50 + u64::from(salt), &[entry.encode()]);
        assert_eq!(county.relay.state_of(entry.id()).map(|(state, _)| state), Some(expected));
    }
}

#[test]
fn new_pins_without_end_are_set_aside_and_only_a_later_turn_is_passed_on() {
    let county = County::founded();
    let both = works_at(AGENT_YUNLING, &[YUNLING, LONGTAN]);
    county.relay.state(&authority(), vec![Statement::Person(both)]).expect("stated");
    county.settle();
    let key = secret(AGENT_YUNLING);
    let own = Who { person: person_id(AGENT_YUNLING), key: Some(&key) };
    for n in 0..102_u64 {
        // Each turn twice, with other bytes.
        let mut given = credential(AGENT_YUNLING, AGENT_YUNLING, n / 2 + 1);
        given.salt = [u8::try_from(n).expect("small"); 16];
        let said = county.yunling.act(|desk| desk.give_credential(Some(own), &given, &[YUNLING]));
        said.expect("said");
    }
    county.settle();
    let states = states_at_relay(&county, 5);
    let good = states.iter().filter(|s| **s == EntryState::Good).count();
    assert_eq!((good, states.len()), (100, 102));
    let elsewhere = Scope::Place(LONGTAN).to_string();
    let passed = county.relay.store().read(|view| view.entries_in(&elsewhere, 5)).expect("read");
    assert_eq!(passed.len(), 50, "each turn once");
}

fn credential(person: u8, key: u8, turn: u64) -> Credential {
    Credential {
        person: person_id(person),
        salt: [8; 16],
        memory_kib: 64,
        passes: 1,
        sealed: vec![9; 60].into(),
        key: Some(secret(key).public()),
        turn: Some(turn),
        given: Some(Given::Owner),
    }
}

#[test]
fn a_new_pin_reaches_every_box_where_its_owner_works_and_counts_whatever_arrives_late() {
    let county = County::founded();
    let both = works_at(AGENT_YUNLING, &[YUNLING, LONGTAN]);
    county.relay.state(&authority(), vec![Statement::Person(both)]).expect("stated");
    county.settle();
    let key = secret(AGENT_YUNLING);
    let own = Who { person: person_id(AGENT_YUNLING), key: Some(&key) };
    let second = credential(AGENT_YUNLING, AGENT_YUNLING, 2);
    let given = county.yunling.act(|desk| desk.give_credential(Some(own), &second, &[YUNLING]));
    given.expect("given");
    county.settle();
    let first_at = |station: &county::Station| {
        let known = station.credentials(person_id(AGENT_YUNLING)).expect("read");
        known.first().map(|c| c.credential.clone())
    };
    for station in county.all() {
        assert_eq!(first_at(station), Some(second.clone()), "station {}", station.n);
    }
    // The county's own of before comes late; another key's does not count.
    for late in [
        Credential { given: Some(Given::County), ..credential(AGENT_YUNLING, AGENT_YUNLING, 1) },
        credential(AGENT_YUNLING, AGENT_LONGTAN, 9),
    ] {
        let given = county.relay.act(|desk| desk.give_credential(None, &late, &[YUNLING, LONGTAN]));
        given.expect("given");
    }
    county.settle();
    for station in county.all() {
        assert_eq!(first_at(station), Some(second.clone()), "station {}", station.n);
    }
    assert_eq!(county.longtan.next_turn(person_id(AGENT_YUNLING)).expect("read"), 10);
    let entries = county.relay.entry_count();
    county.settle();
    assert_eq!(county.relay.entry_count(), entries, "it is passed on once");
}

#[test]
fn nobody_gives_another_person_a_pin() {
    let county = County::founded();
    county.settle();
    let key = secret(AGENT_YUNLING);
    let who = Who { person: person_id(AGENT_YUNLING), key: Some(&key) };
    let foreign = credential(AGENT_LONGTAN, AGENT_LONGTAN, 5);
    let given = county.yunling.act(|desk| desk.give_credential(Some(who), &foreign, &[YUNLING]));
    given.expect("said");
    county.settle();
    assert_eq!(states_at_relay(&county, 5), [EntryState::Quarantined]);
    for station in [&county.relay, &county.longtan] {
        let known = station.credentials(person_id(AGENT_LONGTAN)).expect("read");
        assert!(known.is_empty(), "station {}", station.n);
    }
}
