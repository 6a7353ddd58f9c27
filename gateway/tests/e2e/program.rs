//! Programs that run as children of a test and never outlive it.

use std::env;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use reqwest::ClientBuilder;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long anything may take that takes a second on an idle machine: builds may run beside it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is awaited.
const GAP: Duration = Duration::from_millis(50);
/// How many lines of a log are shown when its test fails.
const SHOWN_LOG_LINES: usize = 30;

/// A running program. Dropping it kills it, and what it has started.
pub(super) struct Program {
    child: Child,
    name: String,
    lines: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
    // Some programs end with their input: it stays open as long as this.
    _stdin: Option<ChildStdin>,
    _folder: TempDir,
}

impl Program {
    /// Starts a program; the kernel kills it should this test die before it can.
    pub(super) fn start(program: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(File::create(&log).unwrap()).kill_on_drop(true);
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let name = program.file_name().unwrap().to_string_lossy().into_owned();
        Self { _stdin: child.stdin.take(), child, name, lines, log, _folder: folder }
    }

    /// Returns the next line on standard output that `wanted` makes something of.
    pub(super) async fn line<T>(&mut self, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        let looking = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if let Some(found) = wanted(&line) {
                    return found;
                }
            }
            panic!("{} ended without saying it", self.name);
        };
        let looked = tokio::time::timeout(PATIENCE, looking).await;
        looked.unwrap_or_else(|_| panic!("{} never said it", self.name))
    }

    /// Returns what it wrote to standard error so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Returns where that is.
    pub(super) fn log_file(&self) -> &Path {
        &self.log
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(self.pid().unwrap(), signal).unwrap();
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("{} does not end", self.name)).unwrap()
    }

    /// Returns the number of its process.
    pub(super) fn number(&self) -> u32 {
        self.child.id().unwrap()
    }

    fn pid(&self) -> Option<Pid> {
        Some(Pid::from_raw(self.child.id()?.try_into().unwrap()))
    }
}

impl Drop for Program {
    #[expect(clippy::print_stderr, reason = "a failed test shows what its programs said")]
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            // Fails only when the whole group has ended by itself.
            let _ = killpg(pid, Signal::SIGKILL);
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..];
            eprintln!("---- {} said last:\n{}", self.name, tail.join("\n"));
        }
    }
}

/// Returns where a program is that the set-up has installed.
pub(super) fn tool(variable: &str) -> PathBuf {
    let path = env::var_os(variable);
    path.unwrap_or_else(|| panic!("{variable} is not set: run cargo xtask test")).into()
}

/// Returns a port that is free at this moment, for programs that cannot say which one they took.
pub(super) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Looks again and again until there is something to see.
pub(super) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(GAP).await;
        }
    };
    let looked = tokio::time::timeout(limit, looking).await;
    looked.unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
}

/// Returns an HTTP client that follows no redirect and uses no proxy.
pub(super) fn http() -> reqwest::Client {
    http_with(|builder| builder)
}

/// Returns such a client, of which `more` is asked.
pub(super) fn http_with(more: impl FnOnce(ClientBuilder) -> ClientBuilder) -> reqwest::Client {
    // A second start in one process finds it installed; that is what is wanted.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    more(builder.redirect(reqwest::redirect::Policy::none())).build().unwrap()
}
