//! Frames, sums and whole conversations, as `docs/vectors/frames.json` has them, and a reader that
//! knows of them only what `docs/wire.md` says.
#![allow(missing_docs)]

use cunkou_engine::{
    Brief, Call, Checked, Frame, Hello, Input, NameSum, News, Output, PROTOCOL, ScopeState,
    Session, Sketch, features,
};
use minicbor::Decoder;
use minicbor::data::Type;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

const SCOPE: &str = "place:1";
/// What the conversations of the documents are held in.
const ALL: u64 = features::BRIEF | features::PACKED | features::OFFER | features::RECONCILE;
/// With whole subjects and sketches, too.
const EVERYTHING: u64 = ALL | features::SNAPSHOT | features::SKETCH;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Entry `n` of the vectors: its own number, five times. Its name is its BLAKE3; what names are is
/// nothing to the frames.
fn entry(n: u8) -> Vec<u8> {
    vec![n; 5]
}

fn name(entry: &[u8]) -> [u8; 32] {
    *blake3::hash(entry).as_bytes()
}

fn sum(entries: &[Vec<u8>]) -> [u8; 16] {
    let mut sum = NameSum::default();
    entries.iter().for_each(|entry| sum.add(&name(entry)));
    sum.digest(entries.len() as u64)
}

fn hello_of_the_first_version() -> Hello {
    let (scope, epoch) = (SCOPE.to_owned(), [5; 16]);
    let state =
        ScopeState { scope, head: 300, read: 7, epoch, acked: None, sum: None, whole: None };
    Hello {
        protocol: PROTOCOL,
        store: [1; 16],
        epoch: [2; 16],
        incarnation: [3; 16],
        software: "0.1.0".into(),
        time_ms: 1_790_000_000_000,
        scopes: vec![state],
        features: None,
    }
}

/// An array of entries as one zstd frame with one raw block: it does not depend on who compresses.
fn packed(entries: &[Vec<u8>]) -> (u64, Vec<u8>) {
    let mut plain = minicbor::Encoder::new(Vec::new());
    plain.array(entries.len() as u64).expect("in memory");
    entries.iter().for_each(|entry| drop(plain.bytes(entry).map(|_| ())));
    let plain = plain.into_writer();
    let size = u8::try_from(plain.len()).expect("short");
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, size];
    out.extend(&(u32::from(size) << 3 | 1).to_le_bytes()[..3]);
    out.extend(plain);
    (size.into(), out)
}

/// One of each frame.
fn frames() -> Vec<(&'static str, Frame)> {
    let scope = || SCOPE.to_owned();
    let (upto, head) = (3, 300);
    let two = || vec![entry(1).into(), entry(2).into()];
    let (size, bytes) = packed(&[entry(1), entry(2)]);
    let first = hello_of_the_first_version();
    let mut hello = Hello { features: Some(ALL), ..first.clone() };
    hello.scopes[0].acked = Some(2);
    hello.scopes[0].sum = Some(sum(&[entry(1), entry(2), entry(3)]));
    let brief = Brief {
        protocol: PROTOCOL,
        features: ALL,
        incarnation: [3; 16],
        time_ms: 1_790_000_000_000,
        base: [9; 16],
        sum: None,
        news: vec![News { scope: 0, head }],
    };
    let short: Vec<u8> = [1, 2].iter().flat_map(|n| name(&entry(*n))[..8].to_vec()).collect();
    let whole: Vec<u8> = [1, 2].iter().flat_map(|n| name(&entry(*n))).collect();
    let message = || vec![0x61, 0, 0, 0].into();
    let mut asking = hello_of_the_first_version();
    asking.features = Some(EVERYTHING);
    asking.scopes[0] =
        ScopeState { head: 0, read: 0, whole: Some(vec![7; 3].into()), ..asking.scopes[0].clone() };
    let wholes = bytes.clone().into();
    let mut sketch = Sketch::default();
    (1..=5).for_each(|n| sketch.add(&name(&entry(n))));
    let sketch = sketch.folded().to_bytes();
    vec![
        ("1 Hello of the first version", Frame::Hello(first)),
        ("1 Hello", Frame::Hello(hello)),
        ("2 Entries", Frame::Entries { scope: scope(), upto, head, entries: two() }),
        ("3 Ack", Frame::Ack { scope: scope(), upto }),
        ("4 LastWord", Frame::LastWord(vec![1, 2].into())),
        ("5 Question", Frame::Question(vec![1, 2].into())),
        ("6 Answer, none", Frame::Answer(Vec::new().into())),
        ("7 Brief", Frame::Brief(brief)),
        ("8 Packed", Frame::Packed { scope: scope(), upto, head, size, bytes: bytes.into() }),
        ("9 Offer", Frame::Offer { scope: scope(), upto, head, names: short.into() }),
        ("10 Want the second", Frame::Want { scope: scope(), upto, lacking: vec![2].into() }),
        (
            "11 Check",
            Frame::Check(vec![Checked { scope: scope(), head, read: 7, sum: sum(&[entry(1)]) }]),
        ),
        ("12 Differ", Frame::Differ(vec![scope()])),
        ("13 Range", Frame::Range { scope: scope(), message: message() }),
        ("14 Ranged", Frame::Ranged { scope: scope(), message: message() }),
        ("15 Fetch", Frame::Fetch { scope: scope(), names: whole.into() }),
        ("16 Fetched", Frame::Fetched { scope: scope(), dealt: 2, entries: two() }),
        ("17 Give", Frame::Give { scope: scope(), entries: two() }),
        ("18 Given", Frame::Given { scope: scope() }),
        ("1 Hello that asks for whole subjects", Frame::Hello(asking)),
        (
            "19 Whole",
            Frame::Whole {
                scope: scope(),
                next: vec![7; 3].into(),
                end: false,
                size,
                bytes: wholes,
            },
        ),
        ("20 Took", Frame::Took { scope: scope() }),
        ("21 Sketch of 1 to 5", Frame::Sketch { scope: scope(), cells: sketch.into() }),
        (
            "22 Sketched",
            Frame::Sketched {
                scope: scope(),
                named: true,
                lacking: name(&entry(1))[..8].to_vec().into(),
                names: name(&entry(2)).to_vec().into(),
            },
        ),
    ]
}

