//! The one place of the load test and its commands that reads a clock.

use std::time::{Duration, Instant};

/// A running stop-watch. A copy shows the same time.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    started: Instant,
}

impl Watch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "this is the clock of all that drives programs")]
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Returns the time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Asks `ready` every `gap` until it answers, at most for `limit`.
pub fn poll<T>(limit: Duration, gap: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let watch = Watch::start();
    loop {
        if let Some(answer) = ready() {
            return Some(answer);
        }
        if watch.elapsed() >= limit {
            return None;
        }
        std::thread::sleep(gap);
    }
}

/// Returns the machine's wall clock, in seconds since 1970: what Prometheus compares timestamps with.
#[expect(clippy::disallowed_methods, reason = "this is the clock of all that drives programs")]
#[must_use]
pub fn unix_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
