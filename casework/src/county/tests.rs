//! Who may say what in the county log.

mod beside;

use super::*;
use crate::entry::{ClockSource, Entry, Header, Kind, LogPosition, Signers};
use crate::event::{Level, encode};
use crate::ids::{DeviceId, EntryId, Incarnation, PersonId, PlaceId, SubjectId};
use crate::suite::{PublicKey, SecretKey};
use proptest::prelude::*;
use std::collections::BTreeSet;

const TOWNSHIP: PlaceId = PlaceId(2);
const OTHER_TOWNSHIP: PlaceId = PlaceId(3);
const YUNLING: PlaceId = PlaceId(11);
const FAR: PlaceId = PlaceId(12);
const ADMINISTRATORS: [u8; 3] = [1, 2, 3];
const RELAY: u8 = 40;
const HOLDER: u8 = 50;
const DAY_MS: i64 = 24 * 3_600_000;

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn device(n: u8, kind: DeviceKind, places: &[PlaceId]) -> Device {
    Device {
        id: DeviceId([n; 16]),
        key: secret(n).public(),
        kind,
        name: format!("device {n}"),
        places: places.to_vec(),
        phone: String::new(),
    }
}

fn person(n: u8, role: Role, place: PlaceId) -> Statement {
    Statement::Person(Person {
        id: PersonId([n; 16]),
        login: format!("p{n}"),
        name: format!("person {n}"),
        key: None,
        posts: vec![Post { role, place, department: None }],
        phone: String::new(),
        keys: None,
        kin: None,
    })
}

fn constitution(administrators: &[u8], threshold: u8) -> Constitution {
    let each = administrators
        .iter()
        .map(|n| Administrator { name: format!("administrator {n}"), key: secret(*n).public() });
    Constitution { administrators: each.collect(), threshold, recovery: None }
}

fn grant(id: u8, holder: u8, powers: &[Power], places: &[PlaceId]) -> Grant {
    Grant {
        id: GrantId([id; 16]),
        holder: secret(holder).public(),
        powers: powers.to_vec(),
        places: places.to_vec(),
        count: 3,
        until_ms: 30 * DAY_MS,
        depth: 1,
        parent: None,
    }
}

/// A county and the hands that write in its log.
struct County {
    log: CountyLog,
    entries: Vec<Entry>,
    now_ms: i64,
    acts: u8,
}

impl County {
    /// Two of three administrators found it.
    fn founded() -> Self {
        let founding = vec![
            Statement::Constituted {
                name: "清河县".into(),
                constitution: constitution(&ADMINISTRATORS, 2),
                relay: device(RELAY, DeviceKind::Relay, &[]),
            },
            Statement::Places { places: places() },
        ];
        let empty = CountyLog::new(SubjectId([0xc0; 16]), EntryId([0; 32]));
        let mut county = Self { log: empty, entries: Vec::new(), now_ms: DAY_MS, acts: 0 };
        let act = county.act(founding, &[1, 3]);
        let entry = county.entry(RELAY, &[], Statement::Act(act));
        county.log = CountyLog::new(county.log.county, entry.id());
        county.log.take(&entry).expect("the founding");
        county.entries.push(entry);
        county
    }

    fn act(&mut self, statements: Vec<Statement>, by: &[u8]) -> Act {
        self.acts += 1;
        let until_ms = self.now_ms + DAY_MS;
        let body = ActBody { county: self.log.county, id: [self.acts; 16], until_ms, statements };
        let mut act = Act::new(&body);
        by.iter().for_each(|n| act.sign(&secret(*n)));
        act
    }

    /// The next statement, written down by `relay` and signed by `authority` on the entry itself.
    fn entry(&self, relay: u8, authority: &[u8], statement: Statement) -> Entry {
        let LogPosition { position, head } = self.log.head();
        let numbered = Numbered { position: position + 1, previous: head, statement };
        let header = Header {
            salt: [0; 16],
            person: None,
            device: DeviceId([relay; 16]),
            incarnation: Incarnation([relay; 16]),
            seq: position + 1,
            previous: None,
            log: self.log.head(),
            claimed_ms: self.now_ms,
            clock: ClockSource::Relay,
        };
        let (device, keys) = (secret(relay), authority.iter().map(|n| secret(*n)));
        let keys: Vec<SecretKey> = keys.collect();
        let signers = Signers { device: &device, person: None, authority: keys.first() };
        Entry::sign(self.log.county, Kind::County, header, encode(&numbered), signers)
            .expect("a small statement")
    }

