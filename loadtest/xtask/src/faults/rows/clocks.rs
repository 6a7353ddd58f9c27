//! Clocks that jump. A process cannot be given a wall clock of its own without another machine, so
//! these are the framework's tests with a clock that is moved by hand, run as they are.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use super::Row;
use crate::command;
use crate::faults::outcome::{Calls, Ledger, Outcome};
use crate::tree::Tree;

/// The test of the package `tokenward` that plays it.
const TEST: &str = "faults::l12_a_wall_clock_that_jumps_by_hours_changes_nothing";
/// How long it may take: it restarts a framework five times.
const LIMIT: Duration = Duration::from_secs(120);
/// How often it is looked at.
const GAP: Duration = Duration::from_millis(50);

pub(super) const ROWS: &[Row] = &[Row {
    title: "the wall clock jumps by hours, both ways",
    peers: None,
    seconds: 10,
    in_process: true,
    play,
}];

/// Lets Cargo build what the rows in one process need, with its own progress for the person to see.
///
/// # Errors
/// `Missed` when it does not build.
pub(in crate::faults) fn build(tree: &Tree) -> Result<(), Failure> {
    let mut command = test();
    command.arg("--no-run").current_dir(tree.root());
    command::run_visibly(&mut command, "building the framework's tests")
}

fn test() -> Command {
    let mut command = command::cargo();
    command.args(["test", "--package", "tokenward", "--test", "it"]);
    command
}

fn play(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let told = tree.fresh_run(&format!("faults-{}", row.folder()))?.join("test.log");
    let words = File::create(&told).map_err(|error| Failure::io("write the test's log", &error))?;
    let mut command = test();
    command.args(["--quiet", "--", "--exact", TEST]).current_dir(tree.root());
    let started = command.stdin(Stdio::null()).stdout(words).stderr(Stdio::null()).spawn();
    let mut running = started.map_err(|error| Failure::io("start cargo", &error))?;
    let ended = clock::poll(LIMIT, GAP, || running.try_wait().ok().flatten());
    if ended.is_none() {
        // Fails only when it has ended by itself in this very moment.
        let _ = running.kill();
    }
    let told = fs::read_to_string(told).unwrap_or_default();
    let passed = ended.is_some_and(|status| status.success()) && told.contains("1 passed");
    let outcome = Outcome {
        calls: Calls::default(),
        ledger: Ledger::default(),
        lived: "live",
        remark: String::new(),
        broken: Vec::new(),
    };
    Ok(outcome
        .must(passed, |_| format!("to see it alone: {}", command::spoken(&command)))
        .remark(format!("in one process with a clock moved by hand: the test {TEST}")))
}
