//! The server's clock, which all machines on one Redis have in common (law L12).
//!
//! Every answer of a script carries the server's time. It was read between asking and hearing, which
//! bounds how far it is ahead of the machine's own clock; each answer narrows the bounds, and time
//! widens them by what two clocks drift apart. An answer outside of them means that somebody has set
//! the server's clock: whatever was written before cannot be placed any more.

use std::sync::{Mutex, PoisonError};

use crate::clock::{BootId, Clock};
use crate::core::time::Instant;
use crate::store::SharedTime;
use crate::store::shared_time::micros;

/// How much two clocks drift apart at most, one in so many: clocks that are being set slowly go at
/// most 500 millionths faster or slower than others (adjtime), and crystals 100 beside that.
const DRIFT: i64 = 1_500;

/// What an answer may be outside of the bounds before the clock counts as set: the steps in which a
/// virtual machine's clock is read.
const TOLERANCE: i64 = 2_000;

/// What is known of the server's time.
#[derive(Debug)]
pub(super) struct ServerTime {
    clock: Clock,
    bounds: Mutex<Option<Bounds>>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    id: BootId,
    ahead_min: i64,
    ahead_max: i64,
    /// When they were true.
    at: Instant,
    known_from: i64,
}

impl ServerTime {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, bounds: Mutex::default() }
    }

    /// Names the shared time, once that is known.
    pub(super) fn meet(&self, id: BootId, asked_at: Instant, server: i64) {
        self.replace(|_| None);
        let hand = self.clock.is_by_hand();
        let (ahead_min, ahead_max, at) =
            if hand { (0, 0, asked_at) } else { self.between(asked_at, server) };
        self.replace(|_| Some(Bounds { id, ahead_min, ahead_max, at, known_from: 0 }));
    }

    /// Learns from an answer: `server` was its time between `asked_at` and the present.
    pub(super) fn hear(&self, asked_at: Instant, server: i64) {
        if self.clock.is_by_hand() {
            return;
        }
        let (low, high, now) = self.between(asked_at, server);
        self.replace(|known| {
            let known = known?.at(now);
            let (ahead_min, ahead_max) = (low.max(known.ahead_min), high.min(known.ahead_max));
            if ahead_min <= ahead_max.saturating_add(TOLERANCE) {
                let (ahead_min, ahead_max) = (ahead_min.min(ahead_max), ahead_min.max(ahead_max));
                return Some(Bounds { ahead_min, ahead_max, ..known });
            }
            tracing::warn!(
                by_us = low.saturating_sub(known.ahead_max),
                "the clock of the Redis server was set: the age of what was stored is unknown, so \
                 access tokens from before are replaced; let its time be kept by small steps only"
            );
            Some(Bounds { ahead_min: low, ahead_max: high, known_from: server, ..known })
        });
    }

    /// Returns the shared time as it is known at present.
    pub(super) fn shared(&self) -> Option<SharedTime> {
        let now = self.clock.now();
        let bounds = *self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let bounds = if self.clock.is_by_hand() { bounds? } else { bounds?.at(now) };
        let Bounds { id, ahead_min, ahead_max, known_from, .. } = bounds;
        Some(SharedTime { id, ahead_min, ahead_max, known_from })
    }

    /// Returns the time that a script is to go by, in place of the server's own: that of a test's
    /// hand, which the server cannot know.
    pub(super) fn dictated(&self) -> Option<i64> {
        self.clock.is_by_hand().then(|| micros(self.clock.now()))
    }

    fn between(&self, asked_at: Instant, server: i64) -> (i64, i64, Instant) {
        let now = self.clock.now();
        // The server's microseconds are cut off, not rounded.
        let low = server.saturating_sub(micros(now).saturating_add(1));
        (low, server.saturating_add(1).saturating_sub(micros(asked_at)), now)
    }

    fn replace(&self, with: impl FnOnce(Option<Bounds>) -> Option<Bounds>) {
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        *bounds = with(*bounds);
    }
}

impl Bounds {
    fn at(self, now: Instant) -> Self {
        let passed = micros(now).saturating_sub(micros(self.at));
        let off = passed / DRIFT;
        Self {
            ahead_min: self.ahead_min.saturating_sub(off),
            ahead_max: self.ahead_max.saturating_add(off),
            at: now,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn l12_answers_narrow_what_is_known_and_a_clock_that_was_set_is_noticed() {
        let now = Clock::system().now();
        let time = ServerTime::new(Clock::system());
        let server = |ahead: i64| micros(Clock::system().now()) + ahead;
        assert_eq!(time.shared(), None);
        time.meet(BootId([1; 16]), now - Duration::from_secs(1), server(7_000_000));
        let vague = time.shared().expect("met");
        assert!(vague.ahead_max - vague.ahead_min >= 1_000_000);

        time.hear(Clock::system().now(), server(7_000_000));
        let sharp = time.shared().expect("met");
        assert!(sharp.ahead_max - sharp.ahead_min < 1_000_000, "{sharp:?}");
        assert!(sharp.ahead_min <= 7_000_000 && 7_000_000 <= sharp.ahead_max, "{sharp:?}");

        let before = sharp.stamp(Clock::system().now());
        time.hear(Clock::system().now(), server(3_607_000_000));
        let set = time.shared().expect("met");
        assert_eq!(set.earliest(before), None, "nobody knows how old that is");
        let at = Clock::system().now();
        assert!(
            set.latest(set.stamp(at)).is_some_and(|latest| latest >= at - Duration::from_micros(1))
        );
    }
}
