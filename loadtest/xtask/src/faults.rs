//! The fault table: what goes wrong with a provider, a caller or a machine, played against the real
//! gateway, beside what was measured of other programs.
//!
//! Nothing here takes the gateway's word: calls are judged by what their callers got, and refresh
//! tokens by the ledger of the sandbox.

mod outcome;
mod rows;
mod stage;
mod table;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;

use clap::Args;

use crate::failure::Failure;
use crate::faults::outcome::Outcome;
use crate::faults::rows::Row;
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
    let played = play(&tree, &rows, options.jobs);
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

/// Plays all rows, so many at once, and returns them in the order of the table.
fn play(tree: &Tree, rows: &[&'static Row], jobs: u8) -> Vec<Played> {
    // The longest first, so that none is left alone at the end.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(rows[at].seconds));
    let queue = Mutex::new(VecDeque::from(order));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let done = Mutex::new(Vec::new());
    let progress = terminal::progress(u32::try_from(rows.len()).unwrap_or(u32::MAX), "rows");
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(at) = next() {
                    let outcome = (rows[at].play)(tree, rows[at]);
                    let played = Played { row: rows[at], outcome };
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    progress.step(played.row.title);
                    done.push((at, played));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, played)| played).collect()
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
