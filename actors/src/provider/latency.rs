//! How long the token endpoint takes, and what follows for a request whose connection is dead.

use std::time::Duration;

/// The answers remembered: at ten a minute a quarter of an hour, so that one bad day is forgotten.
const REMEMBERED: usize = 128;

/// The shortest settling time: a provider that answered quickly so far may pause for once.
const SETTLE_MIN: Duration = Duration::from_millis(500);

/// How many times its slowest recent answer a provider may still be at a lost request.
const SETTLE_FACTOR: u32 = 4;

/// The token endpoint's recent answer times.
#[derive(Debug, Default)]
pub(super) struct Latency {
    recent: Vec<Duration>,
    next: usize,
    /// The settling time that an earlier process went by; counts until an answer comes.
    inherited: Option<Duration>,
}

impl Latency {
    /// Remembers one answer.
    pub(super) fn answered(&mut self, took: Duration) {
        if self.recent.len() < REMEMBERED {
            self.recent.push(took);
        } else {
            self.recent[self.next] = took;
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// Takes the settling time that an earlier process wrote into an intent: without it each kill
    /// would be followed by the hard deadline, because a process that has just started has seen
    /// nothing.
    pub(super) fn inherit(&mut self, settle: Duration) {
        self.inherited = Some(self.inherited.map_or(settle, |known| known.min(settle)));
    }

    /// Returns how long a request whose connection is known dead may still be worked on.
    pub(super) fn settle(&self, hard_deadline: Duration) -> Duration {
        match self.recent.iter().max() {
            Some(slowest) => (*slowest * SETTLE_FACTOR).max(SETTLE_MIN).min(hard_deadline),
            None => self.inherited.map_or(hard_deadline, |settle| settle.min(hard_deadline)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l3_the_settling_time_follows_the_slowest_recent_answer() {
        let hard = Duration::from_secs(13);
        let mut latency = Latency::default();
        assert_eq!(latency.settle(hard), hard, "nothing is known yet");
        latency.inherit(hard);
        latency.inherit(Duration::from_secs(2));
        assert_eq!(latency.settle(hard), Duration::from_secs(2), "as the process before went by");
        latency.answered(Duration::from_millis(20));
        assert_eq!(latency.settle(hard), SETTLE_MIN);
        latency.answered(Duration::from_millis(700));
        assert_eq!(latency.settle(hard), Duration::from_millis(2_800));
        latency.answered(Duration::from_secs(9));
        assert_eq!(latency.settle(hard), hard, "never more than the hard deadline");
        for _ in 0..REMEMBERED {
            latency.answered(Duration::from_millis(10));
        }
        assert_eq!(latency.settle(hard), SETTLE_MIN, "what is long ago is forgotten");
    }
}
