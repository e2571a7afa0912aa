//! The whole store read again and held against what it says of itself: entries against their
//! names, documents against the saves that they are made of, photos against their hashes, files
//! against the rows that name them, tables as SQLite sees them.
//!
//! What can be made again here is made again; what only somebody else can have is marked, and is
//! neither sent nor folded until it has been healed ([`Replica::heal`], the pull of attachments).

use crate::Replica;
use crate::file::gather;
use crate::kinds::schema_of;
use cunkou_casework::document::Document;
use cunkou_casework::entry::Entry;
use cunkou_casework::ids::{EntryId, SubjectId};
use cunkou_store::{ATTACHMENT_FOLDERS, EntryRow, EntryState, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tracing::{error, info, warn};

/// Under this name the round and the last one are kept.
const KEPT: &str = "scrub";
const DAY_MS: i64 = 24 * 3600 * 1000;
/// So often a round begins.
const EVERY_MS: i64 = 30 * DAY_MS;
/// In so many calls a round is over, if each is to take no more than [`SLICES_MAX`]: 20 days of
/// calls every 30 seconds.
const CALLS: u64 = 20 * 24 * 120;
const SLICES_MAX: u64 = 8;
/// What one slice reads, so that it takes a few hundredths of a second on a small box.
const ENTRIES: u32 = 100;
const ENTRY_BYTES: usize = 512 * 1024;
const DOCUMENTS: u32 = 4;
const ATTACHMENTS: u32 = 16;
const ATTACHMENT_BYTES: u64 = 2 * 1024 * 1024;

/// What a scrub has looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// Entries read.
    pub entries: u64,
    /// Of these: their bytes were not those of their name. Marked, and healed by a peer.
    pub rotten: u64,
    /// Of these: the disk does not give them back at all.
    pub unreadable: u64,
    /// Documents read.
    pub documents: u64,
    /// Of these: made again from their saves.
    pub mended: u64,
    /// Attachments read.
    pub attachments: u64,
    /// Of these: not there or not whole, and wanted again.
    pub wanted_again: u64,
    /// Files that nothing named, removed.
    pub removed: u64,
    /// What SQLite says of its tables.
    pub faults: Vec<String>,
}

impl Scrubbed {
    /// Whether everything was as it should be.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.rotten + self.unreadable + self.mended + self.wanted_again == 0
            && self.faults.is_empty()
    }
}

/// Where the scrub stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// How far the present round is, in hundredths; none between two rounds.
    pub percent: Option<u64>,
    /// When the last round ended, milliseconds.
    pub ended_ms: Option<i64>,
    /// What the last round found; while the first one runs, what that has found.
    pub found: Scrubbed,
    /// Entries that wait to be healed by a peer.
    pub to_heal: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    #[default]
    Entries,
    Documents,
    Attachments,
    Files,
    Tables,
    Over,
}

