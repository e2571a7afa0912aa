//! What it tries. Each attack has a control: an honest entry that must come through beside it.

use crate::line::{Evil, SILENCE, WAIT};
use anyhow::{Context, Result, ensure};
use cunkou_casework::county::{Device, DeviceKind, Numbered, Statement};
use cunkou_casework::entry::{Entry, Kind, change_id};
use cunkou_casework::event::{Event, Level, Route, Step, Witness, encode};
use cunkou_casework::ids::{DeviceId, EntryId, PersonId, Scope, SubjectId};
use cunkou_engine::{FRAME_BYTES_MAX, Frame};
use cunkou_tests::agent::Dice;
use std::time::{Duration, Instant};

/// One attack never takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);
/// So many saves make the flood: more than the burst of 2,000 that a box may send at once.
const FLOOD: usize = 2_600;
/// How long the flood is watched.
const WATCHED: Duration = Duration::from_secs(20);

/// So many changed changes: far from what a box is suspended for.
const MUTATED: usize = 200;

const HOSTILE: [&[u8]; 5] = [
    include_bytes!("../../sync/guard/tests/data/change-list-1000000-nulls.bin"),
    include_bytes!("../../sync/guard/tests/data/change-nested-1000.bin"),
    include_bytes!("../../sync/guard/tests/data/doc-mutated-2gib-alloc.bin"),
    include_bytes!("../../sync/guard/tests/data/doc-nested-10000.bin"),
    include_bytes!("../../sync/guard/tests/data/doc-text-5000000.bin"),
];

/// What came of an attack.
pub(crate) struct Found {
    pub(crate) held: bool,
    pub(crate) words: String,
}

impl Found {
    pub(crate) fn not_held(words: String) -> Self {
        Self { held: false, words }
    }
}

fn found(held: bool, words: impl Into<String>) -> Result<Found> {
    Ok(Found { held, words: words.into() })
}

#[derive(Clone, Copy)]
enum Which {
    ForgeApproval,
    Replay,
    OutOfScopeWrite,
    OutOfScopeRead,
    SameNumberTwice,
    GarbageFrames,
    OversizedFrame,
    HostileChange,
    MutatedChanges,
    TokenTwice,
    UnknownCountyStatement,
    FakeWitness,
    Flood,
}

/// An attack.
#[derive(Clone, Copy)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) tries: &'static str,
    which: Which,
}

const fn attack(name: &'static str, tries: &'static str, which: Which) -> Attack {
    Attack { name, tries, which }
}

/// All of them. The flood is the last: it uses up what this box may send.
pub(crate) const ALL: [Attack; 13] = [
    attack(
        "forge-approval",
        "an approval in the relay's and in a reviewer's name, signed by this box",
        Which::ForgeApproval,
    ),
    attack("replay", "a signed entry of one case, its case replaced by another", Which::Replay),
    attack(
        "out-of-scope-write",
        "entries about a village that this box does not serve",
        Which::OutOfScopeWrite,
    ),
    attack(
        "out-of-scope-read",
        "asking for the cases and photos of villages that it does not serve",
        Which::OutOfScopeRead,
    ),
    attack(
        "same-number-twice",
        "two different entries under one number of this box",
        Which::SameNumberTwice,
    ),
    attack("garbage-frames", "bytes that are no frame, 20 times", Which::GarbageFrames),
    attack(
        "oversized-frame",
        "a frame said to have 4 GiB, and one of 1 MiB and a byte",
        Which::OversizedFrame,
    ),
    attack(
        "hostile-change",
        "changes that expand to gigabytes or nest without end, correctly signed",
        Which::HostileChange,
    ),
    attack(
        "mutated-changes",
        "real changes with bytes of them changed and the checksum made to fit again, beside real \
         ones of the same case",
        Which::MutatedChanges,
    ),
    attack("token-twice", "the same enrolment file once more, with another key", Which::TokenTwice),
    attack(
        "unknown-county-statement",
        "a statement of the county, made by this box, that gives it another village",
        Which::UnknownCountyStatement,
    ),
    attack(
        "fake-witness",
        "a witness that only a relay may give, in this box's and in the relay's name",
        Which::FakeWitness,
    ),
    attack("flood", "2,600 saves of cases that nobody knows, as fast as it goes", Which::Flood),
];

impl Attack {
    pub(crate) async fn run(&self, evil: &Evil) -> Result<Found> {
        match self.which {
            Which::ForgeApproval => forge_approval(evil).await,
            Which::Replay => replay(evil).await,
            Which::OutOfScopeWrite => out_of_scope_write(evil).await,
            Which::OutOfScopeRead => out_of_scope_read(evil).await,
            Which::SameNumberTwice => same_number_twice(evil).await,
            Which::GarbageFrames => garbage_frames(evil).await,
            Which::OversizedFrame => oversized_frame(evil).await,
            Which::HostileChange => hostile_change(evil).await,
            Which::MutatedChanges => mutated_changes(evil).await,
            Which::TokenTwice => token_twice(evil).await,
            Which::UnknownCountyStatement => unknown_county_statement(evil).await,
            Which::FakeWitness => fake_witness(evil).await,
            Which::Flood => flood(evil).await,
        }
    }
}

