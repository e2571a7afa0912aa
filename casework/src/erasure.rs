//! Erasure: what two people of the county agreed to destroy is gone for ever, on every device.
//!
//! It is said in entries of a kind of its own about the case or the resident's record. They stay
//! when all else of the subject has gone, they name nobody's data, and they suffice by themselves:
//! a device that never had the subject, or has it back from an old disk, judges them alike.

use crate::case::{Attestation, Reason};
use crate::county::{CountyLog, DeviceKind, Role};
use crate::entry::Header;
use crate::event::{BadPayload, TEXT_CHARS_MAX, decode};
use crate::ids::{DeviceId, EntryId, PersonId};
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;

/// Why something is erased.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// 保管期限已满: the retention of its item is over (《个人信息保护法》第四十七条第一款第二项、
    /// 《机关档案管理规定》 on 鉴定销毁).
    #[n(1)]
    Retention,
    /// 本人撤回同意或要求删除 (《个人信息保护法》第四十七条第一款第三项).
    #[n(2)]
    Request,
    /// 违法或违反约定处理 (第四十七条第一款第四项).
    #[n(3)]
    Unlawful,
    /// 误录、重复: it should never have been here.
    #[n(4)]
    Mistake,
}

impl Basis {
    /// All of them, in the order of the form.
    pub const ALL: [Self; 4] = [Self::Retention, Self::Request, Self::Unlawful, Self::Mistake];

    /// The word in forms and tables.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Request => "request",
            Self::Unlawful => "unlawful",
            Self::Mistake => "mistake",
        }
    }

    /// The basis of a word.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.key() == key)
    }
}

/// The payload of an entry of kind Erasure. Numbers are frozen.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Saying {
    /// A data officer (数据专员) asks for it. What is written here stays in the register (销毁清册).
    #[n(1)]
    Asked {
        /// Why.
        #[n(0)]
        basis: Basis,
        /// Number of the case; empty for a resident's record.
        #[n(1)]
        number: String,
        /// Key of the item; empty for a resident's record.
        #[n(2)]
        item: String,
        /// In words: the decision or request it rests on. It must name nobody.
        #[n(3)]
        reason: String,
    },
    /// A second person agrees.
    #[n(2)]
    Agreed {
        /// The asking.
        #[n(0)]
        asked: EntryId,
    },
    /// Somebody who could agree does not, or who asked takes it back.
    #[n(3)]
    Declined {
        /// The asking.
        #[n(0)]
        asked: EntryId,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// A device has destroyed what it had.
    #[n(4)]
    Done {
        /// The agreement it followed.
        #[n(0)]
        agreed: EntryId,
    },
}

impl Saying {
    /// Reads a payload within its limits.
    ///
    /// # Errors
    /// [`BadPayload`] in words.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadPayload> {
        let saying: Self = decode(bytes)?;
        let texts = match &saying {
            Self::Asked { number, item, reason, .. } => vec![number, item, reason],
            Self::Declined { reason, .. } => vec![reason],
            Self::Agreed { .. } | Self::Done { .. } => Vec::new(),
        };
        if texts.iter().any(|text| text.chars().count() > TEXT_CHARS_MAX) {
            return Err(BadPayload("a text is too long".into()));
        }
        Ok(saying)
    }
}

/// An authenticated entry of kind Erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The entry's name.
    pub id: EntryId,
    /// Who and when.
    pub header: Header,
    /// On whose word.
    pub attestation: Attestation,
    /// What.
    pub saying: Saying,
}

/// An asking that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The entry's name.
    pub id: EntryId,
    /// Who asked.
    pub by: PersonId,
    /// When, as claimed by the relay, milliseconds.
    pub at_ms: i64,
    /// Why.
    pub basis: Basis,
    /// Number of the case; empty for a resident's record.
    pub number: String,
    /// Key of the item; empty for a resident's record.
    pub item: String,
    /// In words.
    pub reason: String,
}

