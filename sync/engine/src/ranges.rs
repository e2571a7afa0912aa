//! Attachments in verified pieces: what is asked, what is answered, and what a piece must be.
//!
//! An attachment's name is the BLAKE3 of its bytes, and BLAKE3 is a tree. An **outline** is that
//! tree cut at 16 KiB: the length and the chaining value of each group of 16 KiB. It is checked
//! against the name when it comes, and from then on every group is checked by itself, whoever gives
//! it and in whatever order. Nothing is believed before it was checked.

use blake3::hazmat::merge_subtrees_root;
use blake3::hazmat::{HasherExt, Mode, left_subtree_len, merge_subtrees_non_root};
use std::time::Duration;

/// An attachment is never longer. Bytes.
pub const ATTACHMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of every group but the last.
pub const GROUP: usize = 16 * 1024;
/// So many groups are asked for at once at most, and are on their way: what a cut costs.
pub const GROUPS_AT_ONCE: u8 = 4;
/// What follows the attachment's id on a stream that asks in pieces; nothing follows it when the
/// whole is asked for.
pub const IN_PIECES: u8 = 1;

/// What is wrong with what a peer asks or answers about an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeViolation {
    /// Not a question this version knows, or one that may not be asked here.
    #[error("a question about an attachment that cannot be")]
    Ask,
    /// Not an answer this version knows.
    #[error("an answer about an attachment that cannot be")]
    Answer,
    /// A length of zero, beyond [`ATTACHMENT_BYTES_MAX`], or not the one that was said before.
    #[error("an attachment of {0} bytes")]
    Length(u64),
    /// An outline that does not make the attachment's name.
    #[error("an outline that does not belong to the attachment")]
    Outline,
    /// Bytes that are not the attachment's.
    #[error("group {0} of an attachment is not what its name says")]
    Group(u16),
}

/// What is asked on a stream about one attachment. Four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Its outline; at most once on a stream.
    Outline,
    /// So many groups from this one on; those behind the end are left out.
    Groups {
        /// The first.
        first: u16,
        /// 1 to [`GROUPS_AT_ONCE`].
        count: u8,
    },
}

impl Ask {
    /// Bytes of a question.
    pub const BYTES: usize = 4;

    /// The bytes.
    #[must_use]
    pub fn encode(self) -> [u8; Self::BYTES] {
        match self {
            Self::Outline => [0, 0, 0, 0],
            Self::Groups { first, count } => {
                let [a, b] = first.to_be_bytes();
                [1, a, b, count]
            }
        }
    }

    /// Reads a question.
    ///
    /// # Errors
    /// [`RangeViolation::Ask`].
    pub fn decode(bytes: [u8; Self::BYTES]) -> Result<Self, RangeViolation> {
        match bytes {
            [0, 0, 0, 0] => Ok(Self::Outline),
            [1, a, b, count @ 1..=GROUPS_AT_ONCE] => {
                let first = u16::from_be_bytes([a, b]);
                if u64::from(first) * GROUP as u64 >= ATTACHMENT_BYTES_MAX {
                    return Err(RangeViolation::Ask);
                }
                Ok(Self::Groups { first, count })
            }
            _ => Err(RangeViolation::Ask),
        }
    }
}

/// How every answer begins. Nine bytes; only [`Answer::Here`] is followed by something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Not here, or not for you. The stream ends.
    Lacking,
    /// The attachment has so many bytes; then come the outline's names, or the groups' bytes.
    Here(u64),
    /// Not now: today's bytes are used up. Ask again after so long. The stream ends.
    Later(Duration),
}

/// Nobody is put off for longer: a day and an hour.
const LATER_MAX: u64 = 25 * 3600;

impl Answer {
    /// Bytes of an answer's beginning.
    pub const BYTES: usize = 9;

    /// The bytes.
    #[must_use]
    pub fn encode(self) -> [u8; Self::BYTES] {
        let (kind, value) = match self {
            Self::Lacking => (0, 0),
            Self::Here(length) => (1, length),
            Self::Later(wait) => (2, wait.as_secs().min(LATER_MAX)),
        };
        let mut out = [kind; Self::BYTES];
        out[1..].copy_from_slice(&value.to_be_bytes());
        out
    }

