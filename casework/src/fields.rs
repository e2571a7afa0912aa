//! Typed fields of forms: what a person typed becomes one tidy text, or a named fault.

use crate::citizen_id::{CitizenId, IdFault};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// The kind of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// One line, at most 200 characters.
    Text,
    /// Several lines, at most 1,000 characters.
    LongText,
    /// Mobile or fixed-line number.
    Phone,
    /// Bank card, 13 to 19 digits; a passbook does not follow the check digit and only warns.
    BankCard,
    /// Citizen number.
    IdNumber,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// Yuan with at most two decimals.
    Amount,
    /// A whole number.
    Integer,
    /// One of the choices.
    Choice,
}

/// What is wrong with what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Needed but empty.
    Missing,
    /// Longer than this many characters.
    TooLong(usize),
    /// No phone number.
    Phone,
    /// A bank card has 13 to 19 digits; this many are there.
    CardLength(usize),
    /// A character that is not a digit.
    NotDigits,
    /// Not a day that exists.
    Day,
    /// The day lies in the future.
    FutureDay,
    /// Not an amount.
    Amount,
    /// Not a whole number.
    Integer,
    /// Not one of the choices.
    Choice,
    /// A citizen number with this fault.
    Id(IdFault),
}

/// A tidy value, with a doubt that does not stop anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tidy {
    /// The value to store.
    pub value: String,
    /// The card's check digit does not hold: look once more (passbooks have none).
    pub doubtful_card: bool,
}

fn narrow(text: &str) -> String {
    text.nfkc().collect::<String>().trim().to_owned()
}

fn digits_only(text: &str) -> String {
    narrow(text).chars().filter(|c| !c.is_whitespace() && *c != '-').collect()
}

/// Luhn check over ASCII digits.
#[must_use]
pub fn luhn_holds(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let digit = u32::from(b.wrapping_sub(b'0'));
            match (i % 2, digit * 2) {
                (0, _) => digit,
                (_, doubled) if doubled > 9 => doubled - 9,
                (_, doubled) => doubled,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A mobile (`1[3-9]` and nine digits) or fixed-line number, without blanks.
///
/// # Errors
/// [`Fault::Phone`].
pub fn phone(text: &str) -> Result<String, Fault> {
    let number = digits_only(text);
    let mobile = number.len() == 11
        && number.starts_with('1')
        && matches!(number.as_bytes().get(1), Some(b'3'..=b'9'));
    let fixed = number.starts_with('0') && (10..=12).contains(&number.len());
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    if digits && (mobile || fixed) { Ok(number) } else { Err(Fault::Phone) }
}

/// Reads a day as people type it: `2026-11-22`, `2026/11/22`, `20261122`, `2026年11月22日`.
#[must_use]
pub fn day(text: &str) -> Option<Date> {
    let text = narrow(text);
    let parts: Vec<&str> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|p| !p.is_empty()).collect();
    let (year, month, day) = match parts[..] {
        [y, m, d] => (y.parse().ok()?, m.parse().ok()?, d.parse().ok()?),
        [all] if all.len() == 8 => {
            (all[..4].parse().ok()?, all[4..6].parse().ok()?, all[6..].parse().ok()?)
        }
        _ => return None,
    };
    Date::new(year, month, day).ok()
}

fn amount(text: &str) -> Option<String> {
    let text: String =
        narrow(text).chars().filter(|c| !matches!(c, ',' | '¥' | '元' | ' ')).collect();
    let (whole, cents) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 10 || cents.len() > 2 || !digits(whole) || !digits(cents) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    Some(format!("{whole}.{cents:0<2}"))
}

/// Tidies what was typed into a field. An empty optional field is the empty text.
///
/// # Errors
/// One [`Fault`].
pub fn tidy(
    kind: FieldKind,
    required: bool,
    choices: &[String],
    text: &str,
    today: Date,
) -> Result<Tidy, Fault> {
    let plain = |value: String| Ok(Tidy { value, doubtful_card: false });
    if text.trim().is_empty() {
        return if required { Err(Fault::Missing) } else { plain(String::new()) };
    }
    let limited = |max: usize| {
        let value: String = text.trim().nfc().collect();
        if value.chars().count() > max { Err(Fault::TooLong(max)) } else { plain(value) }
    };
    match kind {
        FieldKind::Text => limited(200),
        FieldKind::LongText => limited(1000),
        FieldKind::Phone => plain(phone(text)?),
        FieldKind::BankCard => {
            let value = digits_only(text);
            if !value.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Fault::NotDigits);
            }
            if !(13..=19).contains(&value.len()) {
                return Err(Fault::CardLength(value.len()));
            }
            let doubtful_card = !luhn_holds(&value);
            Ok(Tidy { value, doubtful_card })
        }
        FieldKind::IdNumber => {
            let id = CitizenId::parse(text, today).map_err(Fault::Id)?;
            plain(id.as_str().to_owned())
        }
        FieldKind::Date => match day(text) {
            Some(day) => plain(day.to_string()),
            None => Err(Fault::Day),
        },
        FieldKind::Amount => amount(text).map_or(Err(Fault::Amount), plain),
        FieldKind::Integer => match narrow(text).parse::<u32>() {
            Ok(number) => plain(number.to_string()),
            Err(_) => Err(Fault::Integer),
        },
        FieldKind::Choice if choices.iter().any(|c| c == text.trim()) => {
            plain(text.trim().to_owned())
        }
        FieldKind::Choice => Err(Fault::Choice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn check(kind: FieldKind, typed: &str) -> Result<String, Fault> {
        let choices = ["是".to_owned()];
        tidy(kind, true, &choices, typed, date(2026, 11, 22)).map(|t| t.value)
    }

    #[test]
    fn what_people_type_becomes_one_tidy_value() {
        let cases = [
            (FieldKind::Phone, "139 0000 0101", "13900000101"),
            (FieldKind::Phone, "0317-5550100", "03175550100"),
            (FieldKind::Date, "2026年5月6日", "2026-05-06"),
            (FieldKind::Date, "20260506", "2026-05-06"),
            (FieldKind::Amount, "¥1,234.5", "1234.50"),
            (FieldKind::Integer, "３", "3"),
            (FieldKind::BankCard, "6222 0212 3456 7890 128", "6222021234567890128"),
            (FieldKind::Choice, "是", "是"),
        ];
        for (kind, typed, value) in cases {
            assert_eq!(check(kind, typed).as_deref(), Ok(value), "{typed}");
        }
    }

    #[test]
    fn faults_say_which_part_is_wrong() {
        let cases = [
            (FieldKind::Text, " ", Fault::Missing),
            (FieldKind::Phone, "1390000010", Fault::Phone),
            (FieldKind::Date, "2026-02-30", Fault::Day),
            (FieldKind::Amount, "1.234", Fault::Amount),
            (FieldKind::BankCard, "62", Fault::CardLength(2)),
            (FieldKind::BankCard, "6222x", Fault::NotDigits),
            (FieldKind::Choice, "否", Fault::Choice),
        ];
        for (kind, typed, fault) in cases {
            assert_eq!(check(kind, typed), Err(fault), "{typed}");
        }
    }

    #[test]
    fn a_card_whose_check_digit_does_not_hold_is_kept_with_a_doubt() {
        let today = date(2026, 11, 22);
        let tidy = tidy(FieldKind::BankCard, true, &[], "6222021234567890129", today);
        assert!(tidy.expect("kept").doubtful_card);
    }
}
