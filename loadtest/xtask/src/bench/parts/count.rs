//! Counts instructions: builds the parts, and runs each under valgrind.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tokenward_programs::failure::Failure;

use crate::command;
use crate::setup::{Program, Tools};
use crate::tree::{Profile, Tree};
use crate::world;

/// The function of the parts' program in which is counted, however its name is mangled.
const COUNTED: &str = "*counted_from_here*";

/// What counts.
#[derive(Debug)]
pub(super) struct Counter {
    valgrind: PathBuf,
    program: PathBuf,
    /// How often a part is counted in one run.
    turns: u64,
    parts: Vec<String>,
}

impl Counter {
    /// Builds the parts as they are measured, and asks which there are.
    ///
    /// # Errors
    /// `Missed` when they do not build.
    pub(super) fn ready(tree: &Tree, tools: &Tools) -> Result<Self, Failure> {
        let Some(valgrind) = tools.path(Program::Valgrind.variable()) else {
            return Err(Failure::Ours("valgrind was set up and is gone".to_owned()));
        };
        world::build_all(tree, Profile::Release, &["tokenward-parts"])?;
        let program = tree.built(Profile::Release, "tokenward-parts");
        let told = command::told(Command::new(&program).arg("list"), "listing the parts")?;
        let mut lines = told.lines();
        let turns = lines.next().and_then(|line| line.parse().ok()).filter(|&turns| turns > 0);
        let Some(turns) = turns else {
            return Err(Failure::Ours("the parts do not say how often they are run".to_owned()));
        };
        let parts = lines.map(str::to_owned).collect();
        Ok(Self { valgrind: valgrind.to_owned(), program, turns, parts })
    }

    /// Returns the names of the parts.
    pub(super) fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Returns how many instructions one turn of a part takes.
    ///
    /// # Errors
    /// `Missed` when the part fails under valgrind, `Ours` when nothing was counted.
    pub(super) fn count(&self, part: &str) -> Result<u64, Failure> {
        let mut command = Command::new(&self.valgrind);
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.arg(format!("--toggle-collect={COUNTED}"));
        command.arg(&self.program).args(["run", part]).stdin(Stdio::null());
        let output = command.output().map_err(|error| Failure::io("start valgrind", &error))?;
        let told = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let repeat = command::spoken(&command);
            return Err(Failure::Missed(format!("{part} failed; to repeat it: {repeat}\n{told}")));
        }
        match collected(&told) {
            Some(all) if all >= self.turns => Ok(all / self.turns),
            Some(_) | None => Err(Failure::Ours(format!("nothing was counted of {part}:\n{told}"))),
        }
    }
}

/// Returns the compiler's name and version.
///
/// # Errors
/// `Unavailable` when it cannot be started.
pub(super) fn compiler() -> Result<String, Failure> {
    let told = command::told(Command::new("rustc").arg("--version"), "rustc --version")?;
    Ok(told.trim().to_owned())
}

/// Reads what callgrind says at its end: `==42== Collected : 123456`.
fn collected(told: &str) -> Option<u64> {
    let line = told.lines().find_map(|line| line.split_once("Collected :"));
    line?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_collected_is_found_among_its_words() {
        let told = "==42== Events    : Ir\n==42== Collected : 123456\n==42== \n";
        assert_eq!(collected(told), Some(123_456));
        assert_eq!(collected("==42== Collected : \n"), None);
        assert_eq!(collected(""), None);
    }
}