    fn take(&mut self, entry: Entry) -> Result<(), LogError> {
        let before = self.log.head();
        let taken = self.log.take(&entry);
        match &taken {
            Ok(()) => self.entries.push(entry),
            Err(_) => assert_eq!(self.log.head(), before, "a refused statement leaves no trace"),
        }
        taken
    }

    /// An act of `by` is given its place by the relay.
    fn enact(&mut self, statement: Statement, by: &[u8]) -> Result<(), LogError> {
        let act = self.act(vec![statement], by);
        self.take(self.entry(RELAY, &[], Statement::Act(act)))
    }
}

fn places() -> Vec<Place> {
    let place = |id, level, parent| Place {
        id,
        level,
        code: String::new(),
        name: format!("place {id}"),
        name_en: String::new(),
        parent,
    };
    let county = PlaceId(1);
    vec![
        place(county, Level::County, None),
        place(TOWNSHIP, Level::Township, Some(county)),
        place(OTHER_TOWNSHIP, Level::Township, Some(county)),
        place(YUNLING, Level::Village, Some(TOWNSHIP)),
        place(FAR, Level::Village, Some(OTHER_TOWNSHIP)),
    ]
}

fn denied(result: Result<(), LogError>) -> bool {
    matches!(result, Err(LogError::NotAuthority(_)))
}

#[test]
fn what_binds_the_county_needs_two_of_three_administrators() {
    let guarded: [fn() -> Statement; 6] = [
        || Statement::Device(device(41, DeviceKind::Relay, &[])),
        || person(20, Role::Reviewer, PlaceId(1)),
        || person(21, Role::Finance, PlaceId(1)),
        || person(22, Role::DataOfficer, PlaceId(1)),
        || Statement::Roots { roots: vec![vec![1, 2, 3].into()] },
        || Statement::Grant(grant(9, HOLDER, &[Power::Agents], &[TOWNSHIP])),
    ];
    for make in guarded {
        for (by, enough) in [
            (&[][..], false),
            (&[1][..], false),
            (&[1, 1][..], false),
            (&[1, 77][..], false),
            (&[RELAY][..], false),
            (&[2, 3][..], true),
            (&[1, 2, 3][..], true),
        ] {
            let mut county = County::founded();
            let taken = county.enact(make(), by);
            assert_eq!(taken.is_ok(), enough, "{:?} by {by:?}: {taken:?}", make());
        }
    }
}

#[test]
fn one_administrator_is_enough_to_revoke_and_nobody_else_is() {
    let mut county = County::founded();
    let boxed = device(60, DeviceKind::Village, &[YUNLING]);
    county.enact(Statement::Device(boxed.clone()), &[1, 2]).expect("two agree");
    let revoked = || Statement::DeviceRevoked { device: boxed.id, reason: "被盗".into() };
    assert!(denied(county.enact(revoked(), &[RELAY])));
    assert!(denied(county.enact(revoked(), &[60])), "a box does not revoke itself");
    county.enact(revoked(), &[3]).expect("one is enough");
    assert!(!county.log.device_counts(boxed.id));
}

#[test]
fn the_loss_of_one_key_is_mended_by_the_other_two() {
    let mut county = County::founded();
    let next = constitution(&[1, 2, 4], 2);
    assert!(
        denied(county.enact(Statement::Constitution(next.clone()), &[4, 2])),
        "4 is nobody yet"
    );
    county.enact(Statement::Constitution(next), &[1, 2]).expect("old and new agree");
    let names = || person(20, Role::Reviewer, PlaceId(1));
    assert!(denied(county.enact(names(), &[1, 3])), "the lost key says nothing any more");
    county.enact(names(), &[1, 4]).expect("the new one does");
}

