//! Events: the steps (环节) of a case or a resident, and their frozen payload.

use crate::ids::{AttachmentId, ChangeId, EntryId, PersonId, PlaceId, SubjectId};
use minicbor::{Decode, Encode};

/// An event names at most this many earlier events and heads.
pub const REFERENCES_MAX: usize = 64;
/// Text inside an event (opinion, reason) is at most this long. Characters.
pub const TEXT_CHARS_MAX: usize = 1000;

/// At which level of government an office stands.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// 村
    #[n(1)]
    Village,
    /// 乡镇
    #[n(2)]
    Township,
    /// 县
    #[n(3)]
    County,
}

/// Who accepts and decides an item, copied from the catalogue when the case is opened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Route {
    /// Who takes the case in from the village.
    #[n(0)]
    pub take: Level,
    /// Who accepts (受理).
    #[n(1)]
    pub accept: Level,
    /// Who decides.
    #[n(2)]
    pub decide: Level,
    /// The county department that answers for the item, e.g. 县民政局.
    #[n(3)]
    pub department: String,
}

/// What is still missing at submission and by when it is promised (容缺).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Deferred {
    /// Key of the material in the catalogue.
    #[n(0)]
    pub material: String,
    /// Promised day, `YYYY-MM-DD`.
    #[n(1)]
    pub until: String,
    /// Why it is missing now.
    #[n(2)]
    pub reason: String,
}

/// One thing to put right (一次性告知 lists all of them at once).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Defect {
    /// Key of the material in the catalogue.
    #[n(0)]
    pub material: String,
    /// What is wrong and how to put it right.
    #[n(1)]
    pub reason: String,
}

/// Who filed: the applicant, helped, or somebody for them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Filer {
    /// 本人 (帮办): present, helped by the agent; no mandate.
    #[n(1)]
    Applicant,
    /// 家属或他人, with a mandate.
    #[n(2)]
    Family,
    /// 监护人, with proof of guardianship.
    #[n(3)]
    Guardian,
    /// 委托代办员, with a mandate that names the agent.
    #[n(4)]
    Agent,
}

/// How a paper reached its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Handover {
    /// To the applicant in person.
    #[n(1)]
    Applicant,
    /// To somebody who collects for them.
    #[n(2)]
    Proxy,
}

/// A hand-over names at most this many open cases.
pub const DUTY_CASES_MAX: usize = 600;
/// A hand-over names at most this many originals.
pub const DUTY_ORIGINALS_MAX: usize = 100;
/// A hand-over names at most this many promises.
pub const DUTY_PROMISES_MAX: usize = 60;
/// One original or promise of a hand-over is at most this long. Characters. With the numbers above
/// the fullest hand-over stays below the size of an entry.
pub const DUTY_LINE_CHARS_MAX: usize = 60;

/// A resident's original document that lies at the point (原件).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Original {
    /// The case it was left for, where there is one.
    #[n(0)]
    pub case: Option<SubjectId>,
    /// Whose and which document.
    #[n(1)]
    pub what: String,
}

/// Something that somebody was promised, and by when.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Promise {
    /// The case it is about, where there is one.
    #[n(0)]
    pub case: Option<SubjectId>,
    /// What was promised.
    #[n(1)]
    pub what: String,
    /// The promised day, `YYYY-MM-DD`; empty where none was named.
    #[n(2)]
    pub until: String,
}

