//! Searches for schedules that break a law: `sim --seeds N [--from S] [--given SETTING]`.
//!
//! Uses every core. Prints progress (`N of M seeds, B broken`), what families were lost to, and
//! every broken schedule as a story, to standard error, and ends with `sim seeds N broken B` on
//! standard output.

#![expect(clippy::unwrap_used, reason = "a simulation that cannot be set up has failed")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program's front door")]

#[path = "../tests/it"]
mod it {
    pub(crate) mod sim;
    #[expect(dead_code, reason = "stories are told by the tests")]
    pub(crate) mod tell;
    pub(crate) mod world;
}

use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use it::world::oracle::{Cause, Tally};
use it::{sim, tell};

/// How many broken schedules are told in full.
const TOLD_MAX: u64 = 5;

/// How many seeds a thread takes at once, which is as often as it says so.
const CHUNK: u64 = 1_000;

fn main() -> ExitCode {
    let Some(asked) = Asked::parse(std::env::args().skip(1)) else {
        eprintln!("usage: sim --seeds N [--from S] [--given SETTING]");
        return ExitCode::from(64);
    };
    let progress = Mutex::new(Progress::default());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| while search(&asked, &progress) {});
        }
    });
    let progress = progress.into_inner().unwrap();
    tell_causes(&progress.tally, asked.seeds);
    println!("sim seeds {} broken {}", asked.seeds, progress.broken);
    if progress.broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Searches the next seeds; false where none are left.
fn search(asked: &Asked, progress: &Mutex<Progress>) -> bool {
    let first = {
        let mut progress = progress.lock().unwrap();
        let first = progress.taken;
        progress.taken = (first + CHUNK).min(asked.seeds);
        first
    };
    if first >= asked.seeds {
        return false;
    }
    let end = (first + CHUNK).min(asked.seeds);
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    for seed in asked.from + first..asked.from + end {
        let outcome = sim::run(&sim::schedule(seed, &asked.given));
        tally.add(&outcome.tally);
        if let Some(law) = outcome.laws.into_iter().next() {
            broken.push((seed, law));
        }
    }
    let mut progress = progress.lock().unwrap();
    progress.done += end - first;
    progress.tally.add(&tally);
    for (seed, law) in broken {
        progress.broken += 1;
        eprintln!("seed {seed}: {law}");
        if progress.broken <= TOLD_MAX {
            let schedule = sim::shrink(sim::schedule(seed, &asked.given));
            let told = tell::told_anew(&sim::story(&schedule));
            eprintln!("{}{}\n", told.table, told.laws.join("\n"));
        }
    }
    eprintln!("{} of {} seeds, {} broken", progress.done, asked.seeds, progress.broken);
    true
}

fn tell_causes(tally: &Tally, seeds: u64) {
    eprintln!("{} exchanges, {} answers with a token", tally.sends, tally.granted);
    for ((_, name), lost) in Cause::ALL.iter().zip(tally.lost) {
        let share = lost as f64 * 100.0 / seeds as f64;
        eprintln!("families lost to what no client can prevent, {name}: {lost} ({share:.3} %)");
    }
}

#[derive(Default)]
struct Progress {
    taken: u64,
    done: u64,
    broken: u64,
    tally: Tally,
}

struct Asked {
    seeds: u64,
    from: u64,
    given: String,
}

impl Asked {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Asked> {
        let mut asked = Asked { seeds: 0, from: 0, given: String::new() };
        while let Some(word) = words.next() {
            let value = words.next()?;
            match word.as_str() {
                "--seeds" => asked.seeds = value.parse().ok()?,
                "--from" => asked.from = value.parse().ok()?,
                "--given" => asked.given = value,
                _ => return None,
            }
        }
        (asked.seeds > 0).then_some(asked)
    }
}
