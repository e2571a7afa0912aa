//! How many bytes cases are, before anything is sent: what the cold start is held against.

use super::cases::{Made, Subject};
use anyhow::Result;
use automerge::Automerge;
use cunkou_casework::entry::Kind;

/// The level at which bytes are packed to compare.
const LEVEL: i32 = 3;

/// Bytes of one kind, one item after another.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    items: usize,
    bytes: Vec<u8>,
}

impl Heap {
    fn add(&mut self, bytes: &[u8]) {
        self.items += 1;
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn items(&self) -> usize {
        self.items
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Packed as one stream.
    pub(crate) fn packed(&self) -> Result<usize> {
        Ok(zstd::bulk::compress(&self.bytes, LEVEL)?.len())
    }
}

/// The bytes of cases by what they are for.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) cases: usize,
    pub(crate) event_payloads: Heap,
    pub(crate) event_envelopes: Heap,
    pub(crate) changes: Heap,
    pub(crate) change_envelopes: Heap,
    pub(crate) witnesses: Heap,
    pub(crate) residents: Heap,
    /// All entries as the relay has them.
    pub(crate) entries: Heap,
    /// Documents as Automerge saves them without compressing.
    pub(crate) undeflated: Heap,
    /// The undeflated documents and the events' whole entries: what the budget is counted from.
    pub(crate) least: Heap,
    /// The same, each document and each event packed by itself.
    pub(crate) least_one_by_one: usize,
}

impl Sizes {
    pub(crate) fn add(&mut self, made: &Made) -> Result<()> {
        self.cases += 1;
        for entry in &made.resident.entries {
            self.residents.add(&entry.encode());
        }
        for subject in [&made.resident, &made.case] {
            self.entries_of(subject)?;
            let saved = Automerge::load(&subject.document.save())?.save_nocompress();
            self.undeflated.add(&saved);
            self.least.add(&saved);
            self.least_one_by_one += zstd::bulk::compress(&saved, LEVEL)?.len();
        }
        Ok(())
    }

    fn entries_of(&mut self, subject: &Subject) -> Result<()> {
        for entry in &subject.entries {
            let bytes = entry.encode();
            self.entries.add(&bytes);
            // The payload stands in the entry as it is; what is round it is the envelope.
            let payload = entry.payload();
            let begins = bytes.windows(payload.len().max(1)).position(|part| part == payload);
            let envelope = match begins {
                Some(at) => [&bytes[..at], &bytes[at + payload.len()..]].concat(),
                None => bytes.clone(),
            };
            match entry.kind() {
                Kind::Event => {
                    self.event_payloads.add(payload);
                    self.event_envelopes.add(&envelope);
                    self.least.add(&bytes);
                    self.least_one_by_one += bytes.len();
                }
                Kind::Edit => {
                    self.changes.add(payload);
                    self.change_envelopes.add(&envelope);
                }
                _ => self.witnesses.add(&bytes),
            }
        }
        Ok(())
    }

    /// Each kind with its name.
    pub(crate) fn heaps(&self) -> [(&'static str, &Heap); 9] {
        [
            ("events.payloads", &self.event_payloads),
            ("events.headers_and_signatures", &self.event_envelopes),
            ("edits.changes", &self.changes),
            ("edits.headers_and_signatures", &self.change_envelopes),
            ("witnesses", &self.witnesses),
            ("residents_of_all_these", &self.residents),
            ("entries", &self.entries),
            ("documents_undeflated", &self.undeflated),
            ("documents_and_events", &self.least),
        ]
    }
}
