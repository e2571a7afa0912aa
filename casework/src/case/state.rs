//! What a case has come to.

use crate::event::{Defect, Deferred, Event, Filer, Handover, Level, Route, Step};
use crate::ids::{AttachmentId, ChangeId, EntryId, PersonId, PlaceId, SubjectId};
use std::collections::BTreeSet;

/// The legal state (domain reference 4.8); 收件 is never called 受理.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// 暂存
    Draft,
    /// 收件
    Received,
    /// 收件, taken in by the township
    TownshipTaken,
    /// 上报县级
    Forwarded,
    /// 补正中
    Supplementing,
    /// 受理
    Accepted,
    /// 不予受理
    Refused,
    /// 准予
    Approved,
    /// 不予
    Denied,
    /// 办结
    Completed,
    /// 送达
    Delivered,
    /// 评价
    Rated,
    /// 归档
    Archived,
    /// 撤回
    Withdrawn,
    /// 待核: rival steps, neither takes effect until one is chosen
    Contested,
}

impl Phase {
    /// Every state, in the order of the enumeration.
    pub const ALL: [Self; 15] = [
        Self::Draft,
        Self::Received,
        Self::TownshipTaken,
        Self::Forwarded,
        Self::Supplementing,
        Self::Accepted,
        Self::Refused,
        Self::Approved,
        Self::Denied,
        Self::Completed,
        Self::Delivered,
        Self::Rated,
        Self::Archived,
        Self::Withdrawn,
        Self::Contested,
    ];

    /// The word for it in rows and addresses.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Received => "received",
            Self::TownshipTaken => "township_taken",
            Self::Forwarded => "forwarded",
            Self::Supplementing => "supplementing",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Completed => "completed",
            Self::Delivered => "delivered",
            Self::Rated => "rated",
            Self::Archived => "archived",
            Self::Withdrawn => "withdrawn",
            Self::Contested => "contested",
        }
    }

    /// The state of a word.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.key() == key)
    }

    /// True while somebody still has something to do with the case.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Archived | Self::Withdrawn)
    }
}

/// What is to be done next with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// The village finishes the draft.
    Finish,
    /// The township takes it in.
    Take,
    /// The township forwards it.
    Forward,
    /// The accepting office accepts, refuses or asks for a supplement.
    Accept,
    /// The village gives the supplement.
    Supplement,
    /// The deciding office decides.
    Decide,
    /// The office completes it (办结).
    Complete,
    /// The village delivers the notice.
    Deliver,
    /// The applicant rates, or skips it.
    Rate,
    /// The village archives it.
    Archive,
    /// A named role resolves rival steps.
    Resolve,
}

impl Task {
    /// The word for it in rows and addresses.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Finish => "finish",
            Self::Take => "take",
            Self::Forward => "forward",
            Self::Accept => "accept",
            Self::Supplement => "supplement",
            Self::Decide => "decide",
            Self::Complete => "complete",
            Self::Deliver => "deliver",
            Self::Rate => "rate",
            Self::Archive => "archive",
            Self::Resolve => "resolve",
        }
    }
}

/// How the case began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// 12-digit number.
    pub number: String,
    /// The resident's village.
    pub place: PlaceId,
    /// Whose case.
    pub resident: SubjectId,
    /// Key of the item.
    pub item: String,
    /// Version of the catalogue.
    pub catalogue: String,
    /// Who accepts and decides.
    pub route: Route,
}

/// What was submitted, and what it froze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The event.
    pub event: EntryId,
    /// The document's heads that it froze.
    pub heads: Vec<ChangeId>,
    /// Digest of the projection at those heads.
    pub digest: Option<[u8; 32]>,
    /// Who filed.
    pub filer: Filer,
    /// Photos and signatures.
    pub attachments: Vec<AttachmentId>,
    /// What was promised for later.
    pub deferred: Vec<Deferred>,
    /// Claimed time, milliseconds.
    pub at_ms: i64,
}

/// One round of 补正.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupplementRound {
    /// From 1.
    pub round: u32,
    /// What to put right.
    pub defects: Vec<Defect>,
    /// Last day, `YYYY-MM-DD`.
    pub due: String,
    /// Which office asked.
    pub asked_by: Level,
    /// The state to which the case returns.
    pub back_to: Phase,
    /// The answering event and the heads it froze.
    pub given: Option<(EntryId, Vec<ChangeId>)>,
}

