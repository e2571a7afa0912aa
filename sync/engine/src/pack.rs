//! Batches of entries as they go over a link: one after another, compressed together.

use crate::wire::{ENTRIES_MAX, FRAME_BYTES_MAX, Violation};
use minicbor::bytes::{ByteSlice, ByteVec};

/// Fast enough for a box's small processor; higher levels gain a tenth at ten times the cost.
const LEVEL: i32 = 3;

/// Compresses entries; gives the bytes and how long they are when they are unpacked.
pub(crate) fn pack(entries: &[Vec<u8>]) -> (Vec<u8>, usize) {
    let slices: Vec<&ByteSlice> = entries.iter().map(|e| e.as_slice().into()).collect();
    let mut plain = Vec::new();
    match minicbor::encode(&slices, &mut plain) {
        Ok(()) => {}
        Err(e) => unreachable!("encoding into memory failed: {e}"),
    }
    let size = plain.len();
    (deflate(&plain), size)
}

/// Compresses bytes.
pub(crate) fn deflate(plain: &[u8]) -> Vec<u8> {
    match zstd::bulk::compress(plain, LEVEL) {
        Ok(packed) => packed,
        Err(e) => unreachable!("compressing in memory failed: {e}"),
    }
}

/// Unpacks what [`deflate`] made of bytes.
///
/// # Errors
/// [`Violation`] when it is something else; no more than `size` bytes are unpacked, and no more
/// than a frame may have.
pub(crate) fn inflate(packed: &[u8], size: u64) -> Result<Vec<u8>, Violation> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > FRAME_BYTES_MAX {
        return Err(Violation::FrameTooLong(size));
    }
    let plain = zstd::bulk::decompress(packed, size).map_err(|_| Violation::NotAFrame)?;
    if plain.len() != size {
        return Err(Violation::NotAFrame);
    }
    Ok(plain)
}

/// Unpacks what [`pack`] made of entries.
///
/// # Errors
/// As [`inflate`].
pub(crate) fn unpack(packed: &[u8], size: u64) -> Result<Vec<Vec<u8>>, Violation> {
    let plain = inflate(packed, size)?;
    let entries: Vec<ByteVec> = minicbor::decode(&plain).map_err(|_| Violation::NotAFrame)?;
    if entries.len() > ENTRIES_MAX {
        return Err(Violation::TooManyEntries(entries.len()));
    }
    Ok(entries.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let bomb = zstd::bulk::compress(&vec![0; 64 * FRAME_BYTES_MAX], 3).expect("compressed");
        assert!(bomb.len() < 10_000);
        let long = Violation::FrameTooLong(64 * FRAME_BYTES_MAX);
        assert_eq!(unpack(&bomb, 64 * FRAME_BYTES_MAX as u64), Err(long));
        assert_eq!(unpack(&bomb, 1000), Err(Violation::NotAFrame));
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(
            entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..90), 0..9)
        ) {
            let (packed, size) = pack(&entries);
            prop_assert_eq!(unpack(&packed, size as u64), Ok(entries));
        }

        #[test]
        fn bytes_of_a_stranger_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..90), size in 0u64..2000,
        ) {
            let _ = unpack(&bytes, size);
        }
    }
}
