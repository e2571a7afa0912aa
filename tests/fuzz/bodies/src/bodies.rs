//! What each decoder must hold to.

use cunkou_casework::catalogue::Release;
use cunkou_casework::checkpoint::Proofs;
use cunkou_casework::cosign::Letter;
use cunkou_casework::county::{Credential, Numbered, Rescue};
use cunkou_casework::entry::Entry;
use cunkou_casework::erasure::Saying;
use cunkou_casework::event::{Event, Witness, decode, encode};
use cunkou_casework::looking::Looks;
use cunkou_casework::receipt::SignedReceipt;
use cunkou_engine::ranges::{ATTACHMENT_BYTES_MAX, Answer, Ask, GROUP, Outline, Outliner};
use cunkou_engine::{
    Call, ENTRIES_MAX, Frame, Hello, Input, Output, PROTOCOL, ScopeState, Session,
};
use cunkou_guard::Guard;
use cunkou_link::{BindRequest, EnrolRequest, EnrolResponse, SealedOffer};
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) fn entry(data: &[u8]) {
    if let Ok(entry) = Entry::decode(data) {
        assert_eq!(entry.encode(), data, "one form alone");
    }
}

pub(crate) fn event(data: &[u8]) {
    if let Ok(event) = Event::decode(data) {
        assert_eq!(encode(&event), data, "one form alone");
    }
    if let Ok(saying) = Saying::decode(data) {
        assert_eq!(encode(&saying), data, "one form alone");
    }
    let digits = cunkou_casework::hex::encode(data);
    if let Ok(receipt) = SignedReceipt::parse(&format!("CUNKOU:R1:{digits}")) {
        assert_eq!(SignedReceipt::parse(&receipt.code()), Ok(receipt), "it reads back");
    }
    let _ = SignedReceipt::parse(&String::from_utf8_lossy(data));
}

pub(crate) fn county(data: &[u8]) {
    if let Ok(statement) = decode::<Numbered>(data) {
        assert_eq!(encode(&statement), data, "one form alone");
    }
    if let Ok(credential) = decode::<Credential>(data) {
        assert_eq!(encode(&credential), data, "one form alone");
    }
    if let Ok(rescue) = Rescue::read(data) {
        assert_eq!(encode(&rescue), data, "one form alone");
    }
}

pub(crate) fn witness(data: &[u8]) {
    if let Ok(witness) = decode::<Witness>(data) {
        assert_eq!(encode(&witness), data, "one form alone");
    }
    if let Ok(looks) = Looks::decode(data) {
        assert_eq!(encode(&looks), data, "one form alone");
    }
    if let Ok(letter) = Letter::decode(data) {
        assert_eq!(letter.encode(), data, "one form alone");
        let _ = letter.judge(&[], false);
    }
    if let Ok(proofs) = decode::<Proofs>(data) {
        assert_eq!(encode(&proofs), data, "one form alone");
    }
}

pub(crate) fn frame(data: &[u8]) {
    if let Ok(frame) = Frame::decode(data) {
        if let Frame::Entries { entries, .. } = &frame {
            assert!(entries.len() <= ENTRIES_MAX);
        }
        assert_eq!(Frame::decode(&frame.encode()).as_ref(), Ok(&frame));
    }
}

/// An outline that is said to be of these bytes: 8 bytes of length, names, then 20 bytes that may be
/// an ask and an answer.
pub(crate) fn ranges(data: &[u8]) {
    let mut asked = [0; Ask::BYTES];
    let mut answered = [0; Answer::BYTES];
    let tail = data.iter().rev();
    for (to, from) in asked.iter_mut().chain(&mut answered).zip(tail) {
        *to = *from;
    }
    if let Ok(ask) = Ask::decode(asked) {
        assert_eq!(ask.encode(), asked);
    }
    if let Ok(answer) = Answer::decode(answered) {
        assert_eq!(answer.encode(), answered);
        if let Answer::Here(length) = answer {
            assert!((1..=ATTACHMENT_BYTES_MAX).contains(&length));
        }
    }
    let Some((length, names)) = data.split_first_chunk() else { return };
    let length = u64::from_be_bytes(*length);
    let mut outliner = Outliner::default();
    outliner.read(names);
    // What is true of some bytes is never true of others.
    if let Ok(own) = outliner.finish() {
        assert_eq!(own.verify(0, names.get(..GROUP).unwrap_or(names)), Ok(()));
        assert_eq!(Outline::check(*own.id(), own.length(), &own.names()).as_ref(), Ok(&own));
        if let Ok(outline) = Outline::check(*own.id(), length, names) {
            assert!(outline.groups() <= 512 && outline.names().len() == names.len());
            for group in [0, 1, 511, u16::MAX] {
                let _ = outline.verify(group, names);
            }
        }
    }
}

