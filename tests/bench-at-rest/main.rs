//! What encryption costs: the same work on a plain and on an encrypted store, turn and turn about.
//! JSON lines; nothing fails on time.
//!
//! `cargo run --release -p cunkou-tests --bin bench-at-rest`

use anyhow::Result;
use cunkou_casework::county::{Device, DeviceKind, Person, Place, Post, Role, Statement};
use cunkou_casework::document::{Section, Write};
use cunkou_casework::event::{Filer, Level, Route, Step};
use cunkou_casework::ids::{DeviceId, PersonId, PlaceId, SubjectId};
use cunkou_casework::resident::Resident;
use cunkou_casework::suite::{SecretKey, attachment_id};
use cunkou_engine::Part;
use cunkou_keys::Key;
use cunkou_replica::{ActError, Authority, Guard, Membership, Replica, SystemWorld, Who};
use cunkou_store::{Lock, PeerRow, Store};
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

const VILLAGE: PlaceId = PlaceId(11);
const RESIDENTS: u32 = 5000;
const ROUNDS: usize = 200;

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn membership(n: u8) -> Membership {
    Membership {
        device: DeviceId([n; 16]),
        key: secret(n),
        county: SubjectId([0xc0; 16]),
        anchor: secret(99).public().into(),
        index_secret: [0x5e; 32],
    }
}

fn device(n: u8, kind: DeviceKind) -> Statement {
    Statement::Device(Device {
        id: DeviceId([n; 16]),
        key: secret(n).public(),
        kind,
        name: format!("device {n}"),
        places: if kind == DeviceKind::Relay { vec![] } else { vec![VILLAGE] },
        phone: String::new(),
    })
}

fn statements() -> Vec<Statement> {
    let place = |id, level, name: &str, parent| Place {
        id,
        level,
        code: String::new(),
        name: name.into(),
        name_en: String::new(),
        parent,
    };
    let places = vec![
        place(PlaceId(1), Level::County, "清河县", None),
        place(PlaceId(2), Level::Township, "云岭镇", Some(PlaceId(1))),
        place(VILLAGE, Level::Village, "云岭村", Some(PlaceId(2))),
    ];
    vec![
        Statement::Founded { name: "清河县".into(), authority: secret(99).public() },
        Statement::Places { places },
        device(1, DeviceKind::Village),
        device(2, DeviceKind::Village),
        device(3, DeviceKind::Relay),
        Statement::Numbers { device: DeviceId([1; 16]), blocks: vec![1] },
        Statement::Person(Person {
            id: PersonId([21; 16]),
            login: "li".into(),
            name: "李建国".into(),
            key: Some(secret(21).public()),
            posts: vec![Post { role: Role::Agent, place: VILLAGE, department: None }],
            phone: String::new(),
            keys: None,
            kin: None,
        }),
    ]
}

struct Side {
    folder: TempDir,
    lock: Lock,
    replica: Replica,
    cases: Vec<SubjectId>,
}

impl Side {
    fn new(lock: Lock) -> Result<Self> {
        let folder = TempDir::new()?;
        let replica = Replica::open(
            folder.path(),
            &lock,
            membership(1),
            Arc::new(SystemWorld),
            Guard::in_this_process(),
        )?;
        replica.state(&Authority(secret(99)), statements())?;
        let key = secret(21);
        let who = Who { person: PersonId([21; 16]), key: Some(&key) };
        for part in 0..RESIDENTS / 500 {
            replica.act(|desk| -> Result<(), ActError> {
                for i in part * 500..(part + 1) * 500 {
                    let resident = Resident {
                        name: format!(
                            "{}{}",
                            ["张", "王", "李", "赵"][i as usize % 4],
                            ["秀兰", "建军", "文林"][i as usize % 3]
                        ),
                        phone: format!("139{i:08}"),
                        group: (i % 6).to_string(),
                        ..Resident::default()
                    };
                    let subject = SubjectId(desk.random());
                    desk.event(subject, who, Step::ResidentAdded { place: VILLAGE })?;
                    desk.edit(subject, who, &resident.writes())?;
                }
                Ok(())
            })?;
        }
        Ok(Self { folder, lock, replica, cases: Vec::new() })
    }

