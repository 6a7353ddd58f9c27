//! Searches for schedules that break a law of the core: `sim --seeds N [--from S] [--given SETTING]`.
//!
//! Prints progress and every broken schedule, as a story, to standard error, and ends with
//! `sim seeds N broken M` on standard output.

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

use it::{sim, tell};

/// How many broken schedules are told in full.
const TOLD_MAX: u64 = 5;

/// How many seeds lie between two lines of progress.
const PROGRESS_EVERY: u64 = 10_000;

fn main() -> ExitCode {
    let Some(asked) = Asked::parse(std::env::args().skip(1)) else {
        eprintln!("usage: sim --seeds N [--from S] [--given SETTING]");
        return ExitCode::from(64);
    };
    let (mut broken, mut sends, mut granted, mut physical) = (0, 0, 0, [0; 8]);
    for seed in asked.from..asked.from + asked.seeds {
        let schedule = sim::schedule(seed, &asked.given);
        let outcome = sim::run(&schedule);
        sends += outcome.tally.sends;
        granted += outcome.tally.granted;
        for (sum, one) in physical.iter_mut().zip(outcome.tally.lost) {
            *sum += one;
        }
        if !outcome.laws.is_empty() {
            broken += 1;
            eprintln!("seed {seed}: {}", outcome.laws[0]);
            if broken <= TOLD_MAX {
                let told = tell::told_anew(&sim::story(&sim::shrink(schedule)));
                eprintln!("{}{}\n", told.table, told.laws.join("\n"));
            }
        }
        let done = seed + 1 - asked.from;
        if done % PROGRESS_EVERY == 0 {
            eprintln!(
                "{done} of {} seeds, {broken} broken, {sends} exchanges, {granted} answers, \
                 families lost: {physical:?}",
                asked.seeds
            );
        }
    }
    println!("sim seeds {} broken {broken}", asked.seeds);
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
