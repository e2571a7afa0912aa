//! Every decoder with all its seeds, all findings, and counted mutations, the same ones each time:
//! none panics, and none takes more memory than its input allows. This program is its own guard's
//! worker, so it has its own `main`.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]

use cunkou_fuzz_bodies::mutate::{Dice, mutated};
use cunkou_fuzz_bodies::{BASE_BYTES, TARGETS, Target};
use cunkou_guard::Guard;
use peak_alloc::PeakAlloc;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(400).map(|b| format!("{b:02x}")).collect()
}

/// Why an input is a finding, if it is one.
fn fault(target: &Target, input: &[u8]) -> Option<String> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let taken = MEMORY.peak_usage().saturating_sub(before);
    let most = BASE_BYTES + input.len() * target.growth;
    match ran {
        Err(_) => Some("it panicked".into()),
        Ok(()) if taken > most => Some(format!("it took {taken} bytes; {most} are allowed")),
        Ok(()) => None,
    }
}

fn findings(target: &Target) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../findings/");
    let files = std::fs::read_dir(format!("{folder}{}", target.name)).into_iter().flatten();
    files.flatten().filter_map(|file| std::fs::read(file.path()).ok()).collect()
}

fn main() -> ExitCode {
    if cunkou_guard::worker::is_asked_for() {
        let worked = cunkou_guard::worker::run();
        return if worked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !cunkou_guard::is_guarded() {
            told(info);
        }
    }));
    // The whole way of a change, this program being the worker.
    let worker = std::env::current_exe().unwrap_or_default();
    let guard = Guard::child_of(worker);
    cunkou_fuzz_bodies::with_worker(guard);
    let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
    let mut bad = 0;
    for target in TARGETS.iter().filter(|t| only.as_ref().is_none_or(|o| t.name.contains(&**o))) {
        let begun = Instant::now();
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        let mut inputs = seeds.clone();
        inputs.push(Vec::new());
        inputs.extend(findings(target));
        let mut dice = Dice::new(target.name.len() as u64);
        let mut found = 0;
        for i in 0..inputs.len() + target.quick {
            let input = match inputs.get(i) {
                Some(input) => input.clone(),
                None => mutated(&seeds, &mut dice),
            };
            if let Some(why) = fault(target, &input) {
                found += 1;
                if found <= 3 {
                    eprintln!("{}: {why}: {} bytes {}", target.name, input.len(), hex(&input));
                }
            }
        }
        let done = if found == 0 { "ok" } else { "FAILED" };
        println!("test {} ... {done} ({} ms)", target.name, begun.elapsed().as_millis());
        bad += found;
    }
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
