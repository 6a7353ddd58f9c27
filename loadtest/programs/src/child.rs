//! Programs that run as children: none outlives us, and each stops in the order we choose.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
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

/// How long a program may take to stop after SIGTERM: the gateway drains for up to 10 s, and then
/// lets the exchanges that are under way land, for up to 15 s.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often a stopping program is looked at.
const STOP_GAP: Duration = Duration::from_millis(20);
/// A start takes under a second; a machine that compiles on all cores beside it needs much more.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(30);
/// How often a starting program is asked whether it is ready.
const READY_GAP: Duration = Duration::from_millis(20);
/// How many lines of a dead program's log are shown.
const SHOWN_LOG_LINES: usize = 12;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
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
    pub fn start(name: &str, command: &Command, log: &Path) -> Result<Self, Failure> {
        Self::launch(name, command, log, [Stdio::null(), Stdio::null()])
    }

    /// Starts a program as [`Child::start`] does, and returns what to press keys with and what it
    /// shows.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started.
    pub fn start_piped(
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
    pub fn start_and_listen(
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

    /// Waits until a program that was started is ready, as `is_ready` sees it.
    ///
    /// # Errors
    /// `Unavailable` with the end of its log.
    pub fn wait_until(&mut self, is_ready: impl Fn() -> bool) -> Result<(), Failure> {
        let ready = clock::poll(READY_LIMIT, READY_GAP, || {
            if self.ended().is_some() {
                return Some(false);
            }
            is_ready().then_some(true)
        });
        match ready {
            Some(true) => Ok(()),
            Some(false) => Err(self.died("ended while it started")),
            None => Err(self.died("did not become ready")),
        }
    }

    /// Waits until a program that was started listens on a port of 127.0.0.1.
    ///
    /// # Errors
    /// As [`Child::wait_until`].
    pub fn wait_until_it_listens(&mut self, port: u16) -> Result<(), Failure> {
        self.wait_until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
    }

    /// Returns the number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Tells whether we have killed or stopped it.
    pub fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// Stops the clock of the program alone: it does nothing until it is thawed.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen program go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        if let Ok(number) = i32::try_from(self.child.id()) {
            // Fails only when the process has ended by itself, which its owner will notice.
            let _ = signal::kill(Pid::from_raw(number), signal);
        }
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        // Fails only when the process has ended by itself, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stopped = true;
    }

    /// Sends SIGTERM and waits; after a bounded time, SIGKILL.
    ///
    /// # Errors
    /// `Ours` when it did not stop in time or ended with a failure.
    pub fn stop(&mut self) -> Result<(), Failure> {
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
    pub fn died(&mut self, what: &str) -> Failure {
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
pub fn until_we_die(command: &Command) -> Command {
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
