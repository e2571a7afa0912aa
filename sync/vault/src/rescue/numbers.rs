//! The numbers that a box shows to somebody who has forgotten their PIN: how long, how many tries,
//! how many in a day.

use super::RescueError;
use cunkou_keys::RescueFor;
use minicbor::{Decode, Encode};

/// A number is good for so long.
pub const NUMBER_MS: i64 = 3600 * 1000;
/// Codes that may be tried for one number.
pub const CODES_PER_NUMBER: u32 = 5;
/// Numbers that a person gets in a day.
pub const NUMBERS_PER_DAY: u32 = 10;
/// After a number was void by wrong codes, the next comes no sooner than this.
pub const NUMBER_WAIT_MS: i64 = 60 * 1000;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Time since some moment, as the lease counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Passed {
    #[n(0)]
    from_ms: i64,
    #[n(1)]
    floor_ms: i64,
    #[n(2)]
    awake_ms: i64,
}

impl Passed {
    fn begin(now_ms: i64) -> Self {
        Self { from_ms: now_ms, floor_ms: now_ms, awake_ms: 0 }
    }

    fn pass(&mut self, now_ms: i64, awake_ms: i64) {
        self.floor_ms = self.floor_ms.max(now_ms);
        self.awake_ms = self.awake_ms.saturating_add(awake_ms.max(0));
    }

    fn ms(&self) -> i64 {
        self.floor_ms.saturating_sub(self.from_ms).max(self.awake_ms)
    }
}

/// The number that is open.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Number {
    #[n(0)]
    text: String,
    /// Of which way back.
    #[n(1)]
    id: u64,
    #[n(2)]
    since: Passed,
    /// Codes tried.
    #[n(3)]
    tries: u32,
}

/// How a person's numbers stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Numbers {
    #[n(0)]
    open: Option<Number>,
    /// Since the first number of the day.
    #[n(1)]
    day: Option<Passed>,
    /// Numbers since then.
    #[n(2)]
    drawn: u32,
    /// Since wrong codes made a number void, for as long as the next has to wait.
    #[n(3)]
    voided: Option<Passed>,
}

impl Numbers {
    /// Time goes on.
    pub(super) fn pass(&mut self, now_ms: i64, awake_ms: i64) {
        if let Some(day) = &mut self.day {
            day.pass(now_ms, awake_ms);
        }
        if self.day.is_some_and(|day| day.ms() >= DAY_MS) {
            (self.day, self.drawn) = (None, 0);
        }
        if let Some(open) = &mut self.open {
            open.since.pass(now_ms, awake_ms);
        }
        if self.open.as_ref().is_some_and(|open| open.since.ms() >= NUMBER_MS) {
            self.open = None;
        }
        if let Some(voided) = &mut self.voided {
            voided.pass(now_ms, awake_ms);
        }
        if self.voided.is_some_and(|voided| voided.ms() >= NUMBER_WAIT_MS) {
            self.voided = None;
        }
    }

    /// The number that is open for this way back; another is drawn where there is none.
    ///
    /// # Errors
    /// [`RescueError::TooMany`], [`RescueError::Soon`].
    pub(super) fn number(
        &mut self,
        of: &RescueFor,
        now_ms: i64,
        drawn: u64,
    ) -> Result<String, RescueError> {
        self.pass(now_ms, 0);
        if let Some(open) = self.open.as_ref().filter(|open| open.id == of.id) {
            return Ok(open.text.clone());
        }
        if self.drawn >= NUMBERS_PER_DAY {
            return Err(RescueError::TooMany);
        }
        if self.voided.is_some() {
            return Err(RescueError::Soon);
        }
        self.day.get_or_insert_with(|| Passed::begin(now_ms));
        self.drawn += 1;
        let text = of.number(drawn);
        let since = Passed::begin(now_ms);
        self.open = Some(Number { text: text.clone(), id: of.id, since, tries: 0 });
        Ok(text)
    }

    /// Counts a try; gives the number and the way back it is for. The last try closes the number.
    ///
    /// # Errors
    /// [`RescueError::Over`].
    pub(super) fn try_code(&mut self, now_ms: i64) -> Result<(String, u64), RescueError> {
        self.pass(now_ms, 0);
        let open = self.open.as_mut().ok_or(RescueError::Over)?;
        open.tries += 1;
        let tried = (open.text.clone(), open.id);
        if open.tries >= CODES_PER_NUMBER {
            // The fifth code is still tried; after it there is no number.
            self.open = None;
            self.voided = Some(Passed::begin(now_ms));
        }
        Ok(tried)
    }

