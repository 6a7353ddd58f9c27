//! The simulation: the core's own search for a schedule that breaks a law, with a bar that moves.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use clap::Args;
use tokenward_programs::child;
use tokenward_programs::failure::Failure;

use crate::command;
use crate::terminal::{self, Progress};
use crate::tree::Tree;

/// Which schedules are simulated.
#[derive(Debug, Args)]
pub(crate) struct Schedules {
    /// How many schedules
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// How many schedules every run of the tests looks at: a minute of one core.
const SEEDS: u64 = 20_000;

impl Schedules {
    /// The schedules of a test run.
    pub(crate) const fn step() -> Self {
        Self { seeds: SEEDS, from: 0 }
    }
}

/// Searches for a schedule that breaks a law; ends with `sim seeds N broken B`.
///
/// # Errors
/// `Unavailable` when the search cannot be started, `Missed` when a schedule was found.
pub(crate) fn run(schedules: &Schedules) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let mut command = command::cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "tokenward-core",
        "--example",
        "sim",
    ]);
    command.args(["--", "--seeds", &schedules.seeds.to_string()]);
    command.args(["--from", &schedules.from.to_string()]);
    search(command.current_dir(tree.root()), schedules.seeds)
}

fn search(command: &mut Command, seeds: u64) -> Result<(), Failure> {
    let failed = |error| Failure::io(&format!("start {}", command::spoken(command)), &error);
    let search = child::until_we_die(command).stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut search = search.map_err(failed)?;
    let bar = terminal::progress(seeds, "schedules");
    if let Some(words) = search.stderr.take() {
        for line in BufReader::new(words).lines().map_while(Result::ok) {
            show(&bar, &line);
        }
    }
    drop(bar);
    let status = search.wait().map_err(|error| Failure::io("wait for the simulation", &error))?;
    match status.success() {
        true => Ok(()),
        false => {
            let repeat = command::spoken(command);
            Err(Failure::Missed(format!(
                "the simulation failed ({status}); to repeat it: {repeat}"
            )))
        }
    }
}

/// Moves the bar where the search says how far it is, and hands on whatever else it says.
fn show(bar: &Progress, line: &str) {
    match counted(line) {
        Some((done, broken)) => bar.reach(done, &format!("{broken} broken")),
        None => bar.say(line),
    }
}

/// Reads `N of M seeds, B broken`.
fn counted(line: &str) -> Option<(u64, u64)> {
    let (done, rest) = line.split_once(" of ")?;
    let (_, broken) = rest.strip_suffix(" broken")?.split_once(" seeds, ")?;
    Some((done.parse().ok()?, broken.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_from_stories() {
        for (line, expected) in [
            ("3000 of 20000 seeds, 0 broken", Some((3_000, 0))),
            ("20000 of 20000 seeds, 12 broken", Some((20_000, 12))),
            ("seed 7: L3 a family is revoked for r1 (at 3.000s)", None),
            ("1s     | #1 wants one of A | 2 broken", None),
            ("", None),
        ] {
            assert_eq!(counted(line), expected, "{line}");
        }
    }
}
