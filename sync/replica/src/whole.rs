//! Whole subjects: a head start for a peer that has nothing of a village.
//!
//! A case goes as its entries, where the changes of its document are left out, and as the document
//! that holds them. The receiver takes the document apart in the guard's worker, puts each change
//! back into its entry, and admits the entries like any others: a change that is not the signed one
//! makes another entry. Names that the receiver can tell by itself are left out. Open cases come
//! first, then residents, then closed cases.

mod names;

use crate::Replica;
use crate::file::EditRow;
use crate::kinds::{CASE, RESIDENT, kind_code, schema_of};
use crate::peer::NOBODY;
use cunkou_casework::county::DeviceKind;
use cunkou_casework::document::{Document, Schema, actor};
use cunkou_casework::entry::{ENTRY_BYTES_MAX, Entry, Kind};
use cunkou_casework::ids::{ChangeId, DeviceId, Scope, SubjectId};
use cunkou_engine::{PeerInfo, Wholes};
use cunkou_guard::{Job, Part, contained};
use cunkou_store::{How, PeerRow, StoreError, View, Which};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use names::{Holed, Names};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// In this order they go.
const STAGES: [Which; 3] = [Which::Open(CASE), Which::All(RESIDENT), Which::Closed(CASE)];
/// So many subjects are looked up at once.
const LOOKED_UP: u32 = 64;
/// A log shorter than this goes as it is.
const LOG_MIN: u64 = 64;
/// Whole subjects in one frame are never longer: half a frame. Bytes.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// A subject.
#[derive(Debug, Encode, Decode)]
struct Whole {
    /// The number of its schema.
    #[n(0)]
    schema: u8,
    /// Its document as the sender saved it; empty when there is none.
    #[n(1)]
    document: ByteVec,
    /// Its entries in the order of the sender's log.
    #[n(2)]
    entries: Vec<Carried>,
}

/// An entry of a subject. The names of the subject's entries and changes before it are left out.
#[derive(Debug, Encode, Decode)]
struct Carried {
    /// The entry.
    #[n(0)]
    holed: Holed,
    /// The first bytes of the hash of the change that is left out and stands in the document.
    #[cbor(n(1), with = "minicbor::bytes")]
    change: Option<[u8; 4]>,
}

/// A document that came whole, and the changes it is made of.
#[derive(Debug)]
struct Came {
    document: Vec<u8>,
    changes: BTreeSet<ChangeId>,
}

/// Documents that came whole: past the guard, each change by whom its entry says.
#[derive(Debug, Default)]
pub(crate) struct CameWhole(Mutex<BTreeMap<[u8; 16], Came>>);

impl CameWhole {
    fn held(&self) -> MutexGuard<'_, BTreeMap<[u8; 16], Came>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has(&self, subject: &[u8; 16]) -> bool {
        self.held().contains_key(subject)
    }

    /// The document of a subject, when it is made of exactly these edits.
    pub(crate) fn take(
        &self,
        subject: SubjectId,
        schema: Schema,
        edits: &[&EditRow],
    ) -> Option<Document> {
        let came = self.held().remove(&subject.0)?;
        let ids = edits.iter().map(|edit| edit.entry.change());
        let same = ids.collect::<Option<BTreeSet<_>>>()? == came.changes;
        let load = || Document::load(schema, &came.document).ok();
        same.then(|| contained(load).flatten()).flatten()
    }
}

impl Replica {
    /// After what this replica asks a peer for whole subjects of a scope; nothing when it takes the
    /// log alone: from a box, or when the log was read or something is here from others.
    pub(crate) fn asks_whole(
        &self,
        view: &View<'_>,
        peer: &PeerInfo,
        known: Option<i64>,
        scope: &str,
        head: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let relay = self.county().device(DeviceId(peer.device)).map(|d| d.kind);
        if relay != Some(DeviceKind::Relay) || !matches!(scope.parse(), Ok(Scope::Place(_))) {
            return Ok(None);
        }
        let Some(known) = known else { return Ok((head == 0).then(Vec::new)) };
        if view.was_read(known, scope)? {
            return Ok(None);
        }
        let come = view.whole(known, scope)?;
        Ok(come.or_else(|| (head == 0).then(Vec::new)))
    }

    /// Whole subjects of a scope after some, for a peer.
    pub(crate) fn wholes_of(
        &self,
        view: &View<'_>,
        peer: &PeerInfo,
        scope: &str,
        after: &[u8],
        bytes_max: usize,
    ) -> Result<Wholes, StoreError> {
        let head = view.head(scope)?;
        let all = Wholes { end: true, ..Wholes::default() };
        if head < LOG_MIN || self.head_for(view, peer, scope)? != head {
            return Ok(all);
        }
        let known = view.peer(&peer.device)?.map_or(NOBODY, |known| known.id);
        let (stage, mut last) = match after.split_first() {
            Some((stage, id)) => (usize::from(*stage), <[u8; 16]>::try_from(id).ok()),
            None => (0, None),
        };
        let mut out = Vec::new();
        let mut next = after.to_vec();
        let mut length = 0;
        for (n, which) in STAGES.iter().enumerate().skip(stage) {
            loop {
                let subjects = view.subjects_of(scope, *which, last.as_ref(), LOOKED_UP)?;
                for subject in &subjects {
                    let bytes = whole(view, scope, which, subject, known)?;
                    if length > 0 && length + bytes.len() > BODY_BYTES_MAX {
                        return Ok(Wholes { next, end: false, body: list(&out) });
                    }
                    // One that is longer than a frame may be comes with the log.
                    if bytes.len() <= BODY_BYTES_MAX {
                        length += bytes.len();
                        out.push(bytes);
                    }
                    last = Some(*subject);
                    next = [&[n as u8][..], subject].concat();
                    if length >= bytes_max {
                        return Ok(Wholes { next, end: false, body: list(&out) });
                    }
                }
                if subjects.len() < LOOKED_UP as usize {
                    break;
                }
            }
            last = None;
        }
        let body = if out.is_empty() { Vec::new() } else { list(&out) };
        Ok(Wholes { body, ..all })
    }

