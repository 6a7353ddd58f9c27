//! Programs that run as children: none outlives us, and each stops in the order we choose.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::clock;
use crate::failure::Failure;

/// How long a program may take to stop after SIGTERM: the gateway drains for up to 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(12);
/// How often a stopping program is looked at.
const STOP_GAP: Duration = Duration::from_millis(20);
/// The longest that one step may take: all tests from a cold cache need half of it on two cores.
const RUN_LIMIT: Duration = Duration::from_secs(45 * 60);
/// How often a visible program is looked at: short against the shortest step.
const RUN_GAP: Duration = Duration::from_millis(20);
/// How the names of the variables begin by which Cargo tells a program about its own package.
const OF_OUR_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];
/// How many lines of a dead program's log are shown.
const SHOWN_LOG_LINES: usize = 12;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    child: process::Child,
    log: PathBuf,
    stopped: bool,
}

impl Child {
    /// Starts a program that dies with us, in a process group of its own (Ctrl-C reaches only us),
    /// with its words appended to a log file.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started.
    pub(crate) fn start(name: &str, command: &Command, log: &Path) -> Result<Self, Failure> {
        Self::launch(name, command, log, [Stdio::null(), Stdio::null()])
    }

    /// Starts a program as [`Child::start`] does, and returns what to press keys with and what it
    /// shows.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started.
    pub(crate) fn start_piped(
        name: &str,
        command: &Command,
        log: &Path,
    ) -> Result<(Self, ChildStdin, ChildStdout), Failure> {
        let mut child = Self::launch(name, command, log, [Stdio::piped(), Stdio::piped()])?;
        match (child.child.stdin.take(), child.child.stdout.take()) {
            (Some(keys), Some(words)) => Ok((child, keys, words)),
            (_, _) => Err(child.died("has no keys and no words")),
        }
    }

    /// Starts a program as [`Child::start`] does, and waits for its first line on standard output.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started, or says nothing in time.
    pub(crate) fn start_and_listen(
        name: &str,
        command: &Command,
        log: &Path,
        limit: Duration,
    ) -> Result<(Self, String), Failure> {
        let mut child = Self::launch(name, command, log, [Stdio::null(), Stdio::piped()])?;
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

    fn launch(
        name: &str,
        command: &Command,
        log: &Path,
        [stdin, stdout]: [Stdio; 2],
    ) -> Result<Self, Failure> {
        let doing = format!("start {name}");
        let words = File::options().create(true).append(true).open(log);
        let words = words.map_err(|error| Failure::io(&doing, &error))?;
        let child = until_we_die(command)
            .process_group(0)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(words)
            .spawn();
        let child = child.map_err(|error| Failure::io(&doing, &error))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), stopped: false })
    }

    /// Returns the number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Tells whether we have killed or stopped it.
    pub(crate) fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// Stops the clock of the program alone: it does nothing until it is thawed.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen program go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        if let Ok(number) = i32::try_from(self.child.id()) {
            // Fails only when the process has ended by itself, which its owner will notice.
            let _ = signal::kill(Pid::from_raw(number), signal);
        }
    }

    /// Sends SIGKILL and waits for the end.
    pub(crate) fn kill(&mut self) {
        // Fails only when the process has ended by itself, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stopped = true;
    }

    /// Sends SIGTERM and waits; after a bounded time, SIGKILL.
    ///
    /// # Errors
    /// `Ours` when it did not stop in time or ended with a failure.
    pub(crate) fn stop(&mut self) -> Result<(), Failure> {
        if self.stopped {
            return Ok(());
        }
        self.signal(Signal::SIGTERM);
        let status = clock::poll(STOP_LIMIT, STOP_GAP, || self.ended());
        self.stopped = status.is_some();
        match status {
            None => {
                self.kill();
                Err(Failure::Ours(format!(
                    "{} did not stop within {} s",
                    self.name,
                    STOP_LIMIT.as_secs()
                )))
            }
            Some(status) if status.success() || status.signal() == Some(Signal::SIGTERM as i32) => {
                Ok(())
            }
            Some(status) => Err(Failure::Ours(format!(
                "{} stopped with {status}; its log is {}",
                self.name,
                self.log.display()
            ))),
        }
    }

    /// Returns the failure that shows the last lines of the log of this program.
    pub(crate) fn died(&mut self, what: &str) -> Failure {
        let end = self.ended().map_or_else(String::new, |status| format!(" ({status})"));
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n  ");
        Failure::Unavailable(format!(
            "{} {what}{end}; the end of {}:\n  {tail}",
            self.name,
            self.log.display()
        ))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.stopped {
            self.kill();
        }
    }
}

/// Asks the kernel to kill the program when we end without having stopped it.
pub(crate) fn until_we_die(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

/// Returns the wanted port of 127.0.0.1, or a free one when something else listens there.
///
/// # Errors
/// `Unavailable` when the machine has no free port.
pub(crate) fn port_or_free(wanted: u16) -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| Failure::io("find a free port", &error))
}

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
    let tail = lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n  ");
    let repeat = spoken(command);
    let status = output.status;
    Err(Failure::Missed(format!(
        "{what} failed ({status}); to repeat it alone: {repeat}\n  {tail}"
    )))
}
