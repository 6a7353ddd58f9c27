//! The figures that are kept with the source, and how new ones are judged by them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokenward_programs::failure::Failure;

/// Where they are, seen from the root of the tree.
pub(super) const FILE: &str = "loadtest/parts/baseline.toml";

/// How much more a part may cost before it is worse, in per cent: seeds of hash tables differ from
/// run to run, and move the counts by less than one.
const WORSE_PER_CENT: f64 = 3.0;

const HEAD: &str = "\
# Instructions per turn of each part; written by cargo xtask bench parts --bless.
";

/// What the parts cost when that was last accepted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// The compiler that built them.
    pub(super) compiler: String,
    instructions: BTreeMap<String, u64>,
}

/// A part that was counted.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) part: String,
    pub(super) counted: u64,
    /// What it cost before; nothing where the baseline does not know it.
    pub(super) was: Option<u64>,
}

/// What a new figure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// When it is much the same.
    Same,
    /// When it costs less.
    Better,
    /// When it costs more than it may.
    Worse,
    /// When the baseline lacks it.
    Unknown,
}

impl Baseline {
    /// Makes one of what was counted.
    pub(super) fn of(compiler: &str, counted: &[(String, u64)]) -> Self {
        Self { compiler: compiler.to_owned(), instructions: counted.iter().cloned().collect() }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// `Unavailable` where it is not there or is none.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(file);
        let text = text.map_err(|error| Failure::io(&format!("read {FILE}"), &error))?;
        toml::from_str(&text).map_err(|error| Failure::Unavailable(format!("{FILE}: {error}")))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be written.
    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self).map_err(|error| Failure::Ours(error.to_string()))?;
        fs::write(file, format!("{HEAD}{text}"))
            .map_err(|error| Failure::io(&format!("write {FILE}"), &error))
    }

    /// Puts what was counted beside what it cost before.
    pub(super) fn judge(&self, counted: &[(String, u64)]) -> Vec<Judged> {
        let judged = |(part, counted): &(String, u64)| Judged {
            part: part.clone(),
            counted: *counted,
            was: self.instructions.get(part).copied(),
        };
        counted.iter().map(judged).collect()
    }
}

impl Judged {
    /// Returns by how many per cent the part costs more than it did.
    pub(super) fn change(&self) -> Option<f64> {
        let was = self.was? as f64;
        Some((self.counted as f64 - was) * 100.0 / was.max(1.0))
    }

    /// Judges it.
    pub(super) fn verdict(&self) -> Verdict {
        match self.change() {
            None => Verdict::Unknown,
            Some(change) if change > WORSE_PER_CENT => Verdict::Worse,
            Some(change) if change < -WORSE_PER_CENT => Verdict::Better,
            Some(_) => Verdict::Same,
        }
    }
}

impl Verdict {
    /// Returns the word for it.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::Unknown => "NOT IN THE BASELINE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_worse_beyond_three_per_cent_and_when_nobody_knows_it() {
        let counted = |count: u64| [("part".to_owned(), count)];
        let baseline = Baseline::of("rustc", &counted(1_000));
        for (count, expected) in [
            (1_030, Verdict::Same),
            (1_031, Verdict::Worse),
            (970, Verdict::Same),
            (969, Verdict::Better),
        ] {
            let judged = baseline.judge(&counted(count));
            assert_eq!(judged[0].verdict(), expected, "{count}");
        }
        let other = [("other".to_owned(), 1)];
        assert_eq!(baseline.judge(&other)[0].verdict(), Verdict::Unknown);
    }
}