/// A step. Numbers are frozen; new steps get new numbers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Step {
    /// 暂存: a draft is begun and gets its number.
    #[n(1)]
    Opened {
        /// 12-digit case number.
        #[n(0)]
        number: String,
        /// The resident's village.
        #[n(1)]
        place: PlaceId,
        /// Whose case it is.
        #[n(2)]
        resident: SubjectId,
        /// Key of the item.
        #[n(3)]
        item: String,
        /// Version of the catalogue that was followed.
        #[n(4)]
        catalogue: String,
        /// Who accepts and decides.
        #[n(5)]
        route: Route,
    },
    /// 收件: the applicant has signed; the content at the event's heads is frozen.
    #[n(2)]
    Submitted {
        /// Who filed.
        #[n(0)]
        filer: Filer,
        /// Hashes of all photos and signatures of the case.
        #[n(1)]
        attachments: Vec<AttachmentId>,
        /// Materials to follow (容缺).
        #[n(2)]
        deferred: Vec<Deferred>,
    },
    /// 撤回: the applicant no longer wants it.
    #[n(3)]
    Withdrawn {
        /// Why, in the applicant's words.
        #[n(0)]
        reason: String,
    },
    /// 乡镇收件: the township has taken the case in.
    #[n(4)]
    Taken,
    /// 上报县级: handed to the next office; the term rises by one.
    #[n(5)]
    Forwarded {
        /// Opinion of the forwarding office.
        #[n(0)]
        opinion: String,
        /// Term of the receiving office.
        #[n(1)]
        term: u32,
    },
    /// 补正告知: everything to put right, once.
    #[n(6)]
    SupplementAsked {
        /// The defects, all of them.
        #[n(0)]
        defects: Vec<Defect>,
        /// Last day, `YYYY-MM-DD`.
        #[n(1)]
        due: String,
        /// Version of the working-day calendar used.
        #[n(2)]
        calendar: String,
    },
    /// 补正提交.
    #[n(7)]
    SupplementGiven {
        /// Which round, from 1.
        #[n(0)]
        round: u32,
        /// Hashes of the photos added.
        #[n(1)]
        attachments: Vec<AttachmentId>,
    },
    /// 受理: the promise clock starts; the due day is fixed here.
    #[n(8)]
    Accepted {
        /// Term of the accepting office.
        #[n(0)]
        term: u32,
        /// Promised day, `YYYY-MM-DD`.
        #[n(1)]
        due: String,
        /// Version of the working-day calendar used.
        #[n(2)]
        calendar: String,
        /// True when the calendar lacks the official holidays of a year it had to count through.
        #[n(3)]
        uncertain: bool,
    },
    /// 不予受理.
    #[n(9)]
    Refused {
        /// Term of the refusing office.
        #[n(0)]
        term: u32,
        /// Reason.
        #[n(1)]
        reason: String,
        /// Where to go instead, and remedies.
        #[n(2)]
        remedy: String,
    },
    /// 准予.
    #[n(10)]
    Approved {
        /// Term of the deciding office.
        #[n(0)]
        term: u32,
        /// Opinion.
        #[n(1)]
        opinion: String,
    },
    /// 不予.
    #[n(11)]
    Denied {
        /// Term of the deciding office.
        #[n(0)]
        term: u32,
        /// Reason.
        #[n(1)]
        reason: String,
        /// Remedies.
        #[n(2)]
        remedy: String,
    },
    /// 办结.
    #[n(12)]
    Completed,
    /// 送达: the notice was handed over.
    #[n(13)]
    Delivered {
        /// To whom.
        #[n(0)]
        to: Handover,
        /// Name and relation of a proxy; empty for the applicant.
        #[n(1)]
        receiver: String,
        /// The signature or the photo of the signed slip.
        #[n(2)]
        proof: AttachmentId,
    },
    /// 评价: five levels, or skipped.
    #[n(14)]
    Rated {
        /// 5 非常满意 … 1 非常不满意 as GB/T 39735 counts stars; absent when skipped.
        #[n(0)]
        stars: Option<u8>,
        /// Words, may be empty.
        #[n(1)]
        words: String,
    },
    /// 归档.
    #[n(15)]
    Archived,
    /// A superior office takes the case over; the term rises by one.
    #[n(16)]
    TakenOver {
        /// The new term.
        #[n(0)]
        term: u32,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// 待核 is resolved: of the rival steps this one counts.
    #[n(17)]
    Resolved {
        /// The step that counts.
        #[n(0)]
        keep: EntryId,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// A resident is added.
    #[n(32)]
    ResidentAdded {
        /// The resident's village.
        #[n(0)]
        place: PlaceId,
    },
    /// A resident moves to another village.
    #[n(33)]
    ResidentMoved {
        /// The new village.
        #[n(0)]
        place: PlaceId,
    },
    /// Two records are one person.
    #[n(34)]
    SamePerson {
        /// The other record.
        #[n(0)]
        other: SubjectId,
    },
    /// Two records are not one person.
    #[n(35)]
    NotSamePerson {
        /// The other record.
        #[n(0)]
        other: SubjectId,
    },
    /// 交接: somebody hands their duty over to a colleague; it counts once that one has taken it.
    /// Said again, it replaces what was offered before. [`Step::Withdrawn`] takes it back.
    #[n(48)]
    DutyOffered {
        /// The village, or the township for the duty of a township centre.
        #[n(0)]
        place: PlaceId,
        /// To whom.
        #[n(1)]
        to: PersonId,
        /// The open cases, at most [`DUTY_CASES_MAX`].
        #[n(2)]
        cases: Vec<SubjectId>,
        /// Originals in the drawer, at most [`DUTY_ORIGINALS_MAX`].
        #[n(3)]
        originals: Vec<Original>,
        /// Promises, at most [`DUTY_PROMISES_MAX`].
        #[n(4)]
        promises: Vec<Promise>,
        /// What else there is to say.
        #[n(5)]
        note: String,
    },
    /// 签收: the colleague has taken the duty over.
    #[n(49)]
    DutyTaken {
        /// What was offered.
        #[n(0)]
        offer: EntryId,
        /// A remark, e.g. where what was missing may be.
        #[n(1)]
        remark: String,
        /// Originals of the offer that were not there when they were counted: their positions in
        /// it from 0, ascending.
        #[n(2)]
        missing: Vec<u16>,
    },
}

/// The payload of an entry of kind Event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// The subject's latest events that the author knew, sorted: the causal past.
    #[n(0)]
    pub after: Vec<EntryId>,
    /// The document's heads that the event is about, sorted.
    #[n(1)]
    pub heads: Vec<ChangeId>,
    /// Digest of the document's canonical projection at those heads.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub digest: Option<[u8; 32]>,
    /// What happened.
    #[n(3)]
    pub step: Step,
}

