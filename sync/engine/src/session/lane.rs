//! One scope in a conversation: our log on its way to the peer, and the peer's to us.

use super::cold::{Giving, Taking};
use super::{Output, Session};
use crate::pack;
use crate::port::Part;
use crate::wire::{
    BATCH_BYTES, ENTRIES_MAX, Frame, LONE_BATCH_BYTES, OFFERED_MAX, Violation, WHOLE_BYTES,
    features,
};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// So many batches are on their way at once: with all else that may be, they fit into the peer's
/// window, so that two sides that both have much to say never wait for each other.
pub(super) const FLYING_MAX: usize = 4;
/// The same for a peer that takes one batch of a scope at a time.
const LONE_FLYING_MAX: usize = 2;

/// What a batch begins with on a link of which nothing is known, and the least it comes down to.
/// Bytes.
const FIRST_BATCH_BYTES: usize = 8 * 1024;
/// A batch is to be on its way for no longer than this: what has come of one that a link drops is
/// lost.
const BATCH_TIME: Duration = Duration::from_secs(1);

/// How much goes into one batch, by how long the last ones took to be acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    bytes: usize,
    acked_at: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes: FIRST_BATCH_BYTES, acked_at: Duration::ZERO }
    }
}

impl Pace {
    /// A batch of so many bytes, said at `said`, was acknowledged. It may have waited behind the
    /// one before, so that it took no longer than since then.
    fn acked(&mut self, now: Duration, said: Duration, bytes: usize) {
        let took = now.saturating_sub(said.max(self.acked_at));
        self.acked_at = now;
        // How long the link is says nothing about how much goes through it.
        if bytes * 2 < self.bytes && took <= BATCH_TIME {
            return;
        }
        let fits = bytes as u128 * BATCH_TIME.as_millis() / took.as_millis().max(1);
        let fits = usize::try_from(fits).unwrap_or(BATCH_BYTES);
        self.bytes = fits.clamp(FIRST_BATCH_BYTES / 2, BATCH_BYTES);
    }
}

/// A batch that is not acknowledged yet.
#[derive(Clone, Copy, Debug)]
struct Flight {
    upto: u64,
    /// Before it was packed.
    bytes: usize,
    said: Duration,
}

/// Where an offer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Offer {
    /// Names are being looked up.
    Naming,
    /// The peer looks which it lacks: positions of the names, and where the offered part ends.
    Asked { positions: Vec<u64>, upto: u64 },
    /// The peer has said which it does not want.
    Answered { skip: BTreeSet<u64>, upto: u64 },
}

/// One scope in a conversation.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    our_head: u64,
    /// Acknowledged by the peer.
    acked: u64,
    /// Loaded up to here.
    loaded: u64,
    loading: bool,
    /// Batches that are not acknowledged yet.
    flying: VecDeque<Flight>,
    /// Up to here the peer is offered names first.
    offers_until: u64,
    offer: Option<Offer>,
    their_head: u64,
    /// Committed here.
    read: u64,
    /// A batch is being committed.
    storing: bool,
    /// Batches behind it.
    waiting: VecDeque<(u64, Vec<Vec<u8>>)>,
    /// The peer waits for what we lack of this much of its log.
    asked_by_peer: Option<u64>,
    /// Whole subjects that go before our log.
    pub(super) giving: Option<Giving>,
    /// Whole subjects that come before the peer's log.
    pub(super) taking: Taking,
}

impl Lane {
    pub(super) fn new(our_head: u64, acked: u64, their_head: u64, read: u64) -> Self {
        Self { our_head, acked, loaded: acked, their_head, read, ..Self::default() }
    }

    pub(super) fn peer_grew(&mut self, head: u64) -> Result<(), Violation> {
        if head < self.their_head {
            return Err(Violation::Position);
        }
        self.their_head = head;
        Ok(())
    }

    pub(super) fn to_send(&self) -> u64 {
        self.our_head.saturating_sub(self.acked)
    }

    pub(super) fn to_receive(&self) -> u64 {
        self.their_head.saturating_sub(self.read)
    }

    pub(super) fn is_sending(&self) -> bool {
        self.loading || !self.flying.is_empty() || self.offer.is_some() || self.giving.is_some()
    }

    /// Batches on their way to the peer.
    pub(super) fn on_their_way(&self) -> usize {
        let whole = self.giving.as_ref().map_or(0, Giving::on_their_way);
        self.flying.len() + usize::from(self.loading) + whole
    }

    /// Our log is on its way to the end.
    pub(super) fn is_given(&self) -> bool {
        self.giving.is_none() && self.loaded >= self.our_head
    }

    /// The peer is not empty any more: names go before what is left of our log.
    pub(super) fn offer_all(&mut self) {
        self.offers_until = self.our_head;
    }

    /// Where the peer's log ends.
    pub(super) fn peer_head(&self) -> u64 {
        self.their_head
    }

    /// Where both logs are: ours, and how far the peer's is read here.
    pub(super) fn stand(&self) -> (u64, u64) {
        (self.our_head, self.read)
    }

