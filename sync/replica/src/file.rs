//! A case or a resident, read whole: what pages and papers are made from.

use crate::Replica;
use crate::kinds::{CASE, RESIDENT, schema_of};
use cunkou_casework::case::{
    CaseState, Folded, Ladder, Record, Standing, Verdict, attested, authenticate, fold,
    still_counts,
};
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::document::{Document, Projection, Schema, Section, Write, actor};
use cunkou_casework::entry::{Entry, Header, Kind};
use cunkou_casework::event::{Event, Level, Witness};
use cunkou_casework::ids::{EntryId, PlaceId, SubjectId};
use cunkou_casework::registry::{self, Registered};
use cunkou_casework::resident::Resident;
use cunkou_store::{EntryRow, EntryState, StoreError, View};
use std::collections::BTreeMap;

/// When a relay says it had an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The relay's time, milliseconds.
    pub time_ms: i64,
    /// Position in the relay's log.
    pub position: u64,
    /// How far a relay had read the county log when it first said so: what was revoked later did
    /// still count.
    pub county: u64,
}

/// A step in the history of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepNote {
    /// The event with who and when.
    pub record: Record,
    /// What became of it.
    pub standing: Standing,
    /// When a relay had it.
    pub witnessed: Option<Witnessed>,
}

/// A save in the history of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditNote {
    /// The entry.
    pub id: EntryId,
    /// Who and when.
    pub header: Header,
    /// What was set and removed.
    pub writes: Vec<Write>,
    /// When a relay had it.
    pub witnessed: Option<Witnessed>,
}

/// An edit as it lies in the store.
#[derive(Debug)]
pub struct EditRow {
    /// Position in the store.
    pub pos: u64,
    /// The entry.
    pub entry: Entry,
    /// Whether it counts.
    pub state: EntryState,
}

/// All entries of one subject, read and sorted out.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Events whose signatures hold, with their row position.
    pub records: Vec<Record>,
    /// Positions of event rows by id, with the state they are in now.
    pub rows: BTreeMap<EntryId, (u64, EntryState)>,
    /// Edits in order of arrival.
    pub edits: Vec<EditRow>,
    /// What relays said.
    pub witnessed: BTreeMap<EntryId, Witnessed>,
    /// Positions of witnesses that waited and count now.
    pub now_good: Vec<u64>,
    /// Positions of events whose worth has changed with the county log or a witness.
    pub fallen: Vec<(u64, EntryState, String)>,
    /// Entries kept aside for their own fault.
    pub bad: u32,
    /// Latest claimed time, milliseconds.
    pub changed_ms: i64,
}

/// A case, whole.
#[derive(Debug)]
pub struct CaseFile {
    /// The case.
    pub subject: SubjectId,
    /// What it has come to.
    pub state: CaseState,
    /// The content as it counts: frozen at submission, the supplement open.
    pub content: Projection,
    /// The content is whole and agrees with the digest that was signed.
    pub content_holds: bool,
    /// The content as it stands now.
    pub current: Projection,
    /// Heads of the document now, for forms.
    pub heads: Vec<cunkou_casework::ids::ChangeId>,
    /// How far it has come.
    pub ladder: Ladder,
    /// Steps in causal order.
    pub steps: Vec<StepNote>,
    /// Saves in order of arrival.
    pub edits: Vec<EditNote>,
    /// Attachments here, and in all.
    pub attachments: (u64, u64),
    /// The latest events.
    pub frontier: Vec<EntryId>,
}

/// A resident, whole.
#[derive(Debug)]
pub struct ResidentFile {
    /// The resident.
    pub subject: SubjectId,
    /// Their village.
    pub place: PlaceId,
    /// Particulars.
    pub resident: Resident,
    /// The document's content, reusable materials included.
    pub content: Projection,
    /// Heads of the document now, for forms.
    pub heads: Vec<cunkou_casework::ids::ChangeId>,
}

impl Gathered {
    /// The edits that a document which holds those up to a position may still take.
    pub(crate) fn todo(&self, applied_to: u64) -> impl Iterator<Item = &EditRow> {
        self.edits.iter().filter(move |e| match e.state {
            EntryState::Waiting | EntryState::Unfounded => true,
            EntryState::Good => e.pos > applied_to,
            EntryState::Quarantined => false,
        })
    }
}

