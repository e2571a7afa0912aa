//! Documents: the part of a case or a resident that several people may change at once.
//!
//! Each is an Automerge document of flat maps of strings, so that two boxes can never create
//! rival containers: all containers come from one fixed genesis change per schema version.
//! **Invariant:** this module is used on our own changes and on changes that the guard has let
//! through; strangers' bytes meet the guard first.

use crate::ids::{ChangeId, DeviceId, Incarnation};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, Change, ChangeHash, ReadDoc, ScalarValue, Value};
use minicbor::Encode;
use std::collections::{BTreeMap, BTreeSet};

/// A value is at most this long. Bytes of UTF-8.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;
/// A key is at most this long. Bytes.
pub const KEY_BYTES_MAX: usize = 128;

/// Which containers a document has. Numbers are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Schema {
    /// A case (办件), schema version 1.
    Case1,
    /// A resident (居民), schema version 1.
    Resident1,
}

/// A container of a document: one flat map of strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Case: answers to eligibility questions, by fact.
    Answers,
    /// Case: who files, relation, mandate.
    Applicant,
    /// Case: the form's fields.
    Form,
    /// Case: materials; see [`crate::material`].
    Materials,
    /// Case: messages between offices.
    Messages,
    /// Case: notes of the agent.
    Notes,
    /// Case: the resident's particulars, copied at submission. Resident: the particulars.
    Particulars,
    /// Case: signatures of the applicant.
    Signatures,
    /// Case: what was added in a supplement.
    Supplement,
}

impl Section {
    /// The container of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let all = [Schema::Case1.sections(), Schema::Resident1.sections()];
        all.into_iter().flatten().copied().find(|s| s.name() == name)
    }

    /// The container's name in the document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Applicant => "applicant",
            Self::Form => "form",
            Self::Materials => "materials",
            Self::Messages => "messages",
            Self::Notes => "notes",
            Self::Particulars => "particulars",
            Self::Signatures => "signatures",
            Self::Supplement => "supplement",
        }
    }

    /// True for the containers that stay open after submission.
    #[must_use]
    pub fn open_after_submission(self) -> bool {
        matches!(self, Self::Messages | Self::Notes | Self::Supplement)
    }
}

impl Schema {
    /// The containers, in the order in which the genesis change makes them.
    #[must_use]
    pub fn sections(self) -> &'static [Section] {
        match self {
            Self::Case1 => &[
                Section::Answers,
                Section::Applicant,
                Section::Form,
                Section::Materials,
                Section::Messages,
                Section::Notes,
                Section::Particulars,
                Section::Signatures,
                Section::Supplement,
            ],
            Self::Resident1 => &[Section::Materials, Section::Particulars],
        }
    }

    /// The fixed first change of every document of this schema.
    #[must_use]
    pub fn genesis(self) -> &'static [u8] {
        match self {
            Self::Case1 => include_bytes!("document/genesis-case-1.bin"),
            Self::Resident1 => include_bytes!("document/genesis-resident-1.bin"),
        }
    }

    fn genesis_actor(self) -> &'static [u8; 16] {
        match self {
            Self::Case1 => b"cunkou case v001",
            Self::Resident1 => b"cunkou resid v01",
        }
    }

    /// The section that an object of the genesis change is: its operation's counter and actor.
    #[must_use]
    pub fn section_of(self, counter: u64, actor: &[u8]) -> Option<Section> {
        if actor != self.genesis_actor() {
            return None;
        }
        let index = usize::try_from(counter.checked_sub(1)?).ok()?;
        self.sections().get(index).copied()
    }
}

/// One value written or, when absent, removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub section: Section,
    /// Under which key.
    pub key: String,
    /// What; absent removes the key.
    pub value: Option<String>,
}

impl Write {
    /// Sets a key.
    #[must_use]
    pub fn set(section: Section, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { section, key: key.into(), value: Some(value.into()) }
    }

    /// Removes a key.
    #[must_use]
    pub fn remove(section: Section, key: impl Into<String>) -> Self {
        Self { section, key: key.into(), value: None }
    }
}

