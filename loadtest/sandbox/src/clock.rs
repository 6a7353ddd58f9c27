//! The sandbox's one reader of clocks: everything else takes the time as an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that starts at zero and never goes back, with a Unix time derived from the same instant.
/// A clone is the same clock.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    started: Instant,
    unix_ms_at_start: u64,
    ahead_ms: Arc<AtomicU64>,
}

impl Clock {
    /// Starts the clock.
    #[expect(clippy::disallowed_methods, reason = "this is the sandbox's clock")]
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            unix_ms_at_start: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            ahead_ms: Arc::default(),
        }
    }

    /// Returns the milliseconds since the start.
    pub(crate) fn now_ms(&self) -> u64 {
        let since_start = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        since_start.saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Moves the clock forward, for tests of what takes minutes or days.
    pub(crate) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(by, Ordering::Relaxed);
    }

    /// Returns the Unix time, in seconds, of a moment given in milliseconds since the start.
    pub(crate) fn unix_s(&self, at_ms: u64) -> u64 {
        self.unix_ms_at_start.saturating_add(at_ms) / 1000
    }
}
