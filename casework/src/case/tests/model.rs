//! Who may do what, written down a second time as a table, and held against the real thing.

use super::desk::*;
use crate::case::state::{Opened, SupplementRound};
use crate::case::{CaseState, Phase, Reason, Record, Verdict, authenticate, authorise};
use crate::county::{Device, DeviceKind, Person, Post, Role, Statement};
use crate::entry::{Entry, Kind, Signers};
use crate::event::{Defect, Event, Handover, Level, Step, encode};
use crate::ids::{AttachmentId, EntryId, PlaceId, SubjectId};
use proptest::prelude::*;
use proptest::sample::select;

const WHO: u8 = 40;
const WHERE: u8 = 41;
const RESIDENT: SubjectId = SubjectId([0x5e; 16]);
const RIVAL: EntryId = EntryId([9; 32]);

/// Whose business a step is.
#[derive(Clone, Copy, PartialEq)]
enum Office {
    /// The village's agent or its township.
    Front,
    Town,
    County,
    /// Whoever holds the case.
    Holder,
    Accepts,
    Decides,
    /// Whoever made the decision that is now carried out.
    Closes,
}

use Office::*;
use Phase::*;

const ALL_OPEN: &[Phase] = &[
    Received,
    TownshipTaken,
    Forwarded,
    Supplementing,
    Accepted,
    Approved,
    Denied,
    Completed,
    Delivered,
    Rated,
];

/// Step, where in the life of a case it may come, and whose business it is.
const TABLE: [(&str, &[Phase], Office); 18] = [
    ("submitted", &[Draft], Front),
    ("withdrawn", &[Draft, Received, TownshipTaken, Forwarded, Supplementing, Accepted], Front),
    ("taken", &[Received], Town),
    ("forwarded", &[TownshipTaken], Town),
    ("asked", &[TownshipTaken, Forwarded], Holder),
    ("given", &[Supplementing], Front),
    ("promised", ALL_OPEN, Front),
    ("accepted", &[TownshipTaken, Forwarded], Accepts),
    ("refused", &[TownshipTaken, Forwarded], Accepts),
    ("approved", &[Accepted], Decides),
    ("denied", &[Accepted], Decides),
    ("completed", &[Approved, Denied, Refused], Closes),
    ("delivered", &[Completed], Front),
    ("rated", &[Delivered], Front),
    ("archived", &[Rated, Delivered], Front),
    ("taken over", &[Received, TownshipTaken, Forwarded], County),
    ("resolved", &[Contested], County),
    ("opened", &[], Front),
];

/// One question to authority.
#[derive(Clone, Debug)]
struct Asked {
    step: &'static str,
    /// The details of the step are those that the state asks for.
    fits: bool,
    /// Nothing has happened to the case yet.
    new: bool,
    phase: Phase,
    holder: Level,
    accept: Level,
    decide: Level,
    role: Role,
    post: PlaceId,
    department: bool,
    device: DeviceKind,
    places: Vec<PlaceId>,
    has_key: bool,
    kin: bool,
    chain: bool,
    /// Revoked after the author's position of the log; `Some(true)`: before it.
    device_revoked: Option<bool>,
    person_revoked: Option<bool>,
    /// A relay had it: before everything that was revoked, or after; or none is known to.
    witnessed: Option<bool>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let levels = || select(vec![Level::Township, Level::County]);
    let revoked = || prop_oneof![8 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let places = select(vec![vec![YUNLING], vec![LONGTAN], vec![YUNLING, LONGTAN], vec![]]);
    let case = (
        select(TABLE.map(|row| row.0).to_vec()),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.1),
        select(Phase::ALL.to_vec()),
        select(vec![Level::Village, Level::Township, Level::County]),
        levels(),
        levels(),
    );
    let who = (
        select(vec![Role::Agent, Role::Township, Role::Reviewer, Role::It]),
        select(vec![COUNTY, TOWNSHIP, YUNLING, LONGTAN]),
        prop::bool::weighted(0.8),
        select(vec![DeviceKind::Relay, DeviceKind::Township, DeviceKind::Village]),
        places,
        prop::bool::weighted(0.7),
    );
    let apart = (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        revoked(),
        revoked(),
        proptest::option::of(any::<bool>()),
    );
    let often = || prop::bool::weighted(0.8);
    let likely = (often(), often(), often(), any::<prop::sample::Index>());
    let asked = (case, who, apart).prop_map(|(case, who, apart)| Asked {
        step: case.0,
        fits: case.1,
        new: case.2,
        phase: case.3,
        holder: case.4,
        accept: case.5,
        decide: case.6,
        role: who.0,
        post: who.1,
        department: who.2,
        device: who.3,
        places: who.4,
        has_key: who.5,
        kin: apart.0,
        chain: apart.1,
        device_revoked: apart.2,
        person_revoked: apart.3,
        witnessed: apart.4,
    });
    // Else hardly anything would be allowed.
    (asked, likely).prop_map(|(mut asked, (in_time, at_their_desk, in_office, any))| {
        let row = TABLE.iter().find(|row| row.0 == asked.step).expect("in the table");
        if in_time && !row.1.is_empty() {
            asked.phase = row.1[any.index(row.1.len())];
            asked.new = false;
        }
        if at_their_desk {
            let (device, post) = match asked.role {
                Role::Agent => (DeviceKind::Village, YUNLING),
                Role::Township => (DeviceKind::Township, TOWNSHIP),
                _ => (DeviceKind::Relay, COUNTY),
            };
            (asked.device, asked.post, asked.places) = (device, post, vec![YUNLING]);
        }
        if in_office {
            (asked.device_revoked, asked.person_revoked, asked.has_key) = (None, None, true);
        }
        asked
    })
}

