//! Programs that run as children: none outlives us.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::clock;
use crate::failure::Failure;

/// How long a program may take to stop after SIGTERM: the gateway drains for up to 10 s, and then
/// lets the exchanges that are under way land, for up to 15 s.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often a stopping program is looked at.
const STOP_GAP: Duration = Duration::from_millis(20);
/// How many lines of a dead program's log are shown.
const SHOWN_LOG_LINES: usize = 12;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    child: process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts a program that dies with us, in a process group of its own (Ctrl-C reaches only us),
    /// with its words appended to a log file.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started.
    pub(super) fn start(name: &str, command: &Command, log: &Path) -> Result<Self, Failure> {
        Self::launch(name, command, log, Stdio::null())
    }

    /// Starts a program as [`Child::start`] does, and waits for its first line on standard output.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started, or says nothing in time.
    pub(super) fn start_and_listen(
        name: &str,
        command: &Command,
        log: &Path,
        limit: Duration,
    ) -> Result<(Self, String), Failure> {
        let mut child = Self::launch(name, command, log, Stdio::piped())?;
        let (sender, receiver) = mpsc::channel();
        if let Some(words) = child.child.stdout.take() {
            // Reads on to the end, so that the program never blocks on a full pipe.
            thread::spawn(move || {
                for line in BufReader::new(words).lines().map_while(Result::ok) {
                    // Only the first line has a listener.
                    let _ = sender.send(line);
                }
            });
        }
        match receiver.recv_timeout(limit) {
            Ok(line) => Ok((child, line)),
            Err(_) => Err(child.died("said nothing")),
        }
    }

    /// Returns its process number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, when it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to stop, and waits until it has; kills it when it does not.
    ///
    /// # Errors
    /// `Ours` when it did not stop, or not cleanly.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        // Fails only where the process is gone, which the wait below tells.
        let _ = signal::kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        match clock::poll(STOP_LIMIT, STOP_GAP, || self.ended()) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Failure::Ours(format!("{} ended with {status}", self.name))),
            None => {
                self.kill();
                Err(Failure::Ours(format!("{} did not stop after SIGTERM", self.name)))
            }
        }
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Describes what went wrong with it, with the end of its log.
    pub(super) fn died(&mut self, what: &str) -> Failure {
        let end = self.ended().map_or_else(String::new, |status| format!(" ({status})"));
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n  ");
        Failure::Unavailable(format!("{} {what}{end}; the end of its log:\n  {tail}", self.name))
    }

    fn launch(name: &str, command: &Command, log: &Path, stdout: Stdio) -> Result<Self, Failure> {
        let doing = format!("start {name}");
        let words = File::options().create(true).append(true).open(log);
        let words = words.map_err(|error| Failure::io(&doing, &error))?;
        let child = until_we_die(command)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(words)
            .spawn()
            .map_err(|error| Failure::io(&doing, &error))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks the kernel to kill the program when we end without having stopped it.
fn until_we_die(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    wrapped
}
