//! Debian packages, without leaving daemons behind.

use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::Uid;
use tokenward_programs::failure::Failure;

use crate::command;
use crate::setup::{Program, on_path};
use crate::terminal;

/// How long apt waits for another installation to let go of the package database, in seconds.
const LOCK_WAIT: &str = "DPkg::Lock::Timeout=600";

/// Installs the packages of the named programs.
///
/// # Errors
/// `Unavailable` with the remedy, when this is no Debian, or nobody may install, or it failed.
pub(super) fn install(lacking: &[Program]) -> Result<(), Failure> {
    let mut packages: Vec<&str> = lacking.iter().map(|program| program.debian_package()).collect();
    packages.dedup();
    let names: Vec<&str> = lacking.iter().map(|program| program.names()[0]).collect();
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if on_path("apt-get").is_none() {
        return Err(Failure::Unavailable(format!(
            "this machine lacks {} and has no apt-get: install them with its own package manager \
             (on Debian: {by_hand})",
            names.join(", "),
        )));
    }
    terminal::note(&format!(
        "this machine lacks {}: installing {}",
        names.join(", "),
        packages.join(" ")
    ));
    run(&["update", "--quiet=2"], &by_hand)?;
    let mut arguments = vec!["install", "--yes", "--quiet=2", "--no-install-recommends"];
    arguments.extend(&packages);
    run(&arguments, &by_hand)?;
    let daemons = [
        Program::Alertmanager,
        Program::Nginx,
        Program::Prometheus,
        Program::Redis,
        Program::RedisSentinel,
    ];
    for program in daemons {
        if lacking.contains(&program) {
            // The package's name is the unit's, too.
            quieten(program.debian_package());
        }
    }
    Ok(())
}

fn run(arguments: &[&str], by_hand: &str) -> Result<(), Failure> {
    let mut command = as_root("apt-get", by_hand)?;
    command.args(["-o", LOCK_WAIT]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let what = format!("apt-get {}", arguments[0]);
    command::run_visibly(&mut command, &what).map_err(|failure| {
        Failure::Unavailable(format!(
            "{failure}\nput the package sources in order, then: {by_hand}"
        ))
    })
}

/// Returns a command that runs as root: directly, or by sudo where that asks no password.
fn as_root(program: &str, by_hand: &str) -> Result<Command, Failure> {
    if Uid::effective().is_root() {
        return Ok(Command::new(program));
    }
    let mut question = Command::new("sudo");
    question.args(["--non-interactive", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !question.status().is_ok_and(|status| status.success()) {
        return Err(Failure::Unavailable(format!(
            "only root may install, and sudo is absent or asks a password: as root, run: {by_hand}"
        )));
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", "--preserve-env=DEBIAN_FRONTEND", program]);
    Ok(command)
}

/// Stops a server that its package has started: each test starts its own, on its own port.
fn quieten(unit: &str) {
    // Only systemd starts what it installs; elsewhere there is nothing to stop.
    if !Path::new("/run/systemd/system").is_dir() {
        return;
    }
    terminal::note(&format!("stopping the {unit} server that its package has just started"));
    if let Ok(mut command) = as_root("systemctl", "systemctl disable --now") {
        // A failure means that it is not running, and else the ports of the tests do not collide.
        let _ = command.args(["disable", "--now", "--quiet", unit]).status();
    }
}
