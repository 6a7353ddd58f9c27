//! The real OpenID provider: npm's `oidc-provider`, exactly as the committed lock file names it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::child;
use crate::failure::Failure;
use crate::setup::on_path;
use crate::terminal;
use crate::tree::Tree;

/// What Node.js must have for the provider to run; 20.19 has it.
const NEEDED: &str = "process.exit(typeof URL.parse === 'function' ? 0 : 1)";
/// The lock file as it was when the packages were installed: equal means nothing to do.
const INSTALLED_LOCK: &str = "installed-lock.json";
/// The files of ours that run beside the packages.
const OUR_FILES: [&str; 3] = ["server.mjs", "store.mjs", "pages.mjs"];

/// Returns where a Node.js is that can run the provider.
///
/// # Errors
/// `Unavailable` with the remedy, when there is none or it is too old.
pub(super) fn node() -> Result<PathBuf, Failure> {
    let remedy =
        "install Node.js 22 (20.19 works too) with npm, so that `node` and `npm` are on the path";
    let (Some(node), Some(_npm)) = (on_path("node"), on_path("npm")) else {
        return Err(Failure::Unavailable(format!(
            "the real OpenID provider of the end-to-end tests needs Node.js and npm: {remedy}"
        )));
    };
    let able = Command::new(&node).args(["--eval", NEEDED]).stderr(Stdio::null()).status();
    if able.is_ok_and(|status| status.success()) {
        Ok(node)
    } else {
        Err(Failure::Unavailable(format!("{} is too old: {remedy}", node.display())))
    }
}

/// Installs the provider's packages into our own folder, and copies our script beside them.
///
/// # Errors
/// `Unavailable` when the packages cannot be installed.
pub(super) fn install(tree: &Tree, node: &Path) -> Result<(), Failure> {
    let (source, folder) = (tree.provider_source(), tree.provider());
    fs::create_dir_all(&folder)
        .map_err(|error| Failure::io("make the provider's folder", &error))?;
    for name in OUR_FILES.iter().chain(&["package.json", "package-lock.json"]) {
        copy(&source.join(name), &folder.join(name))?;
    }
    let lock = folder.join("package-lock.json");
    let installed = folder.join(INSTALLED_LOCK);
    let wanted =
        fs::read(&lock).map_err(|error| Failure::io("read the provider's lock file", &error))?;
    if fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    terminal::note("installing the real OpenID provider from npm, by the committed lock file");
    let mut command = Command::new("npm");
    // No script of a package runs, and nobody is asked or told about funding.
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    child::run_visibly(command.current_dir(&folder), "npm ci")
        .map_err(|failure| Failure::Unavailable(format!("{failure}\nin {}", folder.display())))?;
    prove(node, &folder)?;
    copy(&lock, &installed)
}

/// Loads the library once, so that a broken installation shows here and not in a test.
fn prove(node: &Path, folder: &Path) -> Result<(), Failure> {
    let mut command = Command::new(node);
    command.args(["--input-type=module", "--eval", "import 'oidc-provider';"]).current_dir(folder);
    child::run_visibly(&mut command, "loading oidc-provider")
        .map_err(|failure| Failure::Unavailable(failure.to_string()))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to).map(drop).map_err(|error| {
        Failure::io(&format!("copy {} to {}", from.display(), to.display()), &error)
    })
}
