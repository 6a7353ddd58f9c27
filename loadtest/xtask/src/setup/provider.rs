//! The real OpenID provider: npm's `oidc-provider`, exactly as the committed lock file names it.

use std::path::Path;
use std::process::Command;

use tokenward_programs::failure::Failure;

use super::npm;
use crate::command;
use crate::tree::Tree;

/// The files of ours that run beside the packages.
const OUR_FILES: [&str; 3] = ["server.mjs", "store.mjs", "pages.mjs"];

/// Installs the provider's packages into our own folder, and copies our script beside them.
///
/// # Errors
/// `Unavailable` when the packages cannot be installed.
pub(super) fn install(tree: &Tree, node: &Path) -> Result<(), Failure> {
    let (source, folder) = (tree.provider_source(), tree.provider());
    let what = "the real OpenID provider";
    npm::install((&source, &folder), &OUR_FILES, what, || prove(node, &folder))
}

/// Loads the library once, so that a broken installation shows here and not in a test.
fn prove(node: &Path, folder: &Path) -> Result<(), Failure> {
    let mut command = Command::new(node);
    command.args(["--input-type=module", "--eval", "import 'oidc-provider';"]).current_dir(folder);
    command::run_visibly(&mut command, "loading oidc-provider")
        .map_err(|failure| Failure::Unavailable(failure.to_string()))
}
