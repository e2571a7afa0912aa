//! Citizen numbers 公民身份号码 (GB 11643-1999): 6 region, 8 birth date, 3 sequence, 1 check.

use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization;

/// What is wrong with a number, part by part, so that a person knows where to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdFault {
    /// Nothing was typed.
    Empty,
    /// Not 18 characters; this many are there.
    Length(usize),
    /// The character at this place (from 1) is not a digit (or not X at the end).
    Character(usize),
    /// A spreadsheet turned it into a floating-point number such as 1.30E+17.
    Mangled,
    /// It ends in three zeros, as numbers do after a spreadsheet has rounded them.
    Rounded,
    /// No province has these first two digits.
    Region,
    /// Digits 7 to 14 are no date.
    BirthDate,
    /// The birth date lies in the future.
    BornInFuture,
    /// Older than 130 years.
    TooOld,
    /// The last character does not agree with the others.
    Check,
}

/// A well-formed citizen number. 15-digit numbers carry no proof and are not accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CitizenId {
    text: String,
    birth: Date,
}

/// 男 or 女, as the 17th digit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    /// 男
    Male,
    /// 女
    Female,
}

impl Sex {
    /// The word that papers use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Male => "男",
            Self::Female => "女",
        }
    }
}

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432";
const PROVINCES: [u8; 34] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52,
    53, 54, 61, 62, 63, 64, 65, 71, 81, 82,
];
const AGE_YEARS_MAX: i16 = 130;

/// The check character of the first 17 digits (ISO 7064 MOD 11-2).
#[must_use]
pub fn check_character(digits: &[u8; 17]) -> char {
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(d, w)| u32::from(d - b'0') * w).sum();
    char::from(CHECKS[(sum % 11) as usize])
}

/// Full-width digits and letters become ordinary ones, blanks and a lower-case x are mended.
#[must_use]
pub fn tidy(text: &str) -> String {
    text.nfkc().filter(|c| !c.is_whitespace() && *c != '\'').collect::<String>().to_uppercase()
}

impl CitizenId {
    /// Reads a number as a person typed it.
    ///
    /// # Errors
    /// The first fault that helps most.
    pub fn parse(text: &str, today: Date) -> Result<Self, IdFault> {
        let text = tidy(text);
        if text.is_empty() {
            return Err(IdFault::Empty);
        }
        if text.contains("E+") {
            return Err(IdFault::Mangled);
        }
        let bytes = text.as_bytes();
        let odd =
            text.chars().enumerate().find(|(i, c)| !(c.is_ascii_digit() || *i == 17 && *c == 'X'));
        if let Some((i, _)) = odd {
            return Err(IdFault::Character(i + 1));
        }
        let Ok(number) = <[u8; 18]>::try_from(bytes) else {
            return Err(IdFault::Length(bytes.len()));
        };
        let mut digits = [0; 17];
        digits.copy_from_slice(&number[..17]);
        if char::from(number[17]) != check_character(&digits) {
            return Err(if text.ends_with("000") { IdFault::Rounded } else { IdFault::Check });
        }
        let part = |from: usize, to: usize| {
            digits[from..to].iter().fold(0i16, |n, d| n * 10 + i16::from(d - b'0'))
        };
        if !PROVINCES.contains(&u8::try_from(part(0, 2)).unwrap_or(0)) {
            return Err(IdFault::Region);
        }
        let month = i8::try_from(part(10, 12)).unwrap_or(0);
        let day = i8::try_from(part(12, 14)).unwrap_or(0);
        let birth = Date::new(part(6, 10), month, day).map_err(|_| IdFault::BirthDate)?;
        if birth > today {
            return Err(IdFault::BornInFuture);
        }
        if today.year() - birth.year() > AGE_YEARS_MAX {
            return Err(IdFault::TooOld);
        }
        Ok(Self { text, birth })
    }

    /// The 18 characters, X upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// Birth date.
    #[must_use]
    pub fn birth(&self) -> Date {
        self.birth
    }
    /// 男 or 女.
    #[must_use]
    pub fn sex(&self) -> Sex {
        if self.text.as_bytes()[16] % 2 == 1 { Sex::Male } else { Sex::Female }
    }
    /// The region, six digits; it may be one that no longer exists.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.text[..6]
    }
}

/// Full years from `birth` to `today`; the birthday itself counts.
#[must_use]
pub fn age_years(birth: Date, today: Date) -> i32 {
    let before_birthday = (today.month(), today.day()) < (birth.month(), birth.day());
    i32::from(today.year() - birth.year()) - i32::from(before_birthday)
}

/// `130999********1234`: what is shown outside a case in one's hands.
#[must_use]
pub fn masked(number: &str) -> String {
    mask(number, 6, 4)
}

/// Keeps `front` and `back` characters and covers the rest; short texts are covered whole.
#[must_use]
pub fn mask(text: &str, front: usize, back: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= front + back {
        return "*".repeat(chars.len());
    }
    let cover = "*".repeat(chars.len() - front - back);
    let head: String = chars[..front].iter().collect();
    let tail: String = chars[chars.len() - back..].iter().collect();
    format!("{head}{cover}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<CitizenId, IdFault> {
        CitizenId::parse(text, date(2026, 11, 22))
    }

    #[test]
    fn the_standards_own_examples_are_accepted() {
        for text in ["11010519491231002X", "440524188001010014"] {
            let read =
                CitizenId::parse(text, date(1999, 7, 1)).expect("an example of the standard");
            assert_eq!(read.as_str(), text);
        }
        let read = parse("11010519491231002x").expect("a lower-case x is mended");
        assert_eq!((read.as_str(), read.sex()), ("11010519491231002X", Sex::Female));
        assert_eq!(read.birth(), date(1949, 12, 31));
        assert_eq!(parse("１１０１０５１９４９１２３１００２Ｘ").expect("full width"), read);
    }

    #[test]
    fn each_fault_is_named() {
        let cases = [
            ("", IdFault::Empty),
            ("1101051949123100", IdFault::Length(16)),
            ("11010519491231O02X", IdFault::Character(15)),
            ("110105194912310021", IdFault::Check),
            ("1.30999E+17", IdFault::Mangled),
            ("130999194305060000", IdFault::Rounded),
            ("99010519491231002X", IdFault::Check),
        ];
        for (text, fault) in cases {
            assert_eq!(parse(text), Err(fault), "{text}");
        }
        let with_check = |first: &[u8; 17]| {
            format!("{}{}", String::from_utf8_lossy(first), check_character(first))
        };
        assert_eq!(parse(&with_check(b"99010519491231002")), Err(IdFault::Region));
        assert_eq!(parse(&with_check(b"11010519490231002")), Err(IdFault::BirthDate));
        assert_eq!(parse(&with_check(b"11010520270101002")), Err(IdFault::BornInFuture));
        assert_eq!(parse(&with_check(b"11010518800101002")), Err(IdFault::TooOld));
    }

    #[test]
    fn the_birthday_itself_counts() {
        let born = date(1946, 11, 22);
        assert_eq!(age_years(born, date(2026, 11, 21)), 79);
        assert_eq!(age_years(born, date(2026, 11, 22)), 80);
    }

    #[test]
    fn masks_keep_the_ends_and_never_a_short_text() {
        assert_eq!(masked("11010519491231002X"), "110105********002X");
        assert_eq!(mask("123", 3, 4), "***");
    }

    proptest! {
        #[test]
        fn whatever_is_typed_never_panics(text in "\\PC{0,24}") {
            let _ = parse(&text);
        }
    }
}
