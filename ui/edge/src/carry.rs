//! Bundles carried by hand, between a replica and files: what goes into the next one, where it
//! goes on, and what an incoming one is worth.

pub mod fault;
pub mod ferry;
pub mod files;
pub mod locked;
pub mod pages;

pub use fault::Fault;

use cunkou_bundle::{
    ACKS_MAX, Carried, ExportError, Exported, Head, ImportError, Imported, Plan, ReadError, Reader,
    Step, WriteError, code_of, export as pack, import as unpack,
};
use cunkou_casework::county::{Device, DeviceKind};
use cunkou_casework::ids::DeviceId;
use cunkou_engine::{PeerInfo, Port, PortError};
use cunkou_replica::{ByHand, Replica};
use cunkou_store::{BundleIn, BundleOut, BundlePart, How, StoreError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

/// A bundle is never longer unless somebody says so: what the file system of most sticks takes.
/// Bytes.
pub const SIZE_USUAL: u64 = 4 * 1024 * 1024 * 1024 - 1024 * 1024;
/// A series is never longer than so many sticks.
const SERIES_MAX: u32 = 500;

/// From where a bundle goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Beginning {
    /// From the stick before when that one was full, else from what was acknowledged.
    #[default]
    Next,
    /// From what was acknowledged: a stick of the series was lost.
    Again,
    /// From the very beginning: the receiver has lost what it had.
    All,
}

/// What a bundle is to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// For whom.
    pub to: DeviceId,
    /// Not longer. Bytes.
    pub size: u64,
    /// From where.
    pub from: Beginning,
    /// How it travels.
    pub how: How,
}

/// A bundle that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What the store remembers of it.
    pub bundle: BundleOut,
    /// The receiver's name.
    pub to: String,
    parts: Vec<BundlePart>,
    photos: Vec<[u8; 32]>,
}

impl Made {
    /// For programs.
    #[must_use]
    pub fn value(&self) -> Value {
        let b = &self.bundle;
        json!({
            "schema": 1, "to": self.to, "number": b.number, "part": b.part, "more": b.more,
            "entries": b.entries, "attachments": b.attachments, "bytes": b.bytes,
        })
    }

    /// The file is where it is to be: from now on the store knows that it left.
    ///
    /// # Errors
    /// When the store fails.
    pub fn left(&self, replica: &Replica) -> Result<(), Fault> {
        let noted =
            replica.store().write(|tx| tx.bundle_made(&self.bundle, &self.parts, &self.photos));
        noted.map_err(|e: StoreError| Fault::Ours(e.to_string()))
    }
}

/// What came with a bundle.
#[derive(Clone, Debug)]
pub struct Came {
    /// The sender's name.
    pub from: String,
    /// Its sender's count.
    pub number: u64,
    /// Which stick of a series.
    pub part: u32,
    /// When it was made, by its sender's clock, milliseconds.
    pub made_ms: i64,
    /// It had come before: nothing was done.
    pub known: bool,
    /// The box was locked: it waits in the inbox, and is to be brought in once more.
    pub locked: bool,
    /// What it brought.
    pub brought: Imported,
    /// Bundles of ours that its sender says it has.
    pub acked: u64,
}

impl Came {
    /// For programs.
    #[must_use]
    pub fn value(&self) -> Value {
        json!({
            "schema": 1, "from": self.from, "number": self.number, "part": self.part,
            "known": self.known, "locked": self.locked, "new": self.brought.new, "entries": self.brought.entries,
            "aside": self.brought.aside, "attachments": self.brought.attachments.len(),
            "more": self.brought.more, "acknowledged": self.acked,
            "other_villages": self.brought.passed_over.len(),
        })
    }
}

/// To whom a box's bundles go: its relay, the one it has met before the others.
#[must_use]
pub fn relay_of(replica: &Replica) -> Option<Device> {
    let county = replica.county();
    let met = replica.store().read(|view| view.peers().map_err(Fault::from)).unwrap_or_default();
    let mut relays: Vec<&Device> = county
        .devices()
        .filter(|d| d.kind == DeviceKind::Relay && county.device_counts(d.id))
        .collect();
    relays.sort_by_key(|d| !met.iter().any(|p| p.device == d.id.0));
    relays.first().map(|d| (*d).clone())
}

/// The name that a bundle's file has: it says who may open it, as a code, and its number.
#[must_use]
pub fn file_name(replica: &Replica, made: &Made) -> String {
    let county = replica.county();
    let key = county.device(DeviceId(made.bundle.device)).map(|d| d.key.0).unwrap_or_default();
    let code = cunkou_casework::hex::encode(&code_of(&key)[..4]);
    format!("cunkou-{code}-{:04}.bundle", made.bundle.number)
}

