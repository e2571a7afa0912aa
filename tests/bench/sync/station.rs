//! The relay and the box in processes of their own: replica, guard and link as the programs run
//! them, without pages.

use super::county::{
    BOX, CLERK, RELAY, REVIEWER, database, person, replica, secret, seed_of_crowd,
};
use super::crowd;
use anyhow::{Context, Result, bail, ensure};
use cunkou_casework::document::{Section, Write};
use cunkou_casework::hex;
use cunkou_casework::ids::SubjectId;
use cunkou_casework::suite::SecretKey;
use cunkou_engine::{RefusalCode, Refused};
use cunkou_link::{
    Bounds, Clock, Credentials, DeviceCertificate, Dialer, EnrolRequest, Enroller, LinkError,
    OfferedEnrolment, Purpose, RelayCredentials, RenewRequest, RootAuthority, Server,
    SignedRenewal, WebKey, device_spki,
};
use cunkou_replica::{ActError, Guard, Replica, SystemWorld, Who, World};
use cunkou_store::StoreError;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A box that goes says so for so long.
const GOODBYE: Duration = Duration::from_millis(200);
const CODE: &str = "130999";

/// Makes the certificates of the relay, of the box and of the crowd.
pub(crate) fn certify(folder: &Path, crowd: u16) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let (bounds, now) = (Bounds::of(CODE), SystemWorld.now_ms());
    let root = RootAuthority::found("清河县", &bounds, now)?;
    let issuing = root.issuing(now)?;
    std::fs::write(folder.join("root"), root.certificate())?;
    std::fs::write(folder.join("issuing"), issuing.certificate())?;
    let names = [
        (RELAY, bounds.relay_name(), Purpose::Relay),
        (BOX, bounds.box_name("0303030303030303"), Purpose::Box),
    ];
    for (n, name, purpose) in names {
        let key = device_spki(&secret(n).public().0);
        let certificate = issuing.issue(&key, &[name], &[], purpose, now)?;
        std::fs::write(folder.join(n.to_string()), certificate)?;
    }
    for n in 0..crowd {
        let public = SecretKey::from_seed(&seed_of_crowd(n)).public();
        let name = bounds.box_name(&format!("{n:04x}"));
        let key = device_spki(&public.0);
        let certificate = issuing.issue(&key, &[name], &[], Purpose::Box, now)?;
        std::fs::write(folder.join(format!("crowd-{n}")), certificate)?;
    }
    Ok(())
}

/// What a device shows, as certified before; nothing is renewed.
struct Papers {
    seed: [u8; 32],
    name: String,
    folder: PathBuf,
    changes: watch::Sender<u64>,
}

impl Papers {
    fn of(n: u8, folder: &Path) -> Arc<Self> {
        Self::named(n.to_string(), [n; 32], folder)
    }

    fn named(name: String, seed: [u8; 32], folder: &Path) -> Arc<Self> {
        Arc::new(Self { seed, name, folder: folder.to_owned(), changes: watch::channel(0).0 })
    }

    fn shown(&self) -> Result<DeviceCertificate, LinkError> {
        let read = |name: &str| {
            std::fs::read(self.folder.join(name)).map_err(|e| LinkError::Setup(e.to_string()))
        };
        let chain = vec![read(&self.name)?, read("issuing")?];
        let (roots, name) = (vec![read("root")?], Bounds::of(CODE).relay_name());
        Ok(DeviceCertificate::new(chain, &self.seed, roots, name))
    }
}

fn never<T>() -> Result<T, Refused> {
    Err(Refused { code: RefusalCode::Token, words: "nobody is enrolled here".into() })
}

impl Enroller for Papers {
    fn enrol(&self, _: &EnrolRequest, _: &str) -> Result<OfferedEnrolment, Refused> {
        never()
    }
}

impl RelayCredentials for Papers {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        self.shown()
    }
    fn now_ms(&self) -> i64 {
        SystemWorld.now_ms()
    }
    fn renew(&self, _: &RenewRequest) -> Result<SignedRenewal, Refused> {
        never()
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Credentials for Papers {
    fn certificate(&self) -> Result<DeviceCertificate, LinkError> {
        self.shown()
    }
    fn clock(&self) -> Clock {
        let now_ms = SystemWorld.now_ms();
        Clock { now_ms, floor_ms: now_ms }
    }
    fn due(&self) -> bool {
        false
    }
    fn request(&self) -> RenewRequest {
        let public = WebKey::generate().map(|key| key.public()).unwrap_or_default();
        RenewRequest::new(&self.seed, public, Vec::new())
    }
    fn renewed(&self, _: &SignedRenewal) -> Result<(), String> {
        Err("nothing is renewed here".into())
    }
}

#[expect(clippy::print_stdout, reason = "answers go to the parent")]
fn say(words: &Value) {
    println!("{words}");
}

/// Be one: `relay FOLDER CERTIFICATES`, `box FOLDER CERTIFICATES ADDRESS`, or many boxes that serve
/// nothing: `crowd COUNT CERTIFICATES ADDRESS`. Ends with its input.
pub(crate) fn be(given: &[String]) -> Result<()> {
    let words: Vec<&str> = given.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match words[..] {
        ["relay", folder, papers] => {
            let replica = Arc::new(replica(RELAY, Path::new(folder), Guard::child())?);
            let at_relay = Arc::clone(&replica);
            let papers = Papers::of(RELAY, Path::new(papers));
            let free = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
            runtime.block_on(async {
                let server = Server::bind(free, replica, papers)?;
                tokio::spawn(server.run(std::future::pending()));
                say(&json!({"ready": true, "address": free.to_string()}));
                tokio::task::spawn_blocking(move || {
                    orders(|order| save(&at_relay, order, (REVIEWER, None)))
                })
                .await?
            })
        }
        ["box", folder, papers, address] => {
            let replica = Arc::new(replica(BOX, Path::new(folder), Guard::child())?);
            let papers = Papers::of(BOX, Path::new(papers));
            let dialer = Dialer::new(vec![address.to_owned()], papers, replica.clone());
            runtime.block_on(async {
                let talking = tokio::spawn(dialer.run(|| 0));
                say(&json!({"up": true}));
                let ended = tokio::task::spawn_blocking(move || {
                    let key = secret(CLERK);
                    orders(|order| save(&replica, order, (CLERK, Some(&key))))
                })
                .await?;
                talking.abort();
                // Until the relay has been told.
                tokio::time::sleep(GOODBYE).await;
                ended
            })
        }
        ["crowd", count, papers, address] => {
            let (count, papers) = (count.parse()?, Path::new(papers));
            runtime.block_on(crowd::call(count, address, |n| {
                Papers::named(format!("crowd-{n}"), seed_of_crowd(n), papers)
            }))?;
            say(&json!({"up": true}));
            orders(|_| Ok(()))
        }
        _ => bail!("relay FOLDER CERTIFICATES | box FOLDER CERTIFICATES ADDRESS"),
    }
}

/// Carries orders out until there are no more.
fn orders(mut order: impl FnMut(&str) -> Result<()>) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        order(&line?)?;
    }
    Ok(())
}