#[test]
fn a_constitution_that_nobody_could_fulfil_is_refused() {
    let mut county = County::founded();
    let twice = Constitution {
        administrators: [1, 1].map(|n| constitution(&[n], 1).administrators.remove(0)).to_vec(),
        threshold: 1,
        recovery: None,
    };
    for bad in [constitution(&[1, 2], 3), constitution(&[1, 2], 0), constitution(&[], 0), twice] {
        assert!(denied(county.enact(Statement::Constitution(bad), &[1, 2, 3])));
    }
    // The new administrators must be able to sign, or nobody could ever again.
    let strangers = Statement::Constitution(constitution(&[7, 8, 9], 2));
    assert!(denied(county.enact(strangers.clone(), &[1, 2, 3])));
    county.enact(strangers, &[1, 2, 7, 9]).expect("old and new sign");
}

#[test]
fn an_act_is_taken_once_in_time_and_from_a_relay_only() {
    let mut county = County::founded();
    let act = county.act(vec![person(20, Role::Agent, YUNLING)], &[1, 2]);
    let stranger = county.entry(77, &[], Statement::Act(act.clone()));
    assert_eq!(county.take(stranger), Err(LogError::NoRelay));
    let taken = county.entry(RELAY, &[], Statement::Act(act.clone()));
    county.take(taken).expect("in time");
    let again = county.entry(RELAY, &[], Statement::Act(act));
    assert_eq!(county.take(again), Err(LogError::Repeated));
    let late = county.act(vec![person(21, Role::Agent, YUNLING)], &[1, 2]);
    county.now_ms += 2 * DAY_MS;
    let late = county.entry(RELAY, &[], Statement::Act(late));
    assert_eq!(county.take(late), Err(LogError::Expired));
}

#[test]
fn one_signing_carries_a_batch_of_enrolments() {
    let mut county = County::founded();
    let boxes = (0..200).map(|n: u16| {
        let mut made = device(61, DeviceKind::Village, &[YUNLING]);
        made.id = DeviceId(u128::from(n + 1).to_be_bytes());
        Statement::Device(made)
    });
    let batch = county.act(boxes.collect(), &[2, 3]);
    let batch = county.entry(RELAY, &[], Statement::Act(batch));
    county.take(batch).expect("one signing");
    assert_eq!(county.log.devices().count(), 201);
    // A grant does the same for boxes whose keys are not known yet.
    let mut enrol = grant(9, RELAY, &[Power::VillageBoxes, Power::Numbers], &[]);
    enrol.count = 400;
    county.enact(Statement::Grant(enrol), &[1, 2]).expect("one signing");
    for n in 0..200_u16 {
        let mut made = device(62, DeviceKind::Village, &[FAR]);
        made.id = DeviceId((u128::from(n + 1) << 64).to_be_bytes());
        let id = made.id;
        let said = county.entry(RELAY, &[RELAY], Statement::Device(made));
        county.take(said).expect("under the grant");
        let blocks = vec![county.log.next_free_block()];
        let said = county.entry(RELAY, &[RELAY], Statement::Numbers { device: id, blocks });
        county.take(said).expect("under the grant");
    }
    let one_more = Statement::Device(device(63, DeviceKind::Village, &[FAR]));
    let one_more = county.entry(RELAY, &[RELAY], one_more);
    assert!(denied(county.take(one_more)), "400 statements are used up");
}

#[test]
fn a_number_block_is_given_out_once() {
    let mut county = County::founded();
    let numbers = |n: u8| Statement::Numbers { device: DeviceId([n; 16]), blocks: vec![7, 8] };
    county.enact(numbers(60), &[1, 2]).expect("free");
    assert!(denied(county.enact(numbers(61), &[1, 2, 3])));
}

