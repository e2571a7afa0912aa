//! Looking at people: what for, and how a box tells the county who looked.

use crate::event::{BadPayload, decode, encode};
use crate::ids::{DeviceId, PersonId, SubjectId};
use minicbor::{Decode, Encode};

/// One entry tells of at most so many looks.
pub const LOOKS_MAX: usize = 200;
/// The looks of one entry are no longer together. Bytes.
pub const LOOKS_BYTES_MAX: usize = 48 * 1024;
/// What names a page is no longer. Bytes.
pub const WHAT_BYTES_MAX: usize = 96;
/// What says of what a list was is no longer. Bytes.
pub const SCOPE_BYTES_MAX: usize = 1000;
/// No look is later, whatever a clock says: about the year 9890. Milliseconds since 1970 UTC.
pub const TIME_MS_MAX: i64 = 250_000_000_000_000;

/// Somebody looked at somebody. Only identifiers: no names, no numbers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Look {
    /// When, by the box's clock, milliseconds since 1970 UTC.
    #[n(0)]
    pub at_ms: i64,
    /// Until when.
    #[n(1)]
    pub until_ms: i64,
    /// Who.
    #[n(2)]
    pub person: PersonId,
    /// At which case or resident; absent for a list.
    #[n(3)]
    pub subject: Option<SubjectId>,
    /// At which page: method and path of the route, without what was filled in.
    #[n(4)]
    pub what: String,
    /// Full numbers were shown.
    #[n(5)]
    pub uncovered: bool,
    /// What for, a [`Purpose::number`]; 0 for a case in one's hands.
    #[n(6)]
    pub purpose: u8,
    /// Of a list: codes of villages or a department; absent for all that the box has.
    #[n(7)]
    pub scope: Option<String>,
}

/// The payload of an entry of kind Looks. Its subject is the box.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Looks {
    /// The looks, at least one and at most [`LOOKS_MAX`].
    #[n(0)]
    pub looks: Vec<Look>,
}

fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
}

impl Looks {
    /// As many of these as one entry takes, in their order; texts that are too long are cut, times
    /// that cannot be are brought within their limits.
    #[must_use]
    pub fn fill(looks: impl IntoIterator<Item = Look>) -> Self {
        let (mut out, mut bytes) = (Vec::new(), 0);
        for mut look in looks {
            cut(&mut look.what, WHAT_BYTES_MAX);
            if let Some(scope) = &mut look.scope {
                cut(scope, SCOPE_BYTES_MAX);
            }
            look.at_ms = look.at_ms.clamp(0, TIME_MS_MAX);
            look.until_ms = look.until_ms.clamp(look.at_ms, TIME_MS_MAX);
            bytes += encode(&look).len();
            if out.len() == LOOKS_MAX || bytes > LOOKS_BYTES_MAX {
                break;
            }
            out.push(look);
        }
        Self { looks: out }
    }

    /// Reads looks within their limits.
    ///
    /// # Errors
    /// [`BadPayload`] in words.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadPayload> {
        let read: Self = decode(bytes)?;
        if read.looks.is_empty() || read.looks.len() > LOOKS_MAX {
            return Err(BadPayload("it tells of no look, or of too many".into()));
        }
        let good = |look: &Look| {
            look.what.len() <= WHAT_BYTES_MAX
                && look.scope.as_ref().is_none_or(|s| s.len() <= SCOPE_BYTES_MAX)
                && look.at_ms >= 0
                && look.until_ms >= look.at_ms
                && look.until_ms <= TIME_MS_MAX
        };
        if !read.looks.iter().all(good) {
            return Err(BadPayload("a look is out of its limits".into()));
        }
        Ok(read)
    }

    /// What an entry of a box's looks is about: the box.
    #[must_use]
    pub fn subject(device: DeviceId) -> SubjectId {
        SubjectId(device.0)
    }
}

/// What somebody looks at a person for who is not in their hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// 办理业务
    Work,
    /// 核实情况
    Verify,
    /// 居民询问
    Asked,
    /// 监督检查
    Inspection,
    /// 其他工作
    Other,
}

impl Purpose {
    /// The five choices, in the order of the page.
    pub const ALL: [Self; 5] =
        [Self::Work, Self::Verify, Self::Asked, Self::Inspection, Self::Other];

    /// The number that is kept with a look; 0 is a case in one's hands. Never changes.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Work => 1,
            Self::Verify => 2,
            Self::Asked => 3,
            Self::Inspection => 4,
            Self::Other => 5,
        }
    }

    /// The purpose of a number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_comes_back_from_its_number_and_nought_is_none() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::of(purpose.number()), Some(purpose));
        }
        assert_eq!(Purpose::of(0), None);
        assert_eq!(Purpose::of(6), None);
    }

    fn look(scope: usize) -> Look {
        Look {
            at_ms: 5,
            until_ms: 0,
            person: PersonId([1; 16]),
            subject: None,
            what: "县".repeat(50),
            uncovered: false,
            purpose: 0,
            scope: Some("村".repeat(scope)),
        }
    }

    #[test]
    fn an_entry_takes_as_many_looks_as_fit_and_reads_them_back() {
        let many = Looks::fill((0..500).map(|_| look(1)));
        assert_eq!(many.looks.len(), LOOKS_MAX);
        let long = Looks::fill((0..500).map(|_| look(1000)));
        assert!(long.looks.len() < 60, "{}", long.looks.len());
        for looks in [many, long] {
            let bytes = encode(&looks);
            assert!(bytes.len() < crate::entry::ENTRY_BYTES_MAX - 8192);
            assert_eq!(Looks::decode(&bytes), Ok(looks));
        }
    }

    #[test]
    fn what_a_clock_gone_mad_says_is_told_within_the_limits() {
        for at_ms in [i64::MIN, -1, i64::MAX] {
            let looks = Looks::fill([Look { at_ms, until_ms: 0, ..look(1) }]);
            assert_eq!(Looks::decode(&encode(&looks)), Ok(looks));
        }
    }

    #[test]
    fn looks_out_of_their_limits_are_not_read() {
        let good = Looks::fill([look(1)]);
        let wrong = |change: fn(&mut Looks)| {
            let mut looks = good.clone();
            change(&mut looks);
            Looks::decode(&encode(&looks)).is_err()
        };
        assert!(wrong(|l| l.looks.clear()));
        assert!(wrong(|l| l.looks = vec![l.looks[0].clone(); LOOKS_MAX + 1]));
        assert!(wrong(|l| l.looks[0].until_ms = 4));
        assert!(wrong(|l| l.looks[0].until_ms = TIME_MS_MAX + 1));
        assert!(wrong(|l| l.looks[0].at_ms = -1));
        assert!(wrong(|l| l.looks[0].what = "x".repeat(WHAT_BYTES_MAX + 1)));
        assert!(wrong(|l| l.looks[0].scope = Some("x".repeat(SCOPE_BYTES_MAX + 1))));
    }
}
