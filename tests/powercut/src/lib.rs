//! Cuts the power of stores.
//!
//! A shim over SQLite's own file system ([`watch`]) records what SQLite asks of the disk in a
//! folder; [`Disk`] plays the record up to any moment and makes an image of what a cut at that
//! moment may leave: of what was not synced, each sector of 512 bytes is kept or lost by itself,
//! and names that were made or removed may still be as they were. See
//! `docs/decisions/0024-storage-that-holds.md`.

mod chance;
mod disk;
mod vfs;

pub use chance::Chance;
pub use disk::Disk;
pub use vfs::{Op, Recording, Syncs, watch};
