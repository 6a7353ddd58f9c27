//! Room that is set aside for the writes that must not wait for an operator to make some.
//!
//! A disk that other programs have filled takes no logout: the tombstone has to be written, and
//! the log that holds it to be moved. So a file of [`BYTES`] lies beside the store for nothing but
//! to be given up: while it is gone, only ends and the saves of tokens that were spent already may
//! write, and it is laid down anew as soon as there is room again.
//!
//! The bound: an end writes seven pages at most, so that the reserve takes some 290 ends one by
//! one, even where nothing of the log can be moved; ends that wait together share pages, and
//! moving the log makes its room free again. Whoever takes the room that was given up, takes it
//! from the logouts.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::posix_fallocate;
use nix::libc::off_t;

use crate::core::time::Instant;

/// What is set aside: the log at its usual largest, and the same for moving it.
pub(super) const BYTES: u64 = 16 * 1024 * 1024;

/// How long to wait before the room is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

const FILE: &str = "reserve";

/// The room that is set aside in one state directory.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// When it was given up, or asked for in vain; `None` while it is there.
    gone_since: Option<Instant>,
}

impl Reserve {
    /// Sets the room aside; where there is none, the store starts without it.
    pub(super) fn lay(dir: &Path, now: Instant) -> Self {
        let mut reserve = Self { path: dir.join(FILE), gone_since: Some(now) };
        reserve.ask(now);
        reserve
    }

    /// Tells whether only the writes that cannot wait may be done; asks for the room again when it
    /// is time to.
    pub(super) fn is_gone(&mut self, now: Instant) -> bool {
        if self.gone_since.is_some_and(|since| now.since(since) >= ASK_AGAIN) {
            self.ask(now);
        }
        self.gone_since.is_some()
    }

    /// Gives the room up.
    pub(super) fn give_up(&mut self, now: Instant) {
        if self.gone_since.is_none() {
            tracing::error!(
                reserve = %self.path.display(),
                "no space is left: only logouts and tokens under way are written until there is"
            );
        }
        self.gone_since = Some(now);
        self.remove();
    }

    fn ask(&mut self, now: Instant) {
        // Half as wide on machines of 32 bits.
        let size = off_t::try_from(BYTES).unwrap_or(off_t::MAX);
        let laid = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
            .is_ok_and(|file: File| posix_fallocate(&file, 0, size).is_ok());
        self.gone_since = if laid { None } else { Some(now) };
        if !laid {
            self.remove();
        }
    }

    fn remove(&self) {
        // It may be gone already; what cannot be removed frees nothing, and the writes say so.
        let _ = fs::remove_file(&self.path);
    }
}