/// 受理 and its due day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Promised day, `YYYY-MM-DD`.
    pub due: String,
    /// Calendar version it was counted with.
    pub calendar: String,
    /// The calendar lacked a year's official holidays.
    pub uncertain: bool,
    /// Which level gave it.
    pub by: Level,
    /// Claimed time, milliseconds.
    pub at_ms: i64,
}

/// Which way it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionKind {
    /// 准予
    Approved,
    /// 不予
    Denied,
    /// 不予受理
    Refused,
}

/// A decision, with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The event.
    pub event: EntryId,
    /// Which way.
    pub kind: DecisionKind,
    /// Opinion or reason.
    pub text: String,
    /// Remedies; empty for an approval.
    pub remedy: String,
    /// Who decided.
    pub person: Option<PersonId>,
    /// On whose word.
    pub attestation: super::Attestation,
    /// True when only the relay vouches for the person, by one-time password or by PIN.
    pub relay_attested: bool,
    /// Claimed time, milliseconds.
    pub at_ms: i64,
}

/// 送达.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub to: Handover,
    /// Name and relation of a proxy.
    pub receiver: String,
    /// The signature or photo.
    pub proof: AttachmentId,
    /// Claimed time, milliseconds.
    pub at_ms: i64,
}

/// How far a case has come, as everybody sees it: four rungs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Ladder {
    /// 已存本机
    pub saved: bool,
    /// 已上传县平台: a relay witnessed the submission.
    pub uploaded: bool,
    /// 乡镇已收件
    pub taken: bool,
    /// 部门已受理, or 乡镇已受理 where the township accepts.
    pub accepted: bool,
    /// The last rung is the township's.
    pub by_township: bool,
}

/// The state of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseState {
    /// How it began; absent until the opening event is here.
    pub opened: Option<Opened>,
    /// The legal state.
    pub phase: Phase,
    /// Which level holds it.
    pub holder: Level,
    /// The holder's term; each hand-over raises it.
    pub term: u32,
    /// The submission.
    pub submission: Option<Submission>,
    /// Rounds of 补正.
    pub supplements: Vec<SupplementRound>,
    /// The heads at which the promised materials (容缺) were given.
    pub promised_given: Option<Vec<ChangeId>>,
    /// True once the township took it in.
    pub taken: bool,
    /// 受理.
    pub acceptance: Option<Acceptance>,
    /// The decision in effect.
    pub decision: Option<Decision>,
    /// Rival steps in 待核.
    pub rivals: Vec<EntryId>,
    /// 送达.
    pub delivery: Option<Delivery>,
    /// 评价: stars, or skipped.
    pub rating: Option<Option<u8>>,
    /// Everybody who filed, supplemented or pre-examined it: they may not decide it.
    pub chain: BTreeSet<PersonId>,
}

impl Default for CaseState {
    fn default() -> Self {
        Self {
            opened: None,
            phase: Phase::Draft,
            holder: Level::Village,
            term: 1,
            submission: None,
            supplements: Vec::new(),
            promised_given: None,
            taken: false,
            acceptance: None,
            decision: None,
            rivals: Vec::new(),
            delivery: None,
            rating: None,
            chain: BTreeSet::new(),
        }
    }
}