pub(crate) fn our_hello() -> Hello {
    let scope = |scope: &str, head| ScopeState {
        scope: scope.into(),
        head,
        read: 0,
        epoch: [0; 16],
        acked: None,
        sum: None,
        whole: None,
    };
    Hello {
        protocol: PROTOCOL,
        store: [1; 16],
        epoch: [2; 16],
        incarnation: [3; 16],
        software: "0".into(),
        time_ms: 0,
        scopes: vec![scope("system", 5), scope("place:1", 9)],
        features: Some(u64::MAX),
    }
}

/// Frames behind two bytes of length each, to a session whose store answers at once.
pub(crate) fn session(mut data: &[u8]) {
    let now = Duration::ZERO;
    let Some((call, rest)) = data.split_first() else { return };
    data = rest;
    let call = if call % 2 == 0 { Call::In } else { Call::Out { knows: u64::MAX } };
    let mut session = Session::new(now, our_hello(), call);
    let mut done = 0;
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (frame, rest) = rest.split_at(length);
        data = rest;
        session.handle(now, Input::Received(frame.to_vec()));
        while let Some(output) = session.poll_output() {
            done += 1;
            assert!(done <= 64 * (1 + frame.len()), "outputs are bounded by inputs");
            match output {
                Output::Load(part) => {
                    let (scope, upto, entries) = (part.scope, part.after + 1, vec![vec![1]]);
                    session.handle(now, Input::Loaded { scope, upto, head: 9, entries });
                }
                Output::Name { scope, after, .. } => {
                    let (positions, names) = (vec![after + 1], vec![[1; 8]]);
                    let (upto, head) = (after + 1, 9);
                    session.handle(now, Input::Named { scope, upto, head, positions, names });
                }
                Output::Which { scope, names } => {
                    let lacking = vec![true; names.len()];
                    session.handle(now, Input::Lacking { scope, lacking });
                }
                Output::Sum(scopes) => {
                    let sums = scopes.into_iter().map(|scope| (scope, 9, [1; 16])).collect();
                    session.handle(now, Input::Summed(sums));
                }
                Output::Names { scope } => {
                    let names = (0..40).map(|n| [n; 32]).collect();
                    session.handle(now, Input::Names { scope, names });
                }
                Output::Pick { scope, .. } => {
                    let entries = vec![vec![1]];
                    session.handle(now, Input::Picked { scope, dealt: 1, entries });
                }
                Output::Heal { scope, entries } => {
                    let new = entries.len() as u64;
                    session.handle(now, Input::Healed { scope, new });
                }
                Output::Store { scope, upto, .. } => {
                    session.handle(now, Input::Stored { scope, upto });
                }
                Output::Close(_) => return,
                _ => {}
            }
        }
        done = 0;
        session.handle(now, Input::Resumed);
    }
}

pub(crate) fn enrol(data: &[u8]) {
    let _: Result<EnrolRequest, _> = minicbor::decode(data);
    let _: Result<EnrolResponse, _> = minicbor::decode(data);
    let _: Result<BindRequest, _> = minicbor::decode(data);
    let _: Result<SealedOffer, _> = minicbor::decode(data);
}

static WORKER: OnceLock<Option<Guard>> = OnceLock::new();

/// From now on the target `guard` goes the whole way, through this worker.
pub fn with_worker(guard: Guard) {
    WORKER.get_or_init(|| Some(guard));
}

/// The wall that stands in the parent, the messages between parent and worker, and, when a worker
/// is named in `CUNKOU_GUARD_WORKER`, the whole way: the parent lives whatever comes.
pub(crate) fn guard(data: &[u8]) {
    use cunkou_casework::document::Schema;
    use cunkou_guard::{Candidate, Job, Verdict, envelope, read_jobs, read_judged};
    if let Some(jobs) = read_jobs(data) {
        let _ = read_judged(data, &jobs);
    }
    let repaired = crate::mutate::repaired(data.to_vec());
    let _ = envelope(data);
    if envelope(&repaired).is_err() {
        return;
    }
    let worker = WORKER.get_or_init(|| {
        std::env::var_os("CUNKOU_GUARD_WORKER").map(|program| Guard::child_of(program.into()))
    });
    if let Some(guard) = worker {
        let candidate = Candidate { actor: crate::seeds::ACTOR, chunk: repaired.into() };
        let job = Job::new(Schema::Case1, None, vec![candidate]);
        let judged = guard.judge_one(&job);
        assert_ne!(judged.verdicts, [Verdict::Unjudged], "the worker answers or dies");
        let good = judged.good(&job);
        if !good.is_empty() {
            let applied = cunkou_guard::apply(Schema::Case1, None, &good);
            assert!(applied.is_ok(), "what passes there passes here");
        }
    }
}

pub(crate) fn catalogue(data: &[u8]) {
    if let Ok(release) = Release::decode(data) {
        let _ = release.items.check("items", &String::from_utf8_lossy(data));
        assert!(Release::decode(&release.encode()).is_ok());
    }
}
