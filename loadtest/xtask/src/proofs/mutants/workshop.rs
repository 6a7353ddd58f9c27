//! A copy of the core that may be broken: compiled anew for each breakage, and put to the test.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use super::list::Mutant;
use crate::command;
use crate::tree::Tree;

/// The packages of a workshop: the core, and what its tests use.
const COPIED: [&str; 2] = ["actors/core", "loadtest/vectors"];
/// Who may notice a breakage, by the names of the tests, the quickest first.
const WITNESSES: [(&str, &str); 3] =
    [("a story", "it::stories_"), ("a vector", "it::vectors"), ("a schedule", "it::simulation")];
/// The longest that one witness may take; the whole simulation takes a fraction of it. A breakage
/// that makes the core run in circles is noticed by this.
const WITNESS_LIMIT: Duration = Duration::from_secs(240);
/// The longest that a compilation may take, the first one included.
const BUILD_LIMIT: Duration = Duration::from_secs(600);
/// How often a running program is looked at.
const GAP: Duration = Duration::from_millis(10);

/// A folder with a copy of the core, and one for what is built of it.
#[derive(Debug)]
pub(super) struct Workshop {
    folder: PathBuf,
    source: PathBuf,
}

/// What came of a breakage.
#[derive(Debug)]
pub(super) enum Finding {
    /// When it was noticed, by whom.
    Caught(&'static str),
    /// When nobody noticed it.
    Missed,
    /// When there is no such text, or it is there more than once.
    NotThere,
    /// When it is no program any more.
    NotCompiled(String),
}

impl Finding {
    pub(super) const fn is_caught(&self) -> bool {
        matches!(self, Self::Caught(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught(witness) => f.write_str(witness),
            Self::Missed => f.write_str("NOBODY noticed it"),
            Self::NotThere => f.write_str("its text is NOT THERE exactly once"),
            Self::NotCompiled(why) => write!(f, "it does NOT COMPILE: {why}"),
        }
    }
}

impl Workshop {
    /// Copies the core, and makes sure that it is whole: otherwise everything would be noticed.
    pub(super) fn furnish(tree: &Tree, number: usize) -> Result<Self, Failure> {
        let folder = tree.mutants(number);
        let broken = |error| Failure::io("copy the core", &error);
        for package in COPIED {
            let to = folder.join(package);
            match fs::remove_dir_all(&to) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(broken(error));
                }
                Ok(()) | Err(_) => {}
            }
            copy(&tree.root().join(package), &to).map_err(broken)?;
        }
        let manifest = fs::read_to_string(tree.root().join("Cargo.toml")).map_err(broken)?;
        fs::write(folder.join("Cargo.toml"), reduced(&manifest)).map_err(broken)?;
        let lock = tree.root().join("Cargo.lock");
        fs::copy(lock, folder.join("Cargo.lock")).map_err(broken)?;
        let source = folder.join("actors/core/src");
        let workshop = Self { folder, source };
        let finding = workshop.ask_witnesses()?;
        if let Finding::Missed = finding {
            return Ok(workshop);
        }
        Err(Failure::Ours(format!("the core is broken before it is broken: {finding}")))
    }

    /// Breaks the core, looks who notices, and mends it.
    pub(super) fn try_out(&self, mutant: &Mutant) -> Result<Finding, Failure> {
        let place = self.source.join(&mutant.file);
        let Ok(whole) = fs::read_to_string(&place) else {
            return Ok(Finding::NotThere);
        };
        let Some(broken) = mutant.broken(&whole) else {
            return Ok(Finding::NotThere);
        };
        let write = |text: &str| {
            fs::write(&place, text).map_err(|error| Failure::io("write the core", &error))
        };
        write(&broken)?;
        let finding = self.ask_witnesses();
        write(&whole)?;
        finding
    }

    fn ask_witnesses(&self) -> Result<Finding, Failure> {
        if !self.ends_well(&mut self.build(), "build", BUILD_LIMIT)? {
            return Ok(Finding::NotCompiled(self.first_error()));
        }
        let tests = self.built()?;
        for (witness, names) in WITNESSES {
            let mut test = Command::new(&tests);
            // Neither backtraces nor their cost: only the outcome counts.
            test.arg(names).env("RUST_BACKTRACE", "0").env_remove("TOKENWARD_VECTORS");
            if !self.ends_well(
                test.current_dir(self.folder.join(COPIED[0])),
                "test",
                WITNESS_LIMIT,
            )? {
                return Ok(Finding::Caught(witness));
            }
        }
        Ok(Finding::Missed)
    }

    fn build(&self) -> Command {
        let mut command = command::cargo();
        command.args(["test", "--no-run", "--offline", "--package", "tokenward-core"]);
        command.args(["--test", "it", "--message-format", "json-render-diagnostics"]);
        command.env("CARGO_TARGET_DIR", self.folder.join("target"));
        command.env("CARGO_PROFILE_DEV_DEBUG", "false");
        command.current_dir(&self.folder);
        command
    }

    /// Returns the program of the tests that the last build named.
    fn built(&self) -> Result<PathBuf, Failure> {
        let words = fs::read_to_string(self.log("build.json"))
            .map_err(|error| Failure::io("read what cargo said", &error))?;
        let told = words.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut executable = told.filter_map(|told| told["executable"].as_str().map(PathBuf::from));
        executable.next().ok_or_else(|| Failure::Ours("cargo names no test program".to_owned()))
    }

    fn ends_well(
        &self,
        command: &mut Command,
        name: &str,
        limit: Duration,
    ) -> Result<bool, Failure> {
        let log = |ending| {
            let log = fs::File::create(self.log(&format!("{name}.{ending}")));
            log.map_err(|error| Failure::io("write a log", &error))
        };
        command.stdin(Stdio::null()).stdout(log("json")?).stderr(log("log")?);
        let mut running =
            command.spawn().map_err(|error| Failure::io(&format!("start the {name}"), &error))?;
        match clock::poll(limit, GAP, || running.try_wait().ok().flatten()) {
            Some(status) => Ok(status.success()),
            None => {
                // Fails only when it has ended by itself in this very moment.
                let _ = running.kill();
                let _ = running.wait();
                Ok(false)
            }
        }
    }

    fn first_error(&self) -> String {
        let words = fs::read_to_string(self.log("build.log")).unwrap_or_default();
        let error = words.lines().find(|line| line.starts_with("error"));
        error.unwrap_or("it took too long").to_owned()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Takes all members out of the workspace that were not copied.
fn reduced(manifest: &str) -> String {
    let members = format!("members = [{}]", COPIED.map(|name| format!("{name:?}")).join(", "));
    match (manifest.find("members = ["), manifest.find("]\n\n")) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{members}{}", &manifest[..from], &manifest[to + 1..])
        }
        _ => manifest.to_owned(),
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, place) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        match entry.is_dir() {
            true => copy(&entry, &place)?,
            false => fs::copy(&entry, &place).map(drop)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workshop_has_only_what_was_copied() {
        let manifest =
            "[workspace]\nmembers = [\n    \"a\",\n    \"b\",\n]\n\n[workspace.package]\n";
        let expected = "[workspace]\nmembers = [\"actors/core\", \"loadtest/vectors\"]\n\n\
                        [workspace.package]\n";
        assert_eq!(reduced(manifest), expected);
    }
}
