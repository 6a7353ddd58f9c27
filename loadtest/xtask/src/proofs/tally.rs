//! Adds up what the tests say of the vectors of each area.

use std::collections::BTreeSet;

/// The sums over all areas.
#[derive(Debug, Default)]
pub(super) struct Tally {
    areas: BTreeSet<String>,
    passed: u64,
    failed: u64,
    disputed: u64,
}

impl Tally {
    /// Takes in a line such as `expiry: 9 passed, 0 failed, 1 disputed, 0 elsewhere`; false where
    /// it is none.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let Some((area, counts)) = line.split_once(": ") else {
            return false;
        };
        let count = |word: &str| {
            let found = counts.split(", ").find_map(|part| part.strip_suffix(word));
            found.and_then(|number| number.trim().parse::<u64>().ok())
        };
        let (Some(passed), Some(failed), Some(disputed)) =
            (count("passed"), count("failed"), count("disputed"))
        else {
            return false;
        };
        self.areas.insert(area.to_owned());
        self.passed += passed;
        self.failed += failed;
        self.disputed += disputed;
        true
    }

    /// Returns the areas that no test has spoken of.
    pub(super) fn forgotten(&self, areas: &[String]) -> Vec<String> {
        areas.iter().filter(|area| !self.areas.contains(*area)).cloned().collect()
    }

    /// Tells whether something was run and nothing failed.
    pub(super) fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    pub(super) fn last_line(&self) -> String {
        let Self { passed, failed, disputed, .. } = self;
        format!("vectors: {passed} passed, {failed} failed, {disputed} disputed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_areas_are_added_up() {
        let mut tally = Tally::default();
        for (line, counts) in [
            ("expiry: 9 passed, 0 failed, 1 disputed, 2 elsewhere", true),
            ("scope_parse: 3 passed, 1 failed, 0 disputed", true),
            ("test result: ok. 1 passed; 0 failed; 0 ignored", false),
            ("exp-1: expected {\"a\":1}, got {}", false),
        ] {
            assert_eq!(tally.take(line), counts, "{line}");
        }
        assert_eq!(tally.last_line(), "vectors: 12 passed, 1 failed, 1 disputed");
        assert!(!tally.is_good());
        let areas = ["expiry", "mfa_context", "scope_parse"].map(str::to_owned);
        assert_eq!(tally.forgotten(&areas), ["mfa_context"]);
    }
}
