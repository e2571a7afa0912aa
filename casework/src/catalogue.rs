//! The catalogue (事项目录): items as data, rules included; no code per item.

use crate::calendar::{Calendar, Due};
use crate::county::ItemRoute;
use crate::event::{Level, Route};
use crate::fields::FieldKind;
use crate::ids::AttachmentId;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One published release: items, working days and what every paper names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The items.
    pub items: Items,
    /// The working days.
    pub holidays: Calendar,
    /// Whom to call.
    pub contacts: Contacts,
}

/// Whom to call, printed on papers and shown on every page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contacts {
    /// Complaint line, e.g. 12345.
    pub complaint: String,
    /// County IT.
    pub county_it: String,
}

/// The items of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// Version, shown beside every guide.
    pub version: String,
    /// First day.
    pub effective: Date,
    /// The items.
    pub items: Vec<Item>,
}

/// One item (事项).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Permanent key.
    pub key: String,
    /// Official name.
    pub name: String,
    /// English name.
    pub name_en: String,
    /// The name in the 2018 policy.
    pub policy_name: String,
    /// Other names people use.
    pub also_called: Vec<String>,
    /// Domain of life.
    pub domain: String,
    /// Legal type, e.g. 行政给付.
    pub kind: String,
    /// Legal basis.
    pub basis: Vec<String>,
    /// Fee in words.
    pub fee: String,
    /// Conditions in words.
    pub conditions: String,
    /// What may have to be asked.
    pub questions: Vec<Question>,
    /// Conditions as data; all must hold.
    pub rules: Vec<Rule>,
    /// Materials.
    pub materials: Vec<MaterialSpec>,
    /// Fields of the form.
    pub form: Vec<Field>,
    /// Time limits by stage.
    pub limits: Vec<Limit>,
    /// Promised time from acceptance to decision.
    pub promise: Span,
    /// Time to answer a supplement notice.
    pub supplement: Span,
    /// Which office does what.
    pub levels: Levels,
    /// Who may act for the applicant.
    pub acting: Acting,
    /// Steps in words.
    pub steps: Vec<GuideStep>,
    /// What comes out.
    pub result: String,
    /// From when it is paid.
    #[serde(default)]
    pub start_rule: Option<String>,
    /// Retention (保管期限) of a closed case in years ([`crate::retention`]); none: permanent.
    #[serde(default)]
    pub retention: Option<u32>,
    /// Re-verification.
    #[serde(default)]
    pub reverify: Option<String>,
    /// What ends it.
    #[serde(default)]
    pub stop_events: Vec<String>,
    /// Further notes.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How an answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// Yes or no.
    YesNo,
    /// A day.
    Date,
    /// A whole number.
    Integer,
    /// One of the choices.
    Choice,
}

/// A question asked only when the fact is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The fact it settles.
    pub fact: String,
    /// The question.
    pub ask: String,
    /// In English.
    pub ask_en: String,
    /// How it is answered.
    pub kind: QuestionKind,
    /// For choices.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// How a fact is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// More than.
    #[serde(rename = ">")]
    Above,
    /// Less than.
    #[serde(rename = "<")]
    Below,
    /// Equal.
    #[serde(rename = "==")]
    Is,
    /// Not equal.
    #[serde(rename = "!=")]
    IsNot,
    /// One of a list.
    #[serde(rename = "in")]
    In,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The fact.
    pub fact: String,
    /// The comparison.
    pub op: Op,
    /// With what.
    pub value: serde_json::Value,
    /// The condition in words.
    pub says: String,
    /// In English.
    pub says_en: String,
    /// Its basis.
    pub basis: String,
    /// What else one can do when it does not hold.
    pub otherwise: String,
    /// In English.
    pub otherwise_en: String,
}

/// When a material is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// In every case.
    Always,
    /// When somebody acts for the applicant under a mandate.
    Acting,
    /// When a guardian files.
    Guardian,
    /// When the answer to `ask` is yes.
    Asked,
}

/// How long a material stays valid for reuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Valid {
    /// Until the date on the card.
    Card,
    /// Until something changes.
    Long,
    /// For this case only.
    Case,
    /// Some months from the photograph.
    Months {
        /// How many.
        months: u32,
    },
}

