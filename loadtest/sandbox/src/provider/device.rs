//! One device sign-in (RFC 8628; WIRE a4): what a poll is answered. Pure; the time is an argument.

/// A device code and what became of it.
#[derive(Clone, Debug)]
pub struct DeviceCode {
    /// The client that asked.
    pub client: String,
    /// The audience asked for.
    pub audience: String,
    /// The scopes granted if the user approves.
    pub scope: String,
    /// The code shown to the user.
    pub user_code: String,
    /// The gap a device must keep between two polls, in milliseconds.
    pub interval_ms: u64,
    /// When the code expires, in milliseconds of the sandbox's clock.
    pub expires_at_ms: u64,
    state: State,
    polled_at_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Approved(String),
    Denied,
    /// The final answer was given; every later poll is an `invalid_grant`.
    Told,
}

/// The answer to one poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nobody has decided.
    Pending,
    /// The device polls faster than it was told to.
    SlowDown,
    /// The user with this subject approved.
    Approved(String),
    /// The user refused.
    Denied,
    /// The code has expired; this is said once.
    Expired,
    /// The code was used, refused or reported expired before.
    Invalid,
}

impl DeviceCode {
    /// Starts a device sign-in nobody has decided yet.
    #[must_use]
    pub fn new(
        client: String,
        audience: String,
        scope: String,
        user_code: String,
        interval_ms: u64,
        expires_at_ms: u64,
    ) -> Self {
        Self {
            client,
            audience,
            scope,
            user_code,
            interval_ms,
            expires_at_ms,
            state: State::Pending,
            polled_at_ms: None,
        }
    }

    /// Tells whether a user may still decide.
    #[must_use]
    pub fn open(&self, now_ms: u64) -> bool {
        self.state == State::Pending && now_ms < self.expires_at_ms
    }

    /// Records the user's decision: a subject approves, `None` denies.
    pub fn decide(&mut self, subject: Option<String>) {
        self.state = subject.map_or(State::Denied, State::Approved);
    }

    /// Answers a poll. A rejected poll does not move the reference time, and the enforced gap stays
    /// the advertised one, or a steady client would be told `slow_down` for ever.
    pub fn poll(&mut self, now_ms: u64) -> Polled {
        if self.state == State::Told {
            return Polled::Invalid;
        }
        if now_ms >= self.expires_at_ms {
            self.state = State::Told;
            return Polled::Expired;
        }
        let too_fast = |at: u64| now_ms.saturating_sub(at) < self.interval_ms;
        if self.polled_at_ms.is_some_and(too_fast) {
            return Polled::SlowDown;
        }
        self.polled_at_ms = Some(now_ms);
        match std::mem::replace(&mut self.state, State::Told) {
            State::Pending => {
                self.state = State::Pending;
                Polled::Pending
            }
            State::Approved(subject) => Polled::Approved(subject),
            State::Denied => Polled::Denied,
            State::Told => Polled::Invalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> DeviceCode {
        let word = |name: &str| name.to_owned();
        DeviceCode::new(word("tv"), word("api"), word("openid"), word("BCDF-GHJK"), 5000, 900_000)
    }

    #[test]
    fn polls_follow_the_vector() {
        // device_poll.009
        let mut code = code();
        let answers = [0, 4900, 10_000, 15_100, 20_200].map(|at| code.poll(at));
        use Polled::{Pending, SlowDown};
        assert_eq!(answers, [Pending, SlowDown, Pending, Pending, Pending]);
    }

    #[test]
    fn each_final_answer_is_given_once() {
        for (decision, at_ms, told) in [
            (Some(Some("ada")), 0, Polled::Approved("ada".into())),
            (Some(None), 0, Polled::Denied),
            (None, 900_000, Polled::Expired),
        ] {
            let mut code = code();
            if let Some(decision) = decision {
                code.decide(decision.map(str::to_owned));
            }
            assert_eq!([code.poll(at_ms), code.poll(at_ms + 5000)], [told, Polled::Invalid]);
        }
    }
}
