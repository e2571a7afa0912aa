//! `cunkou-relay`: the county's relay and console.

mod administrators;
mod at_rest;
mod authority;
mod carry;
mod certificates;
mod checkpoints;
mod command;
mod contacts;
mod enroller;
mod enrolments;
mod erasures;
mod helping;
mod histories;
mod home;
mod import;
mod keys;
mod link;
mod looks;
mod options;
mod run;
mod villages;
mod web;

use clap::Parser;
use cunkou_edge::cli::{Exit, Failure, log};
use options::{Action, Options};
use std::process::ExitCode;

fn main() -> ExitCode {
    cunkou_edge::cli::guard_worker().unwrap_or_else(program)
}

#[tokio::main]
async fn program() -> ExitCode {
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
        Action::Init(init) => {
            let made = init.found(&options.data)?;
            command::show(options.json, &made);
            Ok(())
        }
        Action::Sign { file, key } => {
            let signed = administrators::sign(file, key)?;
            command::show(options.json, &signed);
            Ok(())
        }
        Action::NewKey { county, name, out } => {
            let words = administrators::passphrase(name)?;
            let (who, _) = administrators::new_key(county, name, out, &words)?;
            let key = cunkou_casework::hex::encode(&who.key.0);
            let next = "keep the file on a stick of your own; give the key to whoever proposes";
            command::show(
                options.json,
                &serde_json::json!({ "schema": 1, "name": name, "key": key, "next": next }),
            );
            Ok(())
        }
        Action::Routes => {
            command::show(true, &web::routes().describe());
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