    /// Reads the beginning of an answer.
    ///
    /// # Errors
    /// [`RangeViolation::Answer`], [`RangeViolation::Length`].
    pub fn decode(bytes: [u8; Self::BYTES]) -> Result<Self, RangeViolation> {
        let [kind, value @ ..] = bytes;
        match (kind, u64::from_be_bytes(value)) {
            (0, 0) => Ok(Self::Lacking),
            (1, length @ 1..=ATTACHMENT_BYTES_MAX) => Ok(Self::Here(length)),
            (1, length) => Err(RangeViolation::Length(length)),
            (2, seconds @ 0..=LATER_MAX) => Ok(Self::Later(Duration::from_secs(seconds))),
            _ => Err(RangeViolation::Answer),
        }
    }
}

/// Length and names of the groups of one attachment, checked against its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    id: [u8; 32],
    length: u64,
    names: Vec<[u8; 32]>,
}

fn groups_of(length: u64) -> u64 {
    length.div_ceil(GROUP as u64)
}

impl Outline {
    /// How many bytes of names an outline of this length has: none where one group is all.
    ///
    /// # Errors
    /// [`RangeViolation::Length`]: before anything is allocated.
    pub fn names_len(length: u64) -> Result<usize, RangeViolation> {
        if length == 0 || length > ATTACHMENT_BYTES_MAX {
            return Err(RangeViolation::Length(length));
        }
        let groups = groups_of(length);
        let named = if groups == 1 { 0 } else { groups };
        usize::try_from(named * 32).map_err(|_| RangeViolation::Length(length))
    }

    /// An outline that was received, when it makes the attachment's name.
    ///
    /// # Errors
    /// [`RangeViolation::Length`], [`RangeViolation::Outline`].
    pub fn check(id: [u8; 32], length: u64, names: &[u8]) -> Result<Self, RangeViolation> {
        if names.len() != Self::names_len(length)? {
            return Err(RangeViolation::Outline);
        }
        let names: Vec<[u8; 32]> = names.as_chunks::<32>().0.to_vec();
        if !names.is_empty() && root(&names, length) != id {
            return Err(RangeViolation::Outline);
        }
        Ok(Self { id, length, names })
    }

    /// The attachment's name.
    #[must_use]
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// Bytes of the attachment.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The names as they are sent.
    #[must_use]
    pub fn names(&self) -> Vec<u8> {
        self.names.concat()
    }

    /// How many groups there are.
    #[must_use]
    pub fn groups(&self) -> u16 {
        u16::try_from(groups_of(self.length)).unwrap_or(u16::MAX)
    }

    /// Where groups lie: position of the first, and their bytes in all, those behind the end left
    /// out.
    #[must_use]
    pub fn span(&self, first: u16, count: u8) -> (u64, usize) {
        span(self.length, first, count)
    }

    /// Whether these bytes are that group.
    ///
    /// # Errors
    /// [`RangeViolation::Group`].
    pub fn verify(&self, group: u16, bytes: &[u8]) -> Result<(), RangeViolation> {
        let (from, length) = self.span(group, 1);
        let is = match self.names.get(usize::from(group)) {
            _ if length == 0 || bytes.len() != length => false,
            Some(name) => *name == group_name(from, bytes),
            None => self.names.is_empty() && *blake3::hash(bytes).as_bytes() == self.id,
        };
        if is { Ok(()) } else { Err(RangeViolation::Group(group)) }
    }
}

/// Where groups of an attachment of this length lie: position of the first, and bytes in all.
#[must_use]
pub fn span(length: u64, first: u16, count: u8) -> (u64, usize) {
    let from = u64::from(first) * GROUP as u64;
    let most = u64::from(count) * GROUP as u64;
    (from, usize::try_from(length.saturating_sub(from).min(most)).unwrap_or(0))
}

fn group_name(from: u64, bytes: &[u8]) -> [u8; 32] {
    blake3::Hasher::new().set_input_offset(from).update(bytes).finalize_non_root()
}