/// Reads a subject's rows. Signatures of rows that count already are not checked again: their
/// bytes are what was checked, as their name says. What was revoked since is.
pub(crate) fn gather(rows: Vec<EntryRow>, county: &CountyLog) -> Gathered {
    let mut out = Gathered::default();
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        match Entry::decode(&row.bytes) {
            Ok(entry) if entry.kind() == Kind::Witness => out.hear(&row, &entry, county),
            Ok(entry) => read.push((row, entry)),
            Err(_) => out.bad += 1,
        }
    }
    for (row, entry) in read {
        match entry.kind() {
            Kind::Event if row.state == EntryState::Quarantined => out.bad += 1,
            Kind::Event => out.event(&row, &entry, county),
            Kind::Edit => {
                if row.state == EntryState::Good {
                    out.changed_ms = out.changed_ms.max(entry.header().claimed_ms);
                }
                out.edits.push(EditRow { pos: row.pos, entry, state: row.state });
            }
            Kind::Witness
            | Kind::County
            | Kind::Credential
            | Kind::Rescue
            | Kind::Looks
            | Kind::Erasure => {}
        }
    }
    out
}

impl Gathered {
    /// How far a relay had read the county log when it first had an entry.
    pub(crate) fn had(&self, id: EntryId) -> Option<u64> {
        self.witnessed.get(&id).map(|w| w.county)
    }

    fn hear(&mut self, row: &EntryRow, entry: &Entry, county: &CountyLog) {
        let good = row.state == EntryState::Good;
        if !good && !relay_came(row, entry, county) {
            return;
        }
        if !good {
            self.now_good.push(row.pos);
        }
        let Ok(witness) = cunkou_casework::event::decode::<Witness>(entry.payload()) else {
            return;
        };
        let log = entry.header().log.position;
        let seen = Witnessed { time_ms: witness.time_ms, position: witness.position, county: log };
        for id in witness.entries {
            let first = self.witnessed.entry(id).or_insert(seen);
            let county = first.county.min(log);
            if seen.time_ms < first.time_ms {
                *first = seen;
            }
            first.county = county;
        }
    }

    fn event(&mut self, row: &EntryRow, entry: &Entry, county: &CountyLog) {
        let id = entry.id();
        let had = self.had(id);
        let attestation = if row.state == EntryState::Good {
            still_counts(entry.header(), county, had).map(|()| attested(entry, county))
        } else {
            authenticate(entry, county, had)
        };
        self.rows.insert(id, (row.pos, row.state));
        match (attestation, Event::decode(entry.payload())) {
            (Ok(attestation), Ok(event)) => {
                self.changed_ms = self.changed_ms.max(entry.header().claimed_ms);
                let header = entry.header().clone();
                self.records.push(Record { id, header, event, attestation });
            }
            (Err(verdict), _) => {
                self.bad += 1;
                let (state, why) = aside(verdict);
                if state != row.state {
                    self.fallen.push((row.pos, state, why));
                }
            }
            (Ok(_), Err(_)) => self.bad += 1,
        }
    }
}

/// The state of an entry that does not count now; it is judged again when the county log grows or
/// a witness comes.
pub(crate) fn aside(verdict: Verdict) -> (EntryState, String) {
    match verdict {
        Verdict::Pending(why) => (EntryState::Waiting, why.to_string()),
        Verdict::Quarantine(why) => (EntryState::Unfounded, why.to_string()),
        Verdict::Accept => unreachable!("an error is never an acceptance"),
    }
}

/// Whether a witness that waited for its relay's enrolment counts now.
fn relay_came(row: &EntryRow, entry: &Entry, county: &CountyLog) -> bool {
    let header = entry.header();
    let relay = county.device(header.device);
    row.state == EntryState::Waiting
        && authenticate(entry, county, None).is_ok()
        && relay.is_some_and(|d| d.kind == DeviceKind::Relay)
}

pub(crate) fn ladder(folded: &Folded, witnessed: &BTreeMap<EntryId, Witnessed>) -> Ladder {
    let submission = folded.state.submission.as_ref();
    Ladder {
        saved: true,
        uploaded: submission.is_some_and(|s| witnessed.contains_key(&s.event)),
        taken: folded.state.taken,
        accepted: folded.state.acceptance.is_some(),
        by_township: folded.state.accepts_at() == Level::Township,
    }
}

/// The content as it counts: what the submission froze, each round of the supplement as it was
/// given, and the open ones as they are now. Also says whether what is frozen agrees with the
/// digest that was signed; not while some of it has yet to arrive.
fn content(document: &Document, state: &CaseState) -> (Projection, bool) {
    let now = document.projection();
    let Some(submission) = &state.submission else { return (now, true) };
    let Some(frozen) = document.projection_at(&submission.heads) else { return (now, false) };
    let holds = submission.digest.is_none_or(|digest| digest == frozen.digest());
    let mut content = frozen.with_open_sections(&now);
    for (round, heads) in state.frozen_rounds() {
        let Some(then) = document.projection_at(heads) else { return (content, false) };
        content = content.with_round(round, &then);
    }
    (content, holds)
}

