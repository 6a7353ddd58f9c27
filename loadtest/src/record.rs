//! The times of a run, in bounded memory: two clocks for each answer, by second and by fifth.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Into how many parts a run is cut, to see how much its figures vary by themselves.
pub const FIFTHS: usize = 5;
/// The most columns that the picture of a run has; a longer run has wider ones.
pub const SLOTS_MAX: usize = 120;
/// The rows of that picture, each a fifth of a decade.
pub const ROWS: usize = 28;
/// The upper edge of the lowest row, in microseconds.
pub const ROW_FLOOR_US: f64 = 100.0;
/// Rows to a decade.
pub const ROWS_A_DECADE: f64 = 5.0;
/// The longest time that is told apart, in microseconds: longer than any caller waits.
const LATENCY_MAX_US: u64 = 180_000_000;

/// Why a request is not counted as answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// When it was told to come back later.
    Postponed,
    /// When another factor was demanded of a session that was to be left alone.
    Held,
    /// When a living session was told to sign in.
    SignIn,
    /// When it got any other answer that is no success.
    Refused,
    /// When the answer is not the API's.
    Nonsense,
    /// When no connection could be made.
    Unreachable,
    /// When the connection broke before the answer was whole.
    Cut,
    /// When no answer came in time.
    TimedOut,
    /// When no connection was free in time: it was never sent.
    Waited,
}

/// One column of the picture.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Answers by latency, from the fastest row up.
    pub rows: [u32; ROWS],
    /// Requests answered.
    pub ok: u32,
    /// Requests that failed.
    pub failed: u32,
    /// The slowest answer, in microseconds.
    pub most_us: u64,
}

/// What a run's times were.
#[derive(Clone, Debug)]
pub struct Record {
    /// From the moment at which requests were due.
    pub response: Histogram<u64>,
    /// From the moment at which they were sent.
    pub service: Histogram<u64>,
    /// From the moment at which requests were due, by fifths of the run.
    pub fifths: Vec<Histogram<u64>>,
    /// By time.
    pub slots: Vec<Slot>,
    /// How long a slot is.
    pub slot: Duration,
    /// Requests that failed, by cause.
    pub failed: BTreeMap<Cause, u64>,
    whole: Duration,
}

impl Record {
    /// Makes an empty one for a run of this length.
    #[must_use]
    pub fn new(whole: Duration) -> Self {
        let seconds = usize::try_from(whole.as_secs_f64().ceil() as u64).unwrap_or(usize::MAX);
        let count = seconds.clamp(1, SLOTS_MAX);
        Self {
            response: histogram(),
            service: histogram(),
            fifths: (0..FIFTHS).map(|_| histogram()).collect(),
            slots: vec![Slot::default(); count],
            slot: whole.max(Duration::from_secs(1)).div_f64(count as f64),
            failed: BTreeMap::new(),
            whole,
        }
    }

    /// Notes an answer to a request that was due, sent and answered at these times.
    pub fn answered(&mut self, due: Duration, sent: Duration, ended: Duration) {
        let response_us = micros(ended.saturating_sub(due));
        self.response.saturating_record(response_us);
        self.service.saturating_record(micros(ended.saturating_sub(sent)));
        let fifth = part(due, self.whole, FIFTHS);
        if let Some(fifth) = self.fifths.get_mut(fifth) {
            fifth.saturating_record(response_us);
        }
        if let Some(slot) = self.slot_of(due) {
            slot.ok += 1;
            slot.most_us = slot.most_us.max(response_us);
            slot.rows[row(response_us)] += 1;
        }
    }

    /// Notes a request that was due at this time and failed.
    pub fn failed(&mut self, due: Duration, cause: Cause) {
        *self.failed.entry(cause).or_default() += 1;
        if let Some(slot) = self.slot_of(due) {
            slot.failed += 1;
        }
    }

    /// Returns how long the run was to be.
    #[must_use]
    pub const fn whole(&self) -> Duration {
        self.whole
    }

    /// Returns how many requests were answered.
    #[must_use]
    pub fn ok(&self) -> u64 {
        self.response.len()
    }

