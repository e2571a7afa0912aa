//! Case numbers: 12 digits shown 4-4-4: 5 block, 6 counter, 1 check (ISO 7064 MOD 11,10).

/// How many numbers a block holds.
pub const BLOCK_SIZE: u32 = 1_000_000;
/// The highest block.
pub const BLOCK_MAX: u32 = 99_999;

/// The number of a block's `counter`-th case, or nothing beyond the block.
#[must_use]
pub fn case_number(block: u32, counter: u32) -> Option<String> {
    if block > BLOCK_MAX || counter >= BLOCK_SIZE {
        return None;
    }
    let digits = format!("{block:05}{counter:06}");
    let check = check_digit(digits.as_bytes());
    Some(format!("{digits}{check}"))
}

/// ISO 7064 MOD 11,10 over ASCII digits.
fn check_digit(digits: &[u8]) -> u8 {
    let mut p = 10u32;
    for digit in digits {
        let sum = (p + u32::from(digit - b'0')) % 10;
        p = (if sum == 0 { 10 } else { sum }) * 2 % 11;
    }
    ((11 - p) % 10) as u8
}

/// Reads a number as typed or scanned: blanks and dashes are passed over, the check must hold.
#[must_use]
pub fn parse(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (front, check) = digits.as_bytes().split_at(11);
    (check[0] - b'0' == check_digit(front)).then_some(digits)
}

/// The block and the counter of a number; nothing when the check does not hold.
#[must_use]
pub fn parts(number: &str) -> Option<(u32, u32)> {
    let digits = parse(number)?;
    Some((digits[..5].parse().ok()?, digits[5..11].parse().ok()?))
}

/// `471100026318` as `4711-0002-6318`.
#[must_use]
pub fn grouped(number: &str) -> String {
    if number.len() == 12 && number.is_ascii() {
        format!("{}-{}-{}", &number[..4], &number[4..8], &number[8..])
    } else {
        number.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_back_grouped_or_not() {
        let number = case_number(47, 1).expect("in the block");
        assert_eq!(number.len(), 12);
        assert_eq!(parse(&grouped(&number)), Some(number.clone()));
        assert_eq!(parse(&number), Some(number));
        assert_eq!(case_number(1, BLOCK_SIZE), None);
        assert_eq!(parts(&case_number(47, 1).expect("in the block")), Some((47, 1)));
        assert_eq!(parts("000470000011"), None);
    }

    #[test]
    fn the_check_digit_is_that_of_iso_7064() {
        // The example of the standard: 0794 has check digit 5.
        assert_eq!(check_digit(b"0794"), 5);
    }

    #[test]
    fn every_single_wrong_digit_and_every_swap_of_neighbours_but_none_valid_is_noticed() {
        let number = case_number(12_345, 678_901).expect("in the block");
        for at in 0..12 {
            for digit in b'0'..=b'9' {
                let mut bytes = number.clone().into_bytes();
                if bytes[at] != digit {
                    bytes[at] = digit;
                    let wrong = String::from_utf8(bytes).expect("digits");
                    assert_eq!(parse(&wrong), None, "{wrong}");
                }
            }
        }
    }
}
