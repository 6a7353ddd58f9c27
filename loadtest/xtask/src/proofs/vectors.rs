//! `cargo xtask vectors`: holds all packages against the vectors of other implementations.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use tokenward_programs::failure::Failure;

use super::tally::{Sums, Tally};
use crate::command;
use crate::terminal;
use crate::tree::Tree;

/// The packages that decide vectors, each in a test of its binary `it` with `vectors` in its name.
const HOLDERS: [&str; 4] =
    ["tokenward-core", "tokenward", "tokenward-gateway", "tokenward-sandbox"];
/// Where the project's own copy lies.
const OWN_CASES: &str = "loadtest/vectors/cases";
/// By this variable the tests read other vectors.
const FOLDER_VARIABLE: &str = "TOKENWARD_VECTORS";

/// Which vectors are replayed.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// A folder with other vectors of the same shapes
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Options {
    /// The project's own copy, as a step of the tests.
    pub(crate) const fn step() -> Self {
        Self { dir: None }
    }
}

/// Replays all vectors; ends with `vectors: N passed, M failed, K disputed`.
///
/// # Errors
/// `Missed` when a vector failed or was not run, `Unavailable` when the folder holds none.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let folder = match &options.dir {
        None => tree.root().join(OWN_CASES),
        Some(folder) => folder.canonicalize().map_err(|error| {
            Failure::Unavailable(format!("{} cannot be read: {error}", folder.display()))
        })?,
    };
    let areas = areas(&folder)?;
    let mut command = command::cargo();
    command.args(["test", "--no-fail-fast", "--test", "it"]);
    for package in HOLDERS {
        command.args(["--package", package]);
    }
    command.args(["vectors", "--", "--nocapture"]).env(FOLDER_VARIABLE, &folder);
    let mut tally = Tally::default();
    let ended_well = listen(command.current_dir(tree.root()), &mut tally)?;
    let (rows, all) = sums(&areas, &tally);
    terminal::note(&terminal::table(&rows));
    if !all.not_run.is_empty() {
        terminal::note(&format!("not run: {}", all.not_run.join(", ")));
    }
    let Sums { passed, failed, disputed, .. } = &all;
    terminal::result(&format!("vectors: {passed} passed, {failed} failed, {disputed} disputed"));
    if ended_well && all.is_good() {
        return Ok(());
    }
    Err(Failure::Missed(format!(
        "vectors failed or were not run; to see everything: {FOLDER_VARIABLE}={} {}",
        folder.display(),
        command::spoken(&command)
    )))
}

fn sums(areas: &BTreeMap<String, Vec<String>>, tally: &Tally) -> (Vec<Vec<String>>, Sums) {
    let head = ["area", "passed", "failed", "disputed", "not run"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    let mut all = Sums::default();
    for (area, ids) in areas {
        let sums = tally.sums(ids);
        let counts = [sums.passed, sums.failed, sums.disputed, sums.not_run.len()];
        let cells = counts.iter().map(ToString::to_string);
        rows.push(std::iter::once(area.clone()).chain(cells).collect());
        all.add(&sums);
    }
    (rows, all)
}

/// Runs the tests to their end, shows what a person must read, and takes all of it in.
fn listen(command: &mut Command, tally: &mut Tally) -> Result<bool, Failure> {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut running = started.map_err(|error| Failure::io("start cargo", &error))?;
    if let Some(words) = running.stdout.take() {
        for line in BufReader::new(words).lines().map_while(Result::ok) {
            if let Some(told) = tally.take(&line) {
                terminal::note(told);
            }
        }
    }
    let ended = running.wait().map_err(|error| Failure::io("wait for cargo", &error))?;
    Ok(ended.success())
}

/// Lists the areas of a folder, one file each, with the ids of their vectors.
fn areas(folder: &Path) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let found = fs::read_dir(folder).map_err(|error| Failure::io("read the vectors", &error))?;
    let mut areas = BTreeMap::new();
    for path in found.flatten().map(|entry| entry.path()) {
        let Some(area) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"))
        else {
            continue;
        };
        areas.insert(area.to_owned(), ids(&path)?);
    }
    if areas.is_empty() {
        let wrong = format!("{} holds no vectors; name a folder of *.json", folder.display());
        return Err(Failure::Unavailable(wrong));
    }
    Ok(areas)
}

fn ids(file: &Path) -> Result<Vec<String>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::Unavailable(format!("{} is no file of vectors: {why}", file.display()))
    };
    let text = fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let whole: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    let vectors = whole["vectors"].as_array().ok_or_else(|| wrong(&"it has no vectors"))?;
    let id = |vector: &serde_json::Value| vector["id"].as_str().map(str::to_owned);
    vectors.iter().map(|vector| id(vector).ok_or_else(|| wrong(&"one has no id"))).collect()
}
