//! Derived rows: made from a subject's entries, and made again whenever these change.

use crate::Replica;
use crate::file::{EditRow, Gathered, gather, ladder};
use crate::guarded::{Built, Homes, at_the_door, standing};
use crate::kinds::{CASE, ERASURE, RESIDENT, schema_of};
use crate::search::keys;
use cunkou_casework::case::{Standing, fold, still_counts};
use cunkou_casework::county::CountyLog;
use cunkou_casework::document::{Document, Projection, Section};
use cunkou_casework::event::{Level, Step};
use cunkou_casework::ids::{AttachmentId, DeviceId, EntryId, Scope, SubjectId};
use cunkou_casework::material::{attachments_named, pages_named};
use cunkou_casework::registry;
use cunkou_casework::resident::Resident;
use cunkou_store::{CaseRow, EntryState, ResidentRow, Rungs, StoreError, StoredDocument, Txn};
use std::collections::BTreeSet;

/// So many subjects are derived in one transaction.
const BATCH: u32 = 200;

impl Replica {
    /// Brings every derived row up to date.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn materialise_dirty(&self) -> Result<(), StoreError> {
        loop {
            let dirty = self.store.read(|view| view.dirty(BATCH))?;
            if dirty.is_empty() {
                return Ok(());
            }
            self.materialise_these(&dirty)?;
        }
    }

    /// Brings the rows of these subjects up to date. Whoever sends something waits for what they
    /// sent, and not for what others sent meanwhile.
    pub(crate) fn materialise_these(&self, subjects: &[[u8; 16]]) -> Result<(), StoreError> {
        for part in subjects.chunks(BATCH as usize) {
            self.store.read(|view| self.look_ahead(view, part, false))?;
            self.store.write(|tx| -> Result<(), StoreError> {
                for subject in part {
                    if tx.is_dirty(subject)? {
                        self.materialise(tx, SubjectId(*subject))?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Derives one subject's rows from its entries.
    pub(crate) fn materialise(&self, tx: &Txn<'_>, subject: SubjectId) -> Result<(), StoreError> {
        tx.clean(&subject.0)?;
        if subject == self.me.county {
            return Ok(());
        }
        if self.erase_if_agreed(tx, subject)? {
            return Ok(());
        }
        if tx.evicted(&subject.0)?.is_some() {
            // What comes late of a case that left (a witness, a copy) leaves, too; an asking to erase
            // it waits for its agreement.
            return tx.blank_but(&subject.0, ERASURE);
        }
        let county = self.county();
        if self.away(tx, subject, &county)? {
            return Ok(());
        }
        if county.device(DeviceId(subject.0)).is_some() {
            return self.judge_waiting_looks(tx, subject, &county);
        }
        let gathered = gather(tx.entries_of(&subject.0)?, &county);
        for pos in &gathered.now_good {
            tx.set_state(*pos, EntryState::Good, None)?;
        }
        for (pos, state, why) in &gathered.fallen {
            tx.set_state(*pos, *state, Some(why))?;
        }
        let first = gathered.records.iter().find_map(|r| match &r.event.step {
            Step::Opened { .. } => Some(CASE),
            Step::ResidentAdded { .. } => Some(RESIDENT),
            _ => None,
        });
        // Made again where it still is one: what came first may not decide what a subject is.
        tx.remove_duty(&subject.0)?;
        match first {
            Some(CASE) => self.materialise_case(tx, subject, &county, gathered),
            Some(_) => self.materialise_resident(tx, subject, &county, gathered),
            None if gathered.records.iter().any(|r| r.event.step.of_duty()) => {
                self.materialise_duty(tx, subject, &county, gathered)
            }
            // Its beginning has not arrived: the entries stay as they are until it does.
            None => self.moved_meanwhile(tx, subject, &county, &gathered),
        }
    }

    fn materialise_case(
        &self,
        tx: &Txn<'_>,
        subject: SubjectId,
        county: &CountyLog,
        gathered: Gathered,
    ) -> Result<(), StoreError> {
        let folded = fold(&gathered.records, county);
        let mut aside = set_standings(tx, &gathered, &folded.standings)?;
        let Some(opened) = &folded.state.opened else {
            return Ok(());
        };
        let scope = Scope::Place(opened.place).to_string();
        tx.set_subject(&subject.0, CASE, &scope)?;
        let (document, more) =
            self.bring_up(tx, subject, county, &gathered, &Homes::One(opened.place), CASE)?;
        aside += more;
        let now = document.projection();
        let mut attachments = attachments_named(&now);
        for record in &gathered.records {
            attachments.extend(record.event.step.attachments());
        }
        name(tx, attachments, &now, &scope, subject)?;
        let open_conflicts = now.conflicts().any(|(section, ..)| {
            folded.state.submission.is_none()
                || Section::of(section).is_some_and(Section::open_after_submission)
        });
        let opened_ms = gathered.records.iter().map(|r| r.header.claimed_ms).min().unwrap_or(0);
        let rungs = ladder(&folded, &gathered.witnessed);
        tx.set_case_row(&CaseRow {
            subject: subject.0,
            number: opened.number.clone(),
            resident: opened.resident.0,
            applicant: now.get(Section::Particulars, "name").unwrap_or_default().to_owned(),
            item: opened.item.clone(),
            place: opened.place.0,
            phase: folded.state.phase.key().to_owned(),
            open: folded.state.phase.is_open(),
            holder: level_key(folded.state.holder).to_owned(),
            department: opened.route.department.clone(),
            task: folded.state.task().map_or("", |t| t.key()).to_owned(),
            due: folded.state.due().unwrap_or_default().to_owned(),
            opened_ms,
            submitted_ms: folded.state.submission.as_ref().map_or(0, |s| s.at_ms),
            changed_ms: gathered.changed_ms,
            uploaded: rungs.uploaded,
            conflict: open_conflicts,
            aside,
            rungs: Some(Rungs {
                taken: rungs.taken,
                accepted: rungs.accepted,
                by_township: rungs.by_township,
            }),
        })
    }

    fn materialise_resident(
        &self,
        tx: &Txn<'_>,
        subject: SubjectId,
        county: &CountyLog,
        gathered: Gathered,
    ) -> Result<(), StoreError> {
        let registered = registry::fold(&gathered.records, county);
        for record in &gathered.records {
            let (state, reason) = if registered.refused.contains(&record.id) {
                (EntryState::Unfounded, Some("the person may not take this step"))
            } else if registered.waiting.contains(&record.id) {
                (EntryState::Waiting, Some("an earlier step has not arrived"))
            } else {
                (EntryState::Good, None)
            };
            set_state(tx, &gathered, &record.id, state, reason)?;
        }
        let Some(place) = registered.place else {
            return Ok(());
        };
        let scope = Scope::Place(place).to_string();
        tx.set_subject(&subject.0, RESIDENT, &scope)?;
        self.home(tx, subject, county, &gathered, &registered)?;
        let homes = Homes::Of(registered.homes);
        let (document, _) = self.bring_up(tx, subject, county, &gathered, &homes, RESIDENT)?;
        let content = document.projection();
        name(tx, attachments_named(&content), &content, &scope, subject)?;
        let resident = Resident::read(&content);
        let row = ResidentRow {
            subject: subject.0,
            place: place.0,
            name: resident.name.clone(),
            masked_id: resident.masked_id(),
            birth: resident.birth.clone(),
            sex: resident.sex.clone(),
            group: resident.group.clone(),
            head: resident.head.clone(),
            nickname: resident.nickname.clone(),
            masked_phone: resident.masked_phone(),
            conflict: content.conflicts().next().is_some(),
        };
        tx.set_resident(&row, &keys(&resident, &self.me.index_secret))
    }

    /// Brings the stored document up to the edits that count now; edits that waited for their
    /// device or for an earlier edit are looked at again. Also says how many are aside.
    fn bring_up(
        &self,
        tx: &Txn<'_>,
        subject: SubjectId,
        county: &CountyLog,
        gathered: &Gathered,
        homes: &Homes,
        schema: u8,
    ) -> Result<(Document, u32), StoreError> {
        let schema = schema_of(schema);
        let damaged = |_| StoreError::Damaged { what: "document" };
        let mut stored = tx.document(&subject.0)?;
        let fallen = fallen(gathered, county);
        // A change cannot be taken out of a document: it is made again without these; so is one
        // that has rotted.
        let loaded = stored.as_ref().map(|saved| Document::load(schema, &saved.bytes));
        let again = !fallen.is_empty() || matches!(loaded, Some(Err(_)));
        let document = match loaded {
            Some(Ok(document)) if !again => document,
            _ => {
                stored = None;
                Document::new(schema).map_err(damaged)?
            }
        };
        let applied_to = stored.as_ref().map_or(0, |d| d.pos);
        let saved = stored.as_ref().map(|d| d.bytes.as_slice());
        let todo: Vec<&EditRow> = gathered.todo(applied_to).collect();
        let quarantined =
            gathered.edits.iter().filter(|e| e.state == EntryState::Quarantined).count() as u32;
        if todo.is_empty() && !again {
            return Ok((document, quarantined));
        }
        let mut aside = quarantined;
        let mut left: Vec<&EditRow> = Vec::new();
        for edit in todo {
            match at_the_door(edit, gathered.had(edit.entry.id()), county, homes) {
                Ok(()) => left.push(edit),
                Err((state, reason)) => {
                    aside += 1;
                    self.put_aside(tx, edit, state, &reason)?;
                }
            }
        }
        // Whatever fell at the door is not in a document that may be taken as it came.
        let whole =
            stored.is_none().then(|| self.came_whole.take(subject, schema, &left)).flatten();
        let built = match whole {
            Some(document) => Built::whole(document, left),
            None => self.build(schema, document, saved, left).map_err(damaged)?,
        };
        for (edit, verdict) in &built.verdicts {
            let Some((state, reason)) = standing(verdict) else {
                if edit.state != EntryState::Good {
                    tx.set_state(edit.pos, EntryState::Good, None)?;
                }
                continue;
            };
            aside += 1;
            self.put_aside(tx, edit, state, &reason)?;
        }
        let last = gathered.edits.iter().map(|e| e.pos).max().unwrap_or(applied_to);
        tx.set_document(&subject.0, &StoredDocument { pos: last, bytes: built.saved })?;
        Ok((built.document, aside))
    }
}

/// Edits that were applied and do not count any more.
fn fallen(gathered: &Gathered, county: &CountyLog) -> Vec<u64> {
    let good = gathered.edits.iter().filter(|e| e.state == EntryState::Good);
    good.filter(|e| still_counts(e.entry.header(), county, gathered.had(e.entry.id())).is_err())
        .map(|e| e.pos)
        .collect()
}

/// Keeps what became of events; says how many entries are aside.
pub(crate) fn set_standings(
    tx: &Txn<'_>,
    gathered: &Gathered,
    standings: &[(EntryId, Standing)],
) -> Result<u32, StoreError> {
    let mut aside = gathered.bad;
    for (id, standing) in standings {
        let reason;
        let (state, reason) = match standing {
            Standing::Effective | Standing::Overtaken | Standing::Rival => (EntryState::Good, None),
            Standing::Waiting(why) => {
                reason = why.to_string();
                (EntryState::Waiting, Some(reason.as_str()))
            }
            Standing::Quarantined(why) => {
                reason = why.to_string();
                (EntryState::Unfounded, Some(reason.as_str()))
            }
        };
        aside += u32::from(state != EntryState::Good);
        set_state(tx, gathered, id, state, reason)?;
    }
    Ok(aside)
}

fn set_state(
    tx: &Txn<'_>,
    gathered: &Gathered,
    id: &EntryId,
    state: EntryState,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    match gathered.rows.get(id) {
        Some((pos, now)) if *now != state => tx.set_state(*pos, state, reason),
        _ => Ok(()),
    }
}

/// The word for a level in rows.
pub(crate) fn level_key(level: Level) -> &'static str {
    match level {
        Level::Village => "village",
        Level::Township => "township",
        Level::County => "county",
    }
}

/// Says which attachments a subject names now, with what it says of each and its preview.
fn name(
    tx: &Txn<'_>,
    named: BTreeSet<AttachmentId>,
    content: &Projection,
    scope: &str,
    subject: SubjectId,
) -> Result<(), StoreError> {
    let pages = pages_named(content);
    let previews = pages.iter().filter_map(|page| page.preview.as_ref());
    let now: BTreeSet<[u8; 32]> =
        named.iter().map(|id| id.0).chain(previews.map(|preview| preview.hash.0)).collect();
    for id in &now {
        tx.attachment_named(id, scope, &subject.0)?;
    }
    for page in &pages {
        tx.attachment_described(&page.hash.0, false, page.bytes)?;
        if let Some(preview) = &page.preview {
            tx.attachment_described(&preview.hash.0, true, preview.bytes)?;
        }
    }
    tx.attachments_named_now(&subject.0, &now)
}
