//! `cunkou-verify`: checks one exported case offline.

use clap::{Parser, ValueEnum};
use cunkou_casework::export::EXPORT_BYTES_MAX;
use cunkou_ui::Lang;
use cunkou_verify::{Options, check, sentences};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::path::PathBuf;
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
    after_help = "Examples:
  cunkou-verify 0004-7000-0015.cunkou
  cunkou-verify 0004-7000-0015.cunkou --county 1f2e-3d4c-5b6a-7980-1f2e-3d4c-5b6a-7980
  cunkou-verify case.cunkou --lang en
  cunkou-verify case.cunkou --json

A file is made by:  cunkou-relay export case NUMBER --out FILE
The county's fingerprint is shown by:  cunkou-relay status

Exit codes: 0 everything holds, 1 something does not hold, 2 the file cannot be read."
)]
struct Arguments {
    /// The exported case.
    file: PathBuf,
    /// The county's fingerprint as the county has published it.
    #[arg(long, value_name = "FINGERPRINT")]
    county: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Language of the sentences.
    #[arg(long, value_enum, default_value = "zh")]
    lang: Language,
    /// Read the content in this very process; set by the program itself for its worker.
    #[arg(long, hide = true)]
    worker: bool,
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
    if arguments.worker {
        bound_worker();
        return run(&arguments, lang, true);
    }
    // A file from a stranger may exhaust memory or the stack, which nothing inside a process can
    // catch. So a worker reads it; if it dies, everything but the content is checked here.
    match worker() {
        Some(done) => done,
        None => run(&arguments, lang, false),
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
fn run(arguments: &Arguments, lang: Lang, content: bool) -> ExitCode {
    let shown = arguments.file.display();
    let bytes = match read(&arguments.file) {
        Ok(bytes) => bytes,
        Err(why) => {
            println!("{}{shown}: {why}", lang.t("读不出 ", "Cannot read "));
            return UNREADABLE.into();
        }
    };
    let options = Options { county: arguments.county.as_deref(), content };
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

/// Reads the file, at most as much as an export may hold.
fn read(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(EXPORT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
