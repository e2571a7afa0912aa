//! Retention (保管期限): how long a closed case is kept before it may be destroyed.
//!
//! A period is counted in whole years from the first of January after the year in which the case
//! was closed, as retention of office files is (《机关文件材料归档范围和文书档案保管期限规定》:
//! 永久、30 年、10 年). Nothing is destroyed by itself: what is over is listed, a data officer asks,
//! and a second person agrees ([`crate::erasure`]).

use jiff::civil::Date;

/// The first day on which a case that was closed on `closed` may be destroyed; none past the end
/// of the calendar.
#[must_use]
pub fn over_on(closed: Date, years: u32) -> Option<Date> {
    let year = i64::from(closed.year()) + 1 + i64::from(years);
    Date::new(i16::try_from(year).ok()?, 1, 1).ok()
}

/// Cases closed before this day may be destroyed today; none before the beginning of the calendar.
#[must_use]
pub fn closed_before(today: Date, years: u32) -> Option<Date> {
    let year = i64::from(today.year()) - i64::from(years);
    Date::new(i16::try_from(year).ok()?, 1, 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    #[test]
    fn a_period_begins_with_the_year_after_the_closing() {
        assert_eq!(over_on(date(2026, 1, 1), 10), Some(date(2037, 1, 1)));
        assert_eq!(over_on(date(2026, 12, 31), 10), Some(date(2037, 1, 1)));
        assert_eq!(closed_before(date(2037, 1, 1), 10), Some(date(2027, 1, 1)));
        assert_eq!(closed_before(date(2036, 12, 31), 10), Some(date(2026, 1, 1)));
        assert_eq!(over_on(date(2026, 1, 1), u32::MAX), None);
        assert_eq!(closed_before(date(2026, 1, 1), u32::MAX), None);
    }

    proptest! {
        #[test]
        fn both_ways_of_asking_agree(
            closed in 1990i16..2100, month in 1i8..=12, now in 1990i16..2200, years in 0u32..60,
        ) {
            let (closed, today) = (date(closed, month, 28), date(now, month, 1));
            let over = over_on(closed, years).is_some_and(|day| day <= today);
            let listed = closed_before(today, years).is_some_and(|day| closed < day);
            prop_assert_eq!(over, listed);
        }
    }
}
