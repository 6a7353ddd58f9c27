//! What one gateway counts of codes by itself: how many it has opened, and how often devices ask it.
//!
//! A fleet of so many gateways allows so many times as much: a count that all share would cost each
//! question of a waiting device a write.

use std::collections::BTreeMap;
use std::time::Duration;

use super::codes::{CodeId, Terms};
use super::{INTERVAL_MAX, Pace};
use crate::time::Instant;

/// How much sooner than it was told a device may ask: timers are not exact.
const EARLY: Duration = Duration::from_millis(500);

/// The devices whose last question is kept in mind: more than one gateway may have codes open, for
/// devices also ask where their code was not opened.
const DEVICES_MAX: usize = 16_384;

/// The codes that this gateway has opened, and the devices that ask it.
#[derive(Debug, Default)]
pub struct Tally {
    /// When each code that was opened here is over at the latest.
    open: BTreeMap<CodeId, Instant>,
    asked: BTreeMap<CodeId, (Pace, Instant)>,
}

impl Tally {
    /// Takes a place among the codes that are open.
    ///
    /// # Errors
    /// Where there are as many as there may be: says after how long the first may end.
    pub fn open(&mut self, id: CodeId, terms: Terms, now: Instant) -> Result<(), Duration> {
        self.open.retain(|_, ends_at| *ends_at > now);
        if self.open.len() >= terms.open_max {
            let first = self.open.values().min().map(|ends_at| ends_at.left_at(now));
            return Err(first.unwrap_or(terms.interval));
        }
        self.open.insert(id, now + terms.lifetime);
        Ok(())
    }

    /// Gives the place of a code back that waits no more.
    pub fn ended(&mut self, id: CodeId) {
        self.open.remove(&id);
        self.asked.remove(&id);
    }

    /// Takes the question of a device that waits; false where it came too soon.
    pub fn allows(&mut self, id: CodeId, interval: Duration, now: Instant) -> bool {
        if self.asked.len() >= DEVICES_MAX {
            self.asked.retain(|_, (_, last)| now.since(*last) < INTERVAL_MAX);
        }
        if self.asked.len() >= DEVICES_MAX {
            self.asked.clear();
        }
        let (pace, last) = self.asked.entry(id).or_insert((Pace::default(), now));
        *last = now;
        pace.allows(interval.saturating_sub(EARLY), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms =
        Terms { lifetime: Duration::from_secs(900), interval: Duration::from_secs(5), open_max: 2 };

    fn at(second: u64) -> Instant {
        Instant::from_nanos(1_000_000_000_000) + Duration::from_secs(second)
    }

    fn id(number: u32) -> CodeId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        CodeId(id)
    }

    #[test]
    fn l14_open_codes_are_bounded_and_what_has_ended_makes_room() {
        let mut tally = Tally::default();
        assert_eq!(tally.open(id(1), TERMS, at(0)), Ok(()));
        assert_eq!(tally.open(id(2), TERMS, at(50)), Ok(()));
        assert_eq!(tally.open(id(3), TERMS, at(100)), Err(Duration::from_secs(800)));
        tally.ended(id(2));
        assert_eq!(tally.open(id(3), TERMS, at(100)), Ok(()));
        assert!(tally.open(id(4), TERMS, at(899)).is_err());
        assert_eq!(tally.open(id(4), TERMS, at(900)), Ok(()), "the first is too old");
    }

    #[test]
    fn a_device_that_asks_too_often_is_told_and_a_steady_one_is_not() {
        let mut tally = Tally::default();
        for (second, allowed) in [(0, true), (5, true), (7, false), (10, true), (14, false)] {
            let answer = tally.allows(id(1), TERMS.interval, at(second));
            assert_eq!(answer, allowed, "second {second}");
        }
        assert!(tally.allows(id(2), TERMS.interval, at(14)), "another device");
    }

    #[test]
    fn l14_the_devices_that_are_kept_in_mind_are_bounded() {
        let mut tally = Tally::default();
        for number in 0..40_000 {
            assert!(tally.allows(id(number), TERMS.interval, at(0)));
        }
        assert!(tally.asked.len() <= DEVICES_MAX);
    }
}