    /// The number is used.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Whether today's numbers still count.
    pub(super) fn counts(&self) -> bool {
        self.day.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: i64 = 1_795_000_000_000;

    fn of(id: u64) -> RescueFor {
        RescueFor { device: [1; 16], person: [2; 16], id }
    }

    #[test]
    fn a_number_is_good_for_an_hour_and_stays_the_same_until_then() {
        let mut numbers = Numbers::default();
        let first = numbers.number(&of(7), T0, 11).expect("a number");
        assert_eq!(first.len(), 8);
        assert_eq!(numbers.number(&of(7), T0 + NUMBER_MS - 1, 12).expect("the same"), first);
        assert!(numbers.clone().try_code(T0 + NUMBER_MS - 1).is_ok());
        assert!(matches!(numbers.clone().try_code(T0 + NUMBER_MS), Err(RescueError::Over)));
        assert_ne!(numbers.number(&of(7), T0 + NUMBER_MS, 13).expect("another"), first);
    }

    #[test]
    fn turning_the_clock_back_or_holding_it_still_gives_no_second_more() {
        let mut numbers = Numbers::default();
        numbers.number(&of(7), T0, 11).expect("a number");
        numbers.pass(T0 + NUMBER_MS - 1, 0);
        numbers.pass(T0 - DAY_MS, 0);
        assert!(numbers.open.is_some());
        numbers.pass(T0 - DAY_MS, NUMBER_MS);
        assert!(numbers.open.is_none());
    }

    #[test]
    fn after_five_codes_a_number_is_void_and_ten_numbers_are_a_day() {
        let mut numbers = Numbers::default();
        for round in 0..NUMBERS_PER_DAY {
            let now = T0 + i64::from(round) * NUMBER_WAIT_MS;
            numbers.number(&of(7), now, u64::from(round)).expect("a number");
            for _ in 0..CODES_PER_NUMBER {
                numbers.try_code(now).expect("a try");
            }
            assert!(matches!(numbers.try_code(now), Err(RescueError::Over)));
        }
        assert!(matches!(numbers.number(&of(7), T0, 99), Err(RescueError::TooMany)));
        assert!(numbers.number(&of(7), T0 + DAY_MS, 99).is_ok(), "the next day");
    }

    #[test]
    fn the_number_after_a_void_one_is_a_minute_away_whatever_the_clock_does() {
        let mut numbers = Numbers::default();
        numbers.number(&of(7), T0, 11).expect("a number");
        for _ in 0..CODES_PER_NUMBER {
            numbers.try_code(T0).expect("a try");
        }
        for (now, awake) in [(T0, 0), (T0 + NUMBER_WAIT_MS - 1, 0), (T0 - DAY_MS, 1)] {
            numbers.pass(now, awake);
            assert!(matches!(numbers.number(&of(8), now, 12), Err(RescueError::Soon)));
        }
        assert!(numbers.clone().number(&of(7), T0 + NUMBER_WAIT_MS, 12).is_ok());
        numbers.pass(T0 - DAY_MS, NUMBER_WAIT_MS);
        assert!(numbers.number(&of(7), T0 - DAY_MS, 12).is_ok());
    }

    #[test]
    fn a_number_of_another_way_back_is_not_shown_again() {
        let mut numbers = Numbers::default();
        let first = numbers.number(&of(7), T0, 11).expect("a number");
        let second = numbers.number(&of(8), T0, 11).expect("a number");
        assert_ne!(first, second);
        assert_eq!(numbers.try_code(T0).expect("a try"), (second, 8));
    }

    proptest! {
        #[test]
        fn whatever_the_clock_does_no_more_than_fifty_codes_are_tried_in_a_day(
            steps in proptest::collection::vec((-40i64..40, 0u8..2), 1..400)
        ) {
            let (mut numbers, mut tried, mut now) = (Numbers::default(), 0, T0);
            for (minutes, what) in steps {
                // Never a whole day forward in all.
                now = (now + minutes * 60_000).min(T0 + DAY_MS - 1);
                if what == 0 {
                    let _ = numbers.number(&of(7), now, now as u64);
                } else if numbers.try_code(now).is_ok() {
                    tried += 1;
                }
            }
            prop_assert!(tried <= CODES_PER_NUMBER * NUMBERS_PER_DAY);
        }
    }
}
