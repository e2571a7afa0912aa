//! The lane of attachments as this replica keeps it: pieces, today's bytes, what waits.
//!
//! Only what somebody else asks for goes out, so nothing goes to a relay before the relay has
//! committed the entry that names it.

use crate::Replica;
use cunkou_casework::calendar::{china_day, day_begins};
use cunkou_casework::ids::SubjectId;
use cunkou_engine::ranges::Outline;
use cunkou_engine::{Given, Kept, PeerInfo};
use cunkou_store::{AttachmentState, LaneFault, StoreError};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many attachments that were put off are told apart; more are not counted.
const PUT_OFF_MAX: usize = 10_000;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// The days of the lane are remembered for so long.
const DAYS_KEPT: i64 = 62;

/// How much the lane of attachments may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Bytes on one day of the county, both ways together; absent without a limit. It may be
    /// overdrawn by one helping of 64 KiB.
    pub bytes_per_day: Option<u64>,
}

/// How the lane stands, for status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// What it may move.
    pub budget: Budget,
    /// What it has moved today; counted only under a budget. Bytes.
    pub moved: u64,
    /// Attachments that are not here yet.
    pub wanted: u64,
    /// Their bytes, as far as who names them says.
    pub wanted_bytes: u64,
    /// Attachments of ours that were asked for today and wait for tomorrow.
    pub put_off: u64,
    /// How long what is not wanted at once has to wait; nothing when today's bytes last.
    pub waits: Option<Duration>,
    /// Peers that gave what was not right.
    pub faults: Vec<LaneFault>,
}

/// What the lane remembers in memory.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    budget: Mutex<Budget>,
    /// Of which day, and which.
    put_off: Mutex<(String, BTreeSet<[u8; 32]>)>,
}

impl Replica {
    /// From now on the lane of attachments moves no more than this.
    pub fn set_budget(&self, budget: Budget) {
        *self.lane.budget.lock().unwrap_or_else(PoisonError::into_inner) = budget;
        self.changed();
    }

    fn today(&self) -> String {
        china_day(self.now_ms()).to_string()
    }

    fn budget(&self) -> Budget {
        *self.lane.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A person wants the photos of this case on their way, whatever today's bytes are.
    ///
    /// # Errors
    /// When the store fails.
    pub fn send_now(&self, case: SubjectId) -> Result<(), StoreError> {
        self.store.write(|tx| tx.set_lane_now(&case.0))?;
        self.changed();
        Ok(())
    }

    /// How the lane stands.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lane_status(&self) -> Result<LaneStatus, StoreError> {
        let today = self.today();
        let put_off = self.put_off(&today, None);
        self.store.read(|view| {
            let (wanted, wanted_bytes) = view.wanted_count()?;
            let (budget, moved) = (self.budget(), view.lane_bytes(&today)?);
            let waits = self.until_tomorrow(budget, moved);
            let faults = view.lane_faults()?;
            Ok(LaneStatus { budget, moved, wanted, wanted_bytes, put_off, waits, faults })
        })
    }

    /// Remembers what was put off today; gives how many.
    fn put_off(&self, today: &str, id: Option<&[u8; 32]>) -> u64 {
        let mut put_off = self.lane.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        if put_off.0 != today {
            *put_off = (today.to_owned(), BTreeSet::new());
        }
        if let Some(id) = id
            && put_off.1.len() < PUT_OFF_MAX
        {
            put_off.1.insert(*id);
        }
        put_off.1.len() as u64
    }

    fn until_tomorrow(&self, budget: Budget, moved: u64) -> Option<Duration> {
        if moved < budget.bytes_per_day? {
            return None;
        }
        let now = self.now_ms();
        let tomorrow = day_begins(china_day(now.saturating_add(DAY_MS)));
        Some(Duration::from_millis(tomorrow.saturating_sub(now).max(1000).unsigned_abs()))
    }

    /// How long an attachment waits because today's bytes are used up.
    pub(crate) fn waits(&self, id: &[u8; 32]) -> Result<Option<Duration>, StoreError> {
        let budget = self.budget();
        if budget.bytes_per_day.is_none() {
            return Ok(None);
        }
        let today = self.today();
        self.store.read(|view| {
            let waits = self.until_tomorrow(budget, view.lane_bytes(&today)?);
            Ok(if waits.is_some() && view.lane_now(id)? { None } else { waits })
        })
    }

