//! `cargo xtask bench parts`: what the parts of a request and of an exchange cost in instructions,
//! against figures that are kept with the source.
//!
//! Valgrind counts, so that neither the load of the machine nor its pace make a difference. A figure
//! changes with the code, the compiler, and the processor's kind where a library picks its own way
//! by it.

mod baseline;
mod count;

use clap::Args;
use tokenward_programs::failure::Failure;

use crate::bench::parts::baseline::{Baseline, Judged, Verdict};
use crate::setup::{self, Program};
use crate::terminal;
use crate::tree::Tree;

/// How the parts are counted.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Keeps what is counted as the new baseline
    #[arg(long)]
    bless: bool,
}

impl Options {
    /// The step of the test run.
    pub(crate) fn step() -> Self {
        Self { bless: false }
    }
}

/// Counts, prints a table, and `parts N worse W` last.
///
/// # Errors
/// `Missed` when a part costs more than it did; `Unavailable` when valgrind is lacking.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let tools = setup::programs(&[Program::Valgrind])?;
    let counter = count::Counter::ready(&tree, &tools)?;
    let mut counted = Vec::new();
    let progress = terminal::progress(counter.parts().len() as u64, "parts");
    for part in counter.parts() {
        counted.push((part.clone(), counter.count(part)?));
        progress.step(part);
    }
    drop(progress);
    let compiler = count::compiler()?;
    let file = tree.root().join(baseline::FILE);
    if options.bless {
        Baseline::of(&compiler, &counted).write(&file)?;
        terminal::note(&format!("kept as the baseline in {}", baseline::FILE));
    }
    let baseline = Baseline::read(&file)?;
    if baseline.compiler != compiler {
        terminal::note(&format!(
            "the baseline was counted with {}, and this is {compiler}: a difference may be the \
             compiler's",
            baseline.compiler
        ));
    }
    report(&baseline.judge(&counted))
}

fn report(judged: &[Judged]) -> Result<(), Failure> {
    let head = ["instructions", "baseline", "counted", "change", ""].map(str::to_owned).to_vec();
    let rows = judged.iter().map(|row| {
        let was = row.was.map_or_else(|| "-".to_owned(), |was| was.to_string());
        let change = row.change().map_or_else(String::new, |change| format!("{change:+.1} %"));
        let told = row.verdict().told().to_owned();
        vec![row.part.clone(), was, row.counted.to_string(), change, told]
    });
    terminal::note(&terminal::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    let worse: Vec<&str> = judged
        .iter()
        .filter(|row| matches!(row.verdict(), Verdict::Worse | Verdict::Unknown))
        .map(|row| row.part.as_str())
        .collect();
    terminal::result(&format!("parts {} worse {}", judged.len(), worse.len()));
    if worse.is_empty() {
        return Ok(());
    }
    Err(Failure::Missed(format!(
        "{} cost more than {} says they did; where that is meant, keep the new figures with \
         cargo xtask bench parts --bless",
        worse.join(", "),
        baseline::FILE
    )))
}
