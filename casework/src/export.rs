//! An exported case: one file with everything that is needed to check it without a network.
//!
//! The file proves nothing by itself: it carries signed entries, and who reads it judges them. What
//! it cannot show is that nothing was left out.

use crate::checkpoint::Proofs;
use crate::county::{CountyLog, LogError};
use crate::entry::{BadEntry, Entry};
use crate::event::{BadPayload, decode, encode};
use crate::hex;
use crate::ids::{AttachmentId, EntryId, SubjectId};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// The first words of every export.
pub const MAGIC: &str = "cunkou case export";
/// The version that is written; every version up to it is read.
pub const VERSION: u8 = 1;
/// An export is never longer. Bytes.
pub const EXPORT_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Statements of the county log in one export.
pub const STATEMENTS_MAX: usize = 200_000;
/// Entries of the case, and of the resident, in one export.
pub const ENTRIES_MAX: usize = 2_000;
/// Attachments in one export.
pub const ATTACHMENTS_MAX: usize = 1_000;

/// An attachment that the case names, with its bytes where they were taken along.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Attached {
    /// Its name, the hash of its bytes.
    #[n(0)]
    pub id: AttachmentId,
    /// Its bytes.
    #[n(1)]
    pub bytes: Option<ByteVec>,
}

/// One case as a file. The same entries give the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Export {
    /// [`MAGIC`].
    #[n(0)]
    pub magic: String,
    /// [`VERSION`].
    #[n(1)]
    pub version: u8,
    /// The county.
    #[n(2)]
    pub county: SubjectId,
    /// The statement with which it began: together with the county's id the root of trust.
    #[n(3)]
    pub founded: EntryId,
    /// The case.
    #[n(4)]
    pub case: SubjectId,
    /// The county log, all of it, in its order.
    #[n(5)]
    pub county_log: Vec<ByteVec>,
    /// Every entry of the case, set aside or not, sorted by name.
    #[n(6)]
    pub entries: Vec<ByteVec>,
    /// Events and witnesses of the resident's record, sorted by name; not its content.
    #[n(7)]
    pub resident: Vec<ByteVec>,
    /// What the case names, sorted.
    #[n(8)]
    pub attachments: Vec<Attached>,
    /// Encoded [`crate::checkpoint::Proofs`]: a checkpoint of the relay that made the file, and
    /// where the case's entries stand in its log; absent in a file that a box made.
    #[n(9)]
    pub proofs: Option<ByteVec>,
}

/// Why a file is no export that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadExport {
    /// Something else altogether.
    #[error("not an exported case")]
    Other,
    /// A version this program cannot read.
    #[error("an export of version {0}; this program reads up to {VERSION}")]
    Version(u8),
    /// Longer, or with more in it, than is read.
    #[error("larger than an exported case may be")]
    TooLarge,
    /// Damaged, or not in its one form.
    #[error("damaged: {0}")]
    Form(String),
    /// An entry in it.
    #[error("an entry cannot be read: {0}")]
    Entry(#[from] BadEntry),
}

/// Looks at how a file begins before it is read: what it is, and of which version.
pub(crate) fn peek(bytes: &[u8], magic: &str, known: u8) -> Result<(), BadExport> {
    let mut begin = minicbor::Decoder::new(bytes);
    if begin.array().is_err() || !begin.str().is_ok_and(|found| found == magic) {
        return Err(BadExport::Other);
    }
    let version = begin.u8().map_err(|e| BadExport::Form(e.to_string()))?;
    if version == 0 || version > known {
        return Err(BadExport::Version(version));
    }
    Ok(())
}