/// The payload of an entry of kind Witness: what a relay had, in which log, where, when.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Witness {
    /// The entries of this subject that the relay had committed.
    #[n(0)]
    pub entries: Vec<EntryId>,
    /// The relay's log.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub log: [u8; 16],
    /// Position of the last of the entries in that log.
    #[n(2)]
    pub position: u64,
    /// The relay's time, milliseconds since 1970 UTC.
    #[n(3)]
    pub time_ms: i64,
}

/// Bytes that are not a payload in its one deterministic form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed payload: {0}")]
pub struct BadPayload(pub String);

/// Encodes a payload deterministically.
pub fn encode<T: Encode<()>>(payload: &T) -> Vec<u8> {
    let mut out = Vec::new();
    match minicbor::encode(payload, &mut out) {
        Ok(()) => out,
        Err(e) => unreachable!("encoding into memory failed: {e}"),
    }
}

/// Decodes a payload; only the form that [`encode`] writes is accepted.
///
/// # Errors
/// [`BadPayload`] in words.
pub fn decode<T: for<'b> Decode<'b, ()> + Encode<()>>(bytes: &[u8]) -> Result<T, BadPayload> {
    let value: T = minicbor::decode(bytes).map_err(|e| BadPayload(e.to_string()))?;
    if encode(&value) != bytes {
        return Err(BadPayload("another form exists".into()));
    }
    Ok(value)
}