impl CaseState {
    /// What is to be done next, and by whom.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        Some(match self.phase {
            Phase::Draft => Task::Finish,
            Phase::Received => Task::Take,
            Phase::TownshipTaken if self.accepting() == Level::Township => Task::Accept,
            Phase::TownshipTaken => Task::Forward,
            Phase::Forwarded => Task::Accept,
            Phase::Supplementing => Task::Supplement,
            Phase::Accepted => Task::Decide,
            Phase::Approved | Phase::Denied | Phase::Refused => Task::Complete,
            Phase::Completed => Task::Deliver,
            Phase::Delivered => Task::Rate,
            Phase::Rated => Task::Archive,
            Phase::Contested => Task::Resolve,
            Phase::Archived | Phase::Withdrawn => return None,
        })
    }

    /// The last day of the next step, `YYYY-MM-DD`: of the supplement, else of the promise, else
    /// of the first promised material.
    #[must_use]
    pub fn due(&self) -> Option<&str> {
        if let Some(open) = self.open_supplement() {
            return Some(&open.due);
        }
        match (&self.acceptance, self.phase) {
            (Some(acceptance), Phase::Accepted) => Some(&acceptance.due),
            (None, Phase::Received | Phase::TownshipTaken | Phase::Forwarded) => {
                let deferred = self.promised().iter();
                deferred.map(|d| d.until.as_str()).min()
            }
            _ => None,
        }
    }

    /// The supplement that the village still has to give.
    #[must_use]
    pub fn open_supplement(&self) -> Option<&SupplementRound> {
        self.supplements.last().filter(|s| s.given.is_none())
    }

    /// What was promised for later and has not come.
    #[must_use]
    pub fn promised(&self) -> &[Deferred] {
        match &self.submission {
            Some(submission) if self.promised_given.is_none() => &submission.deferred,
            _ => &[],
        }
    }

    /// The rounds of supplement that were given, with the heads that froze them; round 0 is what
    /// was promised at submission.
    #[must_use]
    pub fn frozen_rounds(&self) -> Vec<(u32, &[ChangeId])> {
        let promised = self.promised_given.iter().map(|heads| (0, heads.as_slice()));
        let given =
            self.supplements.iter().filter_map(|s| Some((s.round, s.given.as_ref()?.1.as_slice())));
        promised.chain(given).collect()
    }

    /// Whether the step is allowed in this state; says why not.
    pub(super) fn allows(&self, step: &Step) -> bool {
        use Phase as P;
        let open_for_promised = !matches!(
            self.phase,
            P::Draft | P::Withdrawn | P::Archived | P::Refused | P::Contested
        );
        match step {
            Step::Opened { .. } => self.opened.is_none(),
            _ if self.opened.is_none() => false,
            Step::Submitted { .. } => self.phase == P::Draft,
            Step::Withdrawn { .. } => matches!(
                self.phase,
                P::Draft
                    | P::Received
                    | P::TownshipTaken
                    | P::Forwarded
                    | P::Supplementing
                    | P::Accepted
            ),
            Step::Taken => self.phase == P::Received,
            Step::Forwarded { term, .. } => {
                self.phase == P::TownshipTaken && *term == self.term + 1
            }
            Step::SupplementAsked { defects, .. } => {
                !defects.is_empty() && matches!(self.phase, P::TownshipTaken | P::Forwarded)
            }
            Step::SupplementGiven { round: 0, .. } => open_for_promised,
            Step::SupplementGiven { round, .. } => {
                self.phase == P::Supplementing
                    && self.open_supplement().is_some_and(|s| s.round == *round)
            }
            Step::Accepted { term, .. } | Step::Refused { term, .. } => {
                let phase = match self.accepting() {
                    Level::Township => P::TownshipTaken,
                    _ => P::Forwarded,
                };
                self.phase == phase && *term == self.term
            }
            Step::Approved { term, .. } | Step::Denied { term, .. } => {
                self.phase == P::Accepted && *term == self.term
            }
            Step::Completed => matches!(self.phase, P::Approved | P::Denied | P::Refused),
            Step::Delivered { .. } => self.phase == P::Completed,
            Step::Rated { stars, .. } => {
                self.phase == P::Delivered && stars.is_none_or(|s| (1..=5).contains(&s))
            }
            Step::Archived => matches!(self.phase, P::Rated | P::Delivered),
            Step::TakenOver { term, .. } => {
                *term == self.term + 1
                    && matches!(self.phase, P::Received | P::TownshipTaken | P::Forwarded)
            }
            Step::Resolved { keep, .. } => self.phase == P::Contested && self.rivals.contains(keep),
            Step::ResidentAdded { .. }
            | Step::ResidentMoved { .. }
            | Step::SamePerson { .. }
            | Step::NotSamePerson { .. }
            | Step::DutyOffered { .. }
            | Step::DutyTaken { .. } => false,
        }
    }

    /// Whose acceptance it is that the ladder tells of: who gave it, or who would now.
    #[must_use]
    pub fn accepts_at(&self) -> Level {
        self.acceptance.as_ref().map_or_else(|| self.accepting(), |acceptance| acceptance.by)
    }

    /// Who accepts: the office of the route, or the county once the case has gone up to it.
    pub(super) fn accepting(&self) -> Level {
        match (&self.opened, self.holder) {
            (Some(opened), Level::Village | Level::Township) => opened.route.accept,
            _ => Level::County,
        }
    }

    /// Who decides, likewise.
    pub(super) fn deciding(&self) -> Level {
        match (&self.opened, self.holder) {
            (Some(opened), Level::Village | Level::Township) => opened.route.decide,
            _ => Level::County,
        }
    }

    /// Applies a step that [`CaseState::allows`].
    pub(super) fn step(&mut self, record: &super::Record) {
        let Event { heads, digest, step, .. } = &record.event;
        let (id, at_ms) = (record.id, record.header.claimed_ms);
        if matches!(
            step,
            Step::Opened { .. }
                | Step::Submitted { .. }
                | Step::SupplementGiven { .. }
                | Step::Taken
                | Step::Forwarded { .. }
        ) {
            self.chain.extend(record.header.person);
        }
        match step.clone() {
            Step::Opened { number, place, resident, item, catalogue, route } => {
                self.opened = Some(Opened { number, place, resident, item, catalogue, route });
            }
            Step::Submitted { filer, attachments, deferred } => {
                self.phase = Phase::Received;
                self.submission = Some(Submission {
                    event: id,
                    heads: heads.clone(),
                    digest: *digest,
                    filer,
                    attachments,
                    deferred,
                    at_ms,
                });
            }
            Step::Withdrawn { .. } => self.phase = Phase::Withdrawn,
            Step::Taken => {
                self.phase = Phase::TownshipTaken;
                self.holder = Level::Township;
                self.taken = true;
            }
            Step::Forwarded { term, .. } => {
                self.phase = Phase::Forwarded;
                self.holder = Level::County;
                self.term = term;
            }
            Step::SupplementAsked { defects, due, .. } => {
                let round = self.supplements.len() as u32 + 1;
                self.supplements.push(SupplementRound {
                    round,
                    defects,
                    due,
                    asked_by: self.holder,
                    back_to: self.phase,
                    given: None,
                });
                self.phase = Phase::Supplementing;
            }
            Step::SupplementGiven { round: 0, .. } => {
                self.promised_given = Some(heads.clone());
            }
            Step::SupplementGiven { .. } => {
                if let Some(supplement) = self.supplements.last_mut() {
                    supplement.given = Some((id, heads.clone()));
                    self.phase = supplement.back_to;
                }
            }
            Step::Accepted { due, calendar, uncertain, .. } => {
                self.phase = Phase::Accepted;
                let by = self.accepting();
                self.acceptance = Some(Acceptance { due, calendar, uncertain, by, at_ms });
            }
            Step::Approved { opinion, .. } => {
                self.decide(record, DecisionKind::Approved, opinion, String::new());
            }
            Step::Denied { reason, remedy, .. } => {
                self.decide(record, DecisionKind::Denied, reason, remedy);
            }
            Step::Refused { reason, remedy, .. } => {
                self.decide(record, DecisionKind::Refused, reason, remedy);
            }
            Step::Completed => self.phase = Phase::Completed,
            Step::Delivered { to, receiver, proof } => {
                self.phase = Phase::Delivered;
                self.delivery = Some(Delivery { to, receiver, proof, at_ms });
            }
            Step::Rated { stars, .. } => {
                self.phase = Phase::Rated;
                self.rating = Some(stars);
            }
            Step::Archived => self.phase = Phase::Archived,
            Step::TakenOver { term, .. } => {
                self.phase = Phase::Forwarded;
                self.holder = Level::County;
                self.term = term;
            }
            Step::Resolved { .. }
            | Step::ResidentAdded { .. }
            | Step::ResidentMoved { .. }
            | Step::SamePerson { .. }
            | Step::NotSamePerson { .. }
            | Step::DutyOffered { .. }
            | Step::DutyTaken { .. } => {}
        }
    }

    fn decide(&mut self, record: &super::Record, kind: DecisionKind, text: String, remedy: String) {
        self.phase = match kind {
            DecisionKind::Approved => Phase::Approved,
            DecisionKind::Denied => Phase::Denied,
            DecisionKind::Refused => Phase::Refused,
        };
        self.decision = Some(Decision {
            event: record.id,
            kind,
            text,
            remedy,
            person: record.header.person,
            attestation: record.attestation,
            relay_attested: !record.attestation.personal(),
            at_ms: record.header.claimed_ms,
        });
    }
}