/// The relay as the county log knows it.
fn relay(evil: &Evil) -> Result<DeviceId> {
    let mut devices = evil.county.devices();
    let relay = devices.find(|device| device.kind == DeviceKind::Relay);
    Ok(relay.context("no relay in the county log")?.id)
}

/// Forged entries with an honest one behind them: none but the honest one may be taken in.
async fn none_taken(evil: &Evil, forged: &[Entry], what: &str) -> Result<Found> {
    let taken = evil.taken(forged).await?;
    let through = forged.iter().filter(|entry| taken.contains(&entry.id())).count();
    if through > 0 {
        return found(false, format!("took in {through} of {} {what}", forged.len()));
    }
    let words =
        format!("set aside {0} of {0} {what} and took the honest entry behind them", forged.len());
    found(true, words)
}

async fn forge_approval(evil: &Evil) -> Result<Found> {
    let step = Step::Approved { term: 1, opinion: "同意".into() };
    let payload = encode(&Event { after: vec![], heads: vec![], digest: None, step });
    let relay = relay(evil)?;
    let case = SubjectId([0xe1; 16]);
    let mut names: Vec<(Option<PersonId>, DeviceId)> = vec![(None, relay)];
    let people: Vec<PersonId> = evil.county.people().map(|person| person.id).take(20).collect();
    names.extend(people.iter().flat_map(|id| [(Some(*id), relay), (Some(*id), evil.device)]));
    let forged = names
        .into_iter()
        .map(|by| evil.entry(case, Kind::Event, by, payload.clone()))
        .collect::<Result<Vec<_>>>()?;
    none_taken(evil, &forged, "forged approvals").await
}

async fn replay(evil: &Evil) -> Result<Found> {
    let original = evil.honest("replayed")?;
    let taken = evil.taken(std::slice::from_ref(&original)).await?;
    ensure!(taken.contains(&original.id()), "the relay did not take the original");
    let (mut moved, case) = (original.encode(), original.subject().0);
    let at = moved.windows(16).position(|part| part == case).context("the case's name")?;
    moved[at..at + 16].copy_from_slice(&[0xe2; 16]);
    none_taken(evil, &[Entry::decode(&moved)?], "replayed entries").await
}

async fn out_of_scope_write(evil: &Evil) -> Result<Found> {
    let Some((scope, place)) = evil.foreign() else {
        return found(true, "serves one village only: nothing to try");
    };
    let route = Route {
        take: Level::Township,
        accept: Level::County,
        decide: Level::County,
        department: "县民政局".into(),
    };
    let step = Step::Opened {
        number: "000470000015".into(),
        place,
        resident: SubjectId([1; 16]),
        item: "senior-allowance".into(),
        catalogue: "x".into(),
        route,
    };
    let payload = encode(&Event { after: vec![], heads: vec![], digest: None, step });
    let by = (None, evil.device);
    let opening = evil.entry(SubjectId([0xe3; 16]), Kind::Event, by, payload)?;
    let inside = none_taken(evil, &[opening], "cases of another village in its own log").await?;
    let mut scopes = evil.scopes();
    scopes.push(scope.clone());
    let mut talk = evil.talk(&scopes).await?;
    talk.entries(&scope, 1, vec![evil.honest("foreign")?.encode()]).await?;
    let end = talk.end().await;
    let words = format!("{}; to the other village's log it {end}", inside.words);
    found(inside.held && !talk.is_open(), words)
}

async fn out_of_scope_read(evil: &Evil) -> Result<Found> {
    let places = evil.county.places().map(|place| Scope::Place(place.id));
    let looks = evil.county.devices().map(|device| Scope::Upward(device.id));
    let all: Vec<String> = places.chain(looks).map(|scope| scope.to_string()).collect();
    let mut talk = evil.talk(&all).await?;
    let mut named: Vec<String> = talk
        .hello
        .as_ref()
        .map(|hello| hello.scopes.iter().map(|s| s.scope.clone()).collect())
        .unwrap_or_default();
    while let Some(frame) = talk.hear(SILENCE).await {
        if let Frame::Entries { scope, upto, .. } = frame {
            named.push(scope.clone());
            talk.say(&Frame::Ack { scope, upto }).await?;
        }
    }
    named.retain(|scope| !evil.is_own(scope));
    let mut photos = 0;
    for n in 0..16 {
        photos += talk.photo([n; 32]).await?;
    }
    let asked = all.len();
    let words = format!(
        "was asked for {asked} places and boxes' looks and 16 photos, spoke of {} that are not this box's, and \
         gave {photos} bytes of photos",
        named.len()
    );
    found(named.is_empty() && photos == 0, words)
}