/// One side of a conversation, over a log in memory of entries of its own and of the peer's.
struct Side {
    log: Vec<(bool, Vec<u8>)>,
    session: Session,
}

impl Side {
    fn entries(&self) -> Vec<Vec<u8>> {
        self.log.iter().map(|(_, entry)| entry.clone()).collect()
    }

    fn head(&self) -> u64 {
        self.log.len() as u64
    }

    fn take(&mut self, entries: Vec<Vec<u8>>) -> u64 {
        let held = self.entries();
        let new: Vec<_> = entries.into_iter().filter(|entry| !held.contains(entry)).collect();
        let count = new.len() as u64;
        self.log.extend(new.into_iter().map(|entry| (true, entry)));
        count
    }

    fn tell(&mut self, input: Input) {
        self.session.handle(Duration::ZERO, input);
    }

    /// The log behind a position without what the peer gave.
    fn own(&self, after: u64) -> impl Iterator<Item = (u64, &Vec<u8>)> {
        let all = self.log.iter().enumerate().map(|(n, row)| (n as u64 + 1, row));
        all.filter(move |(at, (from_peer, _))| *at > after && !from_peer)
            .map(|(at, (_, e))| (at, e))
    }

    /// What it says until it waits.
    fn speaks(&mut self) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        while let Some(output) = self.session.poll_output() {
            let head = self.head();
            match output {
                Output::Send(frame) => said.push(frame),
                Output::Load(part) => {
                    let upto = part.until.min(head);
                    let wanted = |at: &u64| *at <= upto && !part.skip.contains(at);
                    let entries: Vec<_> = self.own(part.after).collect();
                    let entries = entries.into_iter().filter(|(at, _)| wanted(at));
                    let entries = entries.map(|(_, entry)| entry.clone()).collect();
                    self.tell(Input::Loaded { scope: part.scope, upto, head, entries });
                }
                Output::Name { scope, after, .. } => {
                    let (positions, names) = self.own(after).map(|(at, e)| (at, short(e))).unzip();
                    self.tell(Input::Named { scope, upto: head, head, positions, names });
                }
                Output::Which { scope, names } => {
                    let held: BTreeSet<_> = self.entries().iter().map(|e| short(e)).collect();
                    let lacking = names.iter().map(|name| !held.contains(name)).collect();
                    self.tell(Input::Lacking { scope, lacking });
                }
                Output::Store { scope, upto, entries } => {
                    self.take(entries);
                    let head = self.head();
                    self.tell(Input::Stored { scope: scope.clone(), upto });
                    self.tell(Input::Committed { scope, head });
                }
                Output::Sum(scopes) => {
                    let of = |scope| (scope, head, sum(&self.entries()));
                    let sums = scopes.into_iter().map(of).collect();
                    self.tell(Input::Summed(sums));
                }
                Output::Names { scope } => {
                    let names = self.entries().iter().map(|e| name(e)).collect();
                    self.tell(Input::Names { scope, names });
                }
                Output::Pick { scope, names, .. } => {
                    let held = self.entries().into_iter();
                    let entries = held.filter(|entry| names.contains(&name(entry))).collect();
                    self.tell(Input::Picked { scope, dealt: names.len(), entries });
                }
                Output::Heal { scope, entries } => {
                    let new = self.take(entries);
                    let head = self.head();
                    self.tell(Input::Committed { scope: scope.clone(), head });
                    self.tell(Input::Healed { scope, new });
                }
                Output::Close(violation) => panic!("{violation}"),
                _ => {}
            }
        }
        said
    }
}

