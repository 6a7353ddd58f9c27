//! Sees the gateway write: the kernel tells of every write into its state directory.

use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::clock;
use crate::failure::Failure;

/// The store's file: written when the log is moved into it.
pub(super) const STORE: &str = "sessions.db";
/// The store's log: written by every journal entry and every save.
pub(super) const LOG: &str = "sessions.db-wal";
/// Between two looks: a flush takes milliseconds, so that a kill falls into it.
const LOOK_GAP: Duration = Duration::from_micros(100);

/// A watch on a state directory.
#[derive(Debug)]
pub(super) struct Trace {
    inotify: Inotify,
}

impl Trace {
    /// Starts to watch.
    ///
    /// # Errors
    /// `Unavailable` when the kernel allows no more watches.
    pub(super) fn on(folder: &Path) -> Result<Self, Failure> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        let watching = inotify.and_then(|inotify| {
            inotify.add_watch(folder, AddWatchFlags::IN_MODIFY)?;
            Ok(inotify)
        });
        let inotify = watching.map_err(|error| {
            Failure::Unavailable(format!("could not watch {}: {error}", folder.display()))
        })?;
        Ok(Self { inotify })
    }

    /// Waits for the next write to the named file; false when none came in time.
    pub(super) fn write_to(&self, file: &str, limit: Duration) -> bool {
        while self.seen(file).is_some() {
            // What was written before the question is of no interest.
        }
        let seen = clock::poll(limit, Duration::ZERO, || {
            let seen = self.seen(file).unwrap_or(false);
            if !seen {
                thread::sleep(LOOK_GAP);
            }
            seen.then_some(())
        });
        seen.is_some()
    }

    /// Takes the news out: `None` where there is none, else whether the file was among it.
    fn seen(&self, file: &str) -> Option<bool> {
        let news = self.inotify.read_events().ok()?;
        Some(news.iter().any(|event| event.name.as_deref().is_some_and(|name| name == file)))
    }
}
