//! Ten thousand callers on one expired session: the framework's own bench, whose last line is ours.

use crate::child;
use crate::failure::Failure;
use crate::tree::Tree;

/// Runs the bench in release mode.
///
/// # Errors
/// `Missed` when more than one exchange was seen for an audience, or a caller failed.
pub(super) fn run() -> Result<(), Failure> {
    let tree = Tree::find()?;
    let mut command = child::cargo();
    command.args(["bench", "--package", "tokenward", "--bench", "storm"]);
    child::run_visibly(command.current_dir(tree.root()), "the storm")
}
