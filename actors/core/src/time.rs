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

/// A moment as it is written where other machines read it: microseconds of the time that they have in
/// common, or of this machine's boot clock where the store is its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

impl Stamp {
    /// Returns the time from `earlier` to `self`, zero where `earlier` is later.
    pub const fn since(self, earlier: Stamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Stamp {
    type Output = Stamp;

    fn add(self, span: Duration) -> Stamp {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Stamp(self.0.saturating_add(micros))
    }
}

/// The present moment by the time that machines have in common. Each knows it within bounds only, so
/// that what is given away is judged by one end of them and what is taken away by the other (law L12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// The earliest that it can be.
    pub earliest: Stamp,
    /// The latest that it can be.
    pub latest: Stamp,
    /// Stamps before this one mean nothing any more: somebody has set the common clock since.
    pub known_from: Stamp,
}

impl Present {
    /// Makes a present that is known exactly.
    pub const fn exactly(at: Stamp) -> Self {
        Self { earliest: at, latest: at, known_from: Stamp(0) }
    }

    /// Reports whether `until` has surely not come yet.
    pub fn is_before(&self, until: Stamp) -> bool {
        self.latest < until
    }

    /// Reports whether `until` has surely come.
    pub fn is_past(&self, until: Stamp) -> bool {
        self.earliest >= until
    }

    /// Reports whether it is known how long ago a stamp was.
    pub fn places(&self, stamp: Stamp) -> bool {
        stamp >= self.known_from
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
        assert_eq!(Stamp(7) + Duration::MAX, Stamp(u64::MAX));
        assert_eq!(Stamp(7).since(Stamp(8)), Duration::ZERO);
    }

    #[test]
    fn l12_what_may_have_come_is_neither_surely_past_nor_surely_before() {
        let now = Present { earliest: Stamp(100), latest: Stamp(200), known_from: Stamp(50) };
        for (until, before, past) in
            [(100, false, true), (101, false, false), (200, false, false), (201, true, false)]
        {
            let until = Stamp(until);
            assert_eq!((now.is_before(until), now.is_past(until)), (before, past), "{until:?}");
        }
        assert!(now.places(Stamp(50)) && !now.places(Stamp(49)));
    }
}