#[test]
fn a_grant_holds_for_its_powers_its_places_its_time_and_its_holder() {
    let with = |change: fn(&mut County)| {
        let mut county = County::founded();
        let holder = device(HOLDER, DeviceKind::Township, &[YUNLING]);
        county.enact(Statement::Device(holder), &[1, 2]).expect("two agree");
        let given = grant(9, HOLDER, &[Power::Agents, Power::VillageBoxes], &[TOWNSHIP]);
        county.enact(Statement::Grant(given), &[1, 2]).expect("two agree");
        change(&mut county);
        county
    };
    let says = |county: &mut County, statement| county.enact(statement, &[HOLDER]);
    let agent = || person(20, Role::Agent, YUNLING);
    assert_eq!(says(&mut with(|_| ()), agent()), Ok(()));
    let boxed = Statement::Device(device(60, DeviceKind::Village, &[YUNLING]));
    assert_eq!(says(&mut with(|_| ()), boxed), Ok(()));
    for (what, statement) in [
        ("another power", person(20, Role::Township, TOWNSHIP)),
        ("a decider", person(20, Role::Reviewer, PlaceId(1))),
        ("another township", person(20, Role::Agent, FAR)),
        ("a box elsewhere", Statement::Device(device(60, DeviceKind::Village, &[YUNLING, FAR]))),
        ("a relay", Statement::Device(device(60, DeviceKind::Relay, &[YUNLING]))),
        (
            "itself as a village box",
            Statement::Device(device(HOLDER, DeviceKind::Village, &[YUNLING])),
        ),
        ("its own administrators", Statement::Constitution(constitution(&[HOLDER], 1))),
    ] {
        assert!(denied(says(&mut with(|_| ()), statement)), "{what}");
    }
    let mut late = with(|c| c.now_ms += 40 * DAY_MS);
    assert!(denied(says(&mut late, agent())), "after its time");
    let ended = Statement::GrantEnded { grant: GrantId([9; 16]), reason: "收回".into() };
    let mut over = with(|_| ());
    over.enact(ended, &[1]).expect("one is enough");
    assert!(denied(says(&mut over, agent())), "after its end");
    let mut gone = with(|c| {
        let device = DeviceId([HOLDER; 16]);
        c.enact(Statement::DeviceRevoked { device, reason: "被盗".into() }, &[1]).expect("one");
    });
    assert!(denied(says(&mut gone, agent())), "its holder is revoked");
    let mut three = with(|_| ());
    for n in 20..23 {
        says(&mut three, person(n, Role::Agent, YUNLING)).expect("three statements");
    }
    assert!(denied(says(&mut three, person(23, Role::Agent, YUNLING))), "the fourth");
}

#[test]
fn nobody_turns_a_decider_into_an_agent_of_theirs_under_a_grant() {
    let mut county = County::founded();
    county.enact(person(20, Role::Reviewer, PlaceId(1)), &[1, 2]).expect("two agree");
    let given = grant(9, HOLDER, &[Power::Agents], &[TOWNSHIP]);
    county.enact(Statement::Grant(given), &[1, 2]).expect("two agree");
    assert!(denied(county.enact(person(20, Role::Agent, YUNLING), &[HOLDER])));
    let Statement::Person(mut double) = person(24, Role::Agent, YUNLING) else { unreachable!() };
    double.login = "p20".into();
    assert!(denied(county.enact(Statement::Person(double), &[HOLDER])), "nor takes their login");
}

