//! What a row has shown: the callers' answers and the provider's ledger.

use std::time::Duration;

use serde::Deserialize;
use tokenward_programs::http::Answer;

/// The most wrong answers that are told one by one.
const TOLD_MAX: usize = 3;

/// What the callers of a row were answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    pub(super) answered: u64,
    /// 503 with a Retry-After.
    pub(super) postponed: u64,
    pub(super) failed: u64,
    /// The first wrong answers, in words.
    pub(super) told: Vec<String>,
    /// How long those took that were answered.
    pub(super) waits: Vec<Duration>,
}

/// The provider's sums that count here.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Ledger {
    pub(super) token_requests: u64,
    pub(super) refreshes: u64,
    pub(super) refreshes_refused: u64,
    pub(super) forks: u64,
    pub(super) reuse_detected: u64,
    pub(super) families_revoked: u64,
    pub(super) faults_played: u64,
    pub(super) max_concurrent_per_family: u64,
}

/// One line of the provider's ledger.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) at_ms: u64,
    pub(super) kind: String,
    pub(super) generation: Option<u32>,
}

/// What a row has shown.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) calls: Calls,
    pub(super) ledger: Ledger,
    /// What became of the sessions, in a few words.
    pub(super) lived: &'static str,
    /// What is worth a line besides.
    pub(super) remark: String,
    /// What must not have been; empty where the row is beaten.
    pub(super) broken: Vec<String>,
}

impl Calls {
    /// Counts an answer that took so long.
    pub(super) fn hear(&mut self, answer: &Result<Answer, String>, took: Duration) {
        match answer {
            Ok(answer) if answer.status == 200 => {
                self.answered += 1;
                self.waits.push(took);
            }
            Ok(answer) if answer.is_postponed() => self.postponed += 1,
            Ok(answer) => self.fail(format!("answered {} {}", answer.status, answer.body.trim())),
            Err(why) => self.fail(why.clone()),
        }
    }

    /// Counts a call that should have been answered otherwise.
    pub(super) fn fail(&mut self, what: String) {
        self.failed += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }

    /// Returns the median and the longest of the waiting times.
    pub(super) fn waited(&self) -> Option<[Duration; 2]> {
        let mut sorted = self.waits.clone();
        sorted.sort_unstable();
        Some([*sorted.get(sorted.len() / 2)?, *sorted.last()?])
    }
}

impl Outcome {
    /// Notes what must not have been, where it was.
    pub(super) fn must(mut self, good: bool, otherwise: impl FnOnce(&Self) -> String) -> Self {
        if !good {
            let fault = otherwise(&self);
            self.broken.push(fault);
        }
        self
    }

    /// Expects so many token requests at the provider.
    pub(super) fn token_requests(self, expected: u64) -> Self {
        let good = self.ledger.token_requests == expected;
        self.must(good, |own| {
            format!("{} token requests instead of {expected}", own.ledger.token_requests)
        })
    }

    /// Expects that nobody was told to come back.
    pub(super) fn nobody_postponed(self) -> Self {
        let good = self.calls.postponed == 0;
        self.must(good, |own| format!("{} calls were told to come back", own.calls.postponed))
    }

    /// Adds a remark.
    pub(super) fn remark(mut self, text: impl Into<String>) -> Self {
        self.remark = text.into();
        self
    }

    /// Says what became of the sessions.
    pub(super) fn lived(mut self, words: &'static str) -> Self {
        self.lived = words;
        self
    }

    /// Expects what must hold in every row: no call fails, no refresh token is reused, no family is
    /// revoked, and of each family one refresh is in flight.
    pub(super) fn judged(self) -> Self {
        let (calls, ledger) = (self.calls.clone(), self.ledger);
        self.must(calls.failed == 0, |_| {
            format!("{} calls failed: {}", calls.failed, calls.told.join("; "))
        })
        .must(ledger.reuse_detected == 0, |_| {
            format!("{} refresh tokens were reused", ledger.reuse_detected)
        })
        .must(ledger.families_revoked == 0, |_| {
            format!("{} families were revoked", ledger.families_revoked)
        })
        .must(ledger.max_concurrent_per_family <= 1, |_| {
            format!("{} refreshes of one family at once", ledger.max_concurrent_per_family)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokenward_programs::http::{HeaderMap, HeaderValue};

    use super::*;

    fn answer(status: u16, retry_after: bool) -> Result<Answer, String> {
        let mut headers = HeaderMap::new();
        if retry_after {
            headers.insert("retry-after", HeaderValue::from_static("1"));
        }
        Ok(Answer { status, headers, body: String::new() })
    }

    #[test]
    fn only_a_503_that_names_a_time_is_no_failure() {
        let mut calls = Calls::default();
        for (status, retry_after) in [(200, false), (503, true), (503, false), (401, true)] {
            calls.hear(&answer(status, retry_after), Duration::from_millis(5));
        }
        calls.hear(&Err("reset".to_owned()), Duration::ZERO);
        assert_eq!((calls.answered, calls.postponed, calls.failed), (1, 1, 3));
        assert_eq!(calls.waited(), Some([Duration::from_millis(5); 2]));
        assert_eq!(Calls::default().waited(), None);
    }

    #[test]
    fn each_promise_that_was_broken_is_told() {
        let outcome = |calls, ledger| Outcome {
            calls,
            ledger,
            lived: "",
            remark: String::new(),
            broken: Vec::new(),
        };
        let bad = Ledger {
            reuse_detected: 1,
            families_revoked: 1,
            max_concurrent_per_family: 2,
            token_requests: 2,
            ..Ledger::default()
        };
        let mut calls = Calls { postponed: 1, ..Calls::default() };
        calls.fail("gone".to_owned());
        let judged = outcome(calls, bad).judged().token_requests(1).nobody_postponed();
        assert_eq!(judged.broken.len(), 6, "{:?}", judged.broken);
        let good = outcome(Calls::default(), Ledger::default());
        assert!(good.judged().token_requests(0).nobody_postponed().broken.is_empty());
    }
}
