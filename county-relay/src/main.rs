//! `cunkou-relay`: the county's relay and console.

mod certificates;
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

async fn act(options: &Options) -> Result<(), Failure> {
    match &options.action {
        Action::Init { name, code, host, subnet, address, offline } => {
            let naming = home::Naming {
                hosts: host,
                subnets: subnet,
                addresses: address,
                offline: offline.as_deref(),
            };
            let made = home::found(&options.data, name, code, &naming)?;
            command::show(options.json, &made);
            Ok(())
        }
        Action::Routes => {
            command::show(true, &web::routes().describe());
            Ok(())
        }
        Action::Serve(serve) => run::serve(options, serve).await,
        other => command::run(options, other).await,
    }
}
