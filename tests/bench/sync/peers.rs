//! The peers beside ours: PouchDB, automerge-repo and samod, on the same cases.

use super::Measured;
use super::cases::Maker;
use super::station::Program;
use crate::proxy::Wire;
use anyhow::{Context, Result, bail, ensure};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ObjType, ROOT, ReadDoc, ScalarValue};
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::hex;
use cunkou_tests::bare::root;
use serde_json::{Value, json};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    PouchDb,
    AutomergeRepo,
    Samod,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PouchDb => "PouchDB",
            Self::AutomergeRepo => "automerge-repo",
            Self::Samod => "samod",
        }
    }

    /// Installs or builds what it needs.
    pub(crate) fn prepare(self) -> Result<()> {
        if self == Self::Samod {
            let cargo = ["build", "--release", "--locked", "--quiet"];
            return made("samod", Command::new("cargo").args(cargo).current_dir(samod()));
        }
        if folder().join("node_modules/.package-lock.json").exists() {
            return Ok(());
        }
        let npm = ["ci", "--no-audit", "--no-fund", "--loglevel", "error"];
        made("npm ci", Command::new("npm").args(npm).current_dir(folder()))
    }
}

fn folder() -> PathBuf {
    root().join("tests/peers")
}

fn samod() -> PathBuf {
    folder().join("samod")
}

/// Runs a command to its end; says when it cannot be, because nothing of that kind is here.
fn made(what: &str, command: &mut Command) -> Result<()> {
    let ran =
        command.env_remove("CARGO_TARGET_DIR").stdout(Stdio::null()).stdin(Stdio::null()).status();
    let ran = ran.with_context(|| format!("{what} is not here"))?;
    ensure!(ran.success(), "{what} did not end well");
    Ok(())
}

/// The same document with its events in a list beside the fields: one change for each.
fn with_events(saved: &[u8], events: &[&Entry]) -> Result<Vec<u8>> {
    let mut document = Automerge::load(saved)?;
    document.set_actor(ActorId::from([7; 16]));
    for (i, event) in events.iter().enumerate() {
        let mut tx = document.transaction();
        let list = match tx.get(ROOT, "events")? {
            Some((_, list)) => list,
            None => tx.put_object(ROOT, "events", ObjType::List)?,
        };
        tx.insert(&list, i, ScalarValue::Bytes(event.payload().to_vec()))?;
        tx.commit_with(CommitOptions::default().with_time(event.header().claimed_ms / 1000));
    }
    Ok(document.save())
}

/// Writes `n` cases and their residents as the peers read them: one JSON object a line, with the
/// current state for PouchDB and the Automerge document with its history for the others. Events are
/// there without headers and signatures.
pub(crate) fn export(path: &Path, mut maker: Maker, n: usize) -> Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for _ in 0..n {
        let made = maker.next()?;
        for (kind, subject) in [("resident", &made.resident), ("case", &made.case)] {
            let events = subject.entries.iter().filter(|entry| entry.kind() == Kind::Event);
            let events: Vec<&Entry> = events.collect();
            let projection = subject.document.projection();
            let mut state = serde_json::Map::new();
            for section in subject.document.schema().sections() {
                let of = projection.section(*section).map(|(key, values)| {
                    (key.to_owned(), Value::from(values.last().cloned().unwrap_or_default()))
                });
                state.insert(section.name().to_owned(), Value::Object(of.collect()));
            }
            let payloads = events.iter().map(|event| hex::encode(event.payload()));
            state.insert("events".to_owned(), payloads.map(Value::from).collect());
            let line = json!({
                "id": format!("{kind}-{}", hex::encode(&subject.id.0)),
                "json": state,
                "automerge": hex::encode(&with_events(&subject.document.save(), &events)?),
            });
            writeln!(file, "{line}")?;
        }
    }
    Ok(file.flush()?)
}

struct Beside<'a> {
    peer: Peer,
    work: &'a Path,
}

impl Beside<'_> {
    fn start(&self, words: &[&str]) -> Result<Program> {
        let program = match self.peer {
            Peer::PouchDb => "pouchdb.mjs",
            Peer::AutomergeRepo => "automerge-repo.mjs",
            Peer::Samod => {
                let program = samod().join("target/release/cunkou-samod-peer");
                return Program::start(Command::new(program).args(words));
            }
        };
        Program::start(Command::new("node").arg(folder().join(program)).args(words))
    }

    fn text(&self, name: &str) -> String {
        self.work.join(name).display().to_string()
    }

    /// Starts a client; gives it and how many documents it has, and in how many seconds.
    fn pull(&self, address: &str, names: &str) -> Result<(Program, usize, f64)> {
        let client = self.start(&["pull", &self.text("client"), address, names])?;
        client.answer()?;
        let answer = client.answer()?;
        let documents = answer["documents"].as_u64().context("no documents")?;
        let seconds = answer["seconds"].as_f64().context("no time")?;
        Ok((client, usize::try_from(documents)?, seconds))
    }
}

/// A cold start of a peer, then a contact with nothing new, and one with one document changed.
pub(crate) fn measure(peer: Peer, cases: &Path, n: usize) -> Result<Measured> {
    let work = tempfile::tempdir()?;
    let beside = Beside { peer, work: work.path() };
    let server = beside.start(&["serve", &beside.text("server"), &cases.display().to_string()])?;
    // Seeding is not measured: a server that has been up for long is what a client meets.
    server.answer()?;
    drop(server);
    let mut server =
        beside.start(&["serve", &beside.text("server"), &cases.display().to_string()])?;
    let up = server.answer()?;
    let address = up["address"].as_str().context("no address")?;
    let names = up["names"].as_str().unwrap_or_default().to_owned();
    let wire = Wire::open_tcp(address)?;
    let before = server.used()?;
    let (client, documents, seconds) = beside.pull(&wire.address, &names)?;
    if documents != 2 * n {
        bail!("{} got {documents} of {} documents", peer.name(), 2 * n);
    }
    let (of_client, mut of_server) = (client.used()?, server.used()?);
    of_server.cpu -= before.cpu;
    let cold = wire.take();
    drop(client);
    let again = || -> Result<_> {
        wire.forget();
        let (client, ..) = beside.pull(&wire.address, &names)?;
        let went = wire.take();
        drop(client);
        Ok(went)
    };
    let quiet = again()?;
    server.order("change")?;
    let one = again()?;
    Ok(Measured {
        who: peer.name(),
        cases: n,
        documents,
        seconds,
        shown: seconds,
        cold,
        client: of_client,
        server: of_server,
        quiet,
        one,
    })
}
