//! `cunkou-relay`: the county's relay and console.

mod at_rest;
mod command;
mod enroller;
mod home;
mod import;
mod options;
mod run;
mod web;

use clap::Parser;
use cunkou_edge::cli::{Exit, Failure, log};
use options::{Action, Options};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    log(options.log_json);
    match act(&options).await {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            tracing::debug!(exit = failure.exit.code(), "failed");
            say_error(&failure);
            failure.exit.into()
        }
    }
}

#[expect(clippy::print_stderr, reason = "errors of a command go to the terminal")]
fn say_error(failure: &Failure) {
    eprintln!("cunkou-relay: {}", failure.words);
}

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

async fn act(options: &Options) -> Result<(), Failure> {
    match &options.action {
        Action::Init { name, code, host } => {
            let made = home::found(&options.data, name, code, host)?;
            command::show(options.json, &made);
            Ok(())
        }
        Action::Serve(serve) => run::serve(options, serve).await,
        Action::Restore { from, key } => {
            let (data, from, key) = (options.data.clone(), from.clone(), key.clone());
            let work = move || at_rest::restore(&data, &from, &key);
            let done = tokio::task::spawn_blocking(work).await.map_err(failed)??;
            command::show(options.json, &done);
            Ok(())
        }
        Action::Recover { folder, key, give_slots } => {
            let (folder, key, give) = (folder.clone(), key.clone(), *give_slots);
            let work = move || at_rest::recover(&folder, &key, give);
            let done = tokio::task::spawn_blocking(work).await.map_err(failed)??;
            command::show(options.json, &done);
            Ok(())
        }
        other => command::run(options, other).await,
    }
}
