//! What it takes to start a gateway: patience, and the keys of those that it works with.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::Child;
use crate::clock;
use crate::failure::Failure;
use crate::http::Caller;

/// A start takes under a second; a machine that compiles on all cores beside it needs much more.
pub const READY_LIMIT: Duration = Duration::from_secs(30);
/// How often a starting program is asked whether it is ready.
pub const READY_GAP: Duration = Duration::from_millis(20);

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
    let ready = clock::poll(READY_LIMIT, READY_GAP, || {
        if gateway.ended().is_some() {
            return Some(false);
        }
        caller.fetch(address, &[]).is_ok_and(|answer| answer.status == 200).then_some(true)
    });
    match ready {
        Some(true) => Ok(()),
        Some(false) => Err(gateway.died("ended while it started")),
        None => Err(gateway.died("did not become ready")),
    }
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
