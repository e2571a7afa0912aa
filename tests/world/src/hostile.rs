//! Somebody with the key of a box who does not keep to the protocol.

use crate::entry;
use crate::rng::Rng;
use cunkou_engine::{Checked, Frame, Hello, PROTOCOL, PeerInfo, ScopeState};

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
            Ok(Frame::Entries { entries, .. } | Frame::Fetched { entries, .. }) => {
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
        match rng.below(19) {
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
            9..=17 => self.speaks_new(scope, head),
            _ => {
                let scope = self.foreign.clone();
                Frame::Entries { scope, upto: 1, head: 1, entries: Vec::new() }.encode()
            }
        }
    }

    /// Whether a frame asks for entries by name.
    pub(crate) fn asks_for_entries(&self, frame: &[u8]) -> bool {
        matches!(Frame::decode(frame), Ok(Frame::Fetch { .. }))
    }

    /// Frames that are not of the first version: lies about what it has, wants and lacks.
    fn speaks_new(&mut self, scope: String, head: u64) -> Vec<u8> {
        let rng = &mut self.rng;
        let mut some = |most: usize| {
            let mut bytes = vec![0; rng.index(most + 1)];
            rng.fill(&mut bytes);
            bytes
        };
        let (noise, bits) = (some(300), some(600));
        let offered: Vec<u8> = some(400).chunks_exact(8).flatten().copied().collect();
        let caught: Vec<u8> = self
            .caught
            .iter()
            .filter_map(|bytes| entry::claimed(bytes).ok())
            .flat_map(|e| e.id)
            .collect();
        let names = if caught.is_empty() { vec![9; 32] } else { caught };
        let entries = || self.caught.iter().take(3).map(|bytes| bytes.clone().into()).collect();
        let upto = [0, head, head + 1, u64::MAX][rng.index(4)];
        let sum = rng.id();
        let frame = match rng.below(11) {
            0 => {
                Frame::Packed { scope, upto, head, size: 1 << rng.below(64), bytes: bomb().into() }
            }
            1 => Frame::Packed { scope, upto, head, size: 300, bytes: noise.into() },
            2 => Frame::Offer { scope, upto, head: upto, names: offered.into() },
            3 => Frame::Want { scope, upto, lacking: bits.into() },
            4 => Frame::Check(vec![Checked { scope, head: upto, read: head, sum }; 2]),
            5 => Frame::Differ(vec![scope, self.foreign.clone()]),
            6 => Frame::Range { scope, message: noise.into() },
            7 => Frame::Ranged { scope, message: noise.into() },
            8 => Frame::Fetch { scope, names: names.into() },
            9 => Frame::Fetched { scope, dealt: upto, entries: entries() },
            _ if rng.percent(50) => Frame::Given { scope },
            _ => Frame::Give { scope, entries: entries() },
        };
        frame.encode()
    }
}

/// A zstd frame (RFC 8878) of a few hundred bytes that becomes eight million.
fn bomb() -> Vec<u8> {
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    bytes.extend(8_388_608_u32.to_le_bytes());
    for block in 0..64_u32 {
        // 131,072 times the same byte; the last block says so.
        let header = 131_072 << 3 | 1 << 1 | u32::from(block == 63);
        bytes.extend(&header.to_le_bytes()[..3]);
        bytes.push(7);
    }
    bytes
}
