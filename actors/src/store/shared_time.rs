//! The time that the machines on one store have in common, so that a moment which one of them wrote
//! means something to another (law L12).

use std::time::Duration;

use crate::clock::BootId;
use crate::core::time::Instant;

/// What a machine knows of the shared time: how far it is ahead of the machine's own clock.
///
/// It is known within bounds only. A moment that is read is given as the earliest it can have been,
/// or as the latest, whichever trusts less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedTime {
    /// Which shared time this is: moments of another one are unknown.
    pub id: BootId,
    /// By how many microseconds it is ahead of the machine's clock at least.
    pub ahead_min: i64,
    /// By how many microseconds it is ahead of the machine's clock at most.
    pub ahead_max: i64,
    /// Moments before this one cannot be placed, because the shared time has jumped since.
    pub known_from: i64,
}

/// The last moment that is written: the largest whole number that a script can hold exactly.
const LAST: i64 = (1 << 53) - 1;

impl SharedTime {
    /// Returns a moment of this machine as microseconds of the shared time.
    pub fn stamp(&self, at: Instant) -> i64 {
        let ahead = self.ahead_min.midpoint(self.ahead_max);
        micros(at).saturating_add(ahead).clamp(0, LAST)
    }

    /// Returns the earliest that a stamp can mean here.
    pub fn earliest(&self, stamp: i64) -> Option<Instant> {
        self.here(stamp, self.ahead_max)
    }

    /// Returns the latest that a stamp can mean here.
    pub fn latest(&self, stamp: i64) -> Option<Instant> {
        self.here(stamp, self.ahead_min)
    }

    fn here(&self, stamp: i64, ahead: i64) -> Option<Instant> {
        if stamp < self.known_from {
            return None;
        }
        // What was before this machine's boot was long ago.
        let micros = u64::try_from(stamp.saturating_sub(ahead)).unwrap_or(0);
        Some(Instant::ZERO + Duration::from_micros(micros))
    }
}

/// Returns a moment as microseconds since boot.
pub(super) fn micros(at: Instant) -> i64 {
    i64::try_from(at.as_nanos() / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l12_a_moment_of_another_machine_is_placed_within_its_bounds() {
        let shared = SharedTime {
            id: BootId([1; 16]),
            ahead_min: 1_000,
            ahead_max: 1_400,
            known_from: 50_000,
        };
        let at = Instant::ZERO + Duration::from_micros(60_000);
        let stamp = shared.stamp(at);
        assert_eq!(stamp, 61_200);
        let off = Duration::from_micros(200);
        assert_eq!(shared.earliest(stamp), Some(at - off));
        assert_eq!(shared.latest(stamp), Some(at + off));
        assert_eq!(shared.latest(49_999), None, "the shared time has jumped since");
        assert_eq!(shared.stamp(Instant::FAR), LAST);
    }
}
