//! Sees the gateway write: the kernel tells of every write into its state directory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

/// The store's file: written when the log is moved into it.
pub(super) const STORE: &str = "sessions.db";
/// The store's log: written by every journal entry and every save.
pub(super) const LOG: &str = "sessions.db-wal";
/// What SQLite's connections share about the log.
const LOG_INDEX: &str = "sessions.db-shm";
/// Where the index has the number of the log's last frame: a native u32 (SQLite, walformat.html).
const LAST_FRAME_AT: u64 = 16;
/// Between two looks: a flush takes milliseconds, so that a kill falls into it.
const LOOK_GAP: Duration = Duration::from_micros(100);

/// A watch on a state directory.
#[derive(Debug)]
pub(super) struct Trace {
    inotify: Inotify,
    folder: PathBuf,
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
        Ok(Self { inotify, folder: folder.to_owned() })
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

    /// Returns how many frames the log has that are not moved; 0 where that is not known.
    pub(super) fn log_frames(&self) -> u32 {
        let mut frames = [0; 4];
        let index = File::open(self.folder.join(LOG_INDEX));
        match index.and_then(|index| index.read_exact_at(&mut frames, LAST_FRAME_AT)) {
            Ok(()) => u32::from_ne_bytes(frames),
            Err(_) => 0,
        }
    }

    /// Takes the news out: `None` where there is none, else whether the file was among it.
    fn seen(&self, file: &str) -> Option<bool> {
        let news = self.inotify.read_events().ok()?;
        Some(news.iter().any(|event| event.name.as_deref().is_some_and(|name| name == file)))
    }
}