/// Makes a bundle. The store knows of it only after [`Made::left`].
///
/// # Errors
/// [`Fault`].
pub fn export<W: Write>(
    replica: &Arc<Replica>,
    wanted: &Wanted,
    out: W,
    progress: &dyn Fn(&Exported),
) -> Result<(Made, W), Fault> {
    let county = replica.county();
    let device = county.device(wanted.to).ok_or(Fault::Unknown)?.clone();
    let port = ByHand { replica: Arc::clone(replica), how: wanted.how, made_ms: replica.now_ms() };
    let peer = port.admit_peer(&device.key.0).map_err(|e| Fault::NotOurs(e.words))?;
    // What this box has to tell the county goes along.
    replica.gather_looks(true).map_err(ours)?;
    let plan = plan(replica, &peer, wanted)?;
    if plan.part == 1 {
        replica.store().write(|tx| -> Result<(), Fault> {
            match wanted.from {
                Beginning::All => tx.forget_what_it_has(&device.id.0)?,
                Beginning::Next | Beginning::Again => tx.forget_on_the_way(&device.id.0)?,
            }
            Ok(())
        })?;
    }
    let behind = |parts: &[Carried]| behind(replica, &peer, &plan, parts);
    let seed = replica.me().key.seed();
    let (done, out) = pack(&port, (&peer, &device.key.0), (&plan, &seed), out, behind, progress)?;
    let bundle = BundleOut {
        id: plan.id,
        device: device.id.0,
        number: plan.number,
        part: plan.part,
        more: done.more,
        how: wanted.how,
        made_ms: plan.made_ms,
        entries: done.entries,
        attachments: done.attachments.len() as u64,
        bytes: done.bytes,
        acked_ms: None,
    };
    let parts = done.carried.into_iter().map(|c| (c.scope, c.after, c.upto)).collect();
    let made = Made { bundle, to: device.name, parts, photos: done.attachments };
    Ok((made, out))
}

/// Which attachments follow what is carried: those of what was said since the other's last word,
/// and those it has asked for.
fn behind(
    replica: &Replica,
    peer: &PeerInfo,
    plan: &Plan,
    parts: &[Carried],
) -> Result<Vec<[u8; 32]>, PortError> {
    let found = replica.store().read(|view| -> Result<Vec<[u8; 32]>, StoreError> {
        let known = view.peer(&peer.device)?;
        let mut out = Vec::new();
        for part in parts {
            // Photos of earlier sticks of the series that had no room come with this one.
            let acked = known.as_ref().map_or(Ok(0), |k| view.acked(k.id, &part.scope))?;
            let after = if plan.part == 1 { part.after } else { acked.min(part.after) };
            out.extend(view.attachments_behind(&peer.device, (&part.scope, after, part.upto))?);
        }
        out.extend(view.asked_for(&peer.device)?);
        out.sort_unstable();
        out.dedup();
        Ok(out)
    });
    found.map_err(|e| PortError(e.to_string()))
}

fn plan(replica: &Replica, peer: &PeerInfo, wanted: &Wanted) -> Result<Plan, Fault> {
    let mut id = [0; 16];
    replica.draw(&mut id);
    let mut plan = Plan {
        id,
        number: 1,
        part: 1,
        made_ms: replica.now_ms(),
        starts: BTreeMap::new(),
        acks: Vec::new(),
        limit: wanted.size,
    };
    let read = replica.store().read(|view| -> Result<(), Fault> {
        plan.number = view.next_bundle(&peer.device)?;
        let came = view.bundles_in(&peer.device, ACKS_MAX as u32)?;
        plan.acks = came.iter().rev().map(|b| b.id).collect();
        if wanted.from == Beginning::All {
            return Ok(());
        }
        if let Some(known) = view.peer(&peer.device)? {
            for scope in &peer.scopes {
                plan.starts.insert(scope.clone(), view.acked(known.id, scope)?);
            }
        }
        let made = view.bundles_out(&peer.device, SERIES_MAX)?;
        let Some(before) = made.first().filter(|b| wanted.from == Beginning::Next && b.more) else {
            return Ok(());
        };
        plan.part = before.part + 1;
        for bundle in made.iter().take(before.part as usize) {
            for (scope, _, upto) in view.bundle_parts(&bundle.id)? {
                let start = plan.starts.entry(scope).or_default();
                *start = (*start).max(upto);
            }
        }
        Ok(())
    });
    read?;
    Ok(plan)
}

