//! Eligibility: what is known is not asked again, and a box never refuses anybody.

use crate::catalogue::{Item, Op, Question, Rule};
use serde_json::Value;
use std::collections::BTreeMap;

/// Facts by name: booleans, whole numbers or texts (days as `YYYY-MM-DD`).
pub type Facts = BTreeMap<String, Value>;

/// How one condition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It holds.
    Yes,
    /// It does not hold.
    No,
    /// The fact is not known.
    Unknown,
}

/// The whole answer; always 以部门审核为准.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 可能符合
    Likely,
    /// 不符合
    Unlikely,
    /// 说不准
    Unsure,
}

/// An item's conditions held against the facts.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment<'a> {
    /// The whole answer.
    pub answer: Answer,
    /// Each condition in the order of the catalogue.
    pub rules: Vec<(&'a Rule, Met)>,
    /// What has to be asked: facts that no record and no earlier answer settles.
    pub open: Vec<&'a Question>,
}

/// Holds the item's conditions against what is known.
#[must_use]
pub fn assess<'a>(item: &'a Item, facts: &Facts) -> Assessment<'a> {
    let rules: Vec<_> = item.rules.iter().map(|rule| (rule, met(rule, facts))).collect();
    let answer = if rules.iter().any(|(_, met)| *met == Met::No) {
        Answer::Unlikely
    } else if rules.iter().all(|(_, met)| *met == Met::Yes) {
        Answer::Likely
    } else {
        Answer::Unsure
    };
    let open = item.questions.iter().filter(|q| !facts.contains_key(&q.fact)).collect();
    Assessment { answer, rules, open }
}

fn met(rule: &Rule, facts: &Facts) -> Met {
    let Some(fact) = facts.get(&rule.fact) else {
        return Met::Unknown;
    };
    let order = || compare(fact, &rule.value);
    let holds = match rule.op {
        Op::Is => Some(fact == &rule.value),
        Op::IsNot => Some(fact != &rule.value),
        Op::In => rule.value.as_array().map(|values| values.contains(fact)),
        Op::AtLeast => order().map(std::cmp::Ordering::is_ge),
        Op::AtMost => order().map(std::cmp::Ordering::is_le),
        Op::Above => order().map(std::cmp::Ordering::is_gt),
        Op::Below => order().map(std::cmp::Ordering::is_lt),
    };
    match holds {
        Some(true) => Met::Yes,
        Some(false) => Met::No,
        None => Met::Unknown,
    }
}

/// Numbers by size, days as texts; anything else cannot be compared.
fn compare(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(a.as_i64()?.cmp(&b.as_i64()?)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Items, read};
    use serde_json::json;

    fn item(key: &str) -> Item {
        let text = include_str!("../../county-relay/catalogue/items.json");
        let items: Items = read("items.json", text).expect("the shipped items");
        items.items.into_iter().find(|i| i.key == key).expect("a shipped item")
    }

    fn facts(pairs: &[(&str, Value)]) -> Facts {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    #[test]
    fn an_old_resident_of_the_county_is_likely_and_a_young_one_is_told_why_not() {
        let item = item("S1-gaoling");
        let known = |age: i64| {
            facts(&[
                ("age_years", json!(age)),
                ("hukou_county", json!(true)),
                ("alive", json!(true)),
                ("same_benefit", json!(false)),
            ])
        };
        assert_eq!(assess(&item, &known(80)).answer, Answer::Likely);
        let young = assess(&item, &known(79));
        assert_eq!(young.answer, Answer::Unlikely);
        let (rule, _) = young.rules.iter().find(|(_, met)| *met == Met::No).expect("a reason");
        assert!(!rule.basis.is_empty() && !rule.otherwise.is_empty());
        assert!(young.open.is_empty());
    }

    #[test]
    fn what_is_not_known_is_asked_and_never_counts_against_anybody() {
        let item = item("S1-gaoling");
        let some = assess(&item, &facts(&[("age_years", json!(85)), ("alive", json!(true))]));
        assert_eq!(some.answer, Answer::Unsure);
        let asked: Vec<_> = some.open.iter().map(|q| q.fact.as_str()).collect();
        assert_eq!(asked, ["hukou_county", "same_benefit"]);
    }

    #[test]
    fn days_are_compared_as_days() {
        let item = item("S2-junren");
        for (enlisted, holds) in [
            ("1954-10-31", false),
            ("1954-11-01", true),
            ("2011-10-31", true),
            ("2011-11-01", false),
        ] {
            let found = assess(&item, &facts(&[("enlist_date", json!(enlisted))]));
            let against = found.rules.iter().any(|(_, met)| *met == Met::No);
            assert_eq!(!against, holds, "{enlisted}");
        }
    }
}
