//! The worker alone, for this crate's own tests; the programs carry it inside.

use std::process::ExitCode;

fn main() -> ExitCode {
    if cunkou_guard::worker::is_asked_for() && cunkou_guard::worker::run().is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    }
}
