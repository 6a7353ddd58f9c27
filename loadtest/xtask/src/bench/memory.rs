//! What sessions cost in memory: the framework's own bench, whose last line is ours.

use clap::Args;
use tokenward_programs::failure::Failure;

use crate::command;
use crate::tree::Tree;

/// How the memory is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Sessions in the store; a million take some ten minutes and six gigabytes
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(20_000..=10_000_000))]
    sessions: u64,
}

/// Runs the bench in release mode.
///
/// # Errors
/// `Missed` when a session costs more than it may.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let mut command = command::cargo();
    command.args(["bench", "--package", "tokenward", "--bench", "memory", "--"]);
    command.arg(options.sessions.to_string());
    command::run_visibly(command.current_dir(tree.root()), "the memory of sessions")
}
