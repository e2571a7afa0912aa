//! What does not fit together without being wrong: hints, never a verdict.

use crate::evidence::Evidence;
use crate::faults::about;
use crate::report::{Finding, Words};
use cunkou_casework::case::Record;
use cunkou_casework::county::CountyLog;
use cunkou_casework::entry::Entry;
use cunkou_casework::ids::EntryId;
use std::collections::{BTreeMap, BTreeSet};

/// Times further apart than this are named. Milliseconds.
const DOUBT_MS: i64 = 10 * 60 * 1000;

/// Times and positions that do not fit together.
pub(super) fn times(
    ordered: &[&Record],
    evidence: &Evidence,
    county: &CountyLog,
    statement_ms: &[i64],
    hints: &mut Vec<Finding>,
) {
    let positions: BTreeMap<EntryId, u64> =
        ordered.iter().map(|r| (r.id, r.header.log.position)).collect();
    let said_at = |position: Option<u64>| -> Option<i64> {
        let index = usize::try_from(position?.checked_sub(1)?).ok()?;
        statement_ms.get(index).copied()
    };
    for record in ordered {
        let (id, header) = (record.id, &record.header);
        let earliest = evidence.earliest.get(&id).map(|b| b.ms);
        let latest = evidence.latest.get(&id).map(|b| b.ms);
        let mut hint = |code, zh: &str, en: &str| hints.push(about(code, id, Words::new(zh, en)));
        if earliest.is_some_and(|t| header.claimed_ms < t.saturating_sub(DOUBT_MS)) {
            hint(
                "claimed_early",
                "自报的时间早于证据允许的最早时间:时钟不准或倒签",
                "the claimed time lies before the earliest that the evidence allows: a wrong clock, or back-dated",
            );
        }
        if latest.is_some_and(|t| header.claimed_ms > t.saturating_add(DOUBT_MS)) {
            hint(
                "claimed_late",
                "自报的时间晚于县平台收到的时间:时钟不准",
                "the claimed time lies after the county had it: a wrong clock",
            );
        }
        let past = evidence.past.get(&id).into_iter().flatten();
        if past.filter_map(|p| positions.get(p)).any(|p| *p > header.log.position) {
            hint(
                "old_position",
                "它引用的县日志比它依据的环节还旧:可能倒签",
                "it names an older county log than the steps it builds on: perhaps back-dated",
            );
        }
        let revoked = [
            said_at(county.device_revoked_at(header.device)),
            header.person.and_then(|p| said_at(county.person_revoked_at(p))),
        ];
        let after = |t: i64| latest.is_none_or(|latest| latest > t);
        if revoked.into_iter().flatten().any(after) {
            hint(
                "after_revocation",
                "人或设备后来被撤销,而没有证据说明这一步在那以前",
                "the person or device was revoked later, and nothing shows that this step came before",
            );
        }
    }
}

/// Two entries of one device under one number: a cloned or restored disk.
pub(super) fn numbers<'a>(entries: impl Iterator<Item = &'a Entry>, hints: &mut Vec<Finding>) {
    let mut numbers = BTreeSet::new();
    for entry in entries {
        let h = entry.header();
        if !numbers.insert((h.device, h.incarnation.0, h.seq)) {
            let words = Words::new(
                "同一台设备用同一个序号写了两条记录:磁盘可能被复制过",
                "two entries of one device under one number: its disk may have been copied",
            );
            hints.push(about("same_number", entry.id(), words));
        }
    }
}
