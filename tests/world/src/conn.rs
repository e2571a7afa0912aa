//! Connections: two ends, bytes under way between them, and what each end still has to do.

use crate::hostile::Hostile;
use crate::plan::{Access, Micros, SECOND};
use crate::quic::Quic;
use cunkou_engine::{PeerInfo, Session};
use std::collections::VecDeque;

/// A batch that is being committed.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) scope: String,
    pub(crate) upto: u64,
    pub(crate) entries: Vec<Vec<u8>>,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) machine: usize,
    /// This end knows that the connection is over.
    pub(crate) gone: bool,
    pub(crate) peer: Option<PeerInfo>,
    pub(crate) session: Option<Session>,
    pub(crate) hostile: Option<Hostile>,
    /// Frames that have come and were not handled yet.
    pub(crate) inbox: VecDeque<Vec<u8>>,
    pub(crate) batch: Option<Batch>,
    /// There is news for this peer.
    pub(crate) news: bool,
    /// When a tick is due, if one is under way.
    pub(crate) tick: Option<Micros>,
    /// Bytes under way from this end, until the other has handled them.
    pub(crate) under_way: usize,
    /// More than that may never be under way.
    pub(crate) bound: usize,
    /// When the line from this end is free again.
    free: Micros,
    /// When the last frame from this end arrives: a stream keeps its order.
    arrives: Micros,
}

impl End {
    pub(crate) fn new(machine: usize) -> Self {
        Self {
            machine,
            gone: false,
            peer: None,
            session: None,
            hostile: None,
            inbox: VecDeque::new(),
            batch: None,
            news: false,
            tick: None,
            under_way: 0,
            bound: 0,
            free: 0,
            arrives: 0,
        }
    }
}

/// A connection between two machines.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) ends: [End; 2],
    /// What is under way does not arrive any more.
    pub(crate) cut: bool,
    /// Whoever was called would not talk: another of the same device lives.
    pub(crate) refused: bool,
    pub(crate) line: Access,
    /// What carries the frames; nothing where they go by themselves.
    pub(crate) quic: Option<Quic>,
}

impl Conn {
    /// Between a dialling and a listening machine, as good as the worse of both ways allows.
    pub(crate) fn new(ends: [End; 2], a: Access, b: Access) -> Self {
        let line = Access {
            latency: a.latency + b.latency,
            jitter: a.jitter + b.jitter,
            bits: a.bits.min(b.bits),
        };
        Self { ends, cut: false, refused: false, line, quic: None }
    }

    /// When so many bytes from an end arrive that are sent now. `jitter` is drawn by the caller.
    pub(crate) fn arrival(
        &mut self,
        end: usize,
        now: Micros,
        bytes: usize,
        jitter: Micros,
    ) -> Micros {
        let Access { latency, bits, .. } = self.line;
        let end = &mut self.ends[end];
        let takes = (bytes as u64 + 4) * 8 * SECOND / bits.max(1);
        end.free = end.free.max(now) + takes;
        end.arrives = end.arrives.max(end.free + latency + jitter);
        end.arrives
    }
}
