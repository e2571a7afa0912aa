//! Special groups (特殊群体): what of a person stays covered, even for the staff of their place,
//! until somebody reveals it. Sources: 个人信息保护法 art. 28 and 31, the policy's rules for special
//! groups: disability and its kind and grade, 低保, veterans' files, marriage and birth history,
//! mental illness, guardianship, minors.

use crate::county::Role;

/// Younger than this, nearly everything about a person is covered. Full years.
pub const MINOR_YEARS: i32 = 18;

/// Parts of keys of fields, facts and materials that tell of a special group. New items of a
/// catalogue are covered as soon as they use the same words.
const STEMS: [&str; 21] = [
    "disab",
    "lowincome",
    "guardian",
    "spouse",
    "marri",
    "marital",
    "divorce",
    "child",
    "pregnan",
    "due_date",
    "adoption",
    "honour",
    "mental",
    "psych",
    "care",
    "special_support",
    "veteran",
    "discharge",
    "enlist",
    "violating_birth",
    "situation",
];

/// Further keys, whole: veterans' files under words that other items use for other things.
const KEYS: [&str; 6] =
    ["unit", "service_kind", "archive", "rural_at_discharge", "regular_benefit", "account_owner"];

/// Particulars that stay covered for a minor.
const OF_MINORS: [&str; 7] =
    ["birth", "phone", "address", "head", "relation", "nickname", "ethnic"];

/// Whether a field, a question's fact, a particular or a material of this key tells of a special
/// group.
#[must_use]
pub fn is_sensitive(key: &str) -> bool {
    let key = key.replace('-', "_");
    KEYS.contains(&key.as_str()) || STEMS.iter().any(|stem| key.contains(stem))
}

/// Whether a particular of a person of this age is covered: for a minor nearly all are.
#[must_use]
pub fn is_covered(key: &str, age: Option<i32>) -> bool {
    is_sensitive(key) || (age.is_some_and(|a| a < MINOR_YEARS) && OF_MINORS.contains(&key))
}

/// Whether a role may ever see what tells of special groups. Those who run machines, guard, audit
/// or pay have no need; what is paid to whom is no sensitive field.
#[must_use]
pub fn may_uncover(role: Role) -> bool {
    match role {
        Role::Agent | Role::Township | Role::Reviewer | Role::DataOfficer => true,
        Role::Finance | Role::It | Role::Security | Role::Audit => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_groups_are_covered_and_the_plain_rest_is_not() {
        for key in [
            "disability_cert",
            "disability_grade",
            "disability-cert",
            "child-disability-cert",
            "household_lowincome",
            "lowincome_no",
            "guardian-proof",
            "children_now",
            "spouse_id",
            "due_date",
            "mental_illness",
            "discharge_cert_no",
            "unit",
        ] {
            assert!(is_sensitive(key), "{key}");
        }
        for key in ["phone", "address", "bank_card", "hukou_county", "id-card", "invoice", "name"] {
            assert!(!is_sensitive(key), "{key}");
        }
    }

    #[test]
    fn a_minor_is_covered_and_the_same_particular_of_an_adult_is_not() {
        assert!(is_covered("birth", Some(9)) && is_covered("phone", Some(17)));
        assert!(!is_covered("birth", Some(18)) && !is_covered("phone", None));
        assert!(!is_covered("name", Some(9)), "staff must find them");
    }

    #[test]
    fn who_runs_machines_guards_audits_or_pays_never_uncovers() {
        for role in [Role::Finance, Role::It, Role::Security, Role::Audit] {
            assert!(!may_uncover(role));
        }
        assert!(may_uncover(Role::Agent) && may_uncover(Role::Reviewer));
    }
}