/// What a document says at some heads: by section and key all values that stand, sorted. More
/// than one value is a conflict that a person has to settle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode)]
pub struct Projection(#[n(0)] BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Projection {
    /// All keys of a section with their values.
    pub fn section(&self, section: Section) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .get(section.name())
            .into_iter()
            .flatten()
            .map(|(key, values)| (key.as_str(), values.as_slice()))
    }

    /// The value under a key; of rival values the greatest, the same on every replica.
    #[must_use]
    pub fn get(&self, section: Section, key: &str) -> Option<&str> {
        self.0.get(section.name())?.get(key)?.last().map(String::as_str)
    }

    /// All values under a key.
    #[must_use]
    pub fn all(&self, section: Section, key: &str) -> &[String] {
        self.0.get(section.name()).and_then(|s| s.get(key)).map_or(&[], Vec::as_slice)
    }

    /// The keys under which several values stand.
    pub fn conflicts(&self) -> impl Iterator<Item = (&str, &str, &[String])> {
        self.0.iter().flat_map(|(section, keys)| {
            keys.iter()
                .filter(|(_, values)| values.len() > 1)
                .map(|(key, values)| (section.as_str(), key.as_str(), values.as_slice()))
        })
    }

    /// This content with the sections that stay open after submission taken from `now`.
    #[must_use]
    pub fn with_open_sections(mut self, now: &Self) -> Self {
        for section in Schema::Case1.sections().iter().filter(|s| s.open_after_submission()) {
            match now.0.get(section.name()) {
                Some(keys) => self.0.insert(section.name().to_owned(), keys.clone()),
                None => self.0.remove(section.name()),
            };
        }
        self
    }

    /// This content with one round of the supplement as `then` has it.
    #[must_use]
    pub fn with_round(mut self, round: u32, then: &Self) -> Self {
        let prefix = format!("{round}/");
        let of_round = |keys: &BTreeMap<String, Vec<String>>| {
            let keys = keys.iter().filter(|(key, _)| key.starts_with(&prefix));
            keys.map(|(k, v)| (k.clone(), v.clone())).collect::<BTreeMap<_, _>>()
        };
        let name = Section::Supplement.name();
        let frozen = then.0.get(name).map(of_round).unwrap_or_default();
        let section = self.0.entry(name.to_owned()).or_default();
        section.retain(|key, _| !key.starts_with(&prefix));
        section.extend(frozen);
        if section.is_empty() {
            self.0.remove(name);
        }
        self
    }

    /// Digest of the canonical form, conflict sets included: what an event is about.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        blake3::derive_key("cunkou projection v1", &crate::event::encode(self))
    }
}

/// Why a document could not be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The saved form is damaged.
    #[error("the document cannot be read: {0}")]
    Damaged(String),
    /// The change cannot be applied.
    #[error("the change cannot be applied: {0}")]
    Change(String),
    /// A key or value is longer than allowed.
    #[error("a value is longer than {VALUE_BYTES_MAX} bytes or its name than {KEY_BYTES_MAX}")]
    TooLong,
}

/// One document in memory.
#[derive(Clone, Debug)]
pub struct Document {
    schema: Schema,
    inner: Automerge,
}

impl Document {
    /// An empty document: the genesis change alone.
    ///
    /// # Errors
    /// Never with the genesis changes of this program; the type keeps damaged ones from panicking.
    pub fn new(schema: Schema) -> Result<Self, DocumentError> {
        let mut document = Self { schema, inner: Automerge::new() };
        document.apply(&[schema.genesis().to_vec()])?;
        Ok(document)
    }

    /// Reads a document that this store saved.
    ///
    /// # Errors
    /// [`DocumentError::Damaged`].
    pub fn load(schema: Schema, saved: &[u8]) -> Result<Self, DocumentError> {
        let inner = Automerge::load(saved).map_err(|e| DocumentError::Damaged(e.to_string()))?;
        Ok(Self { schema, inner })
    }

