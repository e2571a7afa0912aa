//! Cases straight into stores, as the relay and a box that has everything would hold them.

use super::cases::{Made, Maker};
use super::county::{BOX, CENTRE, FILING, RELAY, VILLAGES, device, peer};
use anyhow::{Context, Result};
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::ids::Scope;
use cunkou_engine::Port;
use cunkou_replica::Replica;
use cunkou_store::{Author, EntryState, NewEntry, PeerRow, Store, StoreError, Txn};
use std::collections::BTreeMap;

/// So many cases in one transaction.
const TOGETHER: usize = 100;

/// What is done with the cases that go into a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Derive {
    /// Rows and documents are made when the replica is opened next.
    Yes,
    /// The log alone is there: for what does not look at a case.
    No,
}

/// A maker of cases for a relay.
pub(crate) fn maker(relay: &Replica) -> Result<Maker> {
    let (store, position) = relay
        .store()
        .read(|view| Ok::<_, StoreError>((view.meta("store")?, view.entry_count()?)))?;
    let store = store.and_then(|s| s.try_into().ok()).context("the store has no name")?;
    Ok(Maker::new(relay.county().head(), store, position))
}

fn known(store: &Store, n: u8) -> Result<i64> {
    let row = PeerRow {
        id: 0,
        device: device(n).0,
        store: [n; 16],
        epoch: [n; 16],
        name: format!("device {n}"),
        software: String::new(),
        seen_ms: 0,
        clock_error_ms: 0,
        completed_ms: None,
        features: 0,
    };
    Ok(store.write(|tx| -> Result<_, StoreError> {
        match tx.peer(&row.device)? {
            Some(row) => Ok(row.id),
            None => Ok(tx.greet_peer(&row)?.id),
        }
    })?)
}

fn put(tx: &Txn<'_>, entry: &Entry, via: i64, scope: &str) -> Result<(), StoreError> {
    let header = entry.header();
    let new = NewEntry {
        id: &entry.id().0,
        subject: &entry.subject().0,
        kind: match entry.kind() {
            Kind::Event => 1,
            Kind::Edit => 2,
            _ => 3,
        },
        via,
        received_ms: header.claimed_ms,
        state: EntryState::Good,
        reason: None,
        bytes: &entry.encode(),
    };
    let pos = tx.append(&new, scope)?.ok_or(StoreError::Damaged { what: "entry log" })?;
    let author = Author {
        device: &header.device.0,
        person: header.person.as_ref().map(|p| &p.0),
        incarnation: &header.incarnation.0,
        seq: header.seq,
        previous: header.previous.as_ref().map(|p| &p.0),
    };
    tx.note_author(pos, author, header.claimed_ms)
}

fn put_all(
    store: &Store,
    made: &[Made],
    via: impl Fn(&Entry) -> i64,
    derive: Derive,
) -> Result<(), StoreError> {
    store.write(|tx| -> Result<(), StoreError> {
        for made in made {
            let scope = Scope::Place(made.place).to_string();
            for subject in [&made.resident, &made.case] {
                for entry in &subject.entries {
                    put(tx, entry, via(entry), &scope)?;
                }
                if derive == Derive::No {
                    tx.clean(&subject.id.0)?;
                }
            }
        }
        Ok(())
    })
}

/// Puts the next `n` cases into the relay's store and, where given, into that of the box.
pub(crate) fn fill(
    maker: &mut Maker,
    n: usize,
    relay: &Replica,
    at_box: Option<&Replica>,
    derive: Derive,
) -> Result<()> {
    let mut vias = BTreeMap::from([(device(RELAY), 0)]);
    for n in (FILING..).take(VILLAGES.len()).chain([CENTRE]) {
        vias.insert(device(n), known(relay.store(), n)?);
    }
    let of_relay = at_box.map(|b| known(b.store(), RELAY)).transpose()?;
    let mut left = n;
    while left > 0 {
        let now = left.min(TOGETHER);
        let made = (0..now).map(|_| maker.next()).collect::<Result<Vec<_>>>()?;
        let via = |entry: &Entry| vias.get(&entry.header().device).copied().unwrap_or_default();
        put_all(relay.store(), &made, via, derive)?;
        if let (Some(at_box), Some(id)) = (at_box, of_relay) {
            put_all(at_box.store(), &made, |_| id, derive)?;
        }
        left -= now;
    }
    Ok(())
}

/// The slips are on a replica's disk.
pub(crate) fn keep_slips(maker: &Maker, at: &Replica) -> Result<()> {
    for slip in maker.slips() {
        at.keep_attachment(blake3::hash(slip).as_bytes(), slip)?;
    }
    Ok(())
}

/// Relay and box know of each other that both have everything.
pub(crate) fn settled(relay: &Replica, at_box: &Replica) -> Result<()> {
    for scope in peer(relay, BOX)?.scopes {
        let heads = [relay, at_box].map(|r| r.store().read(|view| view.head(&scope)));
        let [at_relay, here] = heads;
        let (at_relay, here) = (at_relay?, here?);
        let say = |store: &Store, n: u8, ours: u64, theirs: u64| {
            store.write(|tx| -> Result<(), StoreError> {
                let row = tx.peer(&device(n).0)?.ok_or(StoreError::Damaged { what: "peer" })?;
                tx.set_cursor(row.id, &scope, theirs)?;
                tx.set_acked(row.id, &scope, ours)
            })
        };
        say(relay.store(), BOX, at_relay, here)?;
        say(at_box.store(), RELAY, here, at_relay)?;
    }
    Ok(())
}

/// `each` entries that the relay alone has and as many that the box alone has, each of a resident of
/// its own, while both believe that they have the same.
pub(crate) fn differ(
    maker: &mut Maker,
    each: usize,
    relay: &Replica,
    at_box: &Replica,
) -> Result<()> {
    for store in [relay.store(), at_box.store()] {
        for _ in 0..each {
            let made = maker.next()?;
            let scope = Scope::Place(made.place).to_string();
            let Some(entry) = made.resident.entries.first() else { continue };
            store.write(|tx| put(tx, entry, 0, &scope))?;
        }
    }
    settled(relay, at_box)
}

/// What a box has to give.
pub(crate) struct Load {
    pub(crate) device: u8,
    pub(crate) scope: String,
    pub(crate) entries: Vec<Vec<u8>>,
}

/// What the villages' boxes have to give of `n` cases.
pub(crate) fn of_the_villages(maker: &mut Maker, n: usize) -> Result<Vec<Load>> {
    let begun = (FILING..).zip(VILLAGES).map(|(device, village)| {
        let scope = Scope::Place(village).to_string();
        Load { device, scope, entries: Vec::new() }
    });
    let mut all: Vec<Load> = begun.collect();
    for _ in 0..n {
        let made = maker.next()?;
        for entry in made.resident.entries.iter().chain(&made.case.entries) {
            let of = all.iter_mut().find(|load| device(load.device) == entry.header().device);
            if let Some(load) = of {
                load.entries.push(entry.encode());
            }
        }
    }
    Ok(all)
}

/// The relay knows a device as if it had said hello.
pub(crate) fn introduce(relay: &Replica, n: u8) -> Result<()> {
    known(relay.store(), n).map(drop)
}