impl Part {
    fn following(self) -> Self {
        match self {
            Self::Entries => Self::Documents,
            Self::Documents => Self::Attachments,
            Self::Attachments => Self::Files,
            Self::Files => Self::Tables,
            Self::Tables | Self::Over => Self::Over,
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Round {
    part: Part,
    /// The last thing of this part that was looked at.
    after: Vec<u8>,
    begun_ms: i64,
    slices: u64,
    found: Scrubbed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ended {
    begun_ms: i64,
    ended_ms: i64,
    found: Scrubbed,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    round: Option<Round>,
    last: Option<Ended>,
}

impl Round {
    fn next(&mut self, part: Part) {
        (self.part, self.after) = (part, Vec::new());
    }

    /// A number kept as the last thing that was looked at.
    fn number(&self) -> u64 {
        <[u8; 8]>::try_from(&self.after[..]).map_or(0, u64::from_be_bytes)
    }
}

impl Replica {
    /// The whole round at once. `beside` are all others whose attachments lie in the same folder:
    /// what they name is not removed. `progress` hears how many slices are done, of about how many.
    ///
    /// # Errors
    /// When the store or the disk fails otherwise than by having rotted.
    pub fn scrub(
        &self,
        beside: &[&Self],
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Scrubbed, StoreError> {
        let mut round = Round { begun_ms: self.now_ms(), ..Round::default() };
        let all = self.slices()?;
        while round.part != Part::Over {
            self.slice(&mut round, beside)?;
            progress(round.slices.min(all), all);
        }
        // What looks past the tables, at every page; people wait meanwhile.
        round.found.faults.extend(self.store.faults()?);
        round.found.faults.sort();
        round.found.faults.dedup();
        let found = round.found.clone();
        self.keep_scrub(&Kept { round: None, last: Some(self.ended(round)) })?;
        Ok(found)
    }

    /// A little of the round, as much as is due: called every half minute. A round begins 30 days
    /// after the one before and survives restarts.
    ///
    /// # Errors
    /// As [`Replica::scrub`]; the next call tries again.
    pub fn scrub_on(&self, beside: &[&Self]) -> Result<(), StoreError> {
        let mut kept = self.kept_scrub()?;
        let now_ms = self.now_ms();
        let mut round = match kept.round.take() {
            Some(round) => round,
            // A clock that jumps far back lets nobody wait for years.
            None if kept.last.as_ref().is_some_and(|l| (now_ms - l.begun_ms).abs() < EVERY_MS) => {
                return Ok(());
            }
            None => Round { begun_ms: now_ms, ..Round::default() },
        };
        for _ in 0..self.slices()?.div_ceil(CALLS).clamp(1, SLICES_MAX) {
            self.slice(&mut round, beside)?;
            if round.part == Part::Over {
                let ended = self.ended(round);
                return self.keep_scrub(&Kept { round: None, last: Some(ended) });
            }
        }
        kept.round = Some(round);
        self.keep_scrub(&kept)
    }

    /// Where the scrub stands.
    ///
    /// # Errors
    /// When the store fails.
    pub fn scrub_status(&self) -> Result<ScrubStatus, StoreError> {
        let Kept { round, last } = self.kept_scrub()?;
        let to_heal = self.store.read(|view| view.rotten_count())?;
        let all = self.slices()?.max(1);
        let percent = round.as_ref().map(|round| (round.slices * 100 / all).min(99));
        let ended_ms = last.as_ref().map(|last| last.ended_ms);
        let found = last.map(|l| l.found).or(round.map(|r| r.found)).unwrap_or_default();
        Ok(ScrubStatus { percent, ended_ms, found, to_heal })
    }

    /// An entry that had rotted here came from a peer. True when it is whole again; false when it
    /// was not asked for, or these are not its bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn heal(&self, id: EntryId, bytes: &[u8]) -> Result<bool, StoreError> {
        let Some(entry) = Entry::decode(bytes).ok().filter(|entry| entry.id() == id) else {
            return Ok(false);
        };
        if !self.store.write(|tx| tx.heal(&id.0, bytes))? {
            return Ok(false);
        }
        info!(entry = %id, "an entry is healed");
        if entry.subject() == self.me.county {
            self.county_grew()?;
        }
        self.materialise_these(&[entry.subject().0])?;
        self.changed();
        Ok(true)
    }

    fn kept_scrub(&self) -> Result<Kept, StoreError> {
        let kept = self.store.read(|view| view.meta(KEPT))?.unwrap_or_default();
        // What an other version kept begins anew.
        Ok(serde_json::from_slice(&kept).unwrap_or_default())
    }

    fn keep_scrub(&self, kept: &Kept) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(kept).map_err(|_| StoreError::Damaged { what: "scrub" })?;
        self.store.write(|tx| tx.set_meta(KEPT, &bytes))
    }

    fn ended(&self, round: Round) -> Ended {
        let Round { begun_ms, found, .. } = round;
        if found.clean() {
            info!(entries = found.entries, attachments = found.attachments, "the store is whole");
        } else {
            warn!(
                rotten = found.rotten,
                unreadable = found.unreadable,
                mended = found.mended,
                wanted_again = found.wanted_again,
                faults = found.faults.len(),
                "the disk does not give back everything that was written"
            );
        }
        Ended { begun_ms, ended_ms: self.now_ms(), found }
    }

    /// About how many slices a round has.
    fn slices(&self) -> Result<u64, StoreError> {
        let (entries, documents, attachments) = self.store.read(|view| view.to_scrub())?;
        let tables = self.store.read(|view| view.tables())?.len() as u64;
        Ok(entries / u64::from(ENTRIES)
            + documents / u64::from(DOCUMENTS)
            + attachments / 4
            + u64::from(ATTACHMENT_FOLDERS)
            + tables
            + 3)
    }

    fn slice(&self, round: &mut Round, beside: &[&Self]) -> Result<(), StoreError> {
        round.slices += 1;
        let done = match round.part {
            Part::Entries => self.scrub_entries(round),
            Part::Documents => self.scrub_documents(round),
            Part::Attachments => self.scrub_attachments(round),
            Part::Files => self.scrub_files(round, beside),
            Part::Tables => self.scrub_tables(round),
            Part::Over => Ok(()),
        };
        match done {
            // What says where to go on has rotted: the rest is looked at all the same.
            Err(error) if error.is_rot() => {
                error!(%error, part = ?round.part, "the disk does not give back a part of the store");
                round.found.unreadable += 1;
                round.next(round.part.following());
                Ok(())
            }
            done => done,
        }
    }

    fn scrub_entries(&self, round: &mut Round) -> Result<(), StoreError> {
        let after = round.number();
        let read = self.store.read(|view| view.entries_after(after, ENTRIES, ENTRY_BYTES));
        let rows = match read {
            Ok(rows) => rows,
            Err(e) if e.is_rot() => return self.scrub_singly(round, after),
            Err(e) => return Err(e),
        };
        let Some(last) = rows.last() else {
            round.next(round.part.following());
            return Ok(());
        };
        round.after = last.pos.to_be_bytes().to_vec();
        rows.iter().try_for_each(|row| self.scrub_entry(round, row))
    }

    /// One position at a time: a page among them has rotted.
    fn scrub_singly(&self, round: &mut Round, after: u64) -> Result<(), StoreError> {
        let end = self.store.read(|view| view.entry_count())?;
        for pos in after + 1..=end.min(after + u64::from(ENTRIES)) {
            round.after = pos.to_be_bytes().to_vec();
            match self.store.read(|view| view.entries_after(pos - 1, 1, 1)) {
                Ok(rows) => rows.iter().try_for_each(|row| self.scrub_entry(round, row))?,
                Err(e) if e.is_rot() => {
                    round.found.unreadable += 1;
                    error!(pos, "the disk does not give back an entry");
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn scrub_entry(&self, round: &mut Round, row: &EntryRow) -> Result<(), StoreError> {
        round.found.entries += 1;
        let whole =
            |row: &EntryRow| Entry::decode(&row.bytes).is_ok_and(|entry| entry.id().0 == row.id);
        if row.bytes.is_empty() || whole(row) {
            return Ok(());
        }
        // Another reader, another page cache: memory may have failed and not the disk.
        let again = self.store.read(|view| view.entry(&row.id))?;
        if again.is_none_or(|again| again.bytes.is_empty() || whole(&again)) {
            return Ok(());
        }
        let now_ms = self.now_ms();
        self.store.write(|tx| tx.mark_rotten(row.pos, now_ms))?;
        round.found.rotten += 1;
        error!(entry = %EntryId(row.id), "an entry has rotted; a peer can heal it");
        self.materialise_these(&[row.subject])?;
        self.changed();
        Ok(())
    }

    fn scrub_documents(&self, round: &mut Round) -> Result<(), StoreError> {
        let part = self.store.read(|view| view.documents_after(&round.after, DOCUMENTS))?;
        let Some(last) = part.last() else {
            round.next(round.part.following());
            return Ok(());
        };
        round.after = last.to_vec();
        for subject in part {
            round.found.documents += 1;
            match self.document_holds(subject) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(e) if e.is_rot() => {}
                Err(e) => return Err(e),
            }
            let mended = self.store.write(|tx| -> Result<(), StoreError> {
                tx.drop_derived(&subject)?;
                self.materialise(tx, SubjectId(subject))
            });
            match mended {
                Ok(()) => {
                    round.found.mended += 1;
                    warn!(subject = %SubjectId(subject), "a document was made again from its saves");
                }
                Err(e) if e.is_rot() => {
                    round.found.unreadable += 1;
                    error!(subject = %SubjectId(subject), "the disk does not give back a document");
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Whether a stored document is what the saves make that are in it.
    fn document_holds(&self, subject: [u8; 16]) -> Result<bool, StoreError> {
        let county = self.county();
        self.store.read(|view| {
            let (Some(stored), Some((schema, _))) =
                (view.document(&subject)?, view.subject(&subject)?)
            else {
                return Ok(true);
            };
            // A save that waits to be healed is in the document; without it, it would not be.
            if view.is_dirty(&subject)? || view.is_rotten(&subject)? {
                return Ok(true);
            }
            let schema = schema_of(schema);
            let damaged = |_| StoreError::Damaged { what: "document" };
            let Ok(document) = Document::load(schema, &stored.bytes) else { return Ok(false) };
            let gathered = gather(view.entries_of(&subject)?, &county);
            let counting = gathered
                .edits
                .iter()
                .filter(|edit| edit.state == EntryState::Good && edit.pos <= stored.pos);
            let mut saves: Vec<_> = counting.filter_map(|edit| edit.entry.change()).collect();
            let all = document.has(&saves);
            saves.extend(Document::new(schema).map_err(damaged)?.heads());
            Ok(all && document.heads().iter().all(|head| saves.contains(head)))
        })
    }

    fn scrub_attachments(&self, round: &mut Round) -> Result<(), StoreError> {
        let part = self.store.read(|view| view.attachments_after(&round.after, ATTACHMENTS))?;
        if part.is_empty() {
            round.next(round.part.following());
            return Ok(());
        }
        let mut read = 0;
        for (id, bytes) in part {
            round.after = id.to_vec();
            round.found.attachments += 1;
            let whole = match self.store.read_attachment(&id) {
                Ok(found) => found.is_some(),
                Err(StoreError::Damaged { .. }) => false,
                // A file that the disk does not give back is one that is not there.
                Err(StoreError::Disk { .. }) => false,
                Err(e) => return Err(e),
            };
            if !whole && self.store.write(|tx| tx.attachment_lost(&id))? {
                round.found.wanted_again += 1;
                error!("an attachment is not whole; it is fetched again from whoever has it");
                self.changed();
            }
            read += bytes;
            if read >= ATTACHMENT_BYTES {
                break;
            }
        }
        Ok(())
    }

    fn scrub_files(&self, round: &mut Round, beside: &[&Self]) -> Result<(), StoreError> {
        let folder = round.number();
        let mut named = BTreeSet::new();
        for replica in beside.iter().chain([&self]) {
            let ids = replica.store.read(|view| view.attachments_with_files())?;
            named.extend(replica.store.attachment_files(&ids));
        }
        let at = u16::try_from(folder).unwrap_or(0);
        round.found.removed += self.store.remove_orphans(at, &named)? as u64;
        round.after = (folder + 1).to_be_bytes().to_vec();
        if folder + 1 >= u64::from(ATTACHMENT_FOLDERS) {
            round.next(round.part.following());
        }
        Ok(())
    }

    fn scrub_tables(&self, round: &mut Round) -> Result<(), StoreError> {
        let tables = self.store.read(|view| view.tables())?;
        let next = tables.iter().find(|table| table.as_bytes() > &round.after[..]);
        let Some(table) = next else {
            round.next(round.part.following());
            return Ok(());
        };
        round.found.faults.extend(self.store.integrity_of(table)?);
        round.after = table.clone().into_bytes();
        Ok(())
    }
}