#[test]
fn a_grant_is_handed_on_narrower_or_not_at_all() {
    let base = || {
        let mut county = County::founded();
        let given = grant(9, HOLDER, &[Power::Agents, Power::VillageBoxes], &[TOWNSHIP]);
        county.enact(Statement::Grant(given), &[1, 2]).expect("two agree");
        county
    };
    let child = || Grant {
        count: 2,
        depth: 0,
        parent: Some(GrantId([9; 16])),
        ..grant(10, 51, &[Power::Agents], &[YUNLING])
    };
    let mut county = base();
    county.enact(Statement::Grant(child()), &[HOLDER]).expect("narrower");
    county.enact(person(20, Role::Agent, YUNLING), &[51]).expect("under the grant handed on");
    county.enact(person(22, Role::Agent, YUNLING), &[HOLDER]).expect("one of three is left");
    assert!(
        denied(county.enact(person(21, Role::Agent, YUNLING), &[HOLDER])),
        "what is handed on is spent"
    );
    let further =
        Grant { parent: Some(GrantId([10; 16])), ..Grant { id: GrantId([11; 16]), ..child() } };
    assert!(denied(county.enact(Statement::Grant(further), &[51])), "not so often");
    type Widen = fn(&mut Grant);
    let wider: [(&str, Widen); 6] = [
        ("power", |g| g.powers = vec![Power::Agents, Power::Catalogue]),
        ("place", |g| g.places = vec![YUNLING, FAR]),
        ("the whole county", |g| g.places = vec![]),
        ("time", |g| g.until_ms += 31 * DAY_MS),
        ("count", |g| g.count = 4),
        ("depth", |g| g.depth = 1),
    ];
    for (what, widen) in wider {
        let mut grant = child();
        widen(&mut grant);
        assert!(denied(base().enact(Statement::Grant(grant), &[HOLDER])), "wider in {what}");
    }
    let mut county = base();
    county.enact(Statement::Grant(child()), &[HOLDER]).expect("narrower");
    let ended = Statement::GrantEnded { grant: GrantId([9; 16]), reason: "收回".into() };
    county.enact(ended, &[1]).expect("one is enough");
    assert!(denied(county.enact(person(20, Role::Agent, YUNLING), &[51])), "its root has ended");
}

#[test]
fn a_log_of_another_founding_is_not_this_countys() {
    let county = County::founded();
    let mut stranger = CountyLog::new(county.log.county, EntryId([7; 32]));
    assert_eq!(stranger.take(&county.entries[0]), Err(LogError::OtherFounding));
    let mut mine = CountyLog::new(county.log.county, county.entries[0].id());
    assert_eq!(mine.take(&county.entries[0]), Ok(()));
}

#[test]
fn a_second_entry_at_a_position_that_is_taken_is_a_fork() {
    let mut county = County::founded();
    let act = county.act(vec![person(20, Role::Agent, YUNLING)], &[1, 2]);
    let one = county.entry(RELAY, &[], Statement::Act(act));
    let act = county.act(vec![person(21, Role::Agent, YUNLING)], &[1, 2]);
    let other = county.entry(RELAY, &[], Statement::Act(act));
    county.take(one.clone()).expect("the first");
    assert_eq!(county.log.take(&one), Ok(()), "what is in is passed over");
    assert_eq!(county.log.take(&other), Err(LogError::Forked));
}

/// The rule in its shortest form, to hold the real one against: how many administrators a
/// statement needs when nobody holds a grant.
fn needs(statement: &Statement) -> usize {
    match statement {
        Statement::DeviceRevoked { .. }
        | Statement::PersonRevoked { .. }
        | Statement::GrantEnded { .. }
        | Statement::ForkCleared { .. } => 1,
        _ => 2,
    }
}

