//! The proofs of the core: simulation, deliberate breakages, and the vectors of other
//! implementations. Each is a program or a test of the core's own; its last line is ours.

pub(crate) mod mutants;
pub(crate) mod vectors;

mod tally;

use clap::Args;

use crate::child;
use crate::failure::Failure;
use crate::tree::Tree;

/// Which schedules are simulated.
#[derive(Debug, Args)]
pub(crate) struct Schedules {
    /// How many schedules
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// Searches for a schedule that breaks a law; ends with `sim seeds N broken B`.
///
/// # Errors
/// `Missed` when one was found.
pub(crate) fn simulate(schedules: &Schedules) -> Result<(), Failure> {
    let (seeds, from) = (schedules.seeds.to_string(), schedules.from.to_string());
    example("sim", &["--seeds", &seeds, "--from", &from], "the simulation")
}

fn example(name: &str, arguments: &[&str], what: &str) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let mut command = child::cargo();
    command.args(["run", "--quiet", "--release", "--package", "tokenward-core", "--example", name]);
    command.arg("--").args(arguments);
    child::run_visibly(command.current_dir(tree.root()), what)
}
