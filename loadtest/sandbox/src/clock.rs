//! The sandbox's one reader of clocks: everything else takes the time as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock that starts at zero and never jumps, with a Unix time derived from the same instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    unix_ms_at_start: u64,
}

impl Clock {
    /// Starts the clock.
    #[expect(clippy::disallowed_methods, reason = "this is the sandbox's clock")]
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            unix_ms_at_start: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Returns the milliseconds since the start.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the Unix time, in seconds, of a moment given in milliseconds since the start.
    pub(crate) fn unix_s(&self, at_ms: u64) -> u64 {
        self.unix_ms_at_start.saturating_add(at_ms) / 1000
    }
}
