//! Deterministic mutations: the same numbers every time.

use sha2::Digest;

/// Numbers drawn from a seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From any number.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`, or 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0).checked_rem(n).unwrap_or(0)
    }
}

/// Heads of CBOR arrays, maps and strings that announce far more than there is, and other bytes
/// that decoders trip over.
const BAD: [&[u8]; 14] = [
    &[0x9a, 0xff, 0xff, 0xff, 0xff],
    &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x9b, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00],
    &[0x5a, 0xff, 0xff, 0xff, 0xff],
    &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x7a, 0xff, 0xff, 0xff, 0xff],
    &[0xba, 0xff, 0xff, 0xff, 0xff],
    &[0x9f],
    &[0x5f],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81],
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    &[0xed, 0xa0, 0x80],
];

/// One input made from one or two seeds.
#[must_use]
pub fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let pick = |dice: &mut Dice| seeds.get(dice.below(seeds.len())).cloned().unwrap_or_default();
    let mut out = pick(dice);
    for _ in 0..=dice.below(4) {
        let at = dice.below(out.len() + 1);
        match dice.below(7) {
            0 => {
                if let Some(byte) = out.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            1 => {
                if let Some(byte) = out.get_mut(at) {
                    *byte = u8::try_from(dice.below(256)).unwrap_or(0);
                }
            }
            2 => out.truncate(at),
            3 => {
                let bad = BAD[dice.below(BAD.len())];
                out.splice(at..at, bad.iter().copied());
            }
            4 => {
                let bad = BAD[dice.below(BAD.len())];
                let end = (at + bad.len()).min(out.len());
                out.splice(at..end, bad.iter().copied());
            }
            5 => {
                let other = pick(dice);
                let from = dice.below(other.len() + 1);
                let upto = from + dice.below((other.len() - from).min(64) + 1);
                out.splice(at..at, other[from..upto].iter().copied());
            }
            _ => {
                let end = (at + dice.below(16)).min(out.len());
                out.drain(at..end);
            }
        }
    }
    out
}

/// The same chunk with the checksum that Automerge wants.
#[must_use]
pub fn repaired(mut chunk: Vec<u8>) -> Vec<u8> {
    if chunk.len() > 8 {
        let hash = sha2::Sha256::digest(&chunk[8..]);
        chunk[..4].copy_from_slice(&[0x85, 0x6f, 0x4a, 0x83]);
        chunk[4..8].copy_from_slice(&hash[..4]);
    }
    chunk
}
