//! A scope that differs a little: the differences are named from one sketch and its answer. Ranges
//! are there for whatever that does not settle.

use super::repair::Stage;
use super::{Call, Output, Session};
use crate::port::Differences;
use crate::sketch::{SKETCH_FOR, SMALL_SKETCH_FOR, Sketch};
use crate::wire::{FETCHED_MAX, Frame, Violation};

/// Which sketch is tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// For a few differences.
    Small,
    /// For some hundreds.
    Whole,
    /// None: ranges.
    None,
}

impl Size {
    /// What can help when one side has so many names more.
    pub(super) fn of(more: u64) -> Self {
        if more <= SMALL_SKETCH_FOR {
            Self::Small
        } else if more <= SKETCH_FOR {
            Self::Whole
        } else {
            Self::None
        }
    }

    fn larger(self) -> Self {
        if self == Self::Small { Self::Whole } else { Self::None }
    }
}

impl Session {
    /// Our sketch of the scope that is being repaired.
    pub(super) fn sketch(&mut self, scope: String, sketch: Option<Sketch>) {
        let Some(work) = &mut self.repair.work else { return };
        if work.stage != Stage::Sketching || work.scope != scope {
            return;
        }
        let Some(sketch) = sketch else {
            work.sketch = Size::None;
            return self.ask_for_names();
        };
        let sketch = if work.sketch == Size::Small { sketch.folded() } else { sketch };
        work.stage = Stage::Asked;
        self.say(&Frame::Sketch { scope, cells: sketch.to_bytes().into() });
    }

    /// The peer's sketch has come.
    pub(super) fn sketch_came(&mut self, scope: String, cells: &[u8]) -> Result<(), Violation> {
        self.lane(&scope)?;
        let dials = matches!(self.call, Call::Out { .. });
        if dials || self.repair.asked_by_sketch {
            return Err(Violation::OutOfTurn);
        }
        let sketch = Sketch::from_bytes(cells).ok_or(Violation::Range)?;
        self.repair.asked_by_sketch = true;
        self.out.push_back(Output::Differences { scope, sketch });
        Ok(())
    }

    /// What the peer's sketch differs in from ours.
    pub(super) fn differences(&mut self, scope: String, found: Option<Differences>) {
        if !std::mem::take(&mut self.repair.asked_by_sketch) {
            return;
        }
        let short =
            |d: &Differences| d.lacking.len() <= FETCHED_MAX && d.names.len() <= FETCHED_MAX;
        let found = found.filter(short);
        let named = found.is_some();
        let Differences { lacking, names } = found.unwrap_or_default();
        let (lacking, names) = (lacking.concat().into(), names.concat().into());
        self.say(&Frame::Sketched { scope, named, lacking, names });
    }

    /// The peer has named the differences, or could not.
    pub(super) fn sketch_answered(
        &mut self,
        scope: String,
        named: bool,
        lacking: &[u8],
        names: &[u8],
    ) -> Result<(), Violation> {
        let work = self.repair.work.as_mut().ok_or(Violation::OutOfTurn)?;
        if work.stage != Stage::Asked || work.scope != scope || work.sketch == Size::None {
            return Err(Violation::OutOfTurn);
        }
        if !named {
            work.sketch = work.sketch.larger();
            self.ask_for_names();
            return Ok(());
        }
        work.lack = names.chunks_exact(32).filter_map(|name| name.try_into().ok()).collect();
        work.stage = Stage::Sketching;
        let keys = lacking.chunks_exact(8).filter_map(|key| key.try_into().ok()).collect();
        self.out.push_back(Output::WholeNames { scope, keys });
        Ok(())
    }

    /// Whole names of what the peer lacks.
    pub(super) fn whole_names(&mut self, scope: &str, names: Vec<[u8; 32]>) {
        let Some(work) = &mut self.repair.work else { return };
        if work.stage == Stage::Sketching && work.scope == scope {
            work.have = names.into();
            self.go_on();
        }
    }
}
