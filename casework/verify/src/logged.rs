//! Whether a relay's log holds the entries of the case, by the checkpoint in the file, and what an
//! auditor has signed of that log.

use crate::faults::whole;
use crate::report::{Audited, AuditedLog, Finding, Logged};
use cunkou_casework::checkpoint::{COSIGNATURES_MAX, Checkpoint, Cosigned, Inconsistent, Proofs};
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::event::decode;
use cunkou_casework::export::{ENTRIES_MAX, Export};
use cunkou_casework::ids::EntryId;
use cunkou_casework::suite::PublicKey;
use std::collections::{BTreeMap, BTreeSet};

/// Entries of the case that count for this.
pub(crate) struct Named {
    /// Steps and saves.
    pub(crate) entries: BTreeSet<EntryId>,
    /// What relays said they had.
    pub(crate) witnesses: BTreeSet<EntryId>,
}

/// What the file shows of a relay's log, read and held against the relay's key.
pub(crate) struct Shown {
    proofs: Proofs,
    checkpoint: Checkpoint,
    relay: PublicKey,
    /// Where entries stand in the log, for those whose proof holds.
    places: BTreeMap<EntryId, u64>,
}

/// Reads what the file shows of the relay's log; nothing when it carries no checkpoint.
pub(crate) fn read(
    export: &Export,
    county: &CountyLog,
    faults: &mut Vec<Finding>,
) -> Option<Shown> {
    let bytes = export.proofs.as_ref()?;
    let Some(shown) = shown(bytes, county) else {
        faults.push(whole(
            "bad_checkpoint",
            "文件里的县平台日志检查点不成立",
            "the checkpoint of the relay's log in the file does not hold",
        ));
        return None;
    };
    let wrong = shown.proofs.shown.len() - shown.places.len();
    if wrong > 0 {
        faults.push(whole(
            "bad_proof",
            format!("{wrong} 条记录在县平台日志里的证明不成立"),
            format!("{wrong} proofs that the relay's log holds an entry do not hold"),
        ));
    }
    Some(shown)
}

fn shown(bytes: &[u8], county: &CountyLog) -> Option<Shown> {
    let proofs: Proofs = decode(bytes).ok()?;
    let cosigned = proofs.cosigned.as_ref().map_or(0, Vec::len);
    if proofs.shown.len() > ENTRIES_MAX || cosigned > COSIGNATURES_MAX {
        return None;
    }
    let named: Checkpoint = decode(&proofs.checkpoint.body).ok()?;
    let relay = county.device(named.relay).filter(|d| d.kind == DeviceKind::Relay)?.key;
    let checkpoint: Result<Checkpoint, Inconsistent> = proofs.checkpoint.read(&relay);
    let checkpoint = checkpoint.ok()?;
    let holds = proofs.shown.iter().filter(|s| s.inclusion.holds(s.entry, &checkpoint));
    let places = holds.map(|s| (s.entry, s.inclusion.index)).collect();
    Some(Shown { proofs, checkpoint, relay, places })
}

impl Shown {
    /// How much of the case is in the log.
    pub(crate) fn logged(&self, named: &Named) -> Logged {
        let held = named.entries.iter().filter(|id| self.places.contains_key(id)).count() as u64;
        let Checkpoint { size, time_ms, .. } = self.checkpoint;
        Logged { held, of: named.entries.len() as u64, size, time_ms }
    }

    fn below(&self, size: u64, ids: &BTreeSet<EntryId>) -> u64 {
        ids.iter().filter(|id| self.places.get(id).is_some_and(|at| *at < size)).count() as u64
    }

    /// Who else has signed the log. What they signed earlier holds when the log of the file
    /// continues it: an entry that stands before its end stood there when they signed.
    fn audited(&self, named: &Named, faults: &mut Vec<Finding>) -> BTreeMap<PublicKey, AuditedLog> {
        let mut out: BTreeMap<PublicKey, AuditedLog> = BTreeMap::new();
        let mut take = |key: PublicKey, says: &Checkpoint| {
            let log = AuditedLog {
                size: says.size,
                time_ms: says.time_ms,
                witnesses: self.below(says.size, &named.witnesses),
                of_witnesses: named.witnesses.len() as u64,
                entries: self.below(says.size, &named.entries),
                of_entries: named.entries.len() as u64,
            };
            let longest = out.entry(key).or_insert(log);
            if longest.size < log.size {
                *longest = log;
            }
        };
        for signed in self.proofs.checkpoint.signatures.iter().take(COSIGNATURES_MAX) {
            if signed.key != self.relay && self.proofs.checkpoint.signed_by(&signed.key) {
                take(signed.key, &self.checkpoint);
            }
        }
        let mut wrong = 0;
        for cosigned in self.proofs.cosigned.iter().flatten() {
            let Cosigned { checkpoint, .. } = cosigned;
            let keys = checkpoint.signatures.iter().take(COSIGNATURES_MAX).map(|s| s.key);
            for key in keys.filter(|key| *key != self.relay) {
                match cosigned.read(&self.relay, &key, &self.checkpoint) {
                    Some(says) => take(key, &says),
                    None => wrong += 1,
                }
            }
        }
        if wrong > 0 {
            faults.push(whole(
                "bad_cosignature",
                format!("{wrong} 个审计签名不成立,或县平台日志不是接着审计签过的往下写的"),
                format!(
                    "{wrong} signatures of auditors do not hold, or the relay's log does not \
                     continue what they signed"
                ),
            ));
        }
        out
    }
}

/// What auditors have signed; the one whose key was given first.
pub(crate) fn audited(
    shown: Option<&Shown>,
    named: &Named,
    asked: Option<PublicKey>,
    faults: &mut Vec<Finding>,
    hints: &mut Vec<Finding>,
) -> Vec<Audited> {
    let mut found = shown.map(|s| s.audited(named, faults)).unwrap_or_default();
    let mut out = Vec::new();
    if let Some(key) = asked {
        let signed = found.remove(&key);
        out.push(Audited { key, asked: true, signed });
        match signed {
            Some(log) if log.covers() => {}
            Some(_) => hints.push(whole(
                "audited_in_part",
                "本件有记录在审计上次签名以后才进县平台日志,还没有审计签名",
                "entries of this case came to the relay's log after what the auditor signed last",
            )),
            None => hints.push(whole(
                "not_audited",
                "您给的审计密钥没有签过文件里的县平台日志:见证只凭县平台自己的话",
                "the auditor's key that you gave has signed nothing of the relay's log in this file: the witnesses rest on the relay's word alone",
            )),
        }
    }
    let others = found.into_iter();
    out.extend(others.map(|(key, log)| Audited { key, asked: false, signed: Some(log) }));
    out
}
