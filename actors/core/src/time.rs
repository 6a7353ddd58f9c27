//! Points in time, as the core sees them.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the machine's boot clock, in nanoseconds since boot.
///
/// The boot clock counts suspend and never jumps, so deadlines stay true through a closed lid and
/// a corrected wall clock. Instants of different boots must not be compared: whoever restores one
/// from a record checks the boot it belongs to, and passes [`Instant::ZERO`] ("long ago") or an
/// age of its own choosing where the boot differs.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment of boot: earlier than everything that can happen.
    pub const ZERO: Instant = Instant(0);

    /// A moment that never comes.
    pub const FAR: Instant = Instant(u64::MAX);

    /// Makes an instant from nanoseconds since boot.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time from `earlier` to `self`, zero where `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the time that is left at `now`, zero where it has passed.
    pub const fn left_at(self, now: Instant) -> Duration {
        self.since(now)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, span: Duration) -> Instant {
        // Saturates: a provider may promise more seconds than the clock can count.
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, span: Duration) -> Instant {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_sub(nanos))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// Seconds since the Unix epoch, as a provider or a person names a moment.
///
/// Good for showing and for claims that are defined in it (a session ceiling); never the base of
/// a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let boot = Instant::ZERO;
        assert_eq!(boot - Duration::from_secs(1), boot);
        assert_eq!(boot.since(boot + Duration::from_secs(5)), Duration::ZERO);
        assert_eq!((boot + Duration::MAX).as_nanos(), u64::MAX);
    }
}