impl Event {
    /// Reads an event within its limits.
    ///
    /// # Errors
    /// [`BadPayload`] in words.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadPayload> {
        let event: Self = decode(bytes)?;
        if event.after.len() > REFERENCES_MAX || event.heads.len() > REFERENCES_MAX {
            return Err(BadPayload("it names too many earlier entries".into()));
        }
        if !event.after.is_sorted() || !event.heads.is_sorted() {
            return Err(BadPayload("references are not sorted".into()));
        }
        if event.step.longest_text() > TEXT_CHARS_MAX {
            return Err(BadPayload("a text is too long".into()));
        }
        if !event.step.duty_fits() {
            return Err(BadPayload("a hand-over names too much".into()));
        }
        Ok(event)
    }
}

impl Step {
    fn longest_text(&self) -> usize {
        let texts: Vec<&str> = match self {
            Self::Opened { number, item, catalogue, route, .. } => {
                vec![number, item, catalogue, &route.department]
            }
            Self::Submitted { deferred, .. } => deferred.iter().map(|d| &*d.reason).collect(),
            Self::SupplementAsked { defects, .. } => defects.iter().map(|d| &*d.reason).collect(),
            Self::Withdrawn { reason }
            | Self::TakenOver { reason, .. }
            | Self::Resolved { reason, .. } => vec![reason],
            Self::Refused { reason, remedy, .. } | Self::Denied { reason, remedy, .. } => {
                vec![reason, remedy]
            }
            Self::Forwarded { opinion, .. } | Self::Approved { opinion, .. } => vec![opinion],
            Self::Delivered { receiver, .. } => vec![receiver],
            Self::Rated { words, .. } => vec![words],
            Self::DutyOffered { note, .. } => vec![note],
            Self::DutyTaken { remark, .. } => vec![remark],
            _ => Vec::new(),
        };
        texts.iter().map(|t| t.chars().count()).max().unwrap_or(0)
    }

    /// Whether a hand-over keeps to its limits; every other step does.
    fn duty_fits(&self) -> bool {
        if let Self::DutyTaken { missing, .. } = self {
            return missing.len() <= DUTY_ORIGINALS_MAX && missing.is_sorted_by(|a, b| a < b);
        }
        let Self::DutyOffered { cases, originals, promises, .. } = self else { return true };
        let line = |text: &str| text.chars().count() <= DUTY_LINE_CHARS_MAX;
        let day = |text: &str| text.is_empty() || text.parse::<jiff::civil::Date>().is_ok();
        cases.len() <= DUTY_CASES_MAX
            && originals.len() <= DUTY_ORIGINALS_MAX
            && promises.len() <= DUTY_PROMISES_MAX
            && originals.iter().all(|o| line(&o.what))
            && promises.iter().all(|p| line(&p.what) && p.until.len() <= 10 && day(&p.until))
    }

    /// True for the steps that end the question for one term: two of them at once put a case in
    /// 待核.
    #[must_use]
    pub fn decides(&self) -> bool {
        matches!(self, Self::Approved { .. } | Self::Denied { .. } | Self::Refused { .. })
    }

    /// True for the steps of a hand-over of duty alone; a withdrawal is one of a case, too.
    #[must_use]
    pub fn of_duty(&self) -> bool {
        matches!(self, Self::DutyOffered { .. } | Self::DutyTaken { .. })
    }

    /// True for the steps that somebody who has a security key takes with it: all of a case but
    /// 办结, which adds nothing to the decision before it. A hand-over is signed at the box, where
    /// keys are opened by PIN.
    #[must_use]
    pub fn needs_own_key(&self) -> bool {
        !matches!(
            self,
            Self::Completed
                | Self::ResidentAdded { .. }
                | Self::ResidentMoved { .. }
                | Self::SamePerson { .. }
                | Self::NotSamePerson { .. }
                | Self::DutyOffered { .. }
                | Self::DutyTaken { .. }
        )
    }

    /// The attachments that the step names.
    #[must_use]
    pub fn attachments(&self) -> Vec<AttachmentId> {
        match self {
            Self::Submitted { attachments, .. } | Self::SupplementGiven { attachments, .. } => {
                attachments.clone()
            }
            Self::Delivered { proof, .. } => vec![*proof],
            _ => Vec::new(),
        }
    }
}
