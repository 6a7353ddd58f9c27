//! Ten thousand callers on one expired session: the framework's own bench, whose last line is ours.

use tokenward_programs::failure::Failure;

use crate::command;
use crate::tree::Tree;

/// Runs the bench in release mode.
///
/// # Errors
/// `Missed` when more than one exchange was seen for an audience, or a caller failed.
pub(super) fn run() -> Result<(), Failure> {
    let tree = Tree::find()?;
    let mut command = command::cargo();
    command.args(["bench", "--package", "tokenward", "--bench", "storm"]);
    command::run_visibly(command.current_dir(tree.root()), "the storm")
}