    /// Commits whole subjects, as far as they hold, and how far they go.
    pub(crate) fn take_whole(
        &self,
        peer: &PeerRow,
        scope: &str,
        wholes: &Wholes,
    ) -> Result<(), StoreError> {
        let subjects = match read(&wholes.body) {
            Some(subjects) => subjects,
            None => {
                warn!(scope, "whole subjects that cannot be read; the log will bring them");
                Vec::new()
            }
        };
        let job = |s: &Whole| Job::apart(schema_of(s.schema), &s.document);
        let with = subjects.iter().enumerate().filter(|(_, s)| !s.document.is_empty());
        let (places, jobs): (Vec<usize>, Vec<Job>) = with.map(|(n, s)| (n, job(s))).unzip();
        let mut apart: BTreeMap<usize, Option<Vec<Part>>> =
            places.into_iter().zip(self.guard.apart(&jobs)).collect();
        let mut entries: Vec<(Entry, Vec<u8>)> = Vec::new();
        for (n, subject) in subjects.into_iter().enumerate() {
            let parts = apart.remove(&n).flatten().unwrap_or_default();
            let (back, came) = put_back(subject, parts);
            entries.extend(back.into_iter().map(|entry| {
                let bytes = entry.encode();
                (entry, bytes)
            }));
            if let Some((subject, came)) = came {
                self.came_whole.held().insert(subject, came);
            }
        }
        let token = (!wholes.end).then_some(wholes.next.as_slice());
        let taken = self.take_entries(How::Link, peer, scope, &entries, |tx| {
            tx.set_whole(peer.id, scope, token)
        });
        self.came_whole.held().clear();
        taken.map(|_| ())
    }
}

/// A subject's entries with names and changes put back, and its document when it is made of just
/// these.
fn put_back(subject: Whole, parts: Vec<Part>) -> (Vec<Entry>, Option<([u8; 16], Came)>) {
    let mut entries = Vec::with_capacity(subject.entries.len());
    let mut names = Names::default();
    let mut changes = BTreeSet::new();
    let mut exact = true;
    for carried in subject.entries {
        let bytes = names.put_back(&carried.holed, ENTRY_BYTES_MAX);
        let entry = bytes.and_then(|bytes| match carried.change {
            Some(checksum) => {
                let part = parts.iter().find(|part| part.chunk.get(4..8) == Some(&checksum))?;
                let entry = Entry::with_change(&bytes, part.chunk.to_vec()).ok()?;
                let header = entry.header();
                exact &= part.actor == actor(header.device, header.incarnation);
                changes.extend(entry.change());
                Some(entry)
            }
            None => Entry::decode(&bytes).ok(),
        });
        // What follows may name what is missing: the log brings all of it.
        let Some(entry) = entry else {
            exact = false;
            break;
        };
        meet(&mut names, &entry);
        entries.push(entry);
    }
    let of = entries.first().map(|entry| entry.subject().0);
    exact &= entries.iter().all(|entry| Some(entry.subject().0) == of);
    exact &= !parts.is_empty() && changes.len() == parts.len();
    let document = subject.document.into();
    (entries, of.filter(|_| exact).map(|of| (of, Came { document, changes })))
}

/// Names that are known behind an entry: its own, and its change's.
fn meet(names: &mut Names, entry: &Entry) {
    names.meet(entry.id().0);
    if let Some(change) = entry.change() {
        names.meet(change.0);
    }
}

/// A subject as it goes.
fn whole(
    view: &View<'_>,
    scope: &str,
    which: &Which,
    subject: &[u8; 16],
    peer: i64,
) -> Result<Vec<u8>, StoreError> {
    let (Which::Open(schema) | Which::Closed(schema) | Which::All(schema)) = *which;
    let stored = view.document(subject)?;
    let upto = stored.as_ref().map_or(0, |d| d.pos);
    let mut left_out = false;
    let mut names = Names::default();
    let mut entries = Vec::new();
    for row in view.subject_in(scope, subject, peer)? {
        // Rot is the scrub's matter; what follows may name it, and comes with the log.
        let Ok(entry) = Entry::decode(&row.bytes) else { break };
        let inside = row.kind == kind_code(Kind::Edit) && row.good && row.pos <= upto;
        let without = if inside { entry.without_change() } else { None };
        left_out |= without.is_some();
        let (holed, change) = match without {
            Some((head, change)) => (names.leave_out(&head), Some(change)),
            None => (names.leave_out(&row.bytes), None),
        };
        entries.push(Carried { holed, change });
        meet(&mut names, &entry);
    }
    let document = stored.filter(|_| left_out).map(|d| d.bytes).unwrap_or_default().into();
    let mut out = Vec::new();
    match minicbor::encode(Whole { schema, document, entries }, &mut out) {
        Ok(()) => Ok(out),
        Err(e) => unreachable!("encoding into memory failed: {e}"),
    }
}

/// An array of what is encoded already.
fn list(subjects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    match minicbor::Encoder::new(&mut out).array(subjects.len() as u64) {
        Ok(_) => {}
        Err(e) => unreachable!("encoding into memory failed: {e}"),
    }
    out.extend(subjects.iter().flatten());
    out
}

fn read(body: &[u8]) -> Option<Vec<Whole>> {
    if body.is_empty() {
        return Some(Vec::new());
    }
    minicbor::decode(body).ok()
}
