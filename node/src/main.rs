//! `cunkou-node`: the box at a village service point or in a township centre.

mod backup;
mod command;
mod enrol;
mod home;
mod keeper;
mod link_test;
mod links;
mod options;
mod practice;
mod run;
mod traffic;
mod wallet;
mod web;

use clap::Parser;
use cunkou_edge::cli::{Exit, log};
use options::{Action, Options};
use std::process::ExitCode;

fn main() -> ExitCode {
    cunkou_edge::cli::guard_worker().unwrap_or_else(program)
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "errors of a command go to the terminal")]
async fn program() -> ExitCode {
    let options = Options::parse();
    log(options.log_json);
    let done = match &options.action {
        Action::Enrol { file, code, address, proxy } => {
            let proxy = proxy.as_deref();
            enrol::enrol(&options, file.as_deref(), code.as_deref(), address, proxy).await
        }
        Action::EnrolRequest { file, out, address } => enrol::request(&options, file, out, address),
        Action::EnrolFinish { file } => enrol::finish(&options, file).await,
        Action::Bind { code, proxy } => enrol::bind(&options, code, proxy.as_deref()).await,
        Action::LinkTest(given) => link_test::run(&options, given).await,
        Action::RenewRequest { out } => command::renew_request(&options, out).await,
        Action::Renew { file } => command::renew(&options, file).await,
        Action::Routes => {
            command::show(true, &web::routes().describe(), "");
            Ok(())
        }
        Action::Serve(serve) => run::serve(&options, serve).await,
        Action::Export { number, out, no_photos } => {
            command::export(&options, number, out, !no_photos).await
        }
        Action::Ferry { folder, limits } => command::ferry(&options, folder, limits).await,
        Action::Bundle(action) => command::bundle(&options, action).await,
        Action::SendPhotos { number } => command::send_photos(&options, number).await,
        Action::Unlock { login } => command::unlock(&options, login).await,
        Action::Lock => command::lock(&options).await,
        Action::Rebuild => command::look_after(&options, "rebuild").await,
        Action::Scrub => command::look_after(&options, "scrub").await,
        Action::Compact { days } => command::compact(&options, *days).await,
        Action::Backup { to } => backup::back_up(&options, to).await,
        Action::Restore { from, key } => backup::restore(&options, from, key).await,
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