    pub(super) fn is_still(&self) -> bool {
        self.to_send() == 0
            && self.to_receive() == 0
            && !self.is_sending()
            && !self.storing
            && !self.taking.is_busy()
    }
}

impl Session {
    pub(super) fn committed(&mut self, scope: &str, head: u64) {
        if !self.greeted {
            self.early.insert(scope.to_owned(), head);
            return;
        }
        if let Some(lane) = self.lanes.get_mut(scope) {
            lane.our_head = lane.our_head.max(head);
            self.repair.changed(scope);
            self.send_more(scope);
        }
    }

    /// After the greeting: what our hello did not know yet, and then all that is to be sent.
    pub(super) fn send_first(&mut self) {
        for (scope, head) in std::mem::take(&mut self.early) {
            if let Some(lane) = self.lanes.get_mut(&scope).filter(|lane| lane.our_head < head) {
                lane.our_head = head;
                self.repair.changed(&scope);
            }
        }
        self.send_others();
    }

    pub(super) fn send_others(&mut self) {
        let mut scopes: Vec<String> = self.lanes.keys().cloned().collect();
        scopes.sort_by_key(|scope| scope != "system");
        for scope in scopes {
            self.send_more(&scope);
        }
    }

    /// Asks for the next part of a scope's log, if the peer lacks it and there is room for it.
    pub(super) fn send_more(&mut self, scope: &str) {
        let many = self.both(features::PACKED);
        let flying: usize = self.lanes.values().map(Lane::on_their_way).sum();
        let given = self.lanes.get("system").is_none_or(Lane::is_given);
        let room = flying < if many { FLYING_MAX } else { LONE_FLYING_MAX };
        let Some(lane) = self.lanes.get_mut(scope) else { return };
        let busy = lane.loading || (!many && !lane.flying.is_empty());
        if !room || busy {
            return;
        }
        if let Some(giving) = &mut lane.giving {
            // The county log first: what follows is judged by it.
            if (given || scope == "system")
                && let Some(after) = giving.next()
            {
                let (scope, bytes_max) = (scope.to_owned(), WHOLE_BYTES);
                self.out.push_back(Output::Wholes { scope, after, bytes_max });
            }
            return;
        }
        if lane.loaded >= lane.our_head {
            return;
        }
        let scope = scope.to_owned();
        let (until, skip) = match &lane.offer {
            Some(Offer::Answered { skip, upto }) => (*upto, skip.clone()),
            Some(_) => return,
            None if lane.loaded < lane.offers_until => {
                lane.offer = Some(Offer::Naming);
                let after = lane.loaded;
                self.out.push_back(Output::Name { scope, after, count_max: OFFERED_MAX });
                return;
            }
            None => (u64::MAX, BTreeSet::new()),
        };
        lane.loading = true;
        let bytes_max = if many { self.pace.bytes } else { LONE_BATCH_BYTES };
        let part = Part { scope, after: lane.loaded, until, skip, bytes_max };
        self.out.push_back(Output::Load(part));
    }

    pub(super) fn loaded(
        &mut self,
        now: Duration,
        scope: &str,
        upto: u64,
        head: u64,
        entries: Vec<Vec<u8>>,
    ) {
        let packs = self.both(features::PACKED);
        let Some(lane) = self.lanes.get_mut(scope) else { return };
        lane.our_head = lane.our_head.max(head);
        lane.loading = false;
        lane.loaded = upto;
        let plain: usize = entries.iter().map(|entry| entry.len() + 5).sum();
        lane.flying.push_back(Flight { upto, bytes: plain, said: now });
        if let Some(Offer::Answered { upto: end, .. }) = lane.offer
            && upto >= end
        {
            lane.offer = None;
        }
        let (scope, head) = (scope.to_owned(), lane.our_head);
        let (bytes, size) = if packs { pack::pack(&entries) } else { (Vec::new(), 0) };
        // A single entry often does not become shorter.
        let frame = if packs && bytes.len() < plain {
            Frame::Packed {
                scope: scope.clone(),
                upto,
                head,
                size: size as u64,
                bytes: bytes.into(),
            }
        } else {
            let entries = entries.into_iter().map(Into::into).collect();
            Frame::Entries { scope: scope.clone(), upto, head, entries }
        };
        self.say(&frame);
        self.send_more(&scope);
    }

    pub(super) fn acked(
        &mut self,
        now: Duration,
        scope: String,
        upto: u64,
    ) -> Result<(), Violation> {
        let lane = self.lane(&scope)?;
        if !lane.flying.iter().any(|batch| batch.upto == upto) || upto < lane.acked {
            return Err(Violation::Position);
        }
        // The peer commits what came meanwhile together.
        let together = lane.flying.iter().take_while(|batch| batch.upto <= upto);
        let (said, bytes) = together
            .fold((now, 0), |(said, bytes), batch| (said.min(batch.said), bytes + batch.bytes));
        lane.flying.retain(|batch| batch.upto > upto);
        lane.acked = upto;
        self.pace.acked(now, said, bytes);
        self.repair.moved();
        self.out.push_back(Output::Acked { scope, upto });
        self.send_others();
        Ok(())
    }

