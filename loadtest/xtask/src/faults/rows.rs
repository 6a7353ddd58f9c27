//! The rows, in the order of the table.

mod callers;
mod clocks;
mod endings;
mod illness;
mod lost;
mod operator;
mod storms;
mod tokens;

use tokenward_programs::failure::Failure;

use super::outcome::Outcome;
use crate::tree::Tree;

/// One row.
pub(super) struct Row {
    /// What goes wrong.
    pub(super) title: &'static str,
    /// What the other programs did, where they were measured.
    pub(super) peers: Option<[&'static str; 3]>,
    /// About how long it takes.
    pub(super) seconds: u32,
    /// Whether it is a test with the framework inside, because the real program cannot be put into
    /// that situation without a machine of its own.
    pub(super) in_process: bool,
    /// Plays it.
    pub(super) play: fn(&Tree, &Row) -> Result<Outcome, Failure>,
}

impl Row {
    /// Describes a row that only we have played.
    const fn ours(
        title: &'static str,
        seconds: u32,
        play: fn(&Tree, &Row) -> Result<Outcome, Failure>,
    ) -> Self {
        Self { title, peers: None, seconds, in_process: false, play }
    }

    /// Describes a row with what the other programs did.
    const fn measured(
        title: &'static str,
        seconds: u32,
        peers: [&'static str; 3],
        play: fn(&Tree, &Row) -> Result<Outcome, Failure>,
    ) -> Self {
        Self { title, peers: Some(peers), seconds, in_process: false, play }
    }

    /// Returns a name for the row's folder.
    fn folder(&self) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        self.title.to_ascii_lowercase().chars().map(plain).collect()
    }
}

/// Returns all rows.
pub(super) fn all() -> impl Iterator<Item = &'static Row> {
    [
        storms::ROWS,
        illness::ROWS,
        tokens::ROWS,
        lost::ROWS,
        callers::ROWS,
        endings::ROWS,
        operator::ROWS,
        clocks::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// Builds the tests that the rows in one process are.
///
/// # Errors
/// `Missed` when they do not build.
pub(super) fn build_tests(tree: &Tree) -> Result<(), Failure> {
    clocks::build(tree)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_has_a_folder_of_its_own() {
        let folders: BTreeSet<String> = all().map(Row::folder).collect();
        assert_eq!(folders.len(), all().count());
    }
}