/// An erasure that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// What was asked.
    pub asking: Asking,
    /// The agreement.
    pub agreed: EntryId,
    /// Who agreed.
    pub second: PersonId,
    /// When, as claimed by the relay, milliseconds.
    pub at_ms: i64,
    /// The devices that have said that it is done, with the time they claim.
    pub done: BTreeMap<DeviceId, i64>,
}

/// What the entries about one subject come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Askings that wait for a second person.
    pub open: Vec<Asking>,
    /// It is to be gone. The smallest agreement by name, where there are several.
    pub erased: Option<Erased>,
    /// What does not count.
    pub refused: Vec<(EntryId, Reason)>,
}

/// Whether somebody may say this, apart from what it answers to.
///
/// # Errors
/// Why not.
pub fn authorise(said: &Said, county: &CountyLog) -> Result<(), Reason> {
    let position = said.header.log.position;
    let device = county.device_at(said.header.device, position);
    if matches!(said.saying, Saying::Done { .. }) {
        return if said.header.person.is_none() { Ok(()) } else { Err(Reason::NoPost) };
    }
    if device.is_none_or(|d| d.kind != DeviceKind::Relay) {
        return Err(Reason::OutOfScope);
    }
    let person = said.header.person.and_then(|id| county.person_at(id, position));
    let Some(person) = person else { return Err(Reason::NoPerson) };
    let has = |role| person.posts.iter().any(|post| post.role == role);
    let may = match said.saying {
        Saying::Asked { .. } => has(Role::DataOfficer),
        _ => has(Role::DataOfficer) || has(Role::Reviewer),
    };
    if may { Ok(()) } else { Err(Reason::NoPost) }
}

/// Judges what was said about one subject, in any order of arrival. An agreement dominates for
/// ever: no later word takes it back.
#[must_use]
pub fn judge(said: &[Said], county: &CountyLog) -> Judged {
    let mut out = Judged::default();
    let mut all: Vec<&Said> = said.iter().collect();
    all.sort_by_key(|s| s.id);
    all.dedup_by_key(|s| s.id);
    let mut rightful = Vec::with_capacity(all.len());
    for said in all {
        match authorise(said, county) {
            Ok(()) => rightful.push(said),
            Err(why) => out.refused.push((said.id, why)),
        }
    }
    let asking = |said: &Said| match &said.saying {
        Saying::Asked { basis, number, item, reason } => Some(Asking {
            id: said.id,
            by: said.header.person?,
            at_ms: said.header.claimed_ms,
            basis: *basis,
            number: number.clone(),
            item: item.clone(),
            reason: reason.clone(),
        }),
        _ => None,
    };
    let asked: BTreeMap<EntryId, Asking> =
        rightful.iter().filter_map(|said| Some((said.id, asking(said)?))).collect();
    let mut declined = Vec::new();
    for said in &rightful {
        match &said.saying {
            Saying::Agreed { asked: of } => match (asked.get(of), said.header.person) {
                (Some(asking), Some(person)) if asking.by == person => {
                    out.refused.push((said.id, Reason::OwnCase));
                }
                (Some(asking), Some(person)) if out.erased.is_none() => {
                    out.erased = Some(Erased {
                        asking: asking.clone(),
                        agreed: said.id,
                        second: person,
                        at_ms: said.header.claimed_ms,
                        done: BTreeMap::new(),
                    });
                }
                _ => {}
            },
            Saying::Declined { asked: of, .. } => declined.push(*of),
            Saying::Asked { .. } | Saying::Done { .. } => {}
        }
    }
    if let Some(erased) = &mut out.erased {
        for said in &rightful {
            if matches!(said.saying, Saying::Done { .. }) {
                let at = erased.done.entry(said.header.device).or_insert(said.header.claimed_ms);
                *at = (*at).min(said.header.claimed_ms);
            }
        }
    } else {
        out.open = asked.into_values().filter(|a| !declined.contains(&a.id)).collect();
    }
    out
}

#[cfg(test)]
mod tests;