/// What the table says.
fn model(a: &Asked) -> Verdict {
    use Verdict::Quarantine;
    let relay = a.device == DeviceKind::Relay;
    for (revoked, why) in
        [(a.device_revoked, Reason::DeviceRevoked), (a.person_revoked, Reason::PersonRevoked)]
    {
        match (revoked, a.witnessed) {
            (Some(true), _) => return Quarantine(why),
            (Some(false), Some(false)) if !relay => return Quarantine(why),
            (Some(false), None) if !relay => return Verdict::Pending(Reason::Unwitnessed),
            _ => {}
        }
    }
    if !a.has_key && !relay {
        return Quarantine(Reason::BadSignature);
    }
    if a.new && a.step != "opened" {
        return Quarantine(Reason::NotNow);
    }
    if !relay && !a.places.contains(&YUNLING) {
        return Quarantine(Reason::OutOfScope);
    }
    // Once at the county, a case is the county's.
    let office = |named| if a.holder == Level::County { Level::County } else { named };
    let (_, phases, whose) = TABLE.iter().find(|row| row.0 == a.step).expect("in the table");
    let mut now = if a.step == "opened" { a.new } else { phases.contains(&a.phase) && a.fits };
    if *whose == Accepts {
        let at_town = office(a.accept) == Level::Township;
        now &= a.phase == if at_town { TownshipTaken } else { Forwarded };
    }
    if !now {
        return Quarantine(Reason::NotNow);
    }
    let front = a.role == Role::Agent && a.post == YUNLING && !relay;
    let town = a.role == Role::Township && a.post == TOWNSHIP && a.device == DeviceKind::Township;
    let county = a.role == Role::Reviewer && a.department && relay && !a.new;
    let at = |level| match level {
        Level::Village => front,
        Level::Township => town,
        Level::County => county,
    };
    let may = match whose {
        Front => front || town,
        Town => town,
        County => county,
        Holder => at(a.holder),
        Accepts => at(office(a.accept)),
        Closes if a.phase == Refused => at(office(a.accept)),
        Decides | Closes => at(office(a.decide)),
    };
    let decides = ["approved", "denied", "refused"].contains(&a.step);
    match () {
        () if !may => Quarantine(Reason::NoPost),
        () if decides && a.chain && !a.new => Quarantine(Reason::OwnCase),
        () if (decides || a.step == "resolved") && a.kin => Quarantine(Reason::Kin),
        () => Verdict::Accept,
    }
}

fn state(a: &Asked) -> CaseState {
    if a.new {
        return CaseState::default();
    }
    let mut route = by_county();
    (route.accept, route.decide) = (a.accept, a.decide);
    let opened = Opened {
        number: "000470000015".into(),
        place: YUNLING,
        resident: RESIDENT,
        item: "senior-allowance".into(),
        catalogue: "2026-11".into(),
        route,
    };
    let mut state = CaseState {
        opened: Some(opened),
        phase: a.phase,
        holder: a.holder,
        term: 3,
        rivals: vec![RIVAL],
        ..CaseState::default()
    };
    if a.phase == Supplementing {
        state.supplements.push(SupplementRound {
            round: 1,
            defects: vec![],
            due: "2026-12-01".into(),
            asked_by: Level::County,
            back_to: Forwarded,
            given: None,
        });
    }
    if a.chain {
        state.chain.insert(person_id(WHO));
    }
    state
}