/// One material of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaterialSpec {
    /// Permanent key; the same paper has the same key in every item.
    pub key: String,
    /// Name.
    pub name: String,
    /// In English.
    pub name_en: String,
    /// Who issues it.
    pub issuer: String,
    /// How it is given.
    pub how: String,
    /// Its pages, by name.
    pub pages: Vec<String>,
    /// When it is needed.
    pub when: When,
    /// The question, for `asked`.
    #[serde(default)]
    pub ask: Option<String>,
    /// In English.
    #[serde(default)]
    pub ask_en: Option<String>,
    /// May follow later (容缺).
    pub deferrable: bool,
    /// May be reused in later cases.
    pub reusable: bool,
    /// How long.
    pub valid: Valid,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Key.
    pub key: String,
    /// Label.
    pub label: String,
    /// In English.
    pub label_en: String,
    /// Kind.
    pub kind: FieldKind,
    /// Needed.
    pub required: bool,
    /// Hint; may be empty.
    #[serde(default)]
    pub hint: String,
    /// In English.
    #[serde(default)]
    pub hint_en: String,
    /// For choices.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The resident's particular that fills it in.
    #[serde(default)]
    pub carry: Option<String>,
}

/// How a span is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanUnit {
    /// 工作日
    Workday,
    /// 日, consecutive; the last day rolls to a workday
    Day,
}

/// A span of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// How many.
    pub n: u32,
    /// Of which kind.
    pub unit: SpanUnit,
}

/// The limit of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Stage in words.
    pub stage: String,
    /// How many days.
    pub n: u32,
    /// Of which kind.
    pub unit: SpanUnit,
    /// Whose.
    pub office: Level,
    /// Not counted into the promise (公示).
    pub excluded: bool,
}

/// Which office does what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// Takes the case in.
    pub take: Level,
    /// Accepts (受理).
    pub accept: Level,
    /// Decides.
    pub decide: Level,
    /// The department that answers for it.
    pub department: String,
}

/// Who may act for the applicant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acting {
    /// 家属或他人
    pub family: bool,
    /// 监护人
    pub guardian: bool,
    /// 委托代办员
    pub agent: bool,
    /// What only the applicant can do.
    #[serde(default)]
    pub in_person: Option<String>,
}

/// One step in a guide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuideStep {
    /// 村, 乡镇 or 县.
    pub level: String,
    /// What happens.
    pub act: String,
}

/// Why a catalogue is not accepted: where and what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {reason}")]
pub struct BadCatalogue {
    /// Which file.
    pub file: String,
    /// Which line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Reads one JSON file of a catalogue.
///
/// # Errors
/// [`BadCatalogue`] with the line.
pub fn read<'a, T: Deserialize<'a>>(file: &str, text: &'a str) -> Result<T, BadCatalogue> {
    serde_json::from_str(text).map_err(|e| BadCatalogue {
        file: file.to_owned(),
        line: e.line(),
        reason: e.to_string(),
    })
}

/// Facts that the software knows from the resident's record.
pub const DERIVED_FACTS: [&str; 10] = [
    "age_years",
    "alive",
    "birth_date",
    "disability_category",
    "disability_cert",
    "disability_grade",
    "household_lowincome",
    "hukou_county",
    "sex",
    "veteran",
];

impl Items {
    /// Checks what the form of the data cannot: unique keys, rules whose facts are known or asked.
    ///
    /// # Errors
    /// The first fault, with the line on which the item's key stands in `text`.
    pub fn check(&self, file: &str, text: &str) -> Result<(), BadCatalogue> {
        let mut keys = BTreeSet::new();
        for item in &self.items {
            let quoted = format!("\"{}\"", item.key);
            let line = text.lines().position(|l| l.contains(&quoted)).map_or(0, |i| i + 1);
            let bad = |reason: String| {
                let reason = format!("{}: {reason}", item.key);
                Err(BadCatalogue { file: file.to_owned(), line, reason })
            };
            if !keys.insert(&item.key) {
                return bad("the key is used twice".into());
            }
            for rule in &item.rules {
                let asked = item.questions.iter().any(|q| q.fact == rule.fact);
                if !asked && !DERIVED_FACTS.contains(&rule.fact.as_str()) {
                    return bad(format!("nothing settles the fact {}", rule.fact));
                }
            }
            if item.promise.n == 0 {
                return bad("the promised time is empty".into());
            }
            let unique: BTreeSet<_> = item.materials.iter().map(|m| &m.key).collect();
            if unique.len() != item.materials.len() {
                return bad("a material is listed twice".into());
            }
            if item.materials.iter().any(|m| m.pages.is_empty() || m.key.contains('/')) {
                return bad("a material has no pages, or a / in its key".into());
            }
            if item.materials.iter().any(|m| m.when == When::Asked && m.ask.is_none()) {
                return bad("a material that depends on an answer has no question".into());
            }
        }
        Ok(())
    }
}

impl Release {
    /// The deterministic bytes that are published.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match serde_json::to_vec(self) {
            Ok(bytes) => bytes,
            Err(e) => unreachable!("a release always encodes: {e}"),
        }
    }

    /// Reads published bytes.
    ///
    /// # Errors
    /// [`BadCatalogue`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BadCatalogue> {
        let text = std::str::from_utf8(bytes).map_err(|e| BadCatalogue {
            file: "release".into(),
            line: 0,
            reason: e.to_string(),
        })?;
        read("release", text)
    }

    /// An item by its key.
    #[must_use]
    pub fn item(&self, key: &str) -> Option<&Item> {
        self.items.items.iter().find(|i| i.key == key)
    }
}

