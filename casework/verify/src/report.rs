//! What a check found, in values: every sentence in both languages, so that nothing is lost on the
//! way to a screen or a program.

use cunkou_casework::case::Attestation;
use cunkou_casework::entry::ClockSource;
use cunkou_casework::ids::{EntryId, SubjectId};
use cunkou_casework::suite::PublicKey;
use serde::Serialize;

/// A sentence in Chinese and English.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Words {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

impl Words {
    /// Both.
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

/// Something that does not hold, or that is worth a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A short word for programs, e.g. `bad_signature`.
    pub code: &'static str,
    /// The entry it is about.
    pub entry: Option<EntryId>,
    /// In words.
    #[serde(flatten)]
    pub words: Words,
}

/// On what a bound of time rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The author had read the county log up to a statement of this number.
    CountyLog(u64),
    /// A relay said that it had the entry, or one built on it.
    Witness,
    /// The relay's own clock: the step was taken there.
    RelayClock,
}

/// A bound of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Milliseconds since 1970 UTC, by the county's clock.
    pub ms: i64,
    /// On what it rests.
    pub basis: Basis,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// It took effect.
    Effective,
    /// It was rightful, and somebody else was first.
    Overtaken,
    /// It is one of rival steps that nobody has resolved.
    Rival,
    /// It waits for something that is not in the file.
    Waiting,
    /// It does not count.
    SetAside,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its entry.
    pub entry: EntryId,
    /// What was done.
    pub what: Words,
    /// What was said with it; may be empty.
    pub said: String,
    /// Who, by name; absent where a device acted alone or the person is unknown.
    pub person: Option<String>,
    /// In which office.
    pub office: Words,
    /// From which device.
    pub device: String,
    /// On whose word; absent when no signature could be held against anything.
    pub attestation: Option<Attestation>,
    /// On which key: its short name, and what its owner calls it.
    pub key: Option<(String, String)>,
    /// When its author says it was, milliseconds.
    pub claimed_ms: i64,
    /// Where that time came from.
    pub clock: ClockSource,
    /// Not before.
    pub earliest: Option<Bound>,
    /// Not after.
    pub latest: Option<Bound>,
    /// What became of it.
    pub counts: Counts,
    /// Why it does not count.
    pub why: Option<Words>,
}

/// The county that the file is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct County {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: SubjectId,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Whether it was held against a fingerprint from elsewhere, and how that went.
    pub compared: Option<bool>,
    /// Statements of its log that were read.
    pub statements: u64,
}

/// The case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Its id.
    pub id: SubjectId,
    /// Its number, grouped; empty when it has no rightful beginning.
    pub number: String,
    /// Key of its item.
    pub item: String,
    /// Its village.
    pub village: String,
    /// The applicant's name as submitted, when the content could be checked.
    pub applicant: String,
    /// What it has come to.
    pub phase: Words,
}

/// How the content stands to what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// At every step it is what was signed.
    Holds,
    /// At some step it is not.
    Differs,
    /// It was not or could not be checked.
    NotChecked,
}

/// What a relay's log holds of the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Logged {
    /// Entries that are shown to be in it.
    pub held: u64,
    /// Entries of the case.
    pub of: u64,
    /// How many entries the log held then.
    pub size: u64,
    /// The relay's time then, milliseconds.
    pub time_ms: i64,
}

/// What an auditor has signed of the relay's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audited {
    /// The auditor's key.
    pub key: PublicKey,
    /// Somebody who checks gave this key, and so knows whose it is.
    pub asked: bool,
    /// What they signed last; absent where the file carries nothing that holds of theirs.
    pub signed: Option<AuditedLog>,
}

/// A checkpoint that an auditor signed, and what of the case lies below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AuditedLog {
    /// How many entries the log held.
    pub size: u64,
    /// The relay's time then, milliseconds.
    pub time_ms: i64,
    /// The relay's witnesses of the case that are in it.
    pub witnesses: u64,
    /// Of so many in the file.
    pub of_witnesses: u64,
    /// Entries of the case that are in it.
    pub entries: u64,
    /// Of so many in the file.
    pub of_entries: u64,
}

impl AuditedLog {
    /// True when it covers all of the case.
    #[must_use]
    pub fn covers(&self) -> bool {
        self.witnesses == self.of_witnesses && self.entries == self.of_entries
    }
}

/// Photos and signatures that the case names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Photos {
    /// Named by the case.
    pub named: u64,
    /// In the file, and with the right bytes.
    pub here: u64,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub schema: u8,
    /// True when nothing is wrong.
    pub holds: bool,
    /// The verdict in words.
    pub verdict: Words,
    /// The county.
    pub county: County,
    /// The case.
    pub case: Case,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// Saves of the form that count.
    pub saves: u64,
    /// How the content stands.
    pub content: Content,
    /// Photos.
    pub photos: Photos,
    /// What the relay's log holds of it, where the file carries a checkpoint.
    pub logged: Option<Logged>,
    /// Who else has signed the relay's log.
    pub audited: Vec<Audited>,
    /// What does not hold.
    pub faults: Vec<Finding>,
    /// What is worth a look.
    pub hints: Vec<Finding>,
}
