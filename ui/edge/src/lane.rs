//! The lane of attachments in status, and hurrying one case.

use crate::cli::{Exit, Failure};
use cunkou_casework::ids::{DeviceId, SubjectId};
use cunkou_casework::number::{grouped, parse};
use cunkou_replica::Replica;
use cunkou_store::StoreError;
use serde_json::{Value, json};

/// How the lane stands, for `status --json`.
///
/// # Errors
/// When the store fails.
pub fn status(replica: &Replica) -> Result<Value, StoreError> {
    let lane = replica.lane_status()?;
    let county = replica.county();
    let faults = lane.faults.iter().map(|fault| {
        let device = DeviceId(fault.device);
        let name = county.device(device).map(|device| device.name.clone());
        json!({
            "device": device.to_string(), "name": name, "words": fault.words,
            "at_ms": fault.at_ms, "times": fault.times,
        })
    });
    Ok(json!({
        "wanted": lane.wanted, "wanted_bytes": lane.wanted_bytes,
        "budget_bytes": lane.budget.bytes_per_day, "moved_bytes": lane.moved,
        "put_off": lane.put_off, "waits_s": lane.waits.map(|wait| wait.as_secs()),
        "faults": faults.collect::<Value>(),
    }))
}

/// Sends and fetches the photos of a case whatever today's bytes are.
///
/// # Errors
/// When there is no such case here, or the store fails.
pub fn send_now(replica: &Replica, number: &str) -> Result<Value, Failure> {
    let failed = |e: StoreError| Failure::new(Exit::Failed, e.to_string());
    let refused = |words: String| Failure::new(Exit::Refused, words);
    let digits = parse(number).ok_or_else(|| {
        refused(format!("{number} is no case number: 12 digits with a check digit"))
    })?;
    let found = replica.store().read(|view| view.case_by_number(&digits)).map_err(failed)?;
    let case =
        found.ok_or_else(|| refused(format!("there is no case {} here", grouped(&digits))))?;
    replica.send_now(SubjectId(case)).map_err(failed)?;
    Ok(json!({ "schema": 1, "number": grouped(&digits) }))
}
