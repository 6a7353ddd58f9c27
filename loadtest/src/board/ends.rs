//! Who has signed out, and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When sessions signed out, for all who send.
#[derive(Debug)]
pub struct Ends {
    /// Microseconds from the start of the run, by session: when signing out began, and when it was
    /// confirmed.
    at_us: Vec<[AtomicU64; 2]>,
}

impl Ends {
    /// Makes one for so many sessions.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { at_us: (0..count).map(|_| [u64::MAX, u64::MAX].map(AtomicU64::new)).collect() }
    }

    /// Notes that a session begins to sign out.
    pub fn begin(&self, seat: usize, at: Duration) {
        self.set(seat, 0, at);
    }

    /// Notes that its sign-out was confirmed.
    pub fn confirm(&self, seat: usize, at: Duration) {
        self.set(seat, 1, at);
    }

    fn set(&self, seat: usize, which: usize, at: Duration) {
        if let Some(ends) = self.at_us.get(seat) {
            ends[which].store(micros(at), Ordering::Release);
        }
    }

    /// Tells whether the step had been taken before this moment.
    pub(super) fn is_before(&self, seat: usize, which: usize, at: Duration) -> bool {
        self.at_us.get(seat).is_some_and(|ends| ends[which].load(Ordering::Acquire) < micros(at))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