    /// Counts what the lane moves, on disk before it is sent or gone on with.
    pub(crate) fn moved(&self, bytes: usize) -> Result<(), StoreError> {
        if self.budget().bytes_per_day.is_none() {
            return Ok(());
        }
        let oldest = china_day(self.now_ms().saturating_sub(DAYS_KEPT * DAY_MS)).to_string();
        self.store.write(|tx| tx.lane_moved(&self.today(), bytes as u64, &oldest))
    }

    /// Gives a peer something of an attachment, when it may have it and today's bytes last.
    pub(crate) fn give<T>(
        &self,
        peer: &PeerInfo,
        id: &[u8; 32],
        read: impl FnOnce() -> Result<Option<T>, StoreError>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Result<Given<T>, StoreError> {
        let scopes: Vec<String> =
            peer.scopes.iter().filter(|scope| !self.withholds(peer, scope)).cloned().collect();
        let (theirs, row) = self.store.read(|view| -> Result<_, StoreError> {
            Ok((view.attachment_in(id, &scopes)?, view.attachment(id)?))
        })?;
        if !theirs || row.is_none_or(|row| row.state != AttachmentState::Here) {
            return Ok(Given::Lacking);
        }
        if let Some(wait) = self.waits(id)? {
            self.put_off(&self.today(), Some(id));
            return Ok(Given::Later(wait));
        }
        let given = match read() {
            Ok(Some(given)) => given,
            Ok(None) => return Ok(Given::Lacking),
            Err(StoreError::Damaged { what }) => {
                tracing::warn!(what, "a damaged file is not given to a peer");
                return Ok(Given::Lacking);
            }
            Err(e) => return Err(e),
        };
        self.moved(bytes(&given))?;
        Ok(Given::Here(given))
    }

    /// Keeps groups that were checked; with the last the attachment is here.
    pub(crate) fn keep_pieces(
        &self,
        of: &Outline,
        first: u16,
        bytes: &[u8],
    ) -> Result<Kept, StoreError> {
        let id = of.id();
        self.moved(bytes.len())?;
        let kept = self.store.keep_groups(of, first, bytes)?;
        // Asked after it was written: who erases it first commits that, then removes the part.
        let row = self.store.read(|view| view.attachment(id))?;
        if !kept || row.is_none_or(|row| row.state != AttachmentState::Wanted) {
            self.store.remove_part(id)?;
            return Ok(Kept::Unwanted);
        }
        let (from, _) = of.span(first, 1);
        if from + (bytes.len() as u64) < of.length() {
            return Ok(Kept::Part);
        }
        if !self.store.finish_part(of)? {
            // A group rotted meanwhile, or another peer was quicker.
            self.store.remove_part(id)?;
            return Ok(Kept::Unwanted);
        }
        Ok(if self.arrived(id, of.length())? { Kept::Whole } else { Kept::Unwanted })
    }

    /// The file of an attachment is on disk: says so, or removes it when nobody wants it any more.
    pub(crate) fn arrived(&self, id: &[u8; 32], bytes: u64) -> Result<bool, StoreError> {
        let published = self.county().catalogue().is_some_and(|(_, digest)| digest.0 == *id);
        let kept = self.store.write(|tx| match published {
            true => tx.attachment_came(id, bytes).map(|()| true),
            false => tx.attachment_arrived(id, bytes),
        })?;
        if !kept {
            // It was erased, or left, while it was on its way.
            self.store.remove_attachment(id)?;
        }
        if published {
            self.reload_release();
        }
        self.changed();
        Ok(kept)
    }

    /// Removes parts of what nobody wants any more, left by a cut.
    pub(crate) fn sweep_lane(&self) -> Result<(), StoreError> {
        let wanted = self.store.read(|view| view.all_wanted())?;
        let gone = self.store.sweep_parts(&wanted)?;
        if gone > 0 {
            tracing::info!(gone, "parts of attachments that nobody wants were removed");
        }
        Ok(())
    }
}