fn short(entry: &[u8]) -> [u8; 8] {
    name(entry)[..8].try_into().expect("8 of 32")
}

/// What a side remembers of the other: how far it has read it, and how far it was acknowledged.
#[derive(Clone, Copy)]
struct Memory {
    read: u64,
    acked: u64,
}

/// Who said what, frame by frame.
type Said = Vec<(&'static str, Vec<u8>)>;

/// Two sides with these entries talk until nobody has anything to say. The first one dials.
fn conversation(held: [Vec<(bool, u8)>; 2], memory: Option<[Memory; 2]>, knows: u64) -> Said {
    let mut sides = [0, 1].map(|n| {
        let log: Vec<_> = held[n].iter().map(|(theirs, e)| (*theirs, entry(*e))).collect();
        let entries: Vec<_> = log.iter().map(|(_, entry)| entry.clone()).collect();
        let mut hello = hello_of_the_first_version();
        let own = u8::try_from(n).expect("one of two") + 1;
        (hello.store, hello.epoch, hello.incarnation) =
            ([own; 16], [0x10 + own; 16], [0x20 + own; 16]);
        hello.features = Some(ALL);
        let Memory { read, acked } = memory.map_or(Memory { read: 0, acked: 0 }, |m| m[n]);
        hello.scopes = vec![ScopeState {
            scope: SCOPE.to_owned(),
            head: log.len() as u64,
            read,
            epoch: if memory.is_some() { [0x10 + 3 - own; 16] } else { [0; 16] },
            acked: memory.map(|_| acked),
            sum: Some(sum(&entries)),
            whole: None,
        }];
        let call = if n == 0 { Call::Out { knows } } else { Call::In };
        Side { log, session: Session::new(Duration::ZERO, hello, call) }
    });
    let mut said = Vec::new();
    loop {
        let before = said.len();
        for (n, who) in ["dials", "answers"].into_iter().enumerate() {
            for frame in sides[n].speaks() {
                sides[1 - n].tell(Input::Received(frame.clone()));
                said.push((who, frame));
            }
        }
        if said.len() == before {
            break;
        }
    }
    let held = |side: &Side| side.entries().into_iter().collect::<BTreeSet<_>>();
    assert_eq!(held(&sides[0]), held(&sides[1]), "they end with the same");
    assert!(sides.iter().all(|side| side.session.poll_timeout().is_none()), "at rest");
    said
}

/// The conversations of the documents.
fn conversations() -> Vec<(&'static str, Said)> {
    let met = [Memory { read: 3, acked: 3 }, Memory { read: 3, acked: 3 }];
    let own = |entries: &[u8]| entries.iter().map(|e| (false, *e)).collect::<Vec<_>>();
    vec![
        (
            "two meet for the first time; 2 and 3 the first has from elsewhere",
            conversation([own(&[2, 3]), own(&[1, 2, 3, 4])], None, 0),
        ),
        (
            "two that remember the same, and entry 4 is new where the call came in",
            conversation([own(&[1, 2, 3]), own(&[1, 2, 3, 4])], Some(met), ALL),
        ),
        (
            "cursors say that all is had, and the first lacks 5, the second 3",
            conversation([own(&[1, 2, 3]), own(&[1, 2, 5])], Some(met), ALL),
        ),
    ]
}

fn text() -> String {
    let quoted = |name: &str, bytes: &[u8]| format!("    \"{name}\": \"{}\"", hex(bytes));
    let entries: Vec<String> = (1..=5).map(|n| quoted(&n.to_string(), &entry(n))).collect();
    let names: Vec<String> = (1..=5).map(|n| quoted(&n.to_string(), &name(&entry(n)))).collect();
    let all: Vec<Vec<u8>> = (1..=5).map(entry).collect();
    let sums: Vec<String> =
        [0, 1, 3, 5].map(|n| quoted(&format!("1 to {n}"), &sum(&all[..n]))).into();
    let frames: Vec<String> =
        frames().iter().map(|(name, frame)| quoted(name, &frame.encode())).collect();
    let talks: Vec<String> = conversations()
        .iter()
        .map(|(name, said)| {
            let lines: Vec<String> = said
                .iter()
                .map(|(who, frame)| format!("      {{ \"{who}\": \"{}\" }}", hex(frame)))
                .collect();
            format!("    \"{name}\": [\n{}\n    ]", lines.join(",\n"))
        })
        .collect();
    let parts = [
        ("entries", entries),
        ("names", names),
        ("sums of the entries", sums),
        ("frames", frames),
        ("conversations", talks),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(name, lines)| format!("  \"{name}\": {{\n{}\n  }}", lines.join(",\n")))
        .collect();
    format!("{{\n{}\n}}\n", parts.join(",\n"))
}

#[test]
fn the_bytes_are_those_of_the_documents() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/frames.json");
    let text = text();
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        std::fs::write(path, &text).expect("as the test made it");
    }
    assert_eq!(std::fs::read_to_string(path).expect("as the test made it"), text);
    for (name, frame) in frames() {
        assert_eq!(Frame::decode(&frame.encode()), Ok(frame), "{name}");
    }
}

