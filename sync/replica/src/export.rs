//! A case as one file.

use crate::Replica;
use crate::file::gather;
use crate::kinds::{CASE, kind_code};
use cunkou_casework::checkpoint::{Proofs, Shown};
use cunkou_casework::county::{DeviceKind, Numbered};
use cunkou_casework::document::Schema;
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::event::{Step, decode};
use cunkou_casework::export::{Attached, BadExport, Export, fingerprint};
use cunkou_casework::ids::{AttachmentId, EntryId, Scope, SubjectId};
use cunkou_casework::material::attachments_named;
use cunkou_store::{EntryRow, EntryState, StoreError, View};
use std::collections::BTreeSet;

/// Why a case was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is larger than an export may be.
    #[error(transparent)]
    Export(#[from] BadExport),
}

fn entries(rows: &[EntryRow]) -> Vec<Entry> {
    rows.iter().filter_map(|row| Entry::decode(&row.bytes).ok()).collect()
}

impl Replica {
    /// A case as one file, `None` when it is not here; with the bytes of its photos when asked.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn export(&self, case: SubjectId, photos: bool) -> Result<Option<Vec<u8>>, ExportError> {
        // So that the log shows what came in the last minute, too.
        if self.device().is_some_and(|d| d.kind == DeviceKind::Relay) {
            self.checkpoint()?;
        }
        let gathered = self.store.read(|view| -> Result<_, StoreError> {
            if view.subject(&case.0)?.is_none_or(|(schema, _)| schema != CASE) {
                return Ok(None);
            }
            let of_case = view.entries_of(&case.0)?;
            let of_resident = match self.resident_of(&of_case) {
                Some(resident) => view.entries_of(&resident.0)?,
                None => Vec::new(),
            };
            let named = self.named_by(view, case, &of_case)?;
            Ok(Some((self.statements(view)?, entries(&of_case), entries(&of_resident), named)))
        })?;
        let Some((county, of_case, mut of_resident, named)) = gathered else { return Ok(None) };
        of_resident.retain(|e| matches!(e.kind(), Kind::Event | Kind::Witness));
        let mut attachments = Vec::with_capacity(named.len());
        for id in named {
            let bytes = if photos { self.store.read_attachment(&id.0)? } else { None };
            attachments.push(Attached { id, bytes: bytes.map(Into::into) });
        }
        let proofs = self.proofs(&of_case)?;
        let export =
            Export::new(case, &county, &of_case, &of_resident, attachments, proofs.as_ref())?;
        Ok(Some(export.encode()))
    }

    /// Where entries stand in this relay's own log, and who else has signed it; nothing on a box.
    fn proofs(&self, entries: &[Entry]) -> Result<Option<Proofs>, StoreError> {
        let mut ids: Vec<EntryId> = entries.iter().map(Entry::id).collect();
        ids.sort_unstable();
        self.store.read(|view| {
            let Some(found) = self.shown_in(view, &ids)? else { return Ok(None) };
            let cosigned = self.cosigned_before(view, &found.checkpoint)?;
            let shown = ids.into_iter().zip(found.places);
            let shown = shown.filter_map(|(entry, at)| Some(Shown { entry, inclusion: at? }));
            Ok(Some(Proofs { checkpoint: found.checkpoint, shown: shown.collect(), cosigned }))
        })
    }

    /// The county's fingerprint, by which an export is known to be of this county.
    ///
    /// # Errors
    /// When the store fails; `None` before the county has begun.
    pub fn fingerprint(&self) -> Result<Option<String>, StoreError> {
        let county = self.store.read(|view| self.statements(view))?;
        Ok(county.first().map(|first| fingerprint(first.subject(), first.id())))
    }

    /// The county log as far as it is here, in its order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn statements(&self, view: &View<'_>) -> Result<Vec<Entry>, StoreError> {
        let rows = view.entries_in(&Scope::System.to_string(), kind_code(Kind::County))?;
        let rows = rows.iter().filter(|row| row.state == EntryState::Good);
        let mut numbered: Vec<(u64, Entry)> = rows
            .filter_map(|row| {
                let entry = Entry::decode(&row.bytes).ok()?;
                let Numbered { position, .. } = decode(entry.payload()).ok()?;
                Some((position, entry))
            })
            .collect();
        numbered.sort_by_key(|(position, _)| *position);
        numbered.dedup_by_key(|(position, _)| *position);
        Ok(numbered.into_iter().map(|(_, entry)| entry).collect())
    }

    fn resident_of(&self, rows: &[EntryRow]) -> Option<SubjectId> {
        let gathered = gather(rows.to_vec(), &self.county());
        gathered.records.iter().find_map(|r| match &r.event.step {
            Step::Opened { resident, .. } => Some(*resident),
            _ => None,
        })
    }

    fn named_by(
        &self,
        view: &View<'_>,
        case: SubjectId,
        rows: &[EntryRow],
    ) -> Result<BTreeSet<AttachmentId>, StoreError> {
        let document = self.document_in(view, case, Schema::Case1)?;
        let mut named = attachments_named(&document.projection());
        for record in gather(rows.to_vec(), &self.county()).records {
            named.extend(record.event.step.attachments());
        }
        Ok(named)
    }
}
