//! Working days: Monday to Friday that are not off, and the made-up ones.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// China has one time, eight hours before UTC, and no daylight saving.
const CHINA_OFFSET_MS: i64 = 8 * 3600 * 1000;

/// The day and time in China of a moment given in milliseconds since 1970 UTC.
#[must_use]
pub fn china_time(ms: i64) -> DateTime {
    Timestamp::from_millisecond(ms.saturating_add(CHINA_OFFSET_MS))
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .datetime()
}

/// The day in China.
#[must_use]
pub fn china_day(ms: i64) -> Date {
    china_time(ms).date()
}

/// The moment at which a day begins in China, milliseconds since 1970 UTC.
#[must_use]
pub fn day_begins(day: Date) -> i64 {
    let begin = day.to_zoned(jiff::tz::TimeZone::UTC).map(|z| z.timestamp().as_millisecond());
    begin.map_or(i64::MAX, |ms| ms.saturating_sub(CHINA_OFFSET_MS))
}

/// `2026年11月22日`.
#[must_use]
pub fn day_in_words(day: Date) -> String {
    format!("{}年{}月{}日", day.year(), day.month(), day.day())
}

/// How far the days off of a year are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum YearStatus {
    /// From the State Council's notice.
    Sourced,
    /// Only the statutory days are known; the notice is not.
    Statutory,
}

/// The days off and made-up workdays of one year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Year {
    /// How far they are known.
    pub status: YearStatus,
    /// The notice they come from.
    pub notice: Option<String>,
    /// Days off, weekends in them included.
    pub off_days: BTreeSet<Date>,
    /// Weekend days that are worked.
    pub makeup_workdays: BTreeSet<Date>,
}

/// The calendar of working days, part of the signed catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Version, kept with every deadline that was counted with it.
    pub version: String,
    /// Always Asia/Shanghai.
    pub timezone: String,
    /// Years by number.
    pub years: BTreeMap<i16, Year>,
}

/// A last day and whether it may still move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The last day.
    pub day: Date,
    /// True when a year on the way lacks the official notice: 待节假日安排更新.
    pub uncertain: bool,
}

impl Calendar {
    /// Whether a day is worked, and whether that is certain.
    #[must_use]
    pub fn is_workday(&self, day: Date) -> (bool, bool) {
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        match self.years.get(&day.year()) {
            Some(year) => {
                let works = year.makeup_workdays.contains(&day)
                    || (!weekend && !year.off_days.contains(&day));
                (works, year.status == YearStatus::Sourced)
            }
            None => (!weekend, false),
        }
    }

    /// The `n`-th workday after `start`; the first day is not counted.
    #[must_use]
    pub fn add_workdays(&self, start: Date, n: u32) -> Due {
        let (mut day, mut left, mut uncertain) = (start, n, false);
        while left > 0 {
            let Ok(next) = day.checked_add(Span::new().days(1)) else {
                return Due { day, uncertain: true };
            };
            day = next;
            let (works, certain) = self.is_workday(day);
            uncertain |= !certain;
            left -= u32::from(works);
        }
        Due { day, uncertain }
    }

    /// The day `n` calendar days after `start`; if it is off, the next workday.
    #[must_use]
    pub fn add_days(&self, start: Date, n: u32) -> Due {
        let day = start.saturating_add(i64::from(n).days());
        let (works, certain) = self.is_workday(day);
        if works {
            return Due { day, uncertain: !certain };
        }
        let rolled = self.add_workdays(day, 1);
        Due { day: rolled.day, uncertain: rolled.uncertain || !certain }
    }

    /// Workdays from `today` to `due`: 0 on the day itself, negative when it has passed.
    #[must_use]
    pub fn workdays_left(&self, today: Date, due: Date) -> i32 {
        let (from, to, sign) = if due >= today { (today, due, 1) } else { (due, today, -1) };
        let (mut day, mut n) = (from, 0);
        while day < to {
            let Ok(next) = day.checked_add(Span::new().days(1)) else { break };
            day = next;
            n += i32::from(self.is_workday(day).0);
        }
        n * sign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLIDAYS: &str = include_str!("../../county-relay/catalogue/holidays.json");
    const VECTORS: &str = include_str!("../../county-relay/catalogue/holiday-vectors.json");

    fn calendar() -> Calendar {
        serde_json::from_str(HOLIDAYS).expect("the shipped calendar")
    }

    fn day(value: &serde_json::Value) -> Date {
        value.as_str().expect("a text").parse().expect("a day")
    }

    #[test]
    fn the_computed_vectors_hold() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).expect("the vectors");
        let rows = vectors["add_workdays"].as_array().expect("rows");
        for row in rows {
            let n = row["n"].as_u64().expect("a number") as u32;
            let due = calendar().add_workdays(day(&row["start"]), n);
            assert_eq!(due.day, day(&row["due"]), "{row}");
        }
        let natural = vectors["natural_days_roll"].as_array().expect("rows");
        for row in natural {
            let n = row["days"].as_u64().expect("a number") as u32;
            let due = calendar().add_days(day(&row["start"]), n);
            assert_eq!(due.day, day(&row["due_if_rolled"]), "{row}");
        }
        assert_eq!(rows.len() + natural.len(), 13);
    }

    #[test]
    fn a_deadline_through_a_year_without_its_notice_says_so() {
        assert!(!calendar().add_workdays("2026-11-23".parse().expect("day"), 5).uncertain);
        assert!(calendar().add_workdays("2026-12-28".parse().expect("day"), 10).uncertain);
        assert!(calendar().add_workdays("2031-01-01".parse().expect("day"), 1).uncertain);
    }

    #[test]
    fn what_is_left_counts_workdays_and_turns_negative() {
        let calendar = calendar();
        let friday: Date = "2026-11-20".parse().expect("day");
        let monday: Date = "2026-11-23".parse().expect("day");
        assert_eq!(calendar.workdays_left(friday, monday), 1);
        assert_eq!(calendar.workdays_left(monday, monday), 0);
        assert_eq!(calendar.workdays_left(monday, friday), -1);
    }

    #[test]
    fn midnight_in_china_is_the_next_day_there() {
        // 2026-11-21T16:00:00Z
        assert_eq!(china_day(1_795_276_800_000).to_string(), "2026-11-22");
        assert_eq!(china_day(i64::MAX).to_string(), "1970-01-01");
    }
}