fn any_statement() -> impl Strategy<Value = Statement> {
    prop_oneof![
        (20..30_u8, 1..9_u8).prop_map(|(n, role)| {
            let role = [
                Role::Agent,
                Role::Township,
                Role::Reviewer,
                Role::Finance,
                Role::It,
                Role::Security,
                Role::Audit,
                Role::DataOfficer,
            ][usize::from(role) - 1];
            person(n, role, YUNLING)
        }),
        (60..70_u8, 0..3_usize).prop_map(|(n, kind)| {
            let kinds = [DeviceKind::Village, DeviceKind::Township, DeviceKind::Relay];
            Statement::Device(device(n, kinds[kind], &[YUNLING]))
        }),
        Just(Statement::Roots { roots: vec![] }),
        Just(Statement::Places { places: places() }),
        (60..70_u8).prop_map(|n| Statement::DeviceRevoked {
            device: DeviceId([n; 16]),
            reason: String::new()
        }),
        (20..30_u8).prop_map(|n| Statement::PersonRevoked {
            person: PersonId([n; 16]),
            reason: String::new()
        }),
        Just(Statement::Constitution(constitution(&ADMINISTRATORS, 2))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn without_grants_the_number_of_administrators_decides(
        said in proptest::collection::vec(
            (any_statement(), proptest::collection::btree_set(prop_oneof![1..4_u8, 40..70_u8], 0..4)),
            1..8,
        ),
    ) {
        let mut county = County::founded();
        for (statement, by) in said {
            let agreeing = by.iter().filter(|n| ADMINISTRATORS.contains(n)).count();
            let by: Vec<u8> = by.into_iter().collect();
            let needed = needs(&statement);
            let taken = county.enact(statement.clone(), &by);
            prop_assert_eq!(taken.is_ok(), agreeing >= needed, "{:?} by {:?}", statement, by);
        }
        // Read anew, the log says the same.
        let mut again = CountyLog::new(county.log.county, county.entries[0].id());
        for entry in &county.entries {
            again.take(entry).expect("taken before");
        }
        prop_assert_eq!(again.head(), county.log.head());
        let keys: BTreeSet<_> = again.constitution().administrators.iter().map(|a| a.key).collect();
        prop_assert_eq!(keys.len(), 3);
    }
}

#[test]
fn a_rescue_is_read_within_its_bounds_only() {
    use super::{HELPERS_MAX, Helper, Rescue};
    use crate::event::encode;
    let helper =
        |n: u8, bytes: usize| Helper { key: PublicKey([n; 32]), sealed: vec![1; bytes].into() };
    let rescue = |helpers: Vec<Helper>| {
        let bytes = encode(&Rescue { person: PersonId([1; 16]), id: 7, helpers });
        Rescue::read(&bytes)
    };
    assert!(rescue(vec![helper(1, 88), helper(2, 88)]).is_ok());
    assert!(rescue(vec![]).is_err());
    assert!(rescue(vec![helper(2, 88), helper(1, 88)]).is_err(), "not sorted");
    assert!(rescue(vec![helper(1, 88), helper(1, 88)]).is_err(), "named twice");
    assert!(rescue(vec![helper(1, 257)]).is_err(), "too long");
    let many = u8::try_from(HELPERS_MAX).expect("few") + 1;
    assert!(rescue((1..=many).map(|n| helper(n, 88)).collect()).is_err(), "too many");
    assert!(Rescue::read(&[0xff; 40]).is_err());
}

#[test]
fn only_the_relay_and_colleagues_by_grant_may_help_with_a_forgotten_pin() {
    let named = |n: u8, role, place| {
        let Statement::Person(person) = person(n, role, place) else { unreachable!("a person") };
        Person { key: Some(secret(n).public()), ..person }
    };
    let agent = named(20, Role::Agent, YUNLING);
    let mut county = County::founded();
    let staff = [
        agent.clone(),
        named(HOLDER, Role::Township, TOWNSHIP),
        named(51, Role::Township, TOWNSHIP),
        named(52, Role::Township, OTHER_TOWNSHIP),
        named(53, Role::Agent, YUNLING),
    ];
    for person in &staff {
        county.enact(Statement::Person(person.clone()), &[1, 2]).expect("named");
    }
    assert_eq!(county.log.helpers_of(&agent), [secret(RELAY).public()], "nobody by grant yet");
    for (id, holder) in [(1, HOLDER), (2, 52), (3, 53), (4, 20)] {
        let grant = grant(id, holder, &[Power::Agents], &[]);
        county.enact(Statement::Grant(grant), &[1, 2]).expect("granted");
    }
    let elsewhere = grant(5, 51, &[Power::Agents], &[FAR]);
    county.enact(Statement::Grant(elsewhere), &[1, 2]).expect("granted");
    let mut expected = vec![secret(RELAY).public(), secret(HOLDER).public()];
    expected.sort();
    assert_eq!(county.log.helpers_of(&agent), expected);
    assert!(county.log.may_help(&staff[1], &agent));
    assert!(!county.log.may_help(&staff[1], &staff[2]), "the grant does not name township staff");
    county.now_ms += 40 * DAY_MS;
    county.enact(person(60, Role::Agent, YUNLING), &[1, 2]).expect("time goes on in the log");
    assert_eq!(county.log.helpers_of(&agent), [secret(RELAY).public()], "the grant is over");
}
