//! Commands that run to their end.

use std::env;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

/// The longest that one step may take: all tests from a cold cache need half of it on two cores.
const RUN_LIMIT: Duration = Duration::from_secs(45 * 60);
/// How often a visible program is looked at: short against the shortest step.
const RUN_GAP: Duration = Duration::from_millis(20);
/// How the names of the variables begin by which Cargo tells a program about its own package.
const OF_OUR_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];
/// How many lines of what a failed program has said are shown.
const SHOWN_LINES: usize = 12;

/// Runs a program to its end with its words going straight to the person.
///
/// # Errors
/// `Unavailable` when it cannot be started, `Missed` when it fails or does not end.
pub(crate) fn run_visibly(command: &mut Command, what: &str) -> Result<(), Failure> {
    let child = command.stdin(Stdio::null()).spawn();
    let mut child =
        child.map_err(|error| Failure::io(&format!("start {}", spoken(command)), &error))?;
    let repeat = format!("to repeat it alone: {}", spoken(command));
    match clock::poll(RUN_LIMIT, RUN_GAP, || child.try_wait().ok().flatten()) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(Failure::Missed(format!("{what} failed ({status}); {repeat}"))),
        None => {
            // Fails only when the process has ended by itself in this very moment.
            let _ = child.kill();
            let minutes = RUN_LIMIT.as_secs() / 60;
            Err(Failure::Missed(format!("{what} did not end within {minutes} minutes; {repeat}")))
        }
    }
}

/// Returns Cargo as a person would start it.
///
/// Cargo tells us about our own package by variables that a second Cargo would inherit; some build
/// scripts (ring's) read them, and would be built anew each time.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    let told = |name: &str| OF_OUR_PACKAGE.iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(told) {
            command.env_remove(name);
        }
    }
    command
}

/// Returns the command line as a person would type it.
pub(crate) fn spoken(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        if word.contains(' ') { format!("'{word}'") } else { word.into_owned() }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Runs a program to its end, and shows its words only where it fails.
///
/// # Errors
/// `Unavailable` when it cannot be started, `Missed` with its last words when it fails.
pub(crate) fn run_quietly(command: &mut Command, what: &str) -> Result<(), Failure> {
    told(command, what).map(drop)
}

/// Runs a program to its end, and returns what it says on standard output.
///
/// # Errors
/// As [`run_quietly`].
pub(crate) fn told(command: &mut Command, what: &str) -> Result<String, Failure> {
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.map_err(|error| Failure::io(&format!("start {}", spoken(command)), &error))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = [text(&output.stdout), text(&output.stderr)].concat();
    let lines: Vec<&str> = said.lines().collect();
    let tail = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n  ");
    let repeat = spoken(command);
    let status = output.status;
    Err(Failure::Missed(format!(
        "{what} failed ({status}); to repeat it alone: {repeat}\n  {tail}"
    )))
}
