//! The sandbox as a child.

use std::path::Path;
use std::process::Command;

use serde::de::DeserializeOwned;

use crate::child::{Child, READY_LIMIT};
use crate::failure::Failure;

/// The name of its configuration file.
pub const FILE: &str = "sandbox.toml";

/// Starts the sandbox whose file is in `folder`, and returns what its first line says: where it
/// listens. `command` is the program and what stands before it, without arguments of its own.
///
/// # Errors
/// `Unavailable` with the end of its log when it does not come up.
pub fn start<Addresses: DeserializeOwned>(
    mut command: Command,
    folder: &Path,
) -> Result<(Child, Addresses), Failure> {
    command.arg("--config").arg(folder.join(FILE));
    let log = folder.join("sandbox.log");
    let (mut child, line) = Child::start_and_listen("the sandbox", &command, &log, READY_LIMIT)?;
    let addresses = serde_json::from_str(&line).map_err(|error| {
        child.died(&format!("said something else than its addresses ({error})"))
    })?;
    Ok((child, addresses))
}