/// Brings a bundle in.
///
/// # Errors
/// [`Fault`]. What came before a fault in the file is kept.
pub fn import<R: Read>(
    replica: &Arc<Replica>,
    input: R,
    how: How,
    progress: &dyn Fn(&Imported, u64),
) -> Result<Came, Fault> {
    let seed = replica.me().key.seed();
    let mut reader = Reader::begin(&seed, input).map_err(|e| unreadable(replica, e))?;
    let head = reader.head().clone();
    let (peer, device) = sender(replica, reader.sender())?;
    let mut came = Came {
        from: device.name,
        number: head.number,
        part: head.part,
        made_ms: head.made_ms,
        known: false,
        locked: false,
        brought: Imported::default(),
        acked: 0,
    };
    let known = replica.store().read(|view| view.bundle_in(&head.id).map_err(Fault::from))?;
    if known.is_some() {
        came.known = true;
        return Ok(came);
    }
    if past_of(replica, &peer, &head)? {
        return Err(Fault::Past(came.from));
    }
    let port = ByHand { replica: Arc::clone(replica), how, made_ms: head.made_ms };
    let brought = unpack(&port, &peer, &mut reader, progress);
    came.brought = match brought {
        Ok(brought) => brought,
        Err(ImportError::Gap(steps)) => return Err(gap(replica, &came, &peer, &steps)?),
        Err(ImportError::Read(e)) => {
            port.completed(&peer).map_err(ours)?;
            return Err(unreadable(replica, e));
        }
        Err(ImportError::Port(e)) => return Err(ours(e)),
    };
    let bundle = BundleIn {
        id: head.id,
        device: peer.device,
        number: head.number,
        how,
        held: came.brought.entries + came.brought.attachments.len() as u64,
        made_ms: head.made_ms,
        came_ms: replica.now_ms(),
    };
    came.acked = settled(replica, &peer, &bundle, &head, &came.brought)?;
    port.completed(&peer).map_err(ours)?;
    replica.told_by_hand();
    Ok(came)
}

/// Whether a bundle was made in an epoch that its sender has left behind.
fn past_of(replica: &Replica, peer: &PeerInfo, head: &Head) -> Result<bool, Fault> {
    replica.store().read(|view| {
        let past = view.is_past(&peer.device, &head.hello.epoch)?;
        let now = view.peer(&peer.device)?.is_some_and(|p| p.epoch == head.hello.epoch);
        Ok(past && !now)
    })
}

/// Who sent it, if that is somebody whose bundles are taken.
fn sender(replica: &Replica, key: &[u8; 32]) -> Result<(PeerInfo, Device), Fault> {
    let peer = replica.admit_peer(key).map_err(|e| Fault::NotOurs(e.words))?;
    let county = replica.county();
    let id = DeviceId(peer.device);
    let device = county.device(id).ok_or(Fault::Unknown)?.clone();
    if !county.device_counts(id) {
        return Err(Fault::Revoked(device.name));
    }
    Ok((peer, device))
}

/// Notes that the bundle came, and takes the sender's word for which of ours it has.
fn settled(
    replica: &Replica,
    peer: &PeerInfo,
    bundle: &BundleIn,
    head: &Head,
    brought: &Imported,
) -> Result<u64, Fault> {
    let wanted: Vec<[u8; 32]> = head.wanted.iter().map(|id| **id).collect();
    replica.store().write(|tx| -> Result<u64, Fault> {
        let Some(known) = tx.peer(&peer.device)? else { return Ok(0) };
        let mut acked = 0;
        for id in &head.acks {
            let parts = tx.bundle_acked(&peer.device, id, bundle.came_ms)?;
            acked += u64::from(!parts.is_empty());
            for (scope, _, upto) in parts {
                if tx.acked(known.id, &scope)? < upto {
                    tx.set_acked(known.id, &scope, upto)?;
                }
            }
        }
        tx.bundle_came(bundle, &brought.attachments, &wanted)?;
        Ok(acked)
    })
}

/// Which bundles are missing, by their numbers as far as they can be known.
fn gap(replica: &Replica, came: &Came, peer: &PeerInfo, steps: &[Step]) -> Result<Fault, Fault> {
    let here: Vec<BundleIn> = replica
        .store()
        .read(|view| view.bundles_in(&peer.device, SERIES_MAX).map_err(Fault::from))?;
    let first = (came.number + 1).saturating_sub(u64::from(came.part)).max(1);
    let missing: Vec<u64> =
        (first..came.number).filter(|n| !here.iter().any(|b| b.number == *n)).collect();
    tracing::info!(number = came.number, scopes = steps.len(), "a bundle does not follow on");
    Ok(Fault::Gap { from: came.from.clone(), number: came.number, missing })
}

fn unreadable(replica: &Replica, e: ReadError) -> Fault {
    match e {
        ReadError::NoBundle => Fault::NoBundle,
        ReadError::ForOther(code) => {
            let county = replica.county();
            let whose = county.devices().find(|d| code_of(&d.key.0) == code);
            Fault::ForOther(whose.map(|d| d.name.clone()))
        }
        ReadError::Cut => Fault::Cut,
        ReadError::Damaged => Fault::Damaged,
        ReadError::Signature => Fault::Signature,
        ReadError::Disk(e) => Fault::Disk(e.to_string()),
    }
}

fn ours(e: impl std::fmt::Display) -> Fault {
    Fault::Ours(e.to_string())
}

impl From<StoreError> for Fault {
    fn from(e: StoreError) -> Self {
        ours(e)
    }
}

impl From<ExportError> for Fault {
    fn from(e: ExportError) -> Self {
        match e {
            ExportError::TooSmall => Self::TooSmall,
            ExportError::Port(e) => ours(e),
            ExportError::Write(WriteError::Stream(cunkou_keys::StreamError::Disk(e))) => {
                Self::Disk(e.to_string())
            }
            ExportError::Write(e) => ours(e),
        }
    }
}
