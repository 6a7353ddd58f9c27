//! Adds up what the tests of all packages say of the vectors of each area.

use std::collections::BTreeMap;

/// What became of each vector, as the tests told it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    verdicts: BTreeMap<String, Verdict>,
}

/// What became of one vector. Where two packages decide it, the worse counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Passed,
    Disputed,
    Failed,
}

/// The sums of one area.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) disputed: usize,
    /// The vectors that nobody has decided.
    pub(super) not_run: Vec<String>,
}

impl Tally {
    /// Takes in a line of a test; returns it where a person must read it.
    pub(super) fn take<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        // The test's own name may stand before its first line.
        let at = line.find("vector ")?;
        let told = &line[at..];
        let (id, outcome) = told.strip_prefix("vector ")?.split_once(' ')?;
        let verdict = match outcome.split(' ').next() {
            Some("passed") => Verdict::Passed,
            Some("disputed") => Verdict::Disputed,
            Some("expected") => Verdict::Failed,
            _ => return None,
        };
        let worst = self.verdicts.entry(id.to_owned()).or_insert(verdict);
        *worst = (*worst).max(verdict);
        (verdict != Verdict::Passed).then_some(told)
    }

    /// Adds up the vectors of an area.
    pub(super) fn sums(&self, ids: &[String]) -> Sums {
        let mut sums = Sums::default();
        for id in ids {
            match self.verdicts.get(id) {
                Some(Verdict::Passed) => sums.passed += 1,
                Some(Verdict::Disputed) => sums.disputed += 1,
                Some(Verdict::Failed) => sums.failed += 1,
                None => sums.not_run.push(id.clone()),
            }
        }
        sums
    }
}

impl Sums {
    /// Reports whether all was run and nothing failed; an area without vectors was not run.
    pub(super) fn is_good(&self) -> bool {
        self.failed == 0 && self.not_run.is_empty() && self.passed + self.disputed > 0
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.disputed += other.disputed;
        self.not_run.extend(other.not_run.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_verdict_counts_and_what_nobody_ran_is_named() {
        let mut tally = Tally::default();
        for (line, shown) in [
            ("test vectors::all ... vector a.1 passed", false),
            ("vector a.2 passed", false),
            ("vector a.2 expected {\"x\":1} got {\"x\":\"passed\"}", true),
            ("vector a.2 passed", false),
            ("vector a.3 disputed nobody does that", true),
            ("test result: ok. 1 passed; 0 failed", false),
            ("area a: 2 passed, 1 failed, 1 disputed, 0 elsewhere", false),
        ] {
            assert_eq!(tally.take(line).is_some(), shown, "{line}");
        }
        let ids = ["a.1", "a.2", "a.3", "a.4"].map(str::to_owned);
        let sums = tally.sums(&ids);
        assert_eq!((sums.passed, sums.failed, sums.disputed), (1, 1, 1));
        assert_eq!(sums.not_run, ["a.4"]);
        assert!(!sums.is_good() && !tally.sums(&[]).is_good() && tally.sums(&ids[..1]).is_good());
    }
}
