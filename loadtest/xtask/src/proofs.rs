//! The proofs of the core: simulation, deliberate breakages, and the vectors of other
//! implementations. Each is a program or a test of the core's own; its last line is ours.

mod tally;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::child;
use crate::failure::Failure;
use crate::proofs::tally::Tally;
use crate::terminal;
use crate::tree::Tree;

/// The packages that hold vectors, each in its test `it`.
const HOLDERS: [&str; 1] = ["tokenward-core"];
/// Where the core's own copy of the vectors lies.
const OWN_VECTORS: &str = "actors/core/tests/vectors";
/// By this variable the tests read other vectors.
const VECTORS_VARIABLE: &str = "TOKENWARD_VECTORS";

/// Which schedules are simulated.
#[derive(Debug, Args)]
pub(crate) struct Schedules {
    /// How many schedules
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// Which vectors are replayed.
#[derive(Debug, Args)]
pub(crate) struct Vectors {
    /// A folder with other vectors of the same shapes
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Searches for a schedule that breaks a law; ends with `sim seeds N broken B`.
///
/// # Errors
/// `Missed` when one was found.
pub(crate) fn simulate(schedules: &Schedules) -> Result<(), Failure> {
    let (seeds, from) = (schedules.seeds.to_string(), schedules.from.to_string());
    example("sim", &["--seeds", &seeds, "--from", &from], "the simulation")
}

/// Breaks the core on purpose, line by line; ends with `mutants N missed M`.
///
/// # Errors
/// `Missed` when a breakage was not caught.
pub(crate) fn mutate() -> Result<(), Failure> {
    example("mutants", &[], "the search for missed breakages")
}

/// Replays all vectors; ends with `vectors: N passed, M failed, K disputed`.
///
/// # Errors
/// `Missed` when one failed, or an area was not run.
pub(crate) fn replay(vectors: &Vectors) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let folder = match &vectors.dir {
        None => tree.root().join(OWN_VECTORS),
        Some(folder) => folder.canonicalize().map_err(|error| {
            Failure::Unavailable(format!("{} cannot be read: {error}", folder.display()))
        })?,
    };
    let mut tally = Tally::default();
    let mut good = true;
    for package in HOLDERS {
        let mut command = child::cargo();
        command.args(["test", "--package", package, "--test", "it", "vectors"]);
        command.args(["--", "--nocapture"]).env(VECTORS_VARIABLE, &folder);
        good &= listen(command.current_dir(tree.root()), &mut tally)?;
    }
    let forgotten = tally.forgotten(&areas(&folder)?);
    if !forgotten.is_empty() {
        terminal::note(&format!("not run: {}", forgotten.join(", ")));
    }
    terminal::result(&tally.last_line());
    if good && tally.is_good() && forgotten.is_empty() {
        return Ok(());
    }
    Err(Failure::Missed(format!(
        "vectors failed or were not run; to see them all: {VECTORS_VARIABLE}={} cargo test vectors \
         -- --nocapture",
        folder.display()
    )))
}

fn example(name: &str, arguments: &[&str], what: &str) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let mut command = child::cargo();
    command.args(["run", "--quiet", "--release", "--package", "tokenward-core", "--example", name]);
    command.arg("--").args(arguments);
    child::run_visibly(command.current_dir(tree.root()), what)
}

/// Runs a test to its end, shows what it says of vectors, and counts it.
fn listen(command: &mut Command, tally: &mut Tally) -> Result<bool, Failure> {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut running = started.map_err(|error| Failure::io("start cargo", &error))?;
    if let Some(words) = running.stdout.take() {
        for line in BufReader::new(words).lines().map_while(Result::ok) {
            if tally.take(&line) || line.contains(": expected ") {
                terminal::note(&line);
            }
        }
    }
    let ended = running.wait().map_err(|error| Failure::io("wait for cargo", &error))?;
    Ok(ended.success())
}

/// Lists the areas of a folder: one file each.
fn areas(folder: &Path) -> Result<Vec<String>, Failure> {
    let found =
        std::fs::read_dir(folder).map_err(|error| Failure::io("read the vectors", &error))?;
    let names = found.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut areas: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    areas.sort();
    Ok(areas)
}