fn step(a: &Asked) -> Step {
    let text = String::new;
    let (same, next) = if a.fits { (3, 4) } else { (4, 3) };
    match a.step {
        "opened" => opened(YUNLING, by_county()),
        "submitted" => submitted(),
        "withdrawn" => Step::Withdrawn { reason: text() },
        "taken" => Step::Taken,
        "forwarded" => Step::Forwarded { opinion: text(), term: next },
        "asked" => {
            let defect = Defect { material: "id-card".into(), reason: text() };
            let defects = if a.fits { vec![defect] } else { vec![] };
            Step::SupplementAsked { defects, due: text(), calendar: text() }
        }
        "given" => Step::SupplementGiven { round: if a.fits { 1 } else { 2 }, attachments: vec![] },
        "promised" => Step::SupplementGiven { round: 0, attachments: vec![] },
        "accepted" => accepted(same),
        "refused" => Step::Refused { term: same, reason: text(), remedy: text() },
        "approved" => Step::Approved { term: same, opinion: text() },
        "denied" => Step::Denied { term: same, reason: text(), remedy: text() },
        "completed" => Step::Completed,
        "delivered" => {
            let proof = AttachmentId([7; 32]);
            Step::Delivered { to: Handover::Applicant, receiver: text(), proof }
        }
        "rated" => Step::Rated { stars: Some(if a.fits { 5 } else { 6 }), words: text() },
        "archived" => Step::Archived,
        "taken over" => Step::TakenOver { term: next, reason: text() },
        "resolved" => {
            let keep = if a.fits { RIVAL } else { EntryId([8; 32]) };
            Step::Resolved { keep, reason: text() }
        }
        other => unreachable!("no step is called {other}"),
    }
}

/// Steps of which there is only one form.
fn has_one_form(step: &str) -> bool {
    let forms = [
        "submitted",
        "withdrawn",
        "taken",
        "promised",
        "completed",
        "delivered",
        "archived",
        "opened",
    ];
    forms.contains(&step)
}

/// What the program says, from the signed entry on.
fn real(a: &Asked) -> Verdict {
    let mut county = county();
    say(
        &mut county,
        Statement::Device(Device {
            id: device_id(WHERE),
            key: secret(WHERE).public(),
            kind: a.device,
            name: "device".into(),
            places: a.places.clone(),
            phone: String::new(),
        }),
    );
    let department = if a.department { DEPARTMENT } else { "县卫生健康局" };
    let department = (a.role == Role::Reviewer).then(|| department.to_owned());
    say(
        &mut county,
        Statement::Person(Person {
            id: person_id(WHO),
            login: "who".into(),
            name: "who".into(),
            key: a.has_key.then(|| secret(WHO).public()),
            posts: vec![Post { role: a.role, place: a.post, department }],
            phone: String::new(),
            kin: a.kin.then(|| vec![RESIDENT]),
            keys: None,
        }),
    );
    let before = county.head().position;
    let mut revoke = |when: bool| {
        let reason = || "离岗".to_owned();
        if a.device_revoked == Some(when) {
            let device = device_id(WHERE);
            say(&mut county, Statement::DeviceRevoked { device, reason: reason() });
        }
        if a.person_revoked == Some(when) {
            let person = person_id(WHO);
            say(&mut county, Statement::PersonRevoked { person, reason: reason() });
        }
        county.head()
    };
    let head = revoke(true);
    let last = revoke(false).position;
    let header = header(1, Some(WHO), WHERE, head);
    let event = Event { after: vec![], heads: vec![], digest: None, step: step(a) };
    let (device, person) = (secret(WHERE), secret(WHO));
    let signers =
        Signers { device: &device, person: a.has_key.then_some(&person), authority: None };
    let entry = Entry::sign(SubjectId([0xca; 16]), Kind::Event, header, encode(&event), signers);
    let entry = entry.expect("a small entry");
    let witnessed = a.witnessed.map(|early| if early { before } else { last + 1 });
    match authenticate(&entry, &county, witnessed) {
        Ok(attestation) => {
            let (id, header) = (entry.id(), entry.header().clone());
            authorise(&Record { id, header, event, attestation }, &state(a), &county)
        }
        Err(verdict) => verdict,
    }
}

#[test]
fn the_table_and_the_program_meet_every_verdict() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut met = std::collections::BTreeMap::new();
    for _ in 0..4000 {
        let asked = asked().new_tree(&mut runner).expect("a question").current();
        *met.entry(format!("{:?}", model(&asked))).or_insert(0) += 1;
    }
    for name in [
        "Accept",
        "NotNow",
        "NoPost",
        "OutOfScope",
        "OwnCase",
        "Kin",
        "DeviceRevoked",
        "PersonRevoked",
        "Unwitnessed",
        "BadSignature",
    ] {
        assert!(met.keys().any(|verdict| verdict.contains(name)), "never {name}: {met:?}");
    }
}

proptest! {
    #[test]
    fn authorise_and_the_table_of_who_may_do_what_agree(mut asked in asked()) {
        asked.fits |= has_one_form(asked.step);
        prop_assert_eq!(real(&asked), model(&asked));
    }
}