async fn same_number_twice(evil: &Evil) -> Result<Found> {
    let by = (None, evil.device);
    let subject = SubjectId([0xe4; 16]);
    let twice = ["one", "two"]
        .map(|value| evil.numbered(subject, Kind::Edit, by, evil.change(value)?, 1 << 30));
    let twice = twice.into_iter().collect::<Result<Vec<_>>>()?;
    let taken = evil.taken(&twice).await?;
    let taken = twice.iter().filter(|entry| taken.contains(&entry.id())).count();
    found(
        evil.alive().await,
        format!(
            "took {taken} in and goes on; that it has named this box as one with two histories is \
             not told to the box; it stands on its page of boxes and in its status"
        ),
    )
}

async fn garbage_frames(evil: &Evil) -> Result<Found> {
    let (mut closed, mut last) = (0, String::new());
    for n in 0..20u8 {
        let mut talk = evil.talk(&evil.scopes()).await?;
        let garbage: Vec<u8> = (0..200u8).map(|i| i.wrapping_mul(31) ^ n).collect();
        talk.bytes(&garbage).await?;
        last = talk.end().await;
        closed += u32::from(!talk.is_open());
    }
    let alive = evil.alive().await;
    found(
        closed == 20 && alive,
        format!("ended {closed} of 20 conversations (it {last}) and goes on"),
    )
}

async fn oversized_frame(evil: &Evil) -> Result<Found> {
    let mut ends = Vec::new();
    for length in [u32::MAX, u32::try_from(FRAME_BYTES_MAX)? + 1] {
        let mut talk = evil.talk(&evil.scopes()).await?;
        // The relay may end it while this is on its way.
        let _ = talk.unframed(&[&length.to_be_bytes()[..], &[0; 4096]].concat()).await;
        let end = talk.end().await;
        ends.push((!talk.is_open(), end));
    }
    let held = ends.iter().all(|(closed, _)| *closed) && evil.alive().await;
    let words: Vec<String> = ends.into_iter().map(|(_, end)| end).collect();
    found(held, words.join("; "))
}

async fn hostile_change(evil: &Evil) -> Result<Found> {
    let by = (None, evil.device);
    let mut sent = 0;
    for (n, file) in (0..).zip(HOSTILE) {
        // A whole document in the place of a change cannot even be signed as one.
        if change_id(file).is_ok() {
            let subject = SubjectId([0xd0 + n; 16]);
            let entry = evil.entry(subject, Kind::Edit, by, file.to_vec())?;
            evil.taken(&[entry]).await?;
            sent += 1;
        }
    }
    let begun = Instant::now();
    let alive = evil.alive().await;
    let words = format!(
        "received {sent} of them, took the honest entry behind each, and said hello again after \
         {} ms",
        begun.elapsed().as_millis()
    );
    found(alive && sent > 0, words)
}

