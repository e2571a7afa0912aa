//! What a box and a relay share at their edges: pages of the office, sessions, photos, papers, and
//! the conventions of the command line.

pub mod app;
pub mod bounded;
pub mod carry;
pub mod cli;
pub mod config;
pub mod control;
pub mod deciding;
pub mod desk;
pub mod door;
pub mod enrolment;
pub mod error;
pub mod export;
mod forgotten;
pub mod forms;
pub mod helping;
pub mod history;
pub mod hosts;
pub mod lane;
pub mod lists;
pub mod login;
pub mod look;
pub mod looks;
pub mod open;
pub mod otp;
mod own_pin;
pub mod papers;
pub mod photo;
pub mod pin;
mod receipts;
pub mod renewal;
pub mod routes;
pub mod serve;
pub mod session;
pub mod sheet;
pub mod shell;
pub mod standing;
pub mod storage;
pub mod web;

pub use app::{App, Office, Practice};
pub use door::{Door, DoorError, Lease, OpenDoor, RescueFault};
pub use error::AppError;
pub use session::{Session, Signed};
