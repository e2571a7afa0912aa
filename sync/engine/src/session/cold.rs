//! A cold start: whole subjects go before the log, for a peer that has nothing of a scope.
//!
//! They are a head start and nothing more: what matters most comes first and in its shortest form,
//! no cursor moves, and the log is offered by names afterwards, which finds whatever was missed.

use super::lane::FLYING_MAX;
use super::{Output, Session};
use crate::pack;
use crate::port::Wholes;
use crate::wire::{Frame, Violation};
use std::collections::VecDeque;

/// Whole subjects on their way to the peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Giving {
    /// The store has given those up to here.
    after: Vec<u8>,
    loading: bool,
    /// Frames that the peer has not answered.
    flying: usize,
    /// The store has no more.
    ended: bool,
    /// The store had some.
    gave: bool,
}

impl Giving {
    pub(super) fn after(after: &[u8]) -> Self {
        Self { after: after.to_vec(), ..Self::default() }
    }

    pub(super) fn on_their_way(&self) -> usize {
        self.flying + usize::from(self.loading)
    }

    /// After what to load the next ones, if that is to be done now.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        if self.loading || self.ended {
            return None;
        }
        self.loading = true;
        Some(self.after.clone())
    }
}

/// Whole subjects of the peer on their way here.
#[derive(Clone, Debug, Default)]
pub(super) struct Taking {
    /// Our hello asked for them, and they have not ended.
    asked: bool,
    /// Some are being committed.
    storing: bool,
    /// Those behind them.
    waiting: VecDeque<Wholes>,
}

impl Taking {
    pub(super) fn new(asked: bool) -> Self {
        Self { asked, ..Self::default() }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.storing
    }
}

impl Session {
    /// The store has given whole subjects.
    pub(super) fn wholes(&mut self, scope: &str, wholes: Wholes) {
        let Some(lane) = self.lanes.get_mut(scope) else { return };
        let Some(giving) = &mut lane.giving else { return };
        giving.loading = false;
        giving.flying += 1;
        giving.ended = wholes.end;
        giving.gave |= !wholes.body.is_empty();
        giving.after.clone_from(&wholes.next);
        let (next, end, size) = (wholes.next.into(), wholes.end, wholes.body.len() as u64);
        let bytes = pack::deflate(&wholes.body).into();
        self.say(&Frame::Whole { scope: scope.to_owned(), next, end, size, bytes });
        self.send_more(scope);
    }

    /// The peer has committed whole subjects.
    pub(super) fn took(&mut self, scope: &str) -> Result<(), Violation> {
        let lane = self.lane(scope)?;
        let giving = lane.giving.as_mut().filter(|g| g.flying > 0).ok_or(Violation::OutOfTurn)?;
        giving.flying -= 1;
        if giving.ended && giving.flying == 0 {
            let gave = giving.gave;
            lane.giving = None;
            if gave || lane.peer_head() > 0 {
                lane.offer_all();
            }
        }
        self.send_others();
        Ok(())
    }

    /// Whole subjects have come.
    pub(super) fn whole(&mut self, scope: String, wholes: Wholes) -> Result<(), Violation> {
        let lane = self.lane(&scope)?;
        let full = lane.taking.storing && lane.taking.waiting.len() >= FLYING_MAX - 1;
        if !lane.taking.asked || full {
            return Err(Violation::OutOfTurn);
        }
        lane.taking.asked = !wholes.end;
        if lane.taking.storing {
            lane.taking.waiting.push_back(wholes);
            return Ok(());
        }
        lane.taking.storing = true;
        self.out.push_back(Output::Warm { scope, wholes });
        Ok(())
    }

    /// Whole subjects are committed.
    pub(super) fn warmed(&mut self, scope: &str) {
        let Some(lane) = self.lanes.get_mut(scope) else { return };
        let next = lane.taking.waiting.pop_front();
        lane.taking.storing = next.is_some();
        let scope = scope.to_owned();
        self.say(&Frame::Took { scope: scope.clone() });
        if let Some(wholes) = next {
            self.out.push_back(Output::Warm { scope, wholes });
        }
    }
}
