//! Search keys of a name: every reading of every character, initials and full spelling.

use pinyin::ToPinyinMulti;
use std::collections::BTreeSet;

/// No more spellings than this are kept for one name.
const SPELLINGS_MAX: usize = 64;

/// The ways to type a name on a Latin keyboard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spellings {
    /// Initials, e.g. `sxy`, for every reading.
    pub initials: BTreeSet<String>,
    /// Full pinyin without tones, e.g. `shanxiuying`.
    pub full: BTreeSet<String>,
}

/// All spellings of a name. A character of several readings (单 解 仇 曾) yields them all; one
/// that has none (rare characters, ·) is passed over.
#[must_use]
pub fn spellings(name: &str) -> Spellings {
    let mut initials = vec![String::new()];
    let mut full = vec![String::new()];
    for (c, readings) in name.chars().zip(name.to_pinyin_multi()) {
        let mut sounds = BTreeSet::new();
        match readings {
            Some(readings) => sounds.extend(readings.into_iter().map(|r| plain(r.plain()))),
            None if c.is_ascii_alphanumeric() => {
                sounds.insert(c.to_ascii_lowercase().to_string());
            }
            None => continue,
        }
        let firsts: BTreeSet<String> =
            sounds.iter().filter_map(|s| s.get(..1).map(str::to_owned)).collect();
        full = extend(&full, &sounds);
        initials = extend(&initials, &firsts);
    }
    let keep = |all: Vec<String>| all.into_iter().filter(|s| !s.is_empty()).collect();
    Spellings { initials: keep(initials), full: keep(full) }
}

/// ü is typed v.
fn plain(sound: &str) -> String {
    sound.replace('ü', "v")
}

fn extend(so_far: &[String], next: &BTreeSet<String>) -> Vec<String> {
    let all = so_far.iter().flat_map(|head| next.iter().map(move |tail| format!("{head}{tail}")));
    all.take(SPELLINGS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surnames_of_two_readings_are_found_by_either() {
        for (name, initials, full) in [
            ("单秀英", "sxy", "shanxiuying"),
            ("单秀英", "dxy", "danxiuying"),
            ("解永红", "xyh", "xieyonghong"),
            ("解永红", "jyh", "jieyonghong"),
            ("仇志强", "qzq", "qiuzhiqiang"),
            ("仇志强", "czq", "chouzhiqiang"),
            ("曾小妹", "zxm", "zengxiaomei"),
            ("曾小妹", "cxm", "cengxiaomei"),
        ] {
            let spelt = spellings(name);
            assert!(spelt.initials.contains(initials), "{name} {initials} {spelt:?}");
            assert!(spelt.full.contains(full), "{name} {full} {spelt:?}");
        }
    }

    #[test]
    fn dots_and_characters_without_a_reading_are_passed_over() {
        let spelt = spellings("买买提·吐尔逊江");
        assert!(spelt.initials.iter().all(|s| s.len() == 7), "{spelt:?}");
        assert_eq!(spellings("\u{E000}"), Spellings::default());
    }
}
