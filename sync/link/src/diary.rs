//! Who writes the history of contacts down, and what of it: how a conversation went and ended, and
//! which attempts came to nothing.

use crate::LinkError;
use crate::call::Way;
use crate::driver::blocking;
use crate::line::Connection;
use cunkou_engine::PeerInfo;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What attempts of one kind have come to is written down so often: a write per attempt would wear
/// the disk.
const EVERY: Duration = Duration::from_secs(600);

/// What kept two machines from talking. The numbers stand in stores and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Nobody answers.
    Unreachable,
    /// The other side does not want to talk to us.
    Refused,
    /// The other side has no time now.
    Busy,
    /// Our certificate has run out.
    RunOut,
    /// The certificates are of two counties.
    OtherCounty,
    /// The connection broke off.
    Broken,
    /// Somebody broke the protocol.
    Violation,
    /// Our own store failed.
    Store,
    /// Our own certificate or address cannot be used.
    Setup,
    /// Another machine with our identity talks to the other side.
    Double,
}

/// How a conversation ended. The numbers stand in stores and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// This program ended it: it was stopped, locked or opened.
    Here,
    /// Something better answers again: the first relay, or QUIC.
    Better,
    /// The last word of a revoked machine was kept.
    Heard,
    /// Something came between.
    Trouble(Trouble),
}

impl Trouble {
    const ALL: [Self; 10] = [
        Self::Unreachable,
        Self::Refused,
        Self::Busy,
        Self::RunOut,
        Self::OtherCounty,
        Self::Broken,
        Self::Violation,
        Self::Store,
        Self::Setup,
        Self::Double,
    ];

    /// Its number in stores.
    #[must_use]
    pub fn number(self) -> u8 {
        10 + Self::ALL.iter().position(|t| *t == self).unwrap_or(0) as u8
    }

    /// By its number; nothing for one of a newer program.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number.checked_sub(10)?)).copied()
    }

    /// The word in status.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::RunOut => "certificate-run-out",
            Self::OtherCounty => "other-county",
            Self::Broken => "broken-off",
            Self::Violation => "violation",
            Self::Store => "own-store",
            Self::Setup => "own-setup",
            Self::Double => "double",
        }
    }
}

impl Ending {
    /// Its number in stores.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Here => 1,
            Self::Better => 2,
            Self::Heard => 3,
            Self::Trouble(trouble) => trouble.number(),
        }
    }

    /// By its number; nothing for one of a newer program, or when nobody said.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Here),
            2 => Some(Self::Better),
            3 => Some(Self::Heard),
            other => Trouble::of(other).map(Self::Trouble),
        }
    }

    /// The word in status.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Here => "ended-here",
            Self::Better => "better-way",
            Self::Heard => "last-word-heard",
            Self::Trouble(trouble) => trouble.word(),
        }
    }

    pub(crate) fn after(error: &LinkError) -> Self {
        match error.trouble() {
            Some(trouble) => Self::Trouble(trouble),
            None => Self::Heard,
        }
    }
}

impl LinkError {
    /// Of which kind it is; nothing when the last word of a revoked machine was kept.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        Some(match self {
            Self::Unreachable(_) => Trouble::Unreachable,
            Self::Refused(_) => Trouble::Refused,
            Self::Busy(_) => Trouble::Busy,
            Self::RunOut => Trouble::RunOut,
            Self::OtherCounty(_) => Trouble::OtherCounty,
            Self::Broken(_) => Trouble::Broken,
            Self::Violation(_) => Trouble::Violation,
            Self::Store(_) => Trouble::Store,
            Self::Setup(_) => Trouble::Setup,
            Self::Double => Trouble::Double,
            Self::Heard => return None,
        })
    }
}

/// Keeps the history of contacts. All calls may block; what fails is the diary's own matter, and
/// never the conversation's.
pub trait Diary: Send + Sync + 'static {
    /// A conversation with a peer that said hello goes over this; gives the number of the contact.
    fn began(&self, peer: &PeerInfo, way: Way) -> Option<i64>;

    /// So many bytes went and came in it so far.
    fn carried(&self, contact: i64, sent: u64, received: u64);

    /// It is over.
    fn over(&self, contact: i64, ending: Ending);

    /// An attempt to reach a relay came to nothing; `before` is the number that the first of its
    /// kind was given, with how many there are by now. Gives that number.
    fn unreached(&self, relay: &str, why: Trouble, before: Option<(i64, u64)>) -> Option<i64>;
}

/// One conversation in the diary. One that is dropped without an end was ended here.
pub(crate) struct Noted {
    diary: Option<Arc<dyn Diary>>,
    connection: Connection,
    contact: Option<i64>,
    ending: Ending,
}

impl Noted {
    pub(crate) fn new(diary: Option<Arc<dyn Diary>>, connection: Connection) -> Self {
        Self { diary, connection, contact: None, ending: Ending::Here }
    }