    fn submit(&mut self, i: usize) -> Result<()> {
        let key = secret(21);
        let who = Who { person: PersonId([21; 16]), key: Some(&key) };
        let case = self.replica.act(|desk| -> Result<SubjectId, ActError> {
            let case = desk.open_case(who, |number| Step::Opened {
                number,
                place: VILLAGE,
                resident: SubjectId([0x11; 16]),
                item: "S1-gaoling".into(),
                catalogue: "2026-11".into(),
                route: Route {
                    take: Level::Township,
                    accept: Level::County,
                    decide: Level::County,
                    department: "县民政局".into(),
                },
            })?;
            let writes: Vec<Write> = (0..20)
                .map(|n| Write::set(Section::Form, format!("field{n}"), format!("value {i} {n}")))
                .collect();
            desk.edit(case, who, &writes)?;
            let filer = Filer::Applicant;
            desk.event(
                case,
                who,
                Step::Submitted { filer, attachments: vec![], deferred: vec![] },
            )?;
            Ok(case)
        })?;
        self.cases.push(case);
        Ok(())
    }
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the report")]
fn report(part: &str, unit: &str, plain: f64, locked: f64) {
    println!(
        "{{\"part\":\"at-rest.{part}\",\"unit\":\"{unit}\",\"plain\":{plain:.3},\"encrypted\":{locked:.3},\"ratio\":{:.2}}}",
        locked / plain
    );
}

/// Runs the work on both sides in turn, reports medians.
fn both(
    name: &str,
    sides: &mut [Side; 2],
    rounds: usize,
    work: impl Fn(&mut Side, usize) -> Result<()>,
) -> Result<()> {
    let mut times = [Vec::new(), Vec::new()];
    for i in 0..rounds {
        for (side, times) in sides.iter_mut().zip(&mut times) {
            let begun = Instant::now();
            work(side, i)?;
            times.push(ms(begun));
        }
    }
    let [plain, locked] = &mut times;
    report(name, "ms", median(plain), median(locked));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report")]
fn main() -> Result<()> {
    let key = Key::of([7; 32]);
    let mut sides = [Side::new(Lock::Plain)?, Side::new(Lock::Key(key))?];
    both("submit", &mut sides, ROUNDS, Side::submit)?;
    both("page", &mut sides, ROUNDS, |side, i| {
        let case = side.cases[i];
        anyhow::ensure!(side.replica.case(case)?.is_some());
        Ok(())
    })?;
    both("list", &mut sides, ROUNDS, |side, i| {
        let from = (i as u32 * 20) % 4900;
        side.replica.store().read(|view| view.residents(None, None, 50, from).map(drop))?;
        Ok(())
    })?;
    both("search", &mut sides, ROUNDS, |side, i| {
        let text = ["zjj", "wxl", "1390000", "李文"][i % 4];
        side.replica.store().read(|view| view.search_residents(text, None, 20).map(drop))?;
        Ok(())
    })?;
    both("photo.write", &mut sides, 50, |side, i| {
        let photo: Vec<u8> = (0..400_000usize).map(|n| (n * 31 + i * 7) as u8).collect();
        Ok(side.replica.store().write_attachment(&attachment_id(&photo).0, &photo)?)
    })?;
    both("photo.read", &mut sides, 50, |side, i| {
        let photo: Vec<u8> = (0..400_000usize).map(|n| (n * 31 + i * 7) as u8).collect();
        side.replica.store().read_attachment(&attachment_id(&photo).0)?;
        Ok(())
    })?;
    // First sync: what the box has is read into a fresh one.
    let mut times = [0.0; 2];
    for (side, time) in sides.iter().zip(&mut times) {
        let folder = TempDir::new()?;
        let fresh = Replica::open(
            folder.path(),
            &side.lock,
            membership(2),
            Arc::new(SystemWorld),
            Guard::in_this_process(),
        )?;
        let seen = PeerRow {
            id: 0,
            device: [3; 16],
            store: [3; 16],
            epoch: [3; 16],
            name: "relay".into(),
            software: "1".into(),
            seen_ms: 1,
            clock_error_ms: 0,
            completed_ms: None,
            features: 0,
        };
        let peer = fresh.store().write(|tx| tx.greet_peer(&seen))?;
        let begun = Instant::now();
        for scope in ["system".to_owned(), format!("place:{VILLAGE}")] {
            let mut after = 0;
            loop {
                let (upto, part) = side.replica.store().read(|view| {
                    let part = Part::behind(&scope, after, 256 * 1024);
                    view.log_part(&part, -9, i64::MAX.unsigned_abs())
                })?;
                if upto == after {
                    break;
                }
                fresh.admit(&peer, &scope, upto, &part, |_| Ok(()))?;
                after = upto;
            }
        }
        *time = ms(begun);
    }
    report("first-sync", "ms", times[0], times[1]);
    let mut size = [0.0; 2];
    let mut open = [0.0; 2];
    for (i, side) in sides.iter().enumerate() {
        side.replica.store().checkpoint()?;
        size[i] = std::fs::metadata(side.folder.path().join("work.db"))?.len() as f64 / 1e6;
        let begun = Instant::now();
        drop(Store::open(side.folder.path(), &side.lock)?);
        open[i] = ms(begun);
    }
    // What one guess of a PIN costs: the parameters of ui/edge/src/pin.rs.
    let params =
        argon2::Params::new(32 * 1024, 3, 1, Some(32)).map_err(|e| anyhow::anyhow!("{e}"))?;
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut guesses = Vec::new();
    for i in 0..15u8 {
        let (mut out, begun) = ([0; 32], Instant::now());
        argon
            .hash_password_into(&[i; 6], &[7; 16], &mut out)
            .map_err(|e| anyhow::anyhow!("{e}"))?;
        guesses.push(ms(begun));
    }
    guesses.sort_by(f64::total_cmp);
    println!(
        "{{\"part\":\"at-rest.guess\",\"unit\":\"ms\",\"least\":{:.1},\"median\":{:.1}}}",
        guesses[0], guesses[7]
    );
    report("size", "MB", size[0], size[1]);
    report("open", "ms", open[0], open[1]);
    Ok(())
}
