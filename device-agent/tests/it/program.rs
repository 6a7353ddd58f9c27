//! The program under test: a child with its panel of characters on its standard output, which the
//! tests read as a person would.

use std::fs;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tokenward-device");

/// How long anything may take that takes a second on an idle machine: builds may run beside it.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);

/// Between two looks at the panel.
const GAP: Duration = Duration::from_millis(20);

/// Where a display has its configuration and its state.
pub(super) struct Place {
    folder: TempDir,
}

/// A running display.
pub(super) struct Display {
    child: Child,
    keys: ChildStdin,
    output: Arc<Mutex<String>>,
}

impl Place {
    /// Writes a configuration for the gateway at `origin`, which looks for news every second.
    pub(super) fn new(origin: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "gateway = \"{origin}\"\ncontent = \"/api/quotes/quote\"\nscope = \"read:quotes\"\n\
             every = \"1s\"\nstate_dir = \"{}\"\n{more}",
            folder.path().join("state").display()
        );
        fs::write(folder.path().join("device.toml"), text).unwrap();
        Self { folder }
    }

    /// Writes a configuration without a gateway; what comes last may be a table.
    #[cfg(feature = "direct")]
    pub(super) fn direct(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = format!("state_dir = \"{}\"\n", folder.path().join("state").display());
        fs::write(folder.path().join("device.toml"), state + text).unwrap();
        Self { folder }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("device.toml")
    }

    /// Returns the body of the record on the disk.
    pub(super) fn record(&self) -> Option<Value> {
        let text = fs::read_to_string(self.folder.path().join("state/state")).ok()?;
        serde_json::from_str(text.split_once('\n')?.1).ok()
    }

    /// Returns the credential that the display keeps.
    pub(super) fn handle(&self) -> Option<String> {
        self.record()?["handle"].as_str().map(str::to_owned)
    }

    /// Runs a command of the program to its end.
    pub(super) async fn run(&self, command: &str) -> (i32, String) {
        let mut program = Command::new(PROGRAM);
        program.args([command, "--config"]).arg(self.file()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, program.output()).await.unwrap().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }
}

impl Display {
    /// Starts a display whose panel has four lines of twenty characters.
    pub(super) fn start(place: &Place) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["sim", "--panel", "hd44780-20x4", "--config"]).arg(place.file());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (keys, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let output = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&output);
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            while stdout.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
                *written.lock().unwrap() = String::from_utf8_lossy(&bytes).into_owned();
            }
        });
        Self { child, keys, output }
    }

    /// Returns the words on the panel at this moment.
    pub(super) fn panel(&self) -> String {
        let output = self.output.lock().unwrap();
        let Some(start) = output.rfind('┌').filter(|at| output[*at..].contains('┘')) else {
            // The newest picture is half written: the one before it is what is seen.
            let whole = output.rfind('┘').map_or("", |end| &output[..end]);
            return words(whole.rfind('┌').map_or("", |start| &whole[start..]));
        };
        words(&output[start..])
    }

    /// Waits until `seen` makes something of what is on the panel.
    pub(super) async fn until<T>(&self, what: &str, seen: impl Fn(&str) -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(found) = seen(&self.panel()) {
                    return found;
                }
                tokio::time::sleep(GAP).await;
            }
        };
        let looked = tokio::time::timeout(PATIENCE, looking).await;
        looked.unwrap_or_else(|_| panic!("never shown: {what}; but: {}", self.panel()))
    }

    /// Waits until these words are on the panel.
    pub(super) async fn shows(&self, words: &str) {
        self.until(words, |panel| panel.contains(words).then_some(())).await;
    }

    /// Waits for a code, and returns it.
    pub(super) async fn code(&self) -> String {
        let is_code = |word: &&str| {
            let bytes = word.as_bytes();
            bytes.len() == 9
                && bytes[4] == b'-'
                && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_uppercase())
        };
        self.until("a code", |panel| {
            panel.split_ascii_whitespace().find(is_code).map(str::to_owned)
        })
        .await
    }

    pub(super) async fn press(&mut self, key: u8) {
        self.keys.write_all(&[key]).await.unwrap();
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), signal).unwrap();
    }

    pub(super) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }

    /// Returns how many threads it has.
    pub(super) fn threads(&self) -> usize {
        let tasks = format!("/proc/{}/task", self.child.id().unwrap());
        fs::read_dir(tasks).unwrap().count()
    }
}

/// Takes the words out of a picture with its edge.
fn words(picture: &str) -> String {
    let lines = picture.lines().filter_map(|line| line.split('│').nth(1));
    let words: Vec<&str> = lines.flat_map(str::split_ascii_whitespace).collect();
    words.join(" ")
}
