//! A case or a resident, read whole: what pages and papers are made from.

use crate::Replica;
use crate::kinds::{CASE, RESIDENT, schema_of};
use cunkou_casework::case::{
    Attestation, CaseState, Folded, Ladder, Record, Standing, authenticate, fold,
};
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::document::{Document, Projection, Schema, Section, Write, actor};
use cunkou_casework::entry::{Entry, Header, Kind};
use cunkou_casework::event::{Event, Witness};
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

/// Reads a subject's rows. Signatures of rows that count already are not checked again: their
/// bytes are what was checked, as their name says.
pub(crate) fn gather(rows: Vec<EntryRow>, county: &CountyLog) -> Gathered {
    let mut out = Gathered::default();
    for row in rows {
        let Ok(entry) = Entry::decode(&row.bytes) else {
            out.bad += 1;
            continue;
        };
        let good = row.state == EntryState::Good;
        match entry.kind() {
            Kind::Event if row.state == EntryState::Quarantined => out.bad += 1,
            Kind::Event => {
                let attestation =
                    if good { Ok(attested(&entry)) } else { authenticate(&entry, county) };
                let event = Event::decode(entry.payload());
                out.rows.insert(entry.id(), (row.pos, row.state));
                match (attestation, event) {
                    (Ok(attestation), Ok(event)) => {
                        out.changed_ms = out.changed_ms.max(entry.header().claimed_ms);
                        out.records.push(Record {
                            id: entry.id(),
                            header: entry.header().clone(),
                            event,
                            attestation,
                        });
                    }
                    _ => out.bad += 1,
                }
            }
            Kind::Edit => {
                if good {
                    out.changed_ms = out.changed_ms.max(entry.header().claimed_ms);
                }
                out.edits.push(EditRow { pos: row.pos, entry, state: row.state });
            }
            Kind::Witness if good || relay_came(&row, &entry, county) => {
                if !good {
                    out.now_good.push(row.pos);
                }
                if let Ok(witness) = cunkou_casework::event::decode::<Witness>(entry.payload()) {
                    for id in witness.entries {
                        let seen =
                            Witnessed { time_ms: witness.time_ms, position: witness.position };
                        let first = out.witnessed.entry(id).or_insert(seen);
                        if seen.time_ms < first.time_ms {
                            *first = seen;
                        }
                    }
                }
            }
            Kind::Witness | Kind::County | Kind::Credential => {}
        }
    }
    out
}

/// Whether a witness that waited for its relay's enrolment counts now.
fn relay_came(row: &EntryRow, entry: &Entry, county: &CountyLog) -> bool {
    let relay = county.device(entry.header().device);
    row.state == EntryState::Waiting
        && authenticate(entry, county).is_ok()
        && relay.is_some_and(|d| d.kind == DeviceKind::Relay)
}

fn attested(entry: &Entry) -> Attestation {
    match (entry.has_person_signature(), entry.header().person) {
        (true, _) => Attestation::Person,
        (false, Some(_)) => Attestation::Relay,
        (false, None) => Attestation::Device,
    }
}

pub(crate) fn ladder(folded: &Folded, witnessed: &BTreeMap<EntryId, Witnessed>) -> Ladder {
    let submission = folded.state.submission.as_ref();
    Ladder {
        saved: true,
        uploaded: submission.is_some_and(|s| witnessed.contains_key(&s.event)),
        taken: folded.state.taken,
        accepted: folded.state.acceptance.is_some(),
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
        let counting = gathered.edits.iter().filter(|e| e.state == EntryState::Good);
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
