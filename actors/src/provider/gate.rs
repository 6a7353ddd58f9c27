//! Whether a request may go to a provider at all: its rate limit and its circuit breaker, shared
//! by all sessions (law L7). Pure: time and chance are arguments.

use std::time::Duration;

use crate::core::grant::{NotSent, NotSentCause};
use crate::core::time::Instant;

/// The failures in a row that open the breaker: fewer would open on a deploy that drops a few
/// connections.
const FAILURES_MAX: u32 = 5;

/// How long the breaker stays open at first.
const OPEN_FIRST: Duration = Duration::from_secs(1);

/// How long the breaker stays open at most: a provider that is back is noticed within this.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// How long the others are asked to wait while one request probes.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// How long everybody waits after a 429 that names no time.
const LIMIT_DEFAULT: Duration = Duration::from_secs(1);

/// The state of the circuit breaker towards a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Requests go through.
    Closed,
    /// Requests are turned back.
    Open,
    /// One request finds out whether the provider is back.
    HalfOpen,
}

impl Breaker {
    /// Returns the metric label.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The right to make one attempt; its end must be told to [`Gate::settle`].
#[derive(Debug)]
pub(super) struct Pass {
    probe: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The provider answered, with whatever.
    Answered,
    /// The provider asked everybody to wait.
    Limited(Option<Duration>),
    /// The provider is not there, or is ill.
    Failed,
    /// Nobody tried after all.
    Abandoned,
}

#[derive(Debug, Default)]
pub(super) struct Gate {
    failures: u32,
    /// How often the breaker has opened since it was last closed; 0 means that it is closed.
    trips: u32,
    open_until: Instant,
    probing: bool,
    limited_until: Instant,
}

impl Gate {
    /// Reports why no request may go at `now`, if so.
    pub(super) fn refusal(&self, now: Instant) -> Option<NotSent> {
        let not_sent = |cause, wait| Some(NotSent { cause, wait: Some(wait) });
        if now < self.limited_until {
            return not_sent(NotSentCause::RateLimited, self.limited_until.left_at(now));
        }
        match self.breaker(now) {
            Breaker::Closed => None,
            Breaker::Open => not_sent(NotSentCause::BreakerOpen, self.open_until.left_at(now)),
            Breaker::HalfOpen if self.probing => not_sent(NotSentCause::BreakerOpen, PROBE_WAIT),
            Breaker::HalfOpen => None,
        }
    }

    /// Lets one request through, or says why not.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Pass, NotSent> {
        if let Some(not_sent) = self.refusal(now) {
            return Err(not_sent);
        }
        let probe = self.breaker(now) == Breaker::HalfOpen;
        self.probing |= probe;
        Ok(Pass { probe })
    }

    /// Takes the end of an attempt; `chance` is any random number.
    pub(super) fn settle(&mut self, now: Instant, pass: Pass, attempt: Attempt, chance: u64) {
        if pass.probe {
            self.probing = false;
        }
        match attempt {
            Attempt::Answered => self.close(),
            Attempt::Limited(wait) => {
                self.close();
                let until = now + wait.unwrap_or(LIMIT_DEFAULT);
                self.limited_until = self.limited_until.max(until);
            }
            // Others that were under way when the breaker opened say nothing new.
            Attempt::Failed if self.trips > 0 && !pass.probe => {}
            Attempt::Failed => {
                self.failures = self.failures.saturating_add(1);
                if pass.probe || self.failures >= FAILURES_MAX {
                    self.open(now, chance);
                }
            }
            Attempt::Abandoned => {}
        }
    }

    /// Returns the state of the breaker at `now`.
    pub(super) fn breaker(&self, now: Instant) -> Breaker {
        match self.trips {
            0 => Breaker::Closed,
            _ if now < self.open_until => Breaker::Open,
            _ => Breaker::HalfOpen,
        }
    }

    fn close(&mut self) {
        self.failures = 0;
        self.trips = 0;
    }

