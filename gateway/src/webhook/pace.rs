//! How often, how long and how much a receiver is tried.

use std::time::Duration;

/// The bounds of one receiver's queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The time from the start of a try to the head of its answer.
    pub(super) within: Duration,
    /// How long to wait after each try that failed; a letter is given up after the last one.
    pub(super) again: &'static [Duration],
    /// The letters that wait for a further try, or for their first.
    pub(super) waiting_max: usize,
    /// The tries that are under way at once.
    pub(super) at_once: usize,
    /// The longest pause that a receiver may ask for.
    pub(super) pause_max: Duration,
}

/// An hour and a half of tries in all: an operator's own chat or ticket system is back by then, and
/// older news are found in the console.
const AGAIN: [Duration; 7] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(1_800),
    Duration::from_secs(3_000),
];

/// What the scheme recommends: fifteen to thirty seconds.
const WITHIN: Duration = Duration::from_secs(15);

/// At half a kilobyte each, what waits for one receiver takes half a megabyte.
const WAITING_MAX: usize = 1_024;

/// Enough for a receiver that takes a second for each of some letters a second.
const AT_ONCE: usize = 4;

/// A receiver that asks for more has its letters tried, and refused, in between.
const PAUSE_MAX: Duration = Duration::from_secs(600);

impl Default for Pace {
    fn default() -> Self {
        Self {
            within: WITHIN,
            again: &AGAIN,
            waiting_max: WAITING_MAX,
            at_once: AT_ONCE,
            pause_max: PAUSE_MAX,
        }
    }
}