    /// The peer has said hello. Only the first time counts.
    pub(crate) async fn began(&mut self, peer: &PeerInfo, way: Way) {
        if self.contact.is_some() {
            return;
        }
        if let Some(diary) = self.diary.clone() {
            let peer = peer.clone();
            self.contact = blocking(move || diary.began(&peer, way)).await.ok().flatten();
        }
    }

    fn carried(&self) -> Option<impl FnOnce() + Send + 'static> {
        let (diary, contact) = (self.diary.clone()?, self.contact?);
        let (sent, received) = self.connection.carried();
        Some(move || diary.carried(contact, sent, received))
    }

    /// Says what it has carried so far, beside what goes on.
    pub(crate) fn tell(&self) {
        if let Some(work) = self.carried() {
            tokio::task::spawn_blocking(work);
        }
    }

    /// How it ends, once it does.
    pub(crate) fn ends(&mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        // Here and now: when the program ends, nothing runs beside it any more.
        if let Some(work) = self.carried() {
            work();
        }
        if let (Some(diary), Some(contact)) = (&self.diary, self.contact) {
            diary.over(contact, self.ending);
        }
    }
}

/// Attempts at one relay that came to nothing for one reason.
#[derive(Clone, Copy, Debug)]
struct Row {
    why: Trouble,
    number: Option<i64>,
    times: u64,
    told: Instant,
}

/// Attempts that came to nothing, by relay.
#[derive(Debug, Default)]
pub(crate) struct Vain(BTreeMap<String, Row>);

impl Vain {
    /// One more. It is written down when it is the first of its kind, and every ten minutes.
    pub(crate) async fn one(&mut self, diary: Option<&Arc<dyn Diary>>, relay: &str, why: Trouble) {
        let Some(diary) = diary else { return };
        let now = Instant::now();
        let known = self.0.get(relay).filter(|row| row.why == why).copied();
        let times = known.map_or(1, |row| row.times + 1);
        let due = known.is_none_or(|row| now.duration_since(row.told) >= EVERY);
        let number = known.and_then(|row| row.number);
        let row = if due {
            let (diary, to) = (Arc::clone(diary), relay.to_owned());
            let before = number.map(|number| (number, times));
            let number = blocking(move || diary.unreached(&to, why, before)).await.ok().flatten();
            Row { why, number, times, told: now }
        } else {
            Row { why, number, times, told: known.map_or(now, |row| row.told) }
        };
        self.0.insert(relay.to_owned(), row);
    }

    /// The relay answers: what comes to nothing from now on is another line.
    pub(crate) async fn over(&mut self, diary: Option<&Arc<dyn Diary>>, relay: &str) {
        let Some(row) = self.0.remove(relay) else { return };
        if let (Some(diary), Some(number)) = (diary.cloned(), row.number) {
            let to = relay.to_owned();
            let _ =
                blocking(move || diary.unreached(&to, row.why, Some((number, row.times)))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    type Line = (String, Trouble, Option<(i64, u64)>);

    #[derive(Default)]
    struct Book(Mutex<Vec<Line>>);

    impl Diary for Book {
        fn began(&self, _: &PeerInfo, _: Way) -> Option<i64> {
            None
        }
        fn carried(&self, _: i64, _: u64, _: u64) {}
        fn over(&self, _: i64, _: Ending) {}
        fn unreached(&self, relay: &str, why: Trouble, before: Option<(i64, u64)>) -> Option<i64> {
            let mut lines = self.0.lock().expect("whole");
            lines.push((relay.to_owned(), why, before));
            Some(before.map_or(lines.len() as i64, |(number, _)| number))
        }
    }

    #[test]
    fn numbers_lead_back_to_what_they_mean_and_no_two_are_one() {
        let troubles = Trouble::ALL.into_iter().map(Ending::Trouble);
        let all: Vec<Ending> =
            [Ending::Here, Ending::Better, Ending::Heard].into_iter().chain(troubles).collect();
        let mut numbers: Vec<u8> = all.iter().map(|ending| ending.number()).collect();
        assert!(all.iter().all(|ending| Ending::of(ending.number()) == Some(*ending)));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all.len());
        assert_eq!((Ending::of(0), Ending::of(99), Trouble::of(9)), (None, None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_of_one_kind_are_one_line_that_is_written_again_after_ten_minutes() {
        use Trouble::{Refused, Unreachable};
        let book = Arc::new(Book::default());
        let diary: Arc<dyn Diary> = book.clone();
        let mut vain = Vain::default();
        for _ in 0..21 {
            vain.one(Some(&diary), "a:1", Unreachable).await;
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        vain.one(Some(&diary), "a:1", Refused).await;
        vain.one(Some(&diary), "a:1", Refused).await;
        vain.over(Some(&diary), "a:1").await;
        vain.one(Some(&diary), "a:1", Refused).await;
        let of = |why, before| ("a:1".to_owned(), why, before);

        assert_eq!(
            *book.0.lock().expect("whole"),
            [
                of(Unreachable, None),
                of(Unreachable, Some((1, 11))),
                of(Unreachable, Some((1, 21))),
                of(Refused, None),
                of(Refused, Some((4, 2))),
                of(Refused, None),
            ]
        );
    }
}
