//! The fault table: what goes wrong with a provider, a caller or a machine, played against the real
//! gateway, beside what was measured of other programs.
//!
//! Nothing here takes the gateway's word: calls are judged by what their callers got, and refresh
//! tokens by the ledger of the sandbox.

mod outcome;
mod rows;
mod stage;
mod table;

use clap::Args;
use tokenward_programs::failure::Failure;

use crate::faults::outcome::Outcome;
use crate::faults::rows::Row;
use crate::side_by_side::{self, Piece};
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world;

/// How many rows are played at once: most of their time is waiting, and each has its own gateway
/// and provider.
const AT_ONCE: u8 = 8;

/// What the fault table is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Plays only the rows whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// How many rows are played at once; 1 measures waiting times undisturbed
    #[arg(long, default_value_t = AT_ONCE, value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
}

impl Options {
    /// The step of the test run.
    pub(crate) fn step() -> Self {
        Self { only: None, jobs: AT_ONCE }
    }
}

/// A row that was played.
struct Played {
    row: &'static Row,
    outcome: Result<Outcome, Failure>,
}

/// Plays the rows, prints the table, and `faults rows N beaten B` last.
///
/// # Errors
/// `Missed` when a row was not beaten; `Unavailable` when a program does not come up.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let wanted = options.only.as_deref().unwrap_or_default();
    let rows: Vec<&'static Row> = rows::all().filter(|row| row.title.contains(wanted)).collect();
    if rows.is_empty() {
        return Err(Failure::Unavailable(format!("no row is called anything with {wanted:?}")));
    }
    terminal::note("building the gateway and the sandbox");
    world::build(&tree, Profile::Debug)?;
    if rows.iter().any(|row| row.in_process) {
        rows::build_tests(&tree)?;
    }
    let played = side_by_side::play(&rows, options.jobs, "rows", |&row| {
        let outcome = (row.play)(&tree, row);
        Played { row, outcome }
    });
    terminal::result(&table::show(&played));
    let beaten = played.iter().filter(|played| played.is_beaten()).count();
    for played in &played {
        played.tell_faults();
    }
    terminal::result(&format!("faults rows {} beaten {beaten}", played.len()));
    if beaten == played.len() {
        return Ok(());
    }
    Err(Failure::Missed(format!("{} rows are not beaten", played.len() - beaten)))
}

impl Piece for &'static Row {
    fn name(&self) -> &str {
        self.title
    }

    fn seconds(&self) -> u32 {
        self.seconds
    }
}

impl Played {
    fn is_beaten(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|outcome| outcome.broken.is_empty())
    }

    /// Says what a row that is not beaten has shown.
    fn tell_faults(&self) {
        let faults = match &self.outcome {
            Ok(outcome) => outcome.broken.clone(),
            Err(failure) => vec![failure.to_string()],
        };
        for fault in faults {
            terminal::note(&format!("not beaten: {}: {fault}", self.row.title));
        }
    }
}
