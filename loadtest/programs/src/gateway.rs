//! What it takes to start a gateway: patience, and the keys of those that it works with.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::child::Child;
use crate::failure::Failure;
use crate::http::Caller;

/// The state directory in a gateway's folder, which is its owner's alone, and the key ring in it.
const STATE: &str = "state";
const STATE_MODE: u32 = 0o700;
const KEYS: &str = "keys.json";

/// Waits until a gateway that was started says at this address that it is ready.
///
/// # Errors
/// `Unavailable` with the end of its log.
pub fn wait_until_ready(gateway: &mut Child, address: &str) -> Result<(), Failure> {
    let caller = Caller::new();
    gateway.wait_until(|| caller.fetch(address, &[]).is_ok_and(|answer| answer.status == 200))
}

/// Returns the state directory of the gateway that runs in a folder.
#[must_use]
pub fn state(folder: &Path) -> PathBuf {
    folder.join(STATE)
}

/// Gives a gateway that is to be started in a folder the keys of the first one, as an operator of
/// several must: what one of them has sealed the others are to open.
///
/// # Errors
/// `Unavailable` when they cannot be copied.
pub fn share_keys(first: &Path, further: &Path) -> Result<(), Failure> {
    let copied = DirBuilder::new()
        .mode(STATE_MODE)
        .create(state(further))
        .and_then(|()| fs::copy(state(first).join(KEYS), state(further).join(KEYS)));
    copied.map(drop).map_err(|error| Failure::io("share the first gateway's keys", &error))
}
