//! A simulated world: relays, townships and boxes, each with a disk, in one thread and virtual
//! time, drawn from one seed. It runs the real [`cunkou_engine::Session`] on every connection.
//!
//! The disk is a [`Model`] in memory with a write-back cache, or a real replica; both pass the same
//! conformance suite. What must hold is said by plain sets, see `oracle.rs` and [`World::run`].
//!
//! **Determinism:** nothing here reads a clock, draws from outside or walks a hash table. The same
//! seed gives the same [`Report::trace`].

mod conn;
mod disk;
mod entry;
mod faults;
mod hostile;
mod model;
mod oracle;
mod plan;
mod plant;
mod quic;
mod registry;
mod rng;
mod scenario;
mod tables;
mod talk;
mod world;

pub use disk::{Disk, Held, Id, Made, sum};
pub use model::{FEATURES, Image, Model, Traits};
pub use plan::{
    Access, Bounds, DAY, Failure, Fault, HOUR, MINUTE, MS, Micros, Plan, Point, Report, SECOND,
    Seat, What, Work, short,
};
pub use plant::Plant;
pub use quic::Weather;
pub use registry::{Device, Registry, key_of};
pub use rng::Rng;
pub use scenario::{Scenario, Size, contained};
pub use world::World;