impl Item {
    /// The digest of the guide as published: a box never shows one that differs.
    #[must_use]
    pub fn digest(&self) -> AttachmentId {
        match serde_json::to_vec(self) {
            Ok(bytes) => crate::suite::attachment_id(&bytes),
            Err(e) => unreachable!("an item always encodes: {e}"),
        }
    }

    /// The item's way through the offices, as the county log publishes it.
    #[must_use]
    pub fn way(&self) -> ItemRoute {
        ItemRoute { item: self.key.clone(), route: self.route() }
    }

    /// Who accepts and decides, as an opening event records it.
    #[must_use]
    pub fn route(&self) -> Route {
        Route {
            take: self.levels.take,
            accept: self.levels.accept,
            decide: self.levels.decide,
            department: self.levels.department.clone(),
        }
    }

    /// A material by its key.
    #[must_use]
    pub fn material(&self, key: &str) -> Option<&MaterialSpec> {
        self.materials.iter().find(|m| m.key == key)
    }
}

impl Span {
    /// The last day of a span that begins after `start`.
    #[must_use]
    pub fn due(self, calendar: &Calendar, start: Date) -> Due {
        match self.unit {
            SpanUnit::Workday => calendar.add_workdays(start, self.n),
            SpanUnit::Day => calendar.add_days(start, self.n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: &str = include_str!("../../county-relay/catalogue/items.json");

    #[test]
    fn the_shipped_catalogue_reads_and_checks() {
        let items: Items = read("items.json", ITEMS).expect("the shipped items");
        assert_eq!(items.items.len(), 7);
        items.check("items.json", ITEMS).expect("no faults");
    }

    #[test]
    fn a_broken_file_is_refused_with_file_line_and_reason() {
        let broken = ITEMS.replacen("\"deferrable\": false", "\"deferrable\": maybe", 1);
        let bad = read::<Items>("items.json", &broken).expect_err("not JSON");
        assert!(bad.line > 1, "{bad}");
        assert!(bad.to_string().starts_with("items.json, line "), "{bad}");
    }

    #[test]
    fn a_rule_about_a_fact_that_nobody_settles_is_refused_with_its_item() {
        let broken = ITEMS.replacen("\"fact\": \"age_years\"", "\"fact\": \"age_yaers\"", 1);
        let items: Items = read("items.json", &broken).expect("well-formed");
        let bad = items.check("items.json", &broken).expect_err("an unknown fact");
        assert!(bad.line > 0 && bad.reason.contains("age_yaers"), "{bad}");
    }
}