    /// Returns how many requests failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    fn slot_of(&mut self, due: Duration) -> Option<&mut Slot> {
        let at = part(due, self.whole, self.slots.len());
        self.slots.get_mut(at)
    }
}

impl Cause {
    /// Says it in the report's words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Postponed => "told to come back later",
            Self::Held => "asked for another factor",
            Self::SignIn => "told to sign in again",
            Self::Refused => "refused",
            Self::Nonsense => "answered by somebody else",
            Self::Unreachable => "no connection",
            Self::Cut => "connection cut",
            Self::TimedOut => "no answer in time",
            Self::Waited => "no free connection in time",
        }
    }
}

/// Returns the part of the run that a moment lies in.
#[must_use]
pub fn part(at: Duration, whole: Duration, parts: usize) -> usize {
    let share = at.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE);
    // A share is not negative; what is due at the very end belongs to the last part.
    ((share * parts as f64) as usize).min(parts.saturating_sub(1))
}

fn row(us: u64) -> usize {
    let above = ((us as f64) / ROW_FLOOR_US).log10() * ROWS_A_DECADE;
    // Below the floor the logarithm is negative, which the conversion turns into row 0.
    (above.ceil().max(0.0) as usize).min(ROWS - 1)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::expect_used, reason = "the bounds are constants that the crate accepts")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("1 is below the maximum")
}

#[cfg(test)]
mod tests {
    use std::collections::BinaryHeap;

    use super::*;
    use crate::pacer::Schedule;
    use crate::plan::Plan;

    #[test]
    fn rows_are_fifths_of_a_decade() {
        for (us, expected) in [(0, 0), (100, 0), (101, 1), (1_000, 5), (1_001, 6), (u64::MAX, 27)] {
            assert_eq!(row(us), expected, "{us}");
        }
    }

    #[test]
    fn a_long_run_takes_no_more_room_than_a_short_one() {
        let day = Record::new(Duration::from_secs(86_400));
        assert_eq!((day.slots.len(), day.slot.as_secs()), (SLOTS_MAX, 720));
        assert_eq!(Record::new(Duration::from_millis(1_500)).slots.len(), 2);
    }

    /// Plays connections that answer in a millisecond each, but not while the target stalls, on a
    /// clock of its own: what a worker would have measured.
    fn play(plan: &Plan, connections: usize, stalled: impl Fn(u64) -> Option<u64>) -> Record {
        let mut record = Record::new(plan.duration());
        let mut free: BinaryHeap<std::cmp::Reverse<u64>> =
            (0..connections).map(|_| std::cmp::Reverse(0)).collect();
        for due in Schedule::new(plan, 1) {
            let due_us = micros(due.at);
            let free_us = free.pop().map_or(0, |free| free.0);
            let sent_us = due_us.max(free_us);
            let ended_us = stalled(sent_us).unwrap_or(sent_us) + 1_000;
            free.push(std::cmp::Reverse(ended_us));
            let at = Duration::from_micros;
            record.answered(at(due_us), at(sent_us), at(ended_us));
        }
        record
    }

    #[test]
    fn a_target_that_stalls_cannot_hide_it_by_slowing_the_load_down() {
        let text = "about = \"x\"\n[[load.stage]]\nrate = 800\nlasting = \"20s\"\n";
        let plan = Plan::parse("test", text).unwrap();
        // 0.3 s in every 5 s, over 8 connections: 6 in 100 requests are due in a stall.
        let stall =
            |us: u64| (us % 5_000_000 < 300_000).then(|| us / 5_000_000 * 5_000_000 + 300_000);
        let record = play(&plan, 8, stall);
        let (response, service) =
            (record.response.value_at_quantile(0.95), record.service.value_at_quantile(0.95));
        assert!(service < 2_000, "only those that were sent felt it: {service}");
        assert!(response > 20 * service, "all that were due felt it: {response}");
        let towers = record.slots.iter().filter(|slot| slot.most_us > 250_000).count();
        assert_eq!(towers, 4, "each stall stands out in the picture");
        let calm = play(&plan, 8, |_| None);
        let tail = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.95);
        assert!(tail(&calm.response) < 2 * tail(&calm.service), "no stall, no gap");
    }
}
