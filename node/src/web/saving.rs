//! What pages that save have in common: the draft, its heads, rivals, faults beside inputs.

use cunkou_casework::case::Phase;
use cunkou_casework::document::{Projection, Section, Write};
use cunkou_casework::event::Filer;
use cunkou_casework::ids::{ChangeId, SubjectId};
use cunkou_casework::material::{Material, materials};
use cunkou_casework::number::grouped;
use cunkou_edge::desk::{self, Opened};
use cunkou_edge::papers::filer_of;
use cunkou_edge::{AppError, Signed};
use cunkou_ui::page::filing::DraftHead;
use cunkou_ui::part::{FaultLine, Input};
use std::sync::Arc;

/// A case that is still a draft.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) opened: Opened,
}

impl Draft {
    pub(super) fn head(&self, signed: &Signed) -> Result<DraftHead, AppError> {
        let file = &self.opened.file;
        let item = self.opened.item()?;
        Ok(DraftHead {
            case: self.opened.subject.to_string(),
            number: grouped(file.state.opened.as_ref().map_or("", |o| &o.number)),
            applicant: file.current.get(Section::Particulars, "name").unwrap_or_default().into(),
            item: signed.lang.t(&item.name, &item.name_en).to_owned(),
        })
    }

    pub(super) fn filer(&self) -> Option<Filer> {
        filer_of(&self.opened.file.current)
    }

    pub(super) fn materials(&self) -> Result<Vec<Material<'_>>, AppError> {
        Ok(materials(self.opened.item()?, self.filer(), &self.opened.file.current))
    }
}

/// Opens a draft; a case that was submitted meanwhile is shown instead.
pub(super) fn open_draft(signed: &Signed, case: &str) -> Result<Draft, AppError> {
    let opened = desk::open(signed, case)?;
    if opened.file.state.phase != Phase::Draft {
        return Err(AppError::Stale { next: format!("/cases/{case}") });
    }
    Ok(Draft { opened })
}

/// Keeps writes in a case's document; on disk when this returns.
pub(super) async fn keep(
    signed: &Signed,
    subject: SubjectId,
    writes: Vec<Write>,
) -> Result<(), AppError> {
    let (replica, acting) = (Arc::clone(signed.replica()), signed.clone());
    tokio::task::spawn_blocking(move || {
        replica.act(|desk| desk.edit(subject, acting.who(), &writes))
    })
    .await??;
    Ok(())
}

/// Heads as a page carries them.
pub(super) fn heads_text(heads: &[ChangeId]) -> String {
    heads.iter().map(ToString::to_string).collect::<Vec<_>>().join("-")
}

fn heads_of(text: &str) -> Option<Vec<ChangeId>> {
    if text.is_empty() {
        return None;
    }
    text.split('-').map(|part| part.parse().ok()).collect()
}

/// What somebody else has changed since the page was made, where it would be overwritten: key,
/// theirs, ours.
pub(super) fn rivals(
    signed: &Signed,
    subject: SubjectId,
    now: &Projection,
    base: &str,
    writes: &[Write],
) -> Result<Vec<(String, String, String)>, AppError> {
    let Some(heads) = heads_of(base) else { return Ok(Vec::new()) };
    let Some(then) = signed.replica().content_at(subject, &heads)? else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for write in writes {
        let theirs = now.get(write.section, &write.key).unwrap_or_default();
        let before = then.get(write.section, &write.key).unwrap_or_default();
        let ours = write.value.as_deref().unwrap_or_default();
        if theirs != before && theirs != ours {
            out.push((write.key.clone(), theirs.to_owned(), ours.to_owned()));
        }
    }
    Ok(out)
}

/// Puts the faults beside their inputs.
pub(super) fn mark(inputs: &mut [Input], faults: &[FaultLine]) {
    for input in inputs {
        if let Some(fault) = faults.iter().find(|f| f.field == input.name) {
            input.fault = Some(fault.words.clone());
        }
    }
}
