//! Ten thousand callers on one expired session: driven and judged by the load generator.

use std::process::Command;

use crate::child;
use crate::failure::Failure;
use crate::tree::Tree;

/// Builds the programs in release mode and hands over to the load generator, whose last line is ours.
///
/// # Errors
/// `Missed` when more than one exchange was seen for an audience, or a caller failed.
pub(super) fn run() -> Result<(), Failure> {
    let tree = Tree::find()?;
    let mut command = Command::new("cargo");
    command.args([
        "run",
        "--release",
        "--package",
        "tokenward-loadtest",
        "--",
        "bench",
        "storm",
    ]);
    child::run_visibly(command.current_dir(tree.root()), "the storm")
}