    /// The bytes from which [`Document::load`] reads it again.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.inner.save()
    }

    /// The same without compression inside: what is compressed together with other things.
    #[must_use]
    pub fn save_plain(&self) -> Vec<u8> {
        self.inner.save_nocompress()
    }

    /// Its schema.
    #[must_use]
    pub fn schema(&self) -> Schema {
        self.schema
    }

    /// Applies plain changes, our own or let through by the guard. Changes already in are passed
    /// over; one whose dependencies are missing waits inside.
    ///
    /// # Errors
    /// [`DocumentError::Change`]; the document may then hold part of the batch.
    pub fn apply(&mut self, changes: &[Vec<u8>]) -> Result<(), DocumentError> {
        let failed = |e: String| DocumentError::Change(e);
        let changes = changes
            .iter()
            .map(|bytes| Change::from_bytes(bytes.clone()).map_err(|e| failed(e.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        self.inner.apply_changes(changes).map_err(|e| failed(e.to_string()))
    }

    /// The heads, sorted.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeId> {
        let mut heads: Vec<_> = self.inner.get_heads().into_iter().map(|h| ChangeId(h.0)).collect();
        heads.sort_unstable();
        heads
    }

    /// True when the document has all of these changes.
    #[must_use]
    pub fn has(&self, changes: &[ChangeId]) -> bool {
        changes.iter().all(|id| self.inner.get_change_meta_by_hash(&ChangeHash(id.0)).is_some())
    }

    /// What it says now.
    #[must_use]
    pub fn projection(&self) -> Projection {
        let heads: Vec<_> = self.inner.get_heads();
        self.project(&heads)
    }

    /// What it said at `heads`; absent when a head has not arrived.
    #[must_use]
    pub fn projection_at(&self, heads: &[ChangeId]) -> Option<Projection> {
        if !self.has(heads) {
            return None;
        }
        let heads: Vec<_> = heads.iter().map(|id| ChangeHash(id.0)).collect();
        Some(self.project(&heads))
    }

    fn project(&self, heads: &[ChangeHash]) -> Projection {
        let mut out = Projection::default();
        for section in self.schema.sections() {
            let Ok(Some((_, object))) = self.inner.get(automerge::ROOT, section.name()) else {
                continue;
            };
            let keys: Vec<String> = self.inner.keys_at(&object, heads).collect();
            let mut values = BTreeMap::new();
            for key in keys {
                let Ok(standing) = self.inner.get_all_at(&object, key.as_str(), heads) else {
                    continue;
                };
                let standing: BTreeSet<String> =
                    standing.into_iter().filter_map(|(value, _)| text(&value)).collect();
                if !standing.is_empty() {
                    values.insert(key, standing.into_iter().collect());
                }
            }
            if !values.is_empty() {
                out.0.insert(section.name().to_owned(), values);
            }
        }
        out
    }

    /// Writes values as one change and returns its bytes, or nothing when nothing would change.
    ///
    /// # Errors
    /// [`DocumentError::TooLong`] before anything is written.
    pub fn write(
        &mut self,
        actor: [u8; 16],
        time_ms: i64,
        writes: &[Write],
    ) -> Result<Option<Vec<u8>>, DocumentError> {
        let now = self.projection();
        let changed: Vec<&Write> = writes
            .iter()
            .filter(|w| {
                let standing = now.all(w.section, &w.key);
                match &w.value {
                    Some(value) => standing != [value.clone()],
                    None => !standing.is_empty(),
                }
            })
            .collect();
        if changed.is_empty() {
            return Ok(None);
        }
        let too_long = |w: &&Write| {
            w.key.len() > KEY_BYTES_MAX
                || w.value.as_ref().is_some_and(|v| v.len() > VALUE_BYTES_MAX)
        };
        if changed.iter().any(too_long) {
            return Err(DocumentError::TooLong);
        }
        self.inner.set_actor(ActorId::from(&actor[..]));
        let failed = |e: automerge::AutomergeError| DocumentError::Change(e.to_string());
        let mut tx = self.inner.transaction();
        for write in changed {
            let object = tx
                .get(automerge::ROOT, write.section.name())
                .map_err(failed)?
                .map(|(_, id)| id)
                .ok_or_else(|| DocumentError::Damaged("a container is missing".into()))?;
            match &write.value {
                Some(value) => tx
                    .put(&object, write.key.as_str(), ScalarValue::Str(value.as_str().into()))
                    .map_err(failed)?,
                None => tx.delete(&object, write.key.as_str()).map_err(failed)?,
            }
        }
        tx.commit_with(CommitOptions::default().with_time(time_ms / 1000));
        let change = self.inner.get_last_local_change();
        Ok(change.map(|c| c.raw_bytes().to_vec()))
    }
}

fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Scalar(scalar) => match scalar.as_ref() {
            ScalarValue::Str(text) => Some(text.to_string()),
            _ => None,
        },
        Value::Object(_) => None,
    }
}

/// The Automerge actor of one run of one device: a change by any other actor is refused.
#[must_use]
pub fn actor(device: DeviceId, incarnation: Incarnation) -> [u8; 16] {
    let hash = blake3::derive_key("cunkou actor v1", &[device.0, incarnation.0].concat());
    let mut actor = [0; 16];
    actor.copy_from_slice(&hash[..16]);
    actor
}

#[cfg(test)]
mod tests;
