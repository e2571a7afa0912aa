//! A resident (居民) as the document tells it, and what follows from it.

use crate::citizen_id::{CitizenId, age_years, mask, masked};
use crate::document::{Projection, Section, Write};
use crate::eligibility::Facts;
use jiff::civil::Date;
use serde_json::json;

/// The particulars that a record may hold, by their keys in the document.
pub const PARTICULARS: [&str; 17] = [
    "name",
    "id_number",
    "birth",
    "sex",
    "phone",
    "nickname",
    "group",
    "head",
    "relation",
    "address",
    "ethnic",
    "bank_card",
    "disability_cert",
    "lowincome",
    "veteran",
    "hukou",
    "died",
];

/// A resident's particulars; empty texts where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// 姓名
    pub name: String,
    /// 公民身份号码, 18 characters
    pub id_number: String,
    /// Birth date, `YYYY-MM-DD`
    pub birth: String,
    /// 男 or 女
    pub sex: String,
    /// 联系电话
    pub phone: String,
    /// 小名
    pub nickname: String,
    /// 村民小组, a number
    pub group: String,
    /// 户主姓名
    pub head: String,
    /// 与户主关系
    pub relation: String,
    /// 住址
    pub address: String,
    /// 民族
    pub ethnic: String,
    /// 银行卡号
    pub bank_card: String,
    /// 残疾人证号
    pub disability_cert: String,
    /// 低保, 低保边缘 or 否
    pub lowincome: String,
    /// 退役军人: 是 or 否
    pub veteran: String,
    /// 户口在本县: 是 or 否
    pub hukou: String,
    /// Day of death
    pub died: String,
}

/// `张*兰`: a name as lists show it that lie open on a table. The first and last characters stay,
/// of a short name the first alone.
#[must_use]
pub fn masked_name(name: &str) -> String {
    let back = usize::from(name.chars().count() > 2);
    mask(name, 1, back)
}

impl Resident {
    /// Reads the particulars out of a resident's document, or the copy in a case's.
    #[must_use]
    pub fn read(projection: &Projection) -> Self {
        let mut resident = Self::default();
        for key in PARTICULARS {
            if let Some(slot) = resident.slot(key) {
                *slot = projection.get(Section::Particulars, key).unwrap_or_default().to_owned();
            }
        }
        resident
    }