/// A change with some bytes of its body changed, and the checksum that fits then.
fn mutated(change: &[u8], dice: &mut Dice) -> Vec<u8> {
    // Magic, checksum, type, and the length in LEB128; then the body.
    const CHECKSUM: std::ops::Range<usize> = 4..8;
    let body = 9 + change[9..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let mut bytes = change.to_vec();
    for _ in 0..=dice.below(3) {
        let at = body + usize::try_from(dice.below((bytes.len() - body) as u64)).unwrap_or(0);
        bytes[at] = match dice.below(3) {
            0 => bytes[at] ^ 1 << dice.below(8),
            1 => [0, 0x7f, 0x80, 0xff][usize::try_from(dice.below(4)).unwrap_or(0)],
            _ => u8::try_from(dice.below(256)).unwrap_or(0),
        };
    }
    let sum = ring::digest::digest(&ring::digest::SHA256, &bytes[CHECKSUM.end..]);
    bytes[CHECKSUM].copy_from_slice(&sum.as_ref()[..4]);
    bytes
}

async fn mutated_changes(evil: &Evil) -> Result<Found> {
    let mut dice = Dice::new(20);
    let by = (None, evil.device);
    let case = SubjectId([0xe5; 16]);
    let real = evil.changes(&["1", "2", "3", "4"])?;
    let mut sent = 0;
    for (n, change) in real.iter().enumerate() {
        let mut entries = Vec::new();
        while entries.len() < MUTATED / real.len() {
            let bytes = mutated(change, &mut dice);
            if bytes != *change && change_id(&bytes).is_ok() {
                entries.push(evil.entry(case, Kind::Edit, by, bytes)?);
            }
        }
        sent += entries.len();
        // Before them the one that was made: what came before a wrong one stays, and what comes
        // after it builds on that.
        let honest = evil.entry(case, Kind::Edit, by, change.clone())?;
        entries.insert(0, honest.clone());
        let taken = evil.taken(&entries).await?;
        if !taken.contains(&honest.id()) {
            return found(false, format!("did not take change {n} of the case among others"));
        }
    }
    found(
        evil.alive().await,
        format!("received {sent} of them, took the real changes among them, and goes on"),
    )
}

async fn token_twice(evil: &Evil) -> Result<Found> {
    match evil.enrol_again().await? {
        Ok(_) => found(false, "enrolled a second box with it"),
        Err(why) => found(true, why.to_string()),
    }
}

async fn unknown_county_statement(evil: &Evil) -> Result<Found> {
    let head = evil.county.head();
    let me = evil.county.device(evil.device).context("this box in the county log")?;
    let places = evil.county.places().map(|place| place.id).take(50).collect();
    let wider = Statement::Device(Device { places, ..me.clone() });
    let numbered = Numbered { position: head.position + 1, previous: head.head, statement: wider };
    let by = (None, evil.device);
    let forged = evil.entry(evil.county.county, Kind::County, by, encode(&numbered))?;
    let mut talk = evil.talk(&evil.scopes()).await?;
    talk.entries("system", 1, vec![forged.encode()]).await?;
    // Acknowledged once it is on the relay's disk, whatever it is worth.
    let mut kept = false;
    let end = tokio::time::Instant::now() + WAIT;
    while !kept && tokio::time::Instant::now() < end {
        match talk.hear(WAIT).await {
            Some(Frame::Ack { scope, .. }) => kept = scope == "system",
            Some(Frame::Entries { scope, upto, .. }) => {
                talk.say(&Frame::Ack { scope, upto }).await?
            }
            Some(_) => {}
            None => break,
        }
    }
    ensure!(kept, "the relay did not answer: {}", talk.end().await);
    let all: Vec<String> =
        evil.county.places().map(|place| format!("place:{}", place.id)).collect();
    talk.leave();
    let hello = evil.talk(&all).await?.hello.context("a hello")?;
    let more = hello.scopes.iter().filter(|s| !evil.is_own(&s.scope)).count();
    found(more == 0, format!("kept it aside; this box serves {more} more villages than before"))
}

async fn fake_witness(evil: &Evil) -> Result<Found> {
    let witness = |entries| encode(&Witness { entries, log: [1; 16], position: 1, time_ms: 1 });
    let before = evil.quarantine()?;
    let honest = evil.honest("witnessed by nobody")?;
    let forged = [
        evil.entry(
            honest.subject(),
            Kind::Witness,
            (None, evil.device),
            witness(vec![honest.id()]),
        )?,
        evil.entry(
            honest.subject(),
            Kind::Witness,
            (None, relay(evil)?),
            witness(vec![EntryId([9; 32])]),
        )?,
    ];
    evil.taken(&forged).await?;
    match (before, evil.quarantine()?) {
        (Some(before), Some(after)) => {
            let words = format!("put {} of 2 into quarantine", after.saturating_sub(before));
            found(after == before + 2, words)
        }
        _ => found(
            evil.alive().await,
            "goes on; what it made of them shows in its status alone: give --data to look",
        ),
    }
}

async fn flood(evil: &Evil) -> Result<Found> {
    let scope = evil.scopes().pop().context("this box serves no village")?;
    let entries: Vec<Vec<u8>> = (0..FLOOD)
        .map(|n| evil.honest(&format!("flood {n}")).map(|entry| entry.encode()))
        .collect::<Result<_>>()?;
    let mut talk = evil.talk(&evil.scopes()).await?;
    let (begun, mut acked, mut upto) = (Instant::now(), 0, 0);
    'flood: for part in entries.chunks(200) {
        upto += part.len() as u64;
        talk.entries(&scope, upto, part.to_vec()).await?;
        loop {
            let Some(left) = WATCHED.checked_sub(begun.elapsed()) else { break 'flood };
            match talk.hear(left).await {
                Some(Frame::Ack { scope: of, upto }) if of == scope => {
                    acked = upto;
                    break;
                }
                Some(Frame::Entries { scope, upto, .. }) => {
                    talk.say(&Frame::Ack { scope, upto }).await?;
                }
                Some(_) => {}
                None => break 'flood,
            }
        }
    }
    let took = begun.elapsed().as_secs();
    talk.leave();
    let alive = evil.alive().await;
    let words = format!(
        "took {acked} of {FLOOD} within {took} s, then made this box wait; {}",
        if alive { "it still says hello" } else { "it says nothing any more" }
    );
    found(alive && acked < FLOOD as u64, words)
}
