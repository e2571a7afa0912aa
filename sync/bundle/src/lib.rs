//! Bundles: what a conversation would carry between two stores, as a file on a stick.
//!
//! A bundle is made by one device for one other: the hello, entries of each scope with where they
//! begin and end, which bundles of the other came in whole (that is the acknowledgement), and
//! attachments behind the entries. It is encrypted to the receiver's device key and signed by the
//! sender's; nothing but a short code of the receiver can be read on the stick. [`export()`] and
//! [`import()`] carry it between a [`cunkou_engine::Port`] and a file; docs/formats.md has the bytes.
//!
//! **Invariant:** what is read is bounded before it is allocated, and authentic before it is used.
//! **Invariant:** imported entries go through the same port as those of a link; a bundle that does
//! not follow on what is here changes nothing.

mod export;
mod import;
mod read;
mod wire;
mod write;

pub use export::{Carried, ExportError, Exported, Plan, SIZE_MIN, export};
pub use import::{ImportError, Imported, Step, gaps, import};
pub use read::{ReadError, Reader, receiver_of};
pub use wire::{
    ACKS_MAX, ATTACHMENT_BYTES_MAX, BundleId, Head, RECORD_BYTES_MAX, Record, Start, WANTED_MAX,
    code_of,
};
pub use write::{WriteError, Writer};
