//! Conventions of the command line: exit codes, logging, panics.

use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Failed.
    Failed,
    /// Used wrongly.
    Usage,
    /// The daemon is not running.
    NotRunning,
    /// Locked or not enrolled.
    NotEnrolled,
    /// Refused by a rule.
    Refused,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::NotEnrolled => 4,
            Self::Refused => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failed command: how, and in words what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    /// How.
    pub exit: Exit,
    /// In words.
    pub words: String,
}

impl Failure {
    /// A failure in words.
    #[must_use]
    pub fn new(exit: Exit, words: impl Into<String>) -> Self {
        Self { exit, words: words.into() }
    }
}

/// Logs to standard error, JSON lines when `json`; `RUST_LOG` narrows. No names, no ID numbers.
pub fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,quinn=warn,quinn_proto=warn,rustls=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { builder.json().init() } else { builder.with_target(false).init() }
}

/// Becomes a worker of the guard when this process was started as one; gives its exit code when it
/// has ended. Asked first thing in `main`, before a runtime or a thread is started.
#[must_use]
pub fn guard_worker() -> Option<ExitCode> {
    if !cunkou_guard::worker::is_asked_for() {
        return None;
    }
    Some(if cunkou_guard::worker::run().is_ok() { Exit::Ok } else { Exit::Failed }.into())
}

/// A broken invariant of our own ends the process, so that it restarts in a known state. The
/// message of a panic may hold data, so only its place is logged. Panics under the guard are
/// caught there and stay quiet.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        if cunkou_guard::is_guarded() {
            return;
        }
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%place, "a broken invariant: stopping so that the service restarts");
        std::process::abort();
    }));
}
