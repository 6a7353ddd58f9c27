//! The one moment a minute: a frame with the clock's new minute, and a sign of life.

use std::time::Duration;

use tokenward::core::time::Instant;

use crate::panel::Health;

/// The longest time between two frames: healing the panel and the watchdog ride on them.
const BEAT: Duration = Duration::from_secs(60);

/// How long after the turn of a minute its frame is drawn: a clock that is being set right by tiny
/// steps is past the turn then, and nobody sees the tenth of a second.
const PAST_THE_TURN: Duration = Duration::from_millis(100);

/// When the next beat is, and how the panel's thread fared at the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    at: Instant,
    dealt: u64,
}

impl Beat {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: now, dealt: 0 }
    }

    pub(super) fn at(self) -> Instant {
        self.at
    }

    /// Plans the next beat for the turn of the minute on the wall clock, where that is right. No
    /// frame that is drawn between two beats puts the next one off.
    pub(super) fn plan(&mut self, now: Instant, wall: Option<Duration>) {
        match wall {
            Some(wall) => self.at = now + until_turn(wall),
            None if self.at <= now => self.at = now + BEAT,
            None => {}
        }
    }

    /// Tells whether the panel's thread has dealt with what it was given since the last beat.
    pub(super) fn proves_life(&mut self, health: &Health) -> bool {
        let lives = health.dealt == health.asked || health.dealt > self.dealt;
        self.dealt = health.dealt;
        lives
    }
}

/// Returns how long it is until the next minute has begun on a clock that shows this.
fn until_turn(wall: Duration) -> Duration {
    let seconds = Duration::from_secs(wall.as_secs() % BEAT.as_secs());
    let into_minute = seconds + Duration::from_nanos(wall.subsec_nanos().into());
    BEAT.saturating_sub(into_minute) + PAST_THE_TURN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_just_past_the_turn_of_the_minute() {
        let now = Instant::ZERO + Duration::from_secs(1_000);
        let mut beat = Beat::new(now);
        for (wall_ms, wait_ms) in [(0, 60_100), (100, 60_000), (59_999, 101), (30_500, 29_600)] {
            beat.plan(now, Some(Duration::from_millis(600_000 + wall_ms)));
            assert_eq!(beat.at(), now + Duration::from_millis(wait_ms), "{wall_ms}");
        }
    }

    #[test]
    fn frames_between_two_beats_put_none_off_while_the_clock_is_wrong() {
        let start = Instant::ZERO + Duration::from_secs(1_000);
        let mut beat = Beat::new(start);
        // A frame at each question whether a code was used, every five seconds.
        let beats = (0..60).filter(|step| {
            let now = start + Duration::from_secs(step * 5);
            let is_due = beat.at() <= now;
            beat.plan(now, None);
            is_due
        });
        assert_eq!(beats.count(), 5, "one a minute in five minutes");
    }

    #[test]
    fn a_panel_that_hangs_gives_no_sign_of_life() {
        let mut beat = Beat::new(Instant::ZERO);
        let mut lives =
            |dealt, asked| beat.proves_life(&Health { dealt, asked, ..Health::default() });
        assert!(lives(3, 3), "all is shown");
        assert!(lives(4, 6), "it is slow, and moves");
        assert!(!lives(4, 7), "it hangs");
        assert!(lives(8, 8), "it goes on");
    }
}
