//! The gate: what a change may be, before it touches a document.

use automerge::legacy::{Key, ObjectId, OpType};
use automerge::{Change, ScalarValue};
use cunkou_casework::document::{KEY_BYTES_MAX, Schema, Section, VALUE_BYTES_MAX, Write};
use cunkou_casework::entry::{ENTRY_BYTES_MAX, change_id};
use cunkou_casework::ids::ChangeId;

/// One save never has more operations.
pub const OPS_MAX: usize = 500;
const DEPS_MAX: usize = 64;
const PREDS_MAX: usize = 64;

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not one plain change chunk with a true checksum: documents, compressed chunks and bundles
    /// are refused unread.
    #[error("not one plain change")]
    NotPlain,
    /// Longer than an entry.
    #[error("too long")]
    TooLong,
    /// More than [`OPS_MAX`] operations.
    #[error("{0} operations in one change")]
    TooManyOps(usize),
    /// Automerge cannot read it, or panicked over it.
    #[error("not readable")]
    Unreadable,
    /// By an actor that is not the device's.
    #[error("by another actor than the device's")]
    Actor,
    /// It does something other than setting or removing texts in the document's own containers.
    #[error("outside the schema")]
    Schema,
}

/// A change that went through the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gated {
    /// Its hash.
    pub id: ChangeId,
    /// What it builds on.
    pub deps: Vec<ChangeId>,
    /// What it sets and removes.
    pub writes: Vec<Write>,
}

/// The cheap wall: length, kind of chunk and checksum, read without Automerge. Gives the hash.
///
/// # Errors
/// [`Refusal::TooLong`], [`Refusal::NotPlain`].
pub fn envelope(chunk: &[u8]) -> Result<ChangeId, Refusal> {
    if chunk.len() > ENTRY_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    change_id(chunk).map_err(|_| Refusal::NotPlain)
}

/// Lets a change through, or says why not. Strangers' changes meet this in the worker first.
///
/// # Errors
/// [`Refusal`], before anything is expanded beyond [`OPS_MAX`] operations.
pub fn gate(chunk: &[u8], schema: Schema, actor: &[u8; 16]) -> Result<Gated, Refusal> {
    let id = envelope(chunk)?;
    crate::apply::contained(|| read(chunk, id, schema, actor)).unwrap_or(Err(Refusal::Unreadable))
}

fn read(chunk: &[u8], id: ChangeId, schema: Schema, actor: &[u8; 16]) -> Result<Gated, Refusal> {
    let change = Change::from_bytes(chunk.to_vec()).map_err(|_| Refusal::Unreadable)?;
    if change.len() > OPS_MAX {
        return Err(Refusal::TooManyOps(change.len()));
    }
    if change.hash().0 != id.0 || change.deps().len() > DEPS_MAX {
        return Err(Refusal::Unreadable);
    }
    if change.actor_id().to_bytes() != actor {
        return Err(Refusal::Actor);
    }
    if !change.extra_bytes().is_empty() || change.message().is_some() {
        return Err(Refusal::Schema);
    }
    let expanded = change.decode();
    let mut writes = Vec::with_capacity(expanded.operations.len());
    for op in &expanded.operations {
        let (ObjectId::Id(object), Key::Map(key)) = (&op.obj, &op.key) else {
            return Err(Refusal::Schema);
        };
        let section = schema
            .section_of(object.counter(), object.actor().to_bytes())
            .ok_or(Refusal::Schema)?;
        if op.insert || key.len() > KEY_BYTES_MAX || op.pred.len() > PREDS_MAX {
            return Err(Refusal::Schema);
        }
        writes.push(write(section, key, &op.action)?);
    }
    let deps = change.deps().iter().map(|d| ChangeId(d.0)).collect();
    Ok(Gated { id, deps, writes })
}

fn write(section: Section, key: &str, action: &OpType) -> Result<Write, Refusal> {
    match action {
        OpType::Put(ScalarValue::Str(text)) if text.len() <= VALUE_BYTES_MAX => {
            Ok(Write::set(section, key, text.as_str()))
        }
        OpType::Delete => Ok(Write::remove(section, key)),
        _ => Err(Refusal::Schema),
    }
}
