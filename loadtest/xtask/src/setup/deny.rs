//! cargo-deny, which judges the licences and sources of all dependencies.

use std::path::PathBuf;

use tokenward_programs::failure::Failure;

use crate::command;
use crate::setup::on_path;
use crate::terminal;
use crate::tree::Tree;

/// The version that `.deny.toml` is written for.
const VERSION: &str = "0.20.2";

/// Returns where cargo-deny is, after building it into our own folder where it is lacking.
///
/// # Errors
/// `Unavailable` when it cannot be built.
pub(super) fn install(tree: &Tree) -> Result<PathBuf, Failure> {
    let ours = tree.tools().join("bin/cargo-deny");
    if ours.is_file() {
        return Ok(ours);
    }
    if let Some(installed) = on_path("cargo-deny") {
        return Ok(installed);
    }
    terminal::note(
        "this machine lacks cargo-deny: building it once (about two minutes on two cores)",
    );
    let build = tree.tools().join("build");
    let mut command = command::cargo();
    command
        .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--quiet", "--root"])
        .arg(tree.tools())
        .env("CARGO_TARGET_DIR", &build)
        // It runs for a second and is built for five minutes with its own settings.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    command::run_visibly(&mut command, "building cargo-deny").map_err(|failure| {
        Failure::Unavailable(format!("{failure}\nor install cargo-deny {VERSION} by hand"))
    })?;
    // Only the program is wanted; its parts are 350 MB. A leftover costs disk and nothing else.
    let _ = std::fs::remove_dir_all(build);
    Ok(ours)
}