    /// The names of the next part of our log are here.
    pub(super) fn named(
        &mut self,
        scope: &str,
        upto: u64,
        head: u64,
        positions: Vec<u64>,
        names: &[[u8; 8]],
    ) {
        let Some(lane) = self.lanes.get_mut(scope) else { return };
        lane.our_head = lane.our_head.max(head);
        if names.is_empty() {
            // Nothing but what the peer gave us itself.
            lane.offer = Some(Offer::Answered { skip: BTreeSet::new(), upto });
            return self.send_more(scope);
        }
        lane.offer = Some(Offer::Asked { positions, upto });
        let (scope, head) = (scope.to_owned(), lane.our_head);
        let names = names.concat().into();
        self.say(&Frame::Offer { scope, upto, head, names });
    }

    /// The peer has said which of the offered entries it lacks.
    pub(super) fn wanted(
        &mut self,
        scope: &str,
        upto: u64,
        lacking: &[u8],
    ) -> Result<(), Violation> {
        let lane = self.lane(scope)?;
        let Some(Offer::Asked { positions, upto: end }) = lane.offer.take() else {
            return Err(Violation::OutOfTurn);
        };
        if upto != end || lacking.len() != positions.len().div_ceil(8) {
            return Err(Violation::Position);
        }
        let wants = |n: usize| lacking.get(n / 8).is_some_and(|byte| byte >> (n % 8) & 1 == 1);
        let skip = positions.iter().enumerate().filter(|(n, _)| !wants(*n)).map(|(_, at)| *at);
        lane.offer = Some(Offer::Answered { skip: skip.collect(), upto });
        self.send_more(scope);
        Ok(())
    }

    /// The peer offers entries.
    pub(super) fn offered(
        &mut self,
        scope: String,
        upto: u64,
        head: u64,
        names: &[u8],
    ) -> Result<(), Violation> {
        let lane = self.lane(&scope)?;
        if lane.asked_by_peer.is_some() {
            return Err(Violation::OutOfTurn);
        }
        if upto > head || head < lane.their_head {
            return Err(Violation::Position);
        }
        lane.their_head = head;
        lane.asked_by_peer = Some(upto);
        let names = names.chunks_exact(8).filter_map(|name| name.try_into().ok()).collect();
        self.out.push_back(Output::Which { scope, names });
        Ok(())
    }

    pub(super) fn lacking(&mut self, scope: &str, lacking: &[bool]) {
        let Some(lane) = self.lanes.get_mut(scope) else { return };
        let Some(upto) = lane.asked_by_peer.take() else { return };
        let mut bits = vec![0; lacking.len().div_ceil(8)];
        for (n, lacks) in lacking.iter().enumerate() {
            if let Some(byte) = bits.get_mut(n / 8) {
                *byte |= u8::from(*lacks) << (n % 8);
            }
        }
        self.say(&Frame::Want { scope: scope.to_owned(), upto, lacking: bits.into() });
    }

    /// A batch of the peer's log has come.
    pub(super) fn batch(
        &mut self,
        scope: String,
        upto: u64,
        head: u64,
        entries: Vec<Vec<u8>>,
    ) -> Result<(), Violation> {
        let most = if self.both(features::PACKED) { FLYING_MAX - 1 } else { 0 };
        let lane = self.lane(&scope)?;
        if lane.storing && lane.waiting.len() >= most {
            return Err(Violation::OutOfTurn);
        }
        // A peer whose disk went back sends again what it is not sure of.
        if upto > head || head < lane.their_head {
            return Err(Violation::Position);
        }
        lane.their_head = head;
        self.repair.changed(&scope);
        let lane = self.lane(&scope)?;
        if lane.storing {
            lane.waiting.push_back((upto, entries));
            return Ok(());
        }
        lane.storing = true;
        self.out.push_back(Output::Store { scope, upto, entries });
        Ok(())
    }

    pub(super) fn stored(&mut self, scope: &str, upto: u64) {
        let Some(lane) = self.lanes.get_mut(scope) else { return };
        lane.read = upto;
        lane.storing = false;
        // What came meanwhile is committed together: one wait for the disk instead of several.
        let mut next: Option<(u64, Vec<Vec<u8>>)> = None;
        while let Some((_, more)) = lane.waiting.front() {
            if next.as_ref().is_some_and(|(_, all)| all.len() + more.len() > ENTRIES_MAX) {
                break;
            }
            let Some((upto, more)) = lane.waiting.pop_front() else { break };
            let (end, all) = next.get_or_insert_with(|| (upto, Vec::new()));
            *end = upto;
            all.extend(more);
        }
        lane.storing = next.is_some();
        self.repair.moved();
        let scope = scope.to_owned();
        self.say(&Frame::Ack { scope: scope.clone(), upto });
        if let Some((upto, entries)) = next {
            self.out.push_back(Output::Store { scope, upto, entries });
        }
    }
}