#[test]
fn a_packed_batch_of_somebody_elses_zstd_is_unpacked() {
    let (size, bytes) = packed(&[entry(1), entry(2)]);
    let mut session = Session::new(Duration::ZERO, hello(), Call::In);
    for frame in [
        Frame::Hello(hello()),
        Frame::Packed { scope: SCOPE.into(), upto: 2, head: 300, size, bytes: bytes.into() },
    ] {
        session.handle(Duration::ZERO, Input::Received(frame.encode()));
    }
    let outputs: Vec<Output> = std::iter::from_fn(|| session.poll_output()).collect();
    let entries = vec![entry(1), entry(2)];
    assert!(outputs.contains(&Output::Store { scope: SCOPE.into(), upto: 2, entries }));
}

fn hello() -> Hello {
    Hello { features: Some(ALL), ..hello_of_the_first_version() }
}

/// The layouts of wire.md: `t` text, `u` unsigned, `i` integer, `b` byte string, `n` byte string or
/// null, `o` unsigned or null, `f` true or false, `[x]` an array of x, `(…)` a record; after `?` what may be left out.
const LAYOUTS: [&str; 22] = [
    "(ubbbti[(tuub?o?n?b)]?u)",
    "tuu[b]",
    "tu",
    "b",
    "b",
    "b",
    "(uubibn[(uu)])",
    "tuuub",
    "tuub",
    "tub",
    "[(tuub)]",
    "[t]",
    "tb",
    "tb",
    "tb",
    "tu[b]",
    "t[b]",
    "t",
    "tbfub",
    "t",
    "tb",
    "tfbb",
];

/// Reads one value by its layout and gives what is left of that.
fn read<'l>(layout: &'l str, from: &mut Decoder<'_>) -> &'l str {
    let (kind, rest) = layout.split_at(1);
    match kind {
        "t" => drop(from.str().expect("text")),
        "u" => drop(from.u64().expect("unsigned")),
        "i" => drop(from.i64().expect("an integer")),
        "f" => drop(from.bool().expect("true or false")),
        "b" => drop(from.bytes().expect("a byte string")),
        "n" | "o" if from.datatype().expect("something") == Type::Null => {
            from.null().expect("null");
        }
        "o" => drop(from.u64().expect("unsigned")),
        "n" => drop(from.bytes().expect("a byte string")),
        "[" => {
            let close = closing(rest, '[', ']');
            let count = from.array().expect("an array").expect("a definite length");
            for _ in 0..count {
                read(&rest[..close], from);
            }
            return &rest[close + 1..];
        }
        "(" => {
            let close = closing(rest, '(', ')');
            record(&rest[..close], from);
            return &rest[close + 1..];
        }
        other => panic!("no layout {other}"),
    }
    rest
}

fn closing(text: &str, opens: char, closes: char) -> usize {
    let mut depth = 1;
    text.find(|c| {
        depth += i32::from(c == opens) - i32::from(c == closes);
        depth == 0
    })
    .expect("it closes")
}

fn record(mut layout: &str, from: &mut Decoder<'_>) {
    let count = from.array().expect("an array").expect("a definite length");
    for field in 0..count {
        layout = layout.strip_prefix('?').unwrap_or(layout);
        assert!(!layout.is_empty(), "field {field} is one too many");
        layout = read(layout, from);
    }
    assert!(layout.is_empty() || layout.starts_with('?'), "{layout} is missing");
}

#[test]
fn whoever_knows_only_the_page_can_read_every_frame() {
    let said = conversations().into_iter().flat_map(|(_, said)| said).map(|(_, frame)| frame);
    let mut seen = BTreeSet::new();
    for bytes in frames().iter().map(|(_, frame)| frame.encode()).chain(said) {
        let mut from = Decoder::new(&bytes);
        assert_eq!(from.array().ok().flatten(), Some(2), "a variant");
        let number = from.u32().expect("its number");
        record(LAYOUTS[number as usize - 1], &mut from);
        assert_eq!(from.position(), bytes.len(), "nothing behind it");
        seen.insert(number);
    }
    assert_eq!(seen, (1..=22).collect(), "every frame");
}
