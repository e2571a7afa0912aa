//! `world [--seed N] [--seeds N] [--from N] [--large] [--quic] [--plant NAME] [--threads N]`
//!
//! Runs seeds and says which one failed, with the least faults that are needed for it.

use cunkou_world::{Plant, Scenario, Size};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

#[derive(Clone, Copy)]
struct Wish {
    from: u64,
    seeds: u64,
    size: Size,
    plant: Plant,
    quic: bool,
    threads: u64,
}

fn wish() -> Result<Wish, String> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let (size, plant, quic) = (Size::Small, Plant::None, false);
    let mut wish = Wish { from: 0, seeds: 10_000, size, plant, quic, threads };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        let number = |s: String| s.parse::<u64>().map_err(|e| e.to_string());
        match word.as_str() {
            "--seed" => (wish.from, wish.seeds) = (number(value()?)?, 1),
            "--seeds" => wish.seeds = number(value()?)?,
            "--from" => wish.from = number(value()?)?,
            "--threads" => wish.threads = number(value()?)?.max(1),
            "--plant" => wish.plant = value()?.parse()?,
            "--large" => wish.size = Size::Large,
            "--quic" => wish.quic = true,
            other => return Err(format!("there is no {other}")),
        }
    }
    Ok(wish)
}

fn tell(scenario: &Scenario, what: &str, at: u64) {
    let commit = std::env::var("COMMIT").unwrap_or_else(|_| "unknown".to_owned());
    let large = if scenario.size == Size::Large { " --large" } else { "" };
    let quic = if scenario.quic { " --quic" } else { "" };
    println!("SEED={} COMMIT={commit}", scenario.seed);
    println!("  {what} (after {} s of the world)", at / 1_000_000);
    for fault in scenario.shrink() {
        println!("  needs, at {:>8} s: {:?}", fault.at / 1_000_000, fault.what);
    }
    println!("  again: ./tests/run world --seed {}{large}{quic}", scenario.seed);
}

fn main() -> ExitCode {
    let wish = match wish() {
        Ok(wish) => wish,
        Err(why) => {
            eprintln!("world: {why}");
            return ExitCode::from(2);
        }
    };
    // A panic is a failure of the seed and is told with it.
    if wish.seeds > 1 {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let began = Instant::now();
    let next = AtomicU64::new(wish.from);
    let failed = AtomicBool::new(false);
    let totals = Mutex::new([0_u64; 11]);
    std::thread::scope(|scope| {
        for _ in 0..wish.threads.min(wish.seeds) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= wish.from + wish.seeds || failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let scenario =
                        Scenario { seed, size: wish.size, plant: wish.plant, quic: wish.quic };
                    match scenario.run() {
                        Ok(report) => {
                            if let Ok(mut totals) = totals.lock() {
                                let these = [
                                    report.events,
                                    report.frames,
                                    report.sessions,
                                    report.refused,
                                    report.entries,
                                    report.excused,
                                    report.repairs,
                                    report.healed,
                                    report.packets,
                                    report.packets_lost,
                                    report.packets_twice,
                                ];
                                totals.iter_mut().zip(these).for_each(|(sum, n)| *sum += n);
                            }
                            if wish.seeds == 1 {
                                println!("{report:#?}");
                            }
                        }
                        Err(failure) => {
                            if !failed.swap(true, Ordering::Relaxed) {
                                tell(&scenario, &failure.what, failure.at);
                            }
                        }
                    }
                }
            });
        }
    });
    if failed.into_inner() {
        return ExitCode::FAILURE;
    }
    let [
        events,
        frames,
        sessions,
        refused,
        entries,
        excused,
        repairs,
        healed,
        packets,
        lost,
        twice,
    ] = totals.into_inner().unwrap_or_default();
    println!(
        "{} seeds from {} in {:.1} s: {events} events, {frames} frames, {sessions} conversations, \
         {refused} refused to a double, {entries} entries, {excused} gone with their only disk; {healed} came back in {repairs} repairs",
        wish.seeds,
        wish.from,
        began.elapsed().as_secs_f64()
    );
    if packets > 0 {
        println!("{packets} packets of QUIC, {lost} of them lost and {twice} come twice");
    }
    ExitCode::SUCCESS
}