impl Replica {
    /// Reads a case whole.
    ///
    /// # Errors
    /// When the store fails; `None` when there is no such case here.
    pub fn case(&self, subject: SubjectId) -> Result<Option<CaseFile>, StoreError> {
        self.store.read(|view| self.case_in(view, subject))
    }

    pub(crate) fn case_in(
        &self,
        view: &View<'_>,
        subject: SubjectId,
    ) -> Result<Option<CaseFile>, StoreError> {
        let county = self.county();
        if view.subject(&subject.0)?.is_none_or(|(schema, _)| schema != CASE)
            || view.evicted(&subject.0)?.is_some()
        {
            return Ok(None);
        }
        let gathered = gather(view.entries_of(&subject.0)?, &county);
        let folded = fold(&gathered.records, &county);
        let document = self.document_in(view, subject, Schema::Case1)?;
        let ladder = ladder(&folded, &gathered.witnessed);
        let mut records: BTreeMap<EntryId, Record> =
            gathered.records.into_iter().map(|r| (r.id, r)).collect();
        let steps = folded.standings.iter().filter_map(|(id, standing)| {
            let record = records.remove(id)?;
            let witnessed = gathered.witnessed.get(id).copied();
            Some(StepNote { record, standing: *standing, witnessed })
        });
        let steps = steps.collect();
        // Only what is in the document has been through the guard; nothing else is read here.
        let guarded = view.document(&subject.0)?.map_or(0, |stored| stored.pos);
        let counting =
            gathered.edits.iter().filter(|e| e.state == EntryState::Good && e.pos <= guarded);
        let edits = counting.filter_map(|EditRow { entry, .. }| {
            let header = entry.header().clone();
            let actor = actor(header.device, header.incarnation);
            let gated = cunkou_guard::gate(entry.payload(), Schema::Case1, &actor).ok()?;
            let witnessed = gathered.witnessed.get(&entry.id()).copied();
            Some(EditNote { id: entry.id(), header, writes: gated.writes, witnessed })
        });
        let (content, content_holds) = content(&document, &folded.state);
        Ok(Some(CaseFile {
            subject,
            content,
            content_holds,
            current: document.projection(),
            heads: document.heads(),
            edits: edits.collect(),
            steps,
            ladder,
            attachments: view.attachments_of(&subject.0)?,
            frontier: folded.frontier,
            state: folded.state,
        }))
    }

    /// Reads a resident whole.
    ///
    /// # Errors
    /// When the store fails; `None` when there is no such resident here.
    pub fn resident(&self, subject: SubjectId) -> Result<Option<ResidentFile>, StoreError> {
        self.store.read(|view| {
            let county = self.county();
            if view.subject(&subject.0)?.is_none_or(|(schema, _)| schema != RESIDENT) {
                return Ok(None);
            }
            let gathered = gather(view.entries_of(&subject.0)?, &county);
            let Registered { place: Some(place), .. } = registry::fold(&gathered.records, &county)
            else {
                return Ok(None);
            };
            let document = self.document_in(view, subject, Schema::Resident1)?;
            let content = document.projection();
            Ok(Some(ResidentFile {
                subject,
                place,
                resident: Resident::read(&content),
                heads: document.heads(),
                content,
            }))
        })
    }

    pub(crate) fn document_in(
        &self,
        view: &View<'_>,
        subject: SubjectId,
        schema: Schema,
    ) -> Result<Document, StoreError> {
        let damaged = |_| StoreError::Damaged { what: "document" };
        match view.document(&subject.0)? {
            Some(stored) => Document::load(schema, &stored.bytes).map_err(damaged),
            None => Document::new(schema).map_err(damaged),
        }
    }
}

impl CaseFile {
    /// Rival values of a draft that wait for somebody's choice: section, key, values.
    #[must_use]
    pub fn conflicts(&self) -> Vec<(String, String, Vec<String>)> {
        let open = |section: &str| {
            self.state.submission.is_none()
                || [Section::Supplement, Section::Notes, Section::Messages]
                    .iter()
                    .any(|s| s.name() == section)
        };
        self.current
            .conflicts()
            .filter(|(section, ..)| open(section))
            .map(|(section, key, values)| (section.to_owned(), key.to_owned(), values.to_vec()))
            .collect()
    }
}

impl Replica {
    /// What a subject's document said at some heads: for forms that were made from them.
    ///
    /// # Errors
    /// When the store fails; `None` when the heads are not known here.
    pub fn content_at(
        &self,
        subject: SubjectId,
        heads: &[cunkou_casework::ids::ChangeId],
    ) -> Result<Option<Projection>, StoreError> {
        self.store.read(|view| {
            let Some((schema, _)) = view.subject(&subject.0)? else { return Ok(None) };
            let document = self.document_in(view, subject, schema_of(schema))?;
            Ok(document.projection_at(heads))
        })
    }
}
