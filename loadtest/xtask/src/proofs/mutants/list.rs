//! The breakages, as data.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::Deserialize;
use tokenward_programs::failure::Failure;

/// One line of the core, and what it is broken to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mutant {
    /// Its name in tables and for `--only`.
    pub(super) name: String,
    /// The file, below the core's `src`.
    pub(super) file: String,
    /// The exact text, once in the file unless `nth` says which.
    pub(super) find: String,
    /// What stands there instead.
    pub(super) replace: String,
    /// Which occurrence is meant, counted from 1, where there are several.
    pub(super) nth: Option<usize>,
    /// The law or rule that it breaks, in words, the law's number first.
    pub(super) breaks: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// Returns all breakages.
pub(super) fn all() -> Result<&'static [Mutant], Failure> {
    static LIST: OnceLock<Result<Vec<Mutant>, String>> = OnceLock::new();
    let read = LIST.get_or_init(|| {
        let list: List = toml::from_str(include_str!("list.toml")).map_err(|e| e.to_string())?;
        let mut names = BTreeSet::new();
        match list.mutant.iter().find(|mutant| !names.insert(&mutant.name)) {
            Some(twin) => Err(format!("{} is listed twice", twin.name)),
            None => Ok(list.mutant),
        }
    });
    read.as_deref().map_err(|wrong| Failure::Ours(format!("the list of breakages: {wrong}")))
}

impl Mutant {
    /// Reports whether its name, file or law contains `text`.
    pub(super) fn is_about(&self, text: &str) -> bool {
        [&self.name, &self.file, &self.breaks].iter().any(|own| own.contains(text))
    }

    /// Breaks `source`; `None` where the text is not there as often as it should be.
    pub(super) fn broken(&self, source: &str) -> Option<String> {
        let places: Vec<usize> = source.match_indices(&self.find).map(|(at, _)| at).collect();
        let at = match (self.nth, places.as_slice()) {
            (None, [only]) => *only,
            (Some(nth), places) => *places.get(nth.checked_sub(1)?)?,
            (None, _) => return None,
        };
        let rest = &source[at + self.find.len()..];
        Some(format!("{}{}{rest}", &source[..at], self.replace))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_breakage_is_one_line_that_is_there_and_changes_it() {
        let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../actors/core/src");
        let mutants = all().unwrap();
        assert!(mutants.len() >= 50, "{} breakages are too few", mutants.len());
        for mutant in mutants {
            let source = std::fs::read_to_string(core.join(&mutant.file)).unwrap();
            let broken = mutant.broken(&source);
            assert!(broken.is_some_and(|broken| broken != source), "{} is not there", mutant.name);
            assert!(!mutant.find.contains('\n'), "{} is no line", mutant.name);
            assert!(mutant.breaks.contains(": "), "{} breaks no law", mutant.name);
        }
    }
}
