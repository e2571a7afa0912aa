//! The county log: which boxes, people, places, number blocks and catalogues hold, and who may say
//! so.
//!
//! Numbered without gaps, each statement naming the one before it. What binds the whole county is
//! signed by m of n administrators; they hand parts of it on as grants, which only ever narrow.

mod authority;
mod beside;
mod log;
mod office;
mod rescue;
mod statement;

pub use authority::{
    ADMINISTRATORS_MAX, Administrator, Constitution, Denied, Grant, GrantId, Power,
};
pub use beside::Apart;
pub use log::{Anchor, CountyLog, LogError};
pub use office::{Device, DeviceKind, KIN_MAX, Person, Place, Post, Role};
pub use rescue::{HELPERS_MAX, Helper, Rescue};
pub use statement::{
    ACT_STATEMENTS_MAX, Act, ActBody, ActSignature, Credential, Given, ItemRoute, Numbered,
    Statement,
};

#[cfg(test)]
mod tests;
