//! Durable rotations a second, in a file and in a Redis: the framework's own bench, whose last line
//! is ours.

use tokenward_programs::failure::Failure;

use crate::command;
use crate::setup::{self, Program};
use crate::tree::Tree;

/// Runs the bench in release mode.
///
/// # Errors
/// `Unavailable` when redis-server is lacking; `Missed` when a rotation was refused.
pub(super) fn run() -> Result<(), Failure> {
    let tree = Tree::find()?;
    setup::programs(&[Program::Redis])?;
    let mut command = command::cargo();
    command.args(["bench", "--package", "tokenward", "--features", "redis", "--bench", "store"]);
    command::run_visibly(command.current_dir(tree.root()), "the stores")
}
