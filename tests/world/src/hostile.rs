//! Somebody with the key of a box who does not keep to the protocol.

use crate::rng::Rng;
use cunkou_engine::{Frame, Hello, PROTOCOL, PeerInfo, ScopeState};

/// One hostile conversation.
#[derive(Debug)]
pub(crate) struct Hostile {
    pub(crate) rng: Rng,
    /// So many frames are left to be sent.
    pub(crate) left: u32,
    /// Entries it has got, to be sent where they do not belong.
    caught: Vec<Vec<u8>>,
    /// Heads it was told.
    heads: Vec<(String, u64)>,
    foreign: String,
}

const CAUGHT_MAX: usize = 32;

impl Hostile {
    pub(crate) fn new(rng: Rng, left: u32, foreign: String) -> Self {
        Self { rng, left, caught: Vec::new(), heads: Vec::new(), foreign }
    }

    /// What it says first: a lie about who it is and how far it is.
    pub(crate) fn hello(&mut self, peer: &PeerInfo, honest: Option<Hello>) -> Vec<u8> {
        let rng = &mut self.rng;
        let lie = |rng: &mut Rng, n: u64| match rng.below(4) {
            0 => 0,
            1 => u64::MAX,
            2 => rng.below(100),
            _ => n,
        };
        let honest = honest.filter(|_| rng.percent(60));
        let mut hello = honest.unwrap_or_else(|| Hello {
            protocol: if rng.percent(10) { 9 } else { PROTOCOL },
            store: rng.id(),
            epoch: rng.id(),
            incarnation: rng.id(),
            software: "?".repeat(rng.index(200)),
            time_ms: i64::MIN,
            scopes: Vec::new(),
            features: Some(u64::MAX),
        });
        if hello.scopes.is_empty() {
            hello.scopes = peer
                .scopes
                .iter()
                .map(|scope| ScopeState {
                    scope: scope.clone(),
                    head: 0,
                    read: 0,
                    epoch: hello.epoch,
                    acked: None,
                    sum: None,
                    whole: None,
                })
                .collect();
        }
        for state in &mut hello.scopes {
            (state.head, state.read) = (lie(rng, state.head), lie(rng, state.read));
        }
        // What it has no right to.
        hello.scopes.push(ScopeState {
            scope: self.foreign.clone(),
            head: 7,
            read: 0,
            epoch: hello.epoch,
            acked: None,
            sum: None,
            whole: None,
        });
        Frame::Hello(hello).encode()
    }

    /// It reads what it is sent.
    pub(crate) fn hears(&mut self, bytes: &[u8]) {
        match Frame::decode(bytes) {
            Ok(Frame::Hello(hello)) => {
                self.heads = hello.scopes.into_iter().map(|s| (s.scope, s.head)).collect();
            }
            Ok(Frame::Entries { entries, .. }) => {
                self.caught.extend(entries.into_iter().map(Vec::from));
                self.caught.truncate(CAUGHT_MAX);
            }
            _ => {}
        }
    }

    /// What it says next.
    pub(crate) fn speaks(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        let any = self.heads.len();
        let (scope, head) = match any {
            0 => (self.foreign.clone(), 0),
            n => self.heads[rng.index(n)].clone(),
        };
        match rng.below(10) {
            0 => {
                let mut garbage = vec![0; rng.index(300)];
                rng.fill(&mut garbage);
                garbage
            }
            // Acknowledgements of what was not sent, and the same ones again.
            1 | 2 => {
                Frame::Ack { scope, upto: [head, 0, head + 1, u64::MAX][rng.index(4)] }.encode()
            }
            // What it caught, where it belongs or not; some of it changed.
            3..=6 => {
                let mut entries = Vec::new();
                for _ in 0..=rng.index(4) {
                    let Some(found) = self.caught.get(rng.index(self.caught.len().max(1))) else {
                        break;
                    };
                    let mut bytes = found.clone();
                    if rng.percent(50) {
                        let at = rng.index(bytes.len());
                        bytes[at] ^= 1 << rng.below(8);
                    }
                    entries.push(bytes.into());
                }
                let upto = rng.below(200);
                Frame::Entries { scope, upto, head: upto + rng.below(2), entries }.encode()
            }
            7 => {
                let (upto, head) = (rng.draw(), rng.draw());
                Frame::Entries { scope, upto, head, entries: Vec::new() }.encode()
            }
            8 => Frame::Question(vec![7; rng.index(5000)].into()).encode(),
            _ => {
                let scope = self.foreign.clone();
                Frame::Entries { scope, upto: 1, head: 1, entries: Vec::new() }.encode()
            }
        }
    }
}