/// The name of what lies under these groups, which hold `length` bytes in all; two at least.
fn root(names: &[[u8; 32]], length: u64) -> [u8; 32] {
    let (left, right) = halves(names, length);
    *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
}

fn halves(names: &[[u8; 32]], length: u64) -> ([u8; 32], [u8; 32]) {
    let left = left_subtree_len(length);
    let (a, b) = names.split_at(usize::try_from(groups_of(left)).unwrap_or(names.len()));
    (subtree(a, left), subtree(b, length - left))
}

fn subtree(names: &[[u8; 32]], length: u64) -> [u8; 32] {
    match names {
        [one] => *one,
        _ => {
            let (left, right) = halves(names, length);
            merge_subtrees_non_root(&left, &right, Mode::Hash)
        }
    }
}

/// Makes an outline of bytes as they are read, group after group.
#[derive(Debug, Default)]
pub struct Outliner {
    names: Vec<[u8; 32]>,
    length: u64,
    whole: blake3::Hasher,
}

impl Outliner {
    /// The next bytes: whole groups, but for the last call.
    pub fn read(&mut self, bytes: &[u8]) {
        for group in bytes.chunks(GROUP) {
            self.names.push(group_name(self.length, group));
            self.length += group.len() as u64;
        }
        self.whole.update(bytes);
    }

    /// The outline; its id is that of the bytes read.
    ///
    /// # Errors
    /// [`RangeViolation::Length`].
    pub fn finish(self) -> Result<Outline, RangeViolation> {
        let id = *self.whole.finalize().as_bytes();
        let named = Outline::names_len(self.length)? / 32;
        let names = if named == 0 { Vec::new() } else { self.names };
        Ok(Outline { id, length: self.length, names })
    }
}

/// How many groups are asked for at once, from how long the last ones took.
///
/// A link is taken for slow until it has shown otherwise: entries that are on their way then come
/// first, and one group after another is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    ahead: u8,
}

impl Default for Pace {
    fn default() -> Self {
        Self { ahead: 1 }
    }
}

impl Pace {
    /// What came within this time allows twice as many the next time.
    pub const QUICK: Duration = Duration::from_millis(500);
    /// What took longer halves them.
    pub const LONG: Duration = Duration::from_secs(2);

    /// So many groups are asked for at once.
    #[must_use]
    pub fn ahead(self) -> u8 {
        self.ahead
    }

    /// Whether entries that are on their way would feel a group beside them.
    #[must_use]
    pub fn is_slow(self) -> bool {
        self.ahead < GROUPS_AT_ONCE
    }

    /// What was asked for has come after so long.
    pub fn came(&mut self, after: Duration) {
        if after <= Self::QUICK {
            self.ahead = (self.ahead * 2).min(GROUPS_AT_ONCE);
        } else if after > Self::LONG {
            self.ahead = (self.ahead / 2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i % 251) as u8).collect()
    }

    fn outlined(bytes: &[u8]) -> Outline {
        let mut outliner = Outliner::default();
        for part in bytes.chunks(4 * GROUP) {
            outliner.read(part);
        }
        outliner.finish().expect("as long as allowed")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn an_outline_makes_the_name_that_blake3_gives_whatever_the_length(n in 1usize..600_000) {
            let bytes = content(n);
            let made = outlined(&bytes);
            let id = *blake3::hash(&bytes).as_bytes();
            prop_assert_eq!(made.id(), &id);
            let read = Outline::check(id, n as u64, &made.names()).expect("its own outline");
            prop_assert_eq!(&read, &made);
            for group in 0..read.groups() {
                let (from, length) = read.span(group, 1);
                let part = &bytes[from as usize..from as usize + length];
                prop_assert_eq!(read.verify(group, part), Ok(()));
            }
        }

        #[test]
        fn one_wrong_byte_is_found_in_its_group_and_in_the_outline(
            n in 1usize..200_000, at in 0usize..200_000, bit in 0u8..8,
        ) {
            let mut bytes = content(n);
            let made = outlined(&bytes);
            let at = at % n;
            bytes[at] ^= 1 << bit;
            for group in 0..made.groups() {
                let (from, length) = made.span(group, 1);
                let part = &bytes[from as usize..from as usize + length];
                let bad = usize::from(group) == at / GROUP;
                prop_assert_eq!(made.verify(group, part).is_err(), bad);
            }
            let mut names = made.names();
            if !names.is_empty() {
                let at = at % names.len();
                names[at] ^= 1 << bit;
                prop_assert_eq!(
                    Outline::check(*made.id(), n as u64, &names), Err(RangeViolation::Outline)
                );
            }
        }

        #[test]
        fn what_is_asked_and_answered_is_read_back_or_is_a_violation(bytes: [u8; 9]) {
            if let Ok(answer) = Answer::decode(bytes) {
                prop_assert_eq!(answer.encode(), bytes);
            }
            let four = [bytes[0], bytes[1], bytes[2], bytes[3]];
            if let Ok(ask) = Ask::decode(four) {
                prop_assert_eq!(ask.encode(), four);
            }
        }
    }

