//! Whether a relay's log holds the entries of the case, by the checkpoint in the file.

use crate::faults::whole;
use crate::report::{Finding, Logged};
use cunkou_casework::checkpoint::{Checkpoint, Inconsistent, Proofs};
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::event::decode;
use cunkou_casework::export::{ENTRIES_MAX, Export};
use cunkou_casework::ids::EntryId;
use std::collections::BTreeSet;

/// What the file shows of the relay's log; nothing when it carries no checkpoint.
pub(crate) fn check(
    export: &Export,
    entries: &BTreeSet<EntryId>,
    county: &CountyLog,
    faults: &mut Vec<Finding>,
) -> Option<Logged> {
    let bytes = export.proofs.as_ref()?;
    let Some((proofs, checkpoint)) = read(bytes, county) else {
        faults.push(whole(
            "bad_checkpoint",
            "文件里的县平台日志检查点不成立",
            "the checkpoint of the relay's log in the file does not hold",
        ));
        return None;
    };
    let holds = |id: &EntryId| {
        let shown = proofs.shown.iter().find(|s| s.entry == *id);
        shown.is_some_and(|s| s.inclusion.holds(*id, &checkpoint))
    };
    let wrong = proofs.shown.iter().filter(|s| !s.inclusion.holds(s.entry, &checkpoint)).count();
    if wrong > 0 {
        faults.push(whole(
            "bad_proof",
            format!("{wrong} 条记录在县平台日志里的证明不成立"),
            format!("{wrong} proofs that the relay's log holds an entry do not hold"),
        ));
    }
    let held = entries.iter().filter(|id| holds(id)).count() as u64;
    let of = entries.len() as u64;
    Some(Logged { held, of, size: checkpoint.size, time_ms: checkpoint.time_ms })
}

fn read(bytes: &[u8], county: &CountyLog) -> Option<(Proofs, Checkpoint)> {
    let proofs: Proofs = decode(bytes).ok()?;
    if proofs.shown.len() > ENTRIES_MAX {
        return None;
    }
    let named: Checkpoint = decode(&proofs.checkpoint.body).ok()?;
    let relay = county.device(named.relay).filter(|d| d.kind == DeviceKind::Relay)?;
    let checkpoint: Result<Checkpoint, Inconsistent> = proofs.checkpoint.read(&relay.key);
    Some((proofs, checkpoint.ok()?))
}
