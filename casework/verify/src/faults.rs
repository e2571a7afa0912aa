//! The sentences for what does not hold and what is worth a look.

use crate::report::{Finding, Words};
use cunkou_casework::case::Reason;
use cunkou_casework::ids::EntryId;

/// A finding about one entry.
pub(crate) fn about(code: &'static str, entry: EntryId, words: Words) -> Finding {
    Finding { code, entry: Some(entry), words }
}

/// A finding about the whole.
pub(crate) fn whole(code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Finding {
    Finding { code, entry: None, words: Words::new(zh, en) }
}

/// Why a step does not count: a word for programs, and words.
pub(crate) fn reason(why: Reason) -> (&'static str, Words) {
    let (code, zh, en) = match why {
        Reason::UnknownDevice => {
            ("unknown_device", "县日志里没有这台设备", "the county log does not know the device")
        }
        Reason::UnknownPerson => {
            ("unknown_person", "县日志里没有这个人", "the county log does not know the person")
        }
        Reason::LogBehind => (
            "log_behind",
            "作者读到的县日志比文件里的还多",
            "its author had read further in the county log than this file goes",
        ),
        Reason::MissingPast => (
            "missing_past",
            "它依据的前面环节不在文件里,或不成立",
            "an earlier step that it builds on is not in the file or does not count",
        ),
        Reason::PastQuarantined => {
            ("past_set_aside", "它依据的前面环节不成立", "an earlier step does not count")
        }
        Reason::BadSignature => ("bad_signature", "签名不成立", "a signature does not hold"),
        Reason::NoOwnKey => (
            "no_own_key",
            "这个人有自己的安全密钥,但不是用它签的",
            "the person has a security key, and it did not sign",
        ),
        Reason::OtherWay => (
            "other_way",
            "开件时写的办理层级和目录不一致",
            "the catalogue has another way for this item",
        ),
        Reason::OtherLog => (
            "other_log",
            "它依据的县日志不是文件里的这一份",
            "it names another county log than this file's",
        ),
        Reason::Unwitnessed => (
            "unwitnessed",
            "作者已被撤销,文件里没有证据表明撤销前县平台已收到",
            "its author was revoked, and nothing shows that a relay had it before",
        ),
        Reason::Kin => {
            ("kin", "不能决定自己或亲属的件", "nobody decides their own or a relative's case")
        }
        Reason::DeviceRevoked => ("device_revoked", "设备已被撤销", "the device was revoked"),
        Reason::PersonRevoked => ("person_revoked", "这个人已被撤销", "the person was revoked"),
        Reason::OutOfScope => {
            ("out_of_scope", "设备不服务这个村", "the device does not serve this village")
        }
        Reason::NoPost => ("no_post", "这个人无权办这一步", "the person may not take this step"),
        Reason::NoPerson => ("no_person", "这一步要有人负责", "the step needs a person"),
        Reason::OwnCase => {
            ("own_case", "经手的人不能决定自己经手的件", "nobody decides a case they took part in")
        }
        Reason::NotNow => {
            ("not_now", "办件当时的状态不允许这一步", "the state of the case did not allow it")
        }
        Reason::Unreadable => ("unreadable", "内容读不出", "its content cannot be read"),
    };
    (code, Words::new(zh, en))
}
