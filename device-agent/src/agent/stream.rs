//! When the stream of events is opened, and how it is opened anew.

use std::time::Duration;

use tokenward::core::session::backoff::Dice;
use tokenward::core::time::Instant;

use super::{Agent, retry_after};

/// How long a stream must have been open to count as one that worked.
const WORKED: Duration = Duration::from_secs(60);

/// The stream of the session's events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    state: State,
    failures: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// It has not been opened yet.
    #[default]
    Closed,
    /// It is being opened.
    Opening,
    /// It is open since then.
    Open(Instant),
    /// It is opened anew at that moment.
    Waiting(Instant),
}

impl Stream {
    /// Reports whether it is to be opened, which counts as begun from here on.
    pub(super) fn opens(&mut self, now: Instant) -> bool {
        let opens = match self.state {
            State::Closed => true,
            State::Waiting(until) => until <= now,
            State::Opening | State::Open(_) => false,
        };
        if opens {
            self.state = State::Opening;
        }
        opens
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(until) => Some(until),
            State::Closed | State::Opening | State::Open(_) => None,
        }
    }

    pub(super) fn over(&mut self, now: Instant, dice: &mut Dice) {
        self.failures = match self.state {
            State::Open(since) if now.since(since) >= WORKED => 1,
            State::Closed | State::Opening | State::Open(_) | State::Waiting(_) => {
                self.failures.saturating_add(1)
            }
        };
        self.state = State::Waiting(now + retry_after(self.failures, None, dice));
    }
}

impl Agent {
    pub(super) fn stream_opened(&mut self, now: Instant) {
        self.stream.state = State::Open(now);
        // What was told while it was closed was told to nobody.
        self.look(now);
    }
}