/// Saves a note in a case; a box says how long it took until the relay had it on disk.
fn save(replica: &Replica, order: &str, (who, key): (u8, Option<&SecretKey>)) -> Result<()> {
    let case = hex::decode(order).and_then(|id| id.try_into().ok()).context("no case")?;
    let mut salt = [0; 4];
    SystemWorld.random(&mut salt);
    let note = format!("电话核实，{} 再联系", hex::encode(&salt));
    let begun = Instant::now();
    let saved = replica.act(|desk| -> Result<bool, ActError> {
        let who = Who { person: person(who), key };
        desk.edit(SubjectId(case), who, &[Write::set(Section::Notes, "clerk", note)])
    })?;
    ensure!(saved, "nothing was saved");
    let bytes = replica.store().read(|view| -> Result<_, StoreError> {
        let rows = view.entries_of(&case)?;
        Ok(rows.iter().max_by_key(|row| row.pos).map_or(0, |row| row.bytes.len()))
    })?;
    while key.is_some() && replica.store().read(|view| view.unsent())?.entries > 0 {
        ensure!(begun.elapsed() < Duration::from_secs(60), "the relay does not acknowledge it");
        std::thread::park_timeout(Duration::from_micros(200));
    }
    say(&json!({"ms": begun.elapsed().as_secs_f64() * 1000.0, "bytes": bytes}));
    Ok(())
}

/// The clerk saves a note in a case at the box.
pub(crate) fn note(at_box: &Replica, case: [u8; 16]) -> Result<()> {
    let key = secret(CLERK);
    at_box.act(|desk| -> Result<bool, ActError> {
        let who = Who { person: person(CLERK), key: Some(&key) };
        desk.edit(
            SubjectId(case),
            who,
            &[Write::set(Section::Notes, "clerk", desk.now_ms().to_string())],
        )
    })?;
    Ok(())
}

/// What a process and its children have used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Processor time. Seconds.
    pub(crate) cpu: f64,
    /// The most memory that was resident. MiB.
    pub(crate) rss: f64,
}

/// A program that answers in lines of JSON and takes orders.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
}

/// A program that has not answered by then never will.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

impl Program {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, orders, answers })
    }

    /// A station of ours.
    pub(crate) fn station(words: &[&str]) -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg("--station").args(words))
    }

    /// Its next answer.
    pub(crate) fn answer(&self) -> Result<Value> {
        let line = self.answers.recv_timeout(PATIENCE);
        Ok(serde_json::from_str(&line.context("it does not answer, or has ended")?)?)
    }

    pub(crate) fn order(&mut self, words: &str) -> Result<Value> {
        let orders = self.orders.as_mut().context("it takes no orders")?;
        writeln!(orders, "{words}")?;
        self.answer()
    }

    /// What it and its children have used so far.
    pub(crate) fn used(&self) -> Result<Used> {
        used(self.child.id())
    }

    /// The memory that is resident now, without its children. MiB.
    pub(crate) fn resident(&self) -> Result<f64> {
        Ok(crate::parts::resident_kib(self.child.id())? / 1024.0)
    }

    /// Ends it as a power cut would.
    pub(crate) fn cut(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.orders.take());
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn used(pid: u32) -> Result<Used> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.context("no VmHWM")?.trim().trim_end_matches(" kB").parse()?;
    let mut all = Used { cpu: crate::trust::cpu(pid)?, rss: kib / 1024.0 };
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = std::fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            // One that has just ended is counted nowhere.
            if let Ok(more) = child.parse().map_err(anyhow::Error::from).and_then(used) {
                all.cpu += more.cpu;
                all.rss += more.rss;
            }
        }
    }
    Ok(all)
}

/// What stands in a store: places in the villages' logs, and whether something is still to be done:
/// rows to be made, attachments to come.
pub(crate) fn held(folder: &Path, n: u8) -> Result<(u64, bool)> {
    let db = database(n, folder)?;
    let sql = "SELECT (SELECT coalesce(sum(seq), 0) FROM head WHERE scope LIKE 'place:%'),
                      EXISTS(SELECT 1 FROM dirty)
                      OR EXISTS(SELECT 1 FROM attachment WHERE state = 0)";
    Ok(db.query_row(sql, [], |row| Ok((row.get(0)?, row.get::<_, bool>(1)?)))?)
}