    #[test]
    fn a_lie_about_the_length_is_found_at_the_first_group_at_the_latest() {
        let bytes = content(4 * GROUP);
        let made = outlined(&bytes);
        // Two names that make the same root: the tree cut one level higher.
        let high: Vec<u8> =
            made.names.chunks(2).flat_map(|two| subtree(two, 2 * GROUP as u64)).collect();
        let lie = Outline::check(*made.id(), 2 * GROUP as u64, &high).expect("the root is right");
        assert_eq!(lie.verify(0, &bytes[..GROUP]), Err(RangeViolation::Group(0)));
        // Another length with as many groups: only the last group can show it, and does.
        let longer = Outline::check(*made.id(), 4 * GROUP as u64 - 1, &made.names());
        let longer = longer.expect("the names make the root");
        assert_eq!(longer.verify(0, &bytes[..GROUP]), Ok(()));
        let last = &bytes[3 * GROUP..4 * GROUP - 1];
        assert_eq!(longer.verify(3, last), Err(RangeViolation::Group(3)));
    }

    #[test]
    fn a_length_is_bounded_before_anything_is_allocated() {
        for length in [0, ATTACHMENT_BYTES_MAX + 1, u64::MAX] {
            assert_eq!(Outline::names_len(length), Err(RangeViolation::Length(length)));
            assert_eq!(
                Answer::decode(Answer::Here(length).encode()),
                Err(RangeViolation::Length(length))
            );
        }
        assert_eq!(Outline::names_len(ATTACHMENT_BYTES_MAX), Ok(512 * 32));
        assert_eq!(Outline::names_len(GROUP as u64), Ok(0));
        assert_eq!(Ask::decode([1, 2, 0, 1]), Err(RangeViolation::Ask), "group 512");
        for ask in [[1, 0, 0, 0], [1, 0, 0, GROUPS_AT_ONCE + 1], [0, 0, 0, 1], [2, 0, 0, 0]] {
            assert_eq!(Ask::decode(ask), Err(RangeViolation::Ask));
        }
        assert_eq!(Answer::decode([2; 9]), Err(RangeViolation::Answer), "put off for ages");
    }

    #[test]
    fn a_link_is_slow_until_it_has_shown_otherwise_and_becomes_slow_again() {
        let mut pace = Pace::default();
        assert!(pace.is_slow() && pace.ahead() == 1);
        pace.came(Pace::QUICK);
        assert!(pace.is_slow());
        pace.came(Pace::QUICK);
        assert!(!pace.is_slow());
        for _ in 0..10 {
            pace.came(Pace::QUICK);
        }
        assert_eq!(pace.ahead(), GROUPS_AT_ONCE, "never more");
        pace.came(Pace::LONG);
        assert!(!pace.is_slow(), "neither quick nor long changes nothing");
        pace.came(Pace::LONG * 2);
        assert!(pace.is_slow());
        pace.came(Pace::LONG * 2);
        pace.came(Pace::LONG * 2);
        assert_eq!(pace.ahead(), 1, "never none");
    }
}