    /// A particular by its key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        Some(match key {
            "name" => &self.name,
            "id_number" => &self.id_number,
            "birth" => &self.birth,
            "sex" => &self.sex,
            "phone" => &self.phone,
            "nickname" => &self.nickname,
            "group" => &self.group,
            "head" => &self.head,
            "relation" => &self.relation,
            "address" => &self.address,
            "ethnic" => &self.ethnic,
            "bank_card" => &self.bank_card,
            "disability_cert" => &self.disability_cert,
            "lowincome" => &self.lowincome,
            "veteran" => &self.veteran,
            "hukou" => &self.hukou,
            "died" => &self.died,
            _ => return None,
        })
    }

    /// A particular by its key, to be set.
    pub fn slot(&mut self, key: &str) -> Option<&mut String> {
        Some(match key {
            "name" => &mut self.name,
            "id_number" => &mut self.id_number,
            "birth" => &mut self.birth,
            "sex" => &mut self.sex,
            "phone" => &mut self.phone,
            "nickname" => &mut self.nickname,
            "group" => &mut self.group,
            "head" => &mut self.head,
            "relation" => &mut self.relation,
            "address" => &mut self.address,
            "ethnic" => &mut self.ethnic,
            "bank_card" => &mut self.bank_card,
            "disability_cert" => &mut self.disability_cert,
            "lowincome" => &mut self.lowincome,
            "veteran" => &mut self.veteran,
            "hukou" => &mut self.hukou,
            "died" => &mut self.died,
            _ => return None,
        })
    }

    /// The writes that put these particulars into a document; empty ones are left out.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        let filled = PARTICULARS.into_iter().filter_map(|key| {
            let value = self.get(key)?;
            (!value.is_empty()).then(|| Write::set(Section::Particulars, key, value))
        });
        filled.collect()
    }

    /// Fills in birth date and sex from the ID number.
    pub fn fill_from_id(&mut self, id: &CitizenId) {
        self.id_number = id.as_str().to_owned();
        self.birth = id.birth().to_string();
        self.sex = id.sex().word().to_owned();
    }

    /// Full years today, when the birth date is known.
    #[must_use]
    pub fn age(&self, today: Date) -> Option<i32> {
        let birth: Date = self.birth.parse().ok()?;
        Some(age_years(birth, today))
    }

    /// The ID number with its middle covered.
    #[must_use]
    pub fn masked_id(&self) -> String {
        masked(&self.id_number)
    }

    /// `139****0101`.
    #[must_use]
    pub fn masked_phone(&self) -> String {
        mask(&self.phone, 3, 4)
    }

    /// What the record settles of the facts in the catalogue's rules.
    #[must_use]
    pub fn facts(&self, today: Date) -> Facts {
        let mut facts = Facts::new();
        let mut know = |fact: &str, value| facts.insert(fact.to_owned(), value);
        know("alive", json!(self.died.is_empty()));
        if let Some(age) = self.age(today) {
            know("age_years", json!(age));
            know("birth_date", json!(self.birth));
        }
        if !self.sex.is_empty() {
            know("sex", json!(self.sex));
        }
        for (fact, text) in [("veteran", &self.veteran), ("hukou_county", &self.hukou)] {
            if !text.is_empty() {
                know(fact, json!(text == "是"));
            }
        }
        match self.lowincome.as_str() {
            "" => {}
            "是" | "低保" => {
                know("household_lowincome", json!("低保"));
            }
            other => {
                know("household_lowincome", json!(other));
            }
        }
        if let Some((category, grade)) = disability(&self.disability_cert) {
            know("disability_cert", json!(true));
            know("disability_category", json!(category));
            know("disability_grade", json!(grade));
        }
        facts
    }
}

/// Category 1–7 and grade 1–4 of a disability certificate number: 18 digits of the ID number,
/// then one digit each; a reissue adds B and a count.
#[must_use]
pub fn disability(number: &str) -> Option<(u8, u8)> {
    let digit = |at: usize, max: u8| {
        let n = number.as_bytes().get(at)?.checked_sub(b'0')?;
        (1..=max).contains(&n).then_some(n)
    };
    if number.len() < 20 {
        return None;
    }
    Some((digit(18, 7)?, digit(19, 4)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_covered_name_keeps_its_ends() {
        for (name, shown) in
            [("张桂兰", "张*兰"), ("王芳", "王*"), ("欧阳春花", "欧**花"), ("", "")]
        {
            assert_eq!(masked_name(name), shown);
        }
    }

    #[test]
    fn a_record_settles_what_it_can_and_nothing_else() {
        let resident = Resident {
            birth: "1941-02-03".into(),
            disability_cert: "13099919410203013841".into(),
            lowincome: "是".into(),
            ..Resident::default()
        };
        let facts = resident.facts(date(2026, 11, 22));
        assert_eq!(facts["age_years"], json!(85));
        assert_eq!(facts["disability_grade"], json!(1));
        assert_eq!(facts["household_lowincome"], json!("低保"));
        assert!(!facts.contains_key("veteran"));
    }

    #[test]
    fn every_particular_is_reachable_by_its_key() {
        let mut resident = Resident::default();
        for key in PARTICULARS {
            *resident.slot(key).expect("a particular") = key.to_owned();
        }
        for key in PARTICULARS {
            assert_eq!(resident.get(key), Some(key));
        }
        assert_eq!(resident.writes().len(), PARTICULARS.len());
    }
}