    fn open(&mut self, now: Instant, chance: u64) {
        self.trips = self.trips.saturating_add(1);
        let span = (OPEN_FIRST * (1 << (self.trips - 1).min(8))).min(OPEN_MAX);
        // Between half and all of the span, so that several machines do not probe as one.
        let half = span / 2;
        let jitter = Duration::from_nanos(chance % (half.as_nanos() as u64 + 1));
        self.open_until = now + half + jitter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Story {
        gate: Gate,
        now: Instant,
    }

    impl Story {
        fn new() -> Self {
            Self { gate: Gate::default(), now: Instant::from_nanos(1) }
        }

        fn after_ms(&mut self, ms: u64) -> &mut Self {
            self.now = self.now + Duration::from_millis(ms);
            self
        }

        fn attempt(&mut self, ends: Attempt) -> String {
            match self.gate.admit(self.now) {
                Ok(pass) => {
                    self.gate.settle(self.now, pass, ends, u64::MAX / 2);
                    format!("sent, {}", self.gate.breaker(self.now).code())
                }
                Err(not_sent) => turned_back(&not_sent),
            }
        }
    }

    fn turned_back(not_sent: &NotSent) -> String {
        format!("{} {} ms", not_sent.cause.code(), not_sent.wait.unwrap().as_millis())
    }

    #[test]
    fn l7_the_breaker_counts_real_attempts_and_one_probe_finds_out() {
        let mut story = Story::new();
        for _ in 0..4 {
            assert_eq!(story.attempt(Attempt::Failed), "sent, closed");
        }
        assert_eq!(story.attempt(Attempt::Answered), "sent, closed", "a success starts afresh");
        for _ in 0..4 {
            assert_eq!(story.attempt(Attempt::Failed), "sent, closed");
        }
        assert_eq!(story.attempt(Attempt::Failed), "sent, open");
        let wait = story.gate.refusal(story.now).unwrap().wait.unwrap();
        assert!(wait >= OPEN_FIRST / 2 && wait <= OPEN_FIRST, "{wait:?}");

        for _ in 0..100 {
            assert!(story.attempt(Attempt::Failed).starts_with("breaker_open"));
        }
        assert_eq!(story.gate.trips, 1, "what was turned back counts for nothing");

        story.after_ms(1_000);
        let probe = story.gate.admit(story.now).unwrap();
        assert_eq!(story.attempt(Attempt::Answered), "breaker_open 1000 ms", "one probe only");
        story.gate.settle(story.now, probe, Attempt::Failed, 0);
        let wait = story.gate.refusal(story.now).unwrap().wait.unwrap();
        assert_eq!(wait, OPEN_FIRST, "half of the doubled span");

        story.after_ms(1_000);
        assert_eq!(story.attempt(Attempt::Answered), "sent, closed");
    }

    #[test]
    fn an_abandoned_probe_leaves_the_way_to_the_next() {
        let mut story = Story::new();
        for _ in 0..5 {
            story.attempt(Attempt::Failed);
        }
        story.after_ms(1_000);
        assert_eq!(story.attempt(Attempt::Abandoned), "sent, half_open");
        assert_eq!(story.attempt(Attempt::Answered), "sent, closed");
    }

    #[test]
    fn stragglers_neither_lengthen_nor_reopen() {
        let mut story = Story::new();
        let stragglers: Vec<Pass> = (0..9).map(|_| story.gate.admit(story.now).unwrap()).collect();
        for pass in stragglers {
            story.gate.settle(story.now, pass, Attempt::Failed, 0);
        }
        assert_eq!(story.gate.trips, 1);
    }

    #[test]
    fn the_open_time_is_bounded() {
        let mut gate = Gate { trips: 40, ..Gate::default() };
        let now = Instant::from_nanos(0);
        gate.open(now, u64::MAX);
        assert!(gate.open_until.left_at(now) <= OPEN_MAX);
    }

    #[test]
    fn l7_a_rate_limit_holds_for_everybody_and_does_not_open_the_breaker() {
        let mut story = Story::new();
        let limited = Attempt::Limited(Some(Duration::from_secs(7)));
        assert_eq!(story.attempt(limited), "sent, closed");
        assert_eq!(story.attempt(Attempt::Answered), "rate_limited 7000 ms");
        story.after_ms(6_999);
        assert_eq!(story.attempt(Attempt::Answered), "rate_limited 1 ms");
        story.after_ms(1);
        assert_eq!(story.attempt(Attempt::Limited(None)), "sent, closed");
        assert_eq!(story.attempt(Attempt::Answered), "rate_limited 1000 ms");
    }
}
