//! `cunkou-node`: the box at a village service point or in a township centre.

mod command;
mod home;
mod keeper;
mod options;
mod practice;
mod run;
mod web;

use clap::Parser;
use cunkou_edge::cli::{Exit, log};
use options::{Action, Options};
use std::process::ExitCode;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "errors of a command go to the terminal")]
async fn main() -> ExitCode {
    let options = Options::parse();
    log(options.log_json);
    let done = match &options.action {
        Action::Enrol { file } => command::enrol(&options, file).await,
        Action::Serve(serve) => run::serve(&options, serve).await,
        Action::Unlock { login } => command::unlock(&options, login).await,
        Action::Lock => command::lock(&options).await,
        Action::Status => command::status(&options).await,
    };
    match done {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            eprintln!("cunkou-node: {}", failure.words);
            failure.exit.into()
        }
    }
}
