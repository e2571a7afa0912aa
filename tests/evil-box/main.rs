//! A box that means harm, for whoever wants to see what a relay of their own does about it.

mod attacks;
mod line;

use anyhow::{Context, Result, bail, ensure};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
evil-box: tries to cheat a relay of your own, and says what came of it.

It enrols itself with an enrolment file that you made, then attacks. It talks to loopback alone.
What it sends stays in the relay's quarantine: use a county made for the purpose.

Usage: evil-box --enrol FILE --relay 127.0.0.1:4443 [--data DIR] all|NAME...

  --enrol FILE   an unused file of: cunkou-relay --data DIR enrol --kind village --name evil \\
                   --places 104 --relay 127.0.0.1:4443 --out evil.enrol
  --relay ADDR   where that relay listens for boxes; loopback only
  --data DIR     the relay's own folder: some things show nowhere but in its status

Examples:
  evil-box --enrol evil.enrol --relay 127.0.0.1:4443 all
  evil-box --enrol evil.enrol --relay 127.0.0.1:4443 forge-approval replay
  evil-box --enrol evil.enrol --relay 127.0.0.1:4443 --data /srv/try/relay same-number-twice

Exit: 0 everything held, 1 something did not, 2 wrong use, 3 it could not be tried.

Attacks:
";

struct Options {
    enrol: PathBuf,
    relay: SocketAddr,
    data: Option<PathBuf>,
    names: Vec<String>,
}

fn options() -> Result<Option<Options>> {
    let (mut enrol, mut relay, mut data, mut names) = (None, None, None, Vec::new());
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let mut value = || given.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(None),
            "--enrol" => enrol = Some(PathBuf::from(value()?)),
            "--relay" => relay = Some(value()?),
            "--data" => data = Some(PathBuf::from(value()?)),
            name if name.starts_with('-') => bail!("there is no option {name}; see --help"),
            name => names.push(name.to_owned()),
        }
    }
    let relay = relay.context("--relay is missing; see --help")?;
    let mut found = relay.to_socket_addrs().with_context(|| format!("{relay} is no address"))?;
    let relay = found.next().context("the relay has no address")?;
    ensure!(
        relay.ip().is_loopback(),
        "{relay} is not on this machine: evil-box attacks loopback alone"
    );
    ensure!(!names.is_empty(), "say which attack, or all; see --help");
    if names.iter().any(|name| name == "all") {
        names = attacks::ALL.iter().map(|attack| attack.name.to_owned()).collect();
    }
    for name in &names {
        let known = attacks::ALL.iter().any(|attack| attack.name == name);
        ensure!(known, "there is no attack {name}; see --help");
    }
    let enrol = enrol.context("--enrol is missing; see --help")?;
    Ok(Some(Options { enrol, relay, data, names }))
}

fn attack(options: &Options) -> Result<bool> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let evil = line::Evil::enrol(&options.enrol, options.relay, options.data.clone()).await?;
        let mut all_held = true;
        for attack in attacks::ALL {
            if !options.names.iter().any(|name| name == attack.name) {
                continue;
            }
            println!("\n{}\n  tried: {}", attack.name, attack.tries);
            let found = match tokio::time::timeout(attacks::PATIENCE, attack.run(&evil)).await {
                Ok(found) => found?,
                Err(_) => attacks::Found::not_held("no answer within four minutes".into()),
            };
            println!("  the relay: {}", found.words);
            println!("  {}", if found.held { "held" } else { "NOT held" });
            all_held &= found.held;
        }
        println!("\n{}", if all_held { "everything held" } else { "something did NOT hold" });
        Ok(all_held)
    })
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            for attack in attacks::ALL {
                println!("  {:<26} {}", attack.name, attack.tries);
            }
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("evil-box: {error:#}");
            return ExitCode::from(2);
        }
    };
    match attack(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("evil-box: {error:#}");
            ExitCode::from(3)
        }
    }
}
