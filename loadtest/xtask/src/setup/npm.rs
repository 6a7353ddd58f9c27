//! Packages of npm in folders of our own, exactly as committed lock files name them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokenward_programs::failure::Failure;

use crate::command;
use crate::setup::on_path;
use crate::terminal;

/// What Node.js must have for all that runs in it; 20.19 has it.
const NEEDED: &str = "process.exit(typeof URL.parse === 'function' ? 0 : 1)";
/// The lock file as it was when the packages were installed: equal means nothing to do.
const INSTALLED_LOCK: &str = "installed-lock.json";
/// What npm reads of a folder: its packages, their versions, and that a lock names no places.
const NPM_FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// Returns where a Node.js is that is new enough.
///
/// # Errors
/// `Unavailable` with the remedy, when there is none or it is too old.
pub(crate) fn node() -> Result<PathBuf, Failure> {
    let remedy =
        "install Node.js 22 (20.19 works too) with npm, so that `node` and `npm` are on the path";
    let (Some(node), Some(_npm)) = (on_path("node"), on_path("npm")) else {
        return Err(Failure::Unavailable(format!(
            "the real OpenID provider of the end-to-end tests and Grafana's own packages need \
             Node.js and npm: {remedy}"
        )));
    };
    let able = Command::new(&node).args(["--eval", NEEDED]).stderr(Stdio::null()).status();
    if able.is_ok_and(|status| status.success()) {
        Ok(node)
    } else {
        Err(Failure::Unavailable(format!("{} is too old: {remedy}", node.display())))
    }
}

/// Copies `ours` from a committed folder into one of set-up's, and installs its packages there
/// unless they are; `prove` shows that a fresh installation works.
///
/// # Errors
/// `Unavailable` when the packages cannot be installed.
pub(crate) fn install(
    (source, folder): (&Path, &Path),
    ours: &[&str],
    what: &str,
    prove: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .map_err(|error| Failure::io("make a folder for npm's packages", &error))?;
    for name in ours.iter().chain(&NPM_FILES) {
        copy(&source.join(name), &folder.join(name))?;
    }
    let lock = folder.join("package-lock.json");
    let installed = folder.join(INSTALLED_LOCK);
    let wanted = fs::read(&lock).map_err(|error| Failure::io("read a lock file", &error))?;
    if fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    terminal::note(&format!("installing {what} from npm, by the committed lock file"));
    let mut command = Command::new("npm");
    // No script of a package runs, and nobody is asked or told about funding.
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    command::run_visibly(command.current_dir(folder), "npm ci")
        .map_err(|failure| Failure::Unavailable(format!("{failure}\nin {}", folder.display())))?;
    prove()?;
    copy(&lock, &installed)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to).map(drop).map_err(|error| {
        Failure::io(&format!("copy {} to {}", from.display(), to.display()), &error)
    })
}
