//! `cunkou-verify`: checks one exported case offline, and signs checkpoints for an auditor.

mod auditor;
mod stick;

use clap::{Parser, Subcommand, ValueEnum};
use cunkou_casework::export::EXPORT_BYTES_MAX;
use cunkou_casework::hex;
use cunkou_casework::suite::PublicKey;
use cunkou_ui::Lang;
use cunkou_verify::{Options, check, sentences};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The worker may use so much memory: its own, and a few times the file.
const WORKER_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// And so many seconds of processor time.
const WORKER_SECONDS: u64 = 600;
const UNREADABLE: u8 = 2;

/// Checks an exported case: who did what, when, on which key, and what does not hold.
#[derive(Debug, Parser)]
#[command(
    name = "cunkou-verify",
    version,
    about = "检查导出的办件:谁在何时办了什么、凭哪把密钥、哪里不成立\nChecks an exported case offline",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  cunkou-verify 0004-7000-0015.cunkou
  cunkou-verify 0004-7000-0015.cunkou --county 1f2e-3d4c-5b6a-7980-1f2e-3d4c-5b6a-7980
  cunkou-verify case.cunkou --auditor 9f3c…(64 digits)
  cunkou-verify case.cunkou --lang en
  cunkou-verify case.cunkou --json

An auditor:
  cunkou-verify new-key --name 市审计局 --out /media/stick/auditor.key
  cunkou-verify cosign 2026-11.checkpoint --key /media/stick/auditor.key

A file is made by:  cunkou-relay export case NUMBER --out FILE
The county's fingerprint is shown by:  cunkou-relay status

Exit codes: 0 everything holds, 1 something does not hold, 2 the file cannot be read."
)]
struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// The exported case.
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// The county's fingerprint as the county has published it.
    #[arg(long, value_name = "FINGERPRINT")]
    county: Option<String>,
    /// An auditor's key as they have published it, 64 digits: whether they signed the log that
    /// holds the case.
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    auditor: Option<PublicKey>,
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
    /// Language of the sentences.
    #[arg(long, value_enum, default_value = "zh", global = true)]
    lang: Language,
    /// Read the content in this very process; set by the program itself for its worker.
    #[arg(long, hide = true)]
    worker: bool,
}

/// What an auditor does.
#[derive(Debug, Subcommand)]
enum Action {
    /// Make an auditor's key, and beside it the record of what they sign; passphrase on standard
    /// input.
    #[command(
        about = "造一把审计签名的钥匙\nMakes an auditor's key, and beside it the record of what they sign",
        after_help = "Example:\n  cunkou-verify new-key --name 市审计局 --out /media/stick/auditor.key\n\nKeep auditor.key and auditor.signed together, on a stick of the auditor's own. The key is printed:\npublish it, so that others can check your signatures with --auditor."
    )]
    NewKey {
        /// Whose key it is.
        #[arg(long)]
        name: String,
        /// Where to write it.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sign a relay's checkpoint as an auditor, if its log continues what was signed last;
    /// passphrase on standard input.
    #[command(
        about = "核对县平台日志是接着上次签的,然后签名\nSigns a relay's checkpoint if its log continues what was signed last",
        after_help = "Examples:\n  cunkou-verify cosign 2026-11.checkpoint --key /media/stick/auditor.key --county 1f2e-3d4c-5b6a-7980-1f2e-3d4c-5b6a-7980\n  cunkou-verify cosign 2026-12.checkpoint --key /media/stick/auditor.key\n\nThe first time the county's published fingerprint is needed; it is kept beside the key.\nThe file is made by:  cunkou-relay checkpoint export FILE\nSigned, it goes back:  cunkou-relay checkpoint cosigned FILE\n\nExit codes: 0 signed, 1 refused, with the reason, 2 a file cannot be read."
    )]
    Cosign {
        /// The checkpoint's file; the signature is added to it.
        file: PathBuf,
        /// The auditor's key file; what was signed lies beside it and ends in .signed.
        #[arg(long)]
        key: PathBuf,
        /// The county's fingerprint as the county has published it.
        #[arg(long, value_name = "FINGERPRINT")]
        county: Option<String>,
        /// The relay was set up anew or restored, and the county has explained it: begin with its
        /// new log.
        #[arg(long)]
        new_log: bool,
    },
}

fn public_key(digits: &str) -> Result<PublicKey, String> {
    let bytes = hex::decode(digits).and_then(|bytes| bytes.try_into().ok());
    bytes.map(PublicKey).ok_or_else(|| "a key has 64 digits, 0-9 and a-f".to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    Zh,
    En,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let lang = match arguments.lang {
        Language::Zh => Lang::Zh,
        Language::En => Lang::En,
    };
    // Panics over a stranger's content are caught and told in words.
    std::panic::set_hook(Box::new(|_| {}));
    let Some(file) = &arguments.file else {
        return auditor::run(&arguments, lang);
    };
    if arguments.worker {
        bound_worker();
        return run(&arguments, file, lang, true);
    }
    // A file from a stranger may exhaust memory or the stack, which nothing inside a process can
    // catch. So a worker reads it; if it dies, everything but the content is checked here.
    match worker() {
        Some(done) => done,
        None => run(&arguments, file, lang, false),
    }
}

fn bound_worker() {
    for (resource, limit) in [(Resource::As, WORKER_BYTES), (Resource::Cpu, WORKER_SECONDS)] {
        let maximum = getrlimit(resource).maximum.map_or(limit, |m| m.min(limit));
        let limit = Rlimit { current: Some(maximum), maximum: Some(maximum) };
        // Without the bound the worker still ends alone.
        let _ = setrlimit(resource, limit);
    }
}

/// Runs this program again as the worker; nothing when it died.
fn worker() -> Option<ExitCode> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new(program)
        .arg("--worker")
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let code = u8::try_from(output.status.code()?).ok().filter(|code| *code <= UNREADABLE)?;
    // Who says nothing has not judged.
    if output.stdout.is_empty() {
        return None;
    }
    std::io::stdout().write_all(&output.stdout).ok()?;
    Some(code.into())
}

#[expect(clippy::print_stdout, reason = "answers of a command go to the terminal")]
fn run(arguments: &Arguments, file: &Path, lang: Lang, content: bool) -> ExitCode {
    let shown = file.display();
    let bytes = match read(file, EXPORT_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(why) => {
            println!("{}{shown}: {why}", lang.t("读不出 ", "Cannot read "));
            return UNREADABLE.into();
        }
    };
    let county = arguments.county.as_deref();
    let options = Options { county, content, auditor: arguments.auditor };
    let report = std::panic::catch_unwind(|| check(&bytes, options));
    match report {
        Ok(Ok(report)) => {
            if arguments.json {
                println!("{}", serde_json::to_string(&report).unwrap_or_default());
            } else {
                print!("{}", sentences(&report, lang));
            }
            if report.holds { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Ok(Err(why)) => {
            let zh = format!("{shown} 不是能核对的办件文件({why})");
            let en = format!("{shown} is not an exported case that can be checked ({why})");
            println!("{}", lang.t(&zh, &en));
            UNREADABLE.into()
        }
        Err(_) => {
            println!(
                "{}",
                lang.t("文件损坏,无法核对", "The file is damaged and cannot be checked")
            );
            UNREADABLE.into()
        }
    }
}

/// Reads a file, at most one byte more than it may have.
fn read(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
