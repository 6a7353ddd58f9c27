//! `cargo xtask mutants`: breaks the core on purpose, one line at a time, and sees who notices.
//!
//! A breakage that no story, vector or simulated schedule catches is a law that nothing holds.

mod list;
mod workshop;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::Args;
use tokenward_programs::clock::Watch;
use tokenward_programs::failure::Failure;

use self::list::Mutant;
use self::workshop::{Finding, Workshop};
use crate::terminal;
use crate::tree::Tree;

/// The most workshops at once: each compiles on one core, and the machine has others to serve.
const WORKSHOPS_MAX: usize = 4;

/// Which breakages are tried.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Tries only those whose name, file or law contains one of these texts
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    only: Vec<String>,
}

/// What became of one breakage.
struct Row {
    mutant: &'static Mutant,
    finding: Finding,
    seconds: u64,
}

/// Tries every breakage; ends with `mutants N missed M`.
///
/// # Errors
/// `Missed` when one was not caught, does not compile, or its text is not where it should be.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let all = list::all()?;
    let only = &options.only;
    let wanted =
        |mutant: &&Mutant| only.is_empty() || only.iter().any(|text| mutant.is_about(text));
    let chosen: Vec<&'static Mutant> = all.iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Err(Failure::Unavailable("no breakage is about that; try a law: L3".to_owned()));
    }
    let rows = try_all(&Tree::find()?, &chosen)?;
    terminal::note(&terminal::table(&table(&rows)));
    let missed: Vec<&Row> = rows.iter().filter(|row| !row.finding.is_caught()).collect();
    for row in &missed {
        let Mutant { name, file, breaks, .. } = row.mutant;
        terminal::note(&format!("{name} ({file}): {}; it breaks {breaks}", row.finding));
    }
    terminal::result(&format!("mutants {} missed {}", rows.len(), missed.len()));
    match missed.is_empty() {
        true => Ok(()),
        false => Err(Failure::Missed(
            "write a story for each breakage that was not caught, or mend the list".to_owned(),
        )),
    }
}

fn try_all(tree: &Tree, chosen: &[&'static Mutant]) -> Result<Vec<Row>, Failure> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = cores.min(WORKSHOPS_MAX).min(chosen.len());
    let workshops: Result<Vec<Workshop>, Failure> =
        (0..workers).map(|number| Workshop::furnish(tree, number)).collect();
    let count = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
    let progress = terminal::progress(count, "breakages");
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    let keep = |place: usize, row: Result<Row, Failure>| {
        if let Ok(row) = &row {
            progress.step(&format!("{}: {}", row.mutant.name, row.finding));
        }
        rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((place, row));
    };
    let keep = &keep;
    let next = &next;
    thread::scope(|scope| {
        for workshop in workshops? {
            scope.spawn(move || {
                while let Some(mutant) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    chosen.get(place).map(|mutant| (place, *mutant))
                } {
                    keep(mutant.0, try_one(&workshop, mutant.1));
                }
            });
        }
        Ok(())
    })?;
    let mut rows = rows.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    rows.sort_by_key(|(place, _)| *place);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn try_one(workshop: &Workshop, mutant: &'static Mutant) -> Result<Row, Failure> {
    let watch = Watch::start();
    let finding = workshop.try_out(mutant)?;
    Ok(Row { mutant, finding, seconds: watch.elapsed().as_secs() })
}

fn table(rows: &[Row]) -> Vec<Vec<String>> {
    let mut table = vec![["breakage", "breaks", "noticed", "seconds"].map(str::to_owned).to_vec()];
    for Row { mutant, finding, seconds } in rows {
        let law = mutant.breaks.split(':').next().unwrap_or_default();
        let cells = [mutant.name.clone(), law.to_owned(), finding.to_string(), seconds.to_string()];
        table.push(cells.to_vec());
    }
    table
}
