//! Made-up residents in any number.

use anyhow::Result;
use cunkou_tests::agent::Dice;
use std::fmt::Write;
use std::path::Path;

const SURNAMES: [(&str, char); 20] = [
    ("王", 'w'),
    ("李", 'l'),
    ("张", 'z'),
    ("刘", 'l'),
    ("陈", 'c'),
    ("杨", 'y'),
    ("赵", 'z'),
    ("黄", 'h'),
    ("周", 'z'),
    ("吴", 'w'),
    ("徐", 'x'),
    ("孙", 's'),
    ("马", 'm'),
    ("朱", 'z'),
    ("胡", 'h'),
    ("郭", 'g'),
    ("何", 'h'),
    ("高", 'g'),
    ("林", 'l'),
    ("罗", 'l'),
];
const GIVEN: [(&str, char); 30] = [
    ("建", 'j'),
    ("国", 'g'),
    ("秀", 'x'),
    ("英", 'y'),
    ("桂", 'g'),
    ("兰", 'l'),
    ("志", 'z'),
    ("强", 'q'),
    ("玉", 'y'),
    ("梅", 'm'),
    ("海", 'h'),
    ("军", 'j'),
    ("春", 'c'),
    ("华", 'h'),
    ("文", 'w'),
    ("明", 'm'),
    ("丽", 'l'),
    ("红", 'h'),
    ("永", 'y'),
    ("福", 'f'),
    ("德", 'd'),
    ("生", 's'),
    ("小", 'x'),
    ("芳", 'f'),
    ("立", 'l'),
    ("新", 'x'),
    ("爱", 'a'),
    ("民", 'm'),
    ("凤", 'f'),
    ("云", 'y'),
];

/// What a resident is looked for by.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) initials: String,
    pub(crate) tail: String,
}

/// The check character of ISO 7064 MOD 11-2.
fn check(digits: &str) -> char {
    let sum = digits.bytes().fold(0u32, |p, d| ((p + u32::from(d - b'0')) * 2) % 11);
    char::from(b"10X98765432"[(sum % 11) as usize])
}

/// A made-up name and its initials.
pub(crate) fn name(dice: &mut Dice) -> (String, String) {
    let parts = [dice.one_of(&SURNAMES), dice.one_of(&GIVEN), dice.one_of(&GIVEN)];
    (parts.iter().map(|(c, _)| *c).collect(), parts.iter().map(|(_, c)| *c).collect())
}

/// A made-up ID number. Days come again after 23,520 people, with other last digits.
pub(crate) fn id_number(i: usize) -> String {
    let (year, month, day) = (1935 + i % 70, 1 + (i / 70) % 12, 1 + (i / 840) % 28);
    let digits = format!("130999{year}{month:02}{day:02}{:03}", i * 7919 % 1000);
    format!("{digits}{}", check(&digits))
}

/// Writes `n` residents of 云岭村 as the county's import reads them; gives some to look for.
pub(crate) fn write(path: &Path, n: usize) -> Result<Vec<Known>> {
    let mut dice = Dice::new(n as u64);
    let mut text =
        String::from("\u{feff}姓名,身份证号,村,村民小组,户主姓名,与户主关系,联系电话,住址\r\n");
    let mut known = Vec::new();
    for i in 0..n {
        let ((name, initials), id) = (name(&mut dice), id_number(i));
        let group = 1 + i % 6;
        writeln!(
            text,
            "{name},{id},云岭村,{group},{name},户主,139{i:08},云溪县清河镇云岭村{group}组{i}号\r"
        )?;
        if known.len() < 500 && i % (n / 500).max(1) == 0 {
            known.push(Known { name, initials, tail: id[14..].to_owned() });
        }
    }
    std::fs::write(path, text)?;
    Ok(known)
}
