//! What a box and a relay share at their edges: pages of the office, sessions, photos, papers, and
//! the conventions of the command line.

pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod desk;
pub mod door;
pub mod error;
pub mod forms;
pub mod lists;
mod login;
pub mod papers;
pub mod photo;
pub mod pin;
pub mod session;
pub mod shell;
pub mod web;

pub use app::{App, Office, Practice};
pub use door::{Door, DoorError, Lease, OpenDoor};
pub use error::AppError;
pub use session::{Session, Signed};
