//! A resident moves to another village: the whole record goes into the new village's log, and what
//! the old one may not have any more leaves its boxes.

use crate::Replica;
use crate::file::Gathered;
use crate::kinds::{ERASURE, kind_code};
use cunkou_casework::case::Record;
use cunkou_casework::county::{CountyLog, DeviceKind};
use cunkou_casework::entry::{Entry, Kind};
use cunkou_casework::event::{Event, Step};
use cunkou_casework::ids::{PlaceId, Scope, SubjectId};
use cunkou_casework::registry::Registered;
use cunkou_store::{StoreError, Txn};
use tracing::info;

impl Replica {
    /// Whether this device has the content of a village: a relay has all.
    fn has_village(&self, county: &CountyLog, place: PlaceId) -> bool {
        let me = county.device(self.me.device);
        me.is_some_and(|me| me.kind == DeviceKind::Relay || me.places.contains(&place))
    }

    /// Puts a resident's entries where they belong, as the record's own steps say.
    pub(crate) fn home(
        &self,
        tx: &Txn<'_>,
        subject: SubjectId,
        county: &CountyLog,
        gathered: &Gathered,
        registered: &Registered,
    ) -> Result<(), StoreError> {
        let Some(place) = registered.place else { return Ok(()) };
        let scope = Scope::Place(place).to_string();
        let here = self.has_village(county, place);
        if here {
            tx.also_in(&subject.0, &scope)?;
        }
        if registered.moves.is_empty() {
            return Ok(());
        }
        if here {
            tx.attachments_only_in(&subject.0, &scope)?;
            tx.moves_in(&subject.0)?;
        } else {
            tx.moves_away(&subject.0)?;
        }
        let told = registered.moves.iter().filter_map(|id| gathered.rows.get(id));
        let told: Vec<u64> = told.map(|(pos, _)| *pos).collect();
        tx.belongs_to(&subject.0, &scope, &told)
    }

    /// Whether a subject is a resident whose content left this box, and who has not come back. What
    /// came late of them leaves, too.
    pub(crate) fn away(
        &self,
        tx: &Txn<'_>,
        subject: SubjectId,
        county: &CountyLog,
    ) -> Result<bool, StoreError> {
        if !tx.moved(&subject.0)?.is_some_and(|row| row.left) {
            return Ok(false);
        }
        let back = tx.entries_of(&subject.0)?.iter().any(|row| {
            let entry = Entry::decode(&row.bytes).ok();
            let event = entry.and_then(|entry| Event::decode(entry.payload()).ok());
            matches!(event, Some(Event { step: Step::ResidentMoved { place }, .. })
                if self.has_village(county, place))
        });
        if !back {
            tx.blank_but(&subject.0, ERASURE)?;
            return Ok(true);
        }
        tx.moves_in(&subject.0)?;
        tx.fetch_subject(&subject.0, kind_code(Kind::Edit), self.now_ms())?;
        Ok(false)
    }

    /// A resident of whom this box has only the names of entries, because their village had left it,
    /// has moved elsewhere meanwhile: they are left out here as at the relay.
    pub(crate) fn moved_meanwhile(
        &self,
        tx: &Txn<'_>,
        subject: SubjectId,
        county: &CountyLog,
        gathered: &Gathered,
    ) -> Result<(), StoreError> {
        let moved = |record: &&Record| {
            matches!(record.event.step, Step::ResidentMoved { place }
                if !self.has_village(county, place))
        };
        let moves: Vec<&Record> = gathered.records.iter().filter(moved).collect();
        let names_only = tx.entries_of(&subject.0)?.iter().any(|row| row.bytes.is_empty());
        let Some(Step::ResidentMoved { place }) = moves.last().map(|r| &r.event.step) else {
            return Ok(());
        };
        if !names_only {
            return Ok(());
        }
        let told: Vec<u64> =
            moves.iter().filter_map(|r| gathered.rows.get(&r.id)).map(|(pos, _)| *pos).collect();
        tx.belongs_to(&subject.0, &Scope::Place(*place).to_string(), &told)?;
        tx.moves_away(&subject.0)?;
        tx.moved_left(&subject.0)
    }

    /// Lets go of residents who moved to villages that this box does not serve, once a relay holds
    /// all that was written of them here. Gives how many.
    pub(crate) fn settle_moved(&self, relays: &[[u8; 16]]) -> Result<usize, StoreError> {
        let waiting = self.store.read(|view| view.moved_waiting())?;
        let mut left = 0;
        for subject in waiting {
            let gone = self.store.write(|tx| -> Result<bool, StoreError> {
                let mut peers = Vec::new();
                for relay in relays {
                    peers.extend(tx.peer(relay)?.map(|peer| peer.id));
                }
                if tx.subject_lacked_by(&subject, &peers)?.entries > 0
                    || !tx.subject_only_here(&subject)?.is_empty()
                {
                    return Ok(false);
                }
                tx.moved_left(&subject)?;
                Ok(true)
            })?;
            left += usize::from(gone);
        }
        if left > 0 {
            info!(residents = left, "residents who moved to other villages have left this box");
        }
        Ok(left)
    }
}