impl Export {
    /// Puts a case together. The lists may come in any order.
    ///
    /// # Errors
    /// [`BadExport::TooLarge`]; [`BadExport::Form`] when there is no county log.
    pub fn new(
        case: SubjectId,
        county_log: &[Entry],
        entries: &[Entry],
        resident: &[Entry],
        mut attachments: Vec<Attached>,
        proofs: Option<&Proofs>,
    ) -> Result<Self, BadExport> {
        let sorted = |entries: &[Entry]| -> Vec<ByteVec> {
            let mut rows: Vec<_> = entries.iter().map(|e| (e.id(), e.encode())).collect();
            rows.sort_unstable();
            rows.dedup();
            rows.into_iter().map(|(_, bytes)| bytes.into()).collect()
        };
        let first = county_log.first().ok_or_else(|| BadExport::Form("no county log".into()))?;
        attachments.sort_by_key(|a| a.id);
        attachments.dedup_by_key(|a| a.id);
        let export = Self {
            magic: MAGIC.into(),
            version: VERSION,
            county: first.subject(),
            founded: first.id(),
            case,
            county_log: county_log.iter().map(|e| e.encode().into()).collect(),
            entries: sorted(entries),
            resident: sorted(resident),
            attachments,
            proofs: proofs.map(|proofs| encode(proofs).into()),
        };
        export.within_limits()?;
        Ok(export)
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a file. Entries are not read yet, signatures not checked.
    ///
    /// # Errors
    /// [`BadExport`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BadExport> {
        if bytes.len() > EXPORT_BYTES_MAX {
            return Err(BadExport::TooLarge);
        }
        peek(bytes, MAGIC, VERSION)?;
        let export: Self = decode(bytes).map_err(|BadPayload(why)| BadExport::Form(why))?;
        export.within_limits()?;
        if !export.attachments.is_sorted_by(|a, b| a.id < b.id) {
            return Err(BadExport::Form("attachments are not sorted".into()));
        }
        Ok(export)
    }

    fn within_limits(&self) -> Result<(), BadExport> {
        let fits = self.county_log.len() <= STATEMENTS_MAX
            && self.entries.len() <= ENTRIES_MAX
            && self.resident.len() <= ENTRIES_MAX
            && self.attachments.len() <= ATTACHMENTS_MAX;
        if fits { Ok(()) } else { Err(BadExport::TooLarge) }
    }

    /// The fingerprint of the county that the file says it is of.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.county, self.founded)
    }

    /// Reads the county log as far as it holds; gives with it when each statement says it was
    /// made (milliseconds, by the county's clock) and, where it breaks, the number of the
    /// statement and why.
    ///
    /// # Errors
    /// When there is not even a founding statement: nothing can be judged then.
    pub fn read_county_log(&self) -> Result<CountyRead, BadExport> {
        read_county_log(self.county, self.founded, &self.county_log)
    }
}

/// Reads a county log that a file carries, as far as it holds.
pub(crate) fn read_county_log(
    county: SubjectId,
    founded: EntryId,
    statements: &[ByteVec],
) -> Result<CountyRead, BadExport> {
    let first = statements.first().ok_or(BadExport::Other)?;
    let first = Entry::decode(first)?;
    if first.subject() != county || first.id() != founded {
        return Err(BadExport::Form("it is of another county than it says".into()));
    }
    let mut log = CountyLog::new(county, founded);
    let (mut times, mut broken) = (Vec::new(), None);
    for (i, bytes) in statements.iter().enumerate() {
        let taken = Entry::decode(bytes).map_err(|e| e.to_string()).and_then(|entry| {
            let before = log.head().position;
            log.take(&entry).map_err(|e: LogError| e.to_string())?;
            // One that is already in would be passed over; here each stands once.
            if log.head().position == before {
                return Err("it stands twice".into());
            }
            Ok(entry.header().claimed_ms)
        });
        match taken {
            Ok(time_ms) => times.push(time_ms),
            Err(why) => {
                broken = Some((i as u64 + 1, why));
                break;
            }
        }
    }
    if log.founding().is_none() {
        return Err(BadExport::Form("the county log does not begin with its founding".into()));
    }
    Ok(CountyRead { log, times, broken })
}

/// A county log out of an export.
#[derive(Debug)]
pub struct CountyRead {
    /// As far as it holds.
    pub log: CountyLog,
    /// When each statement says it was made, from the first on. Milliseconds.
    pub times: Vec<i64>,
    /// Where it breaks: the number of the statement, and why.
    pub broken: Option<(u64, String)>,
}

/// The county's fingerprint: 32 digits in groups of four, to be compared by eye or over the
/// telephone. It binds the county's id and its founding statement, and so its first key.
#[must_use]
pub fn fingerprint(county: SubjectId, founded: EntryId) -> String {
    let hash =
        blake3::derive_key("cunkou county fingerprint v1", &[&county.0[..], &founded.0].concat());
    let digits = hex::encode(&hash[..16]);
    let groups: Vec<&str> = (0..32).step_by(4).map(|i| &digits[i..i + 4]).collect();
    groups.join("-")
}

/// Whether two fingerprints are the same, however they are grouped or written.
#[must_use]
pub fn same_fingerprint(a: &str, b: &str) -> bool {
    let digits = |text: &str| -> String {
        text.chars()
            .filter(|c| !matches!(c, '-' | ' ' | ':'))
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    digits(a) == digits(b) && digits(a).len() == 32
}
