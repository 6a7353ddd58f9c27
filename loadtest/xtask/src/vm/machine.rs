//! A virtual machine: QEMU as a child that dies with us, and its console line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokenward_programs::child;
use tokenward_programs::clock::Watch;
use tokenward_programs::failure::Failure;

use crate::terminal;

/// How long a machine may be silent: an emulated one on a busy machine of iron needs a minute for
/// what the other does in one second.
const SILENCE_MAX: Duration = Duration::from_secs(420);
/// How long a machine may run altogether.
const LIFE_MAX: Duration = Duration::from_secs(1800);
/// What lines for us begin with.
const FOR_US: &str = "guest: ";
/// How many lines of a console are shown when something failed.
const SHOWN_LINES: usize = 30;

/// A running machine; dropping it is pulling its plug.
#[derive(Debug)]
pub(crate) struct Machine {
    name: String,
    qemu: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
    log: PathBuf,
    life: Watch,
}

impl Machine {
    /// Starts QEMU with the machine's console on its standard output.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started.
    pub(crate) fn start(name: &str, command: &Command, log: &Path) -> Result<Self, Failure> {
        let doing = format!("start {name}");
        let fail = |error: std::io::Error| Failure::io(&doing, &error);
        let mut record = File::create(log).map_err(fail)?;
        let errors = record.try_clone().map_err(fail)?;
        let mut qemu = child::until_we_die(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(fail)?;
        let (sender, lines) = mpsc::channel();
        let console = qemu.stdout.take();
        thread::spawn(move || {
            for line in console.into_iter().flat_map(|console| BufReader::new(console).split(b'\n'))
            {
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                // The record is for people, and a full disk is no reason to stop.
                let _ = writeln!(record, "{line}");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let (name, log) = (name.to_owned(), log.to_owned());
        Ok(Self { name, qemu, lines, heard: Vec::new(), log, life: Watch::start() })
    }

    /// Waits for the next line that `wanted` makes something of.
    ///
    /// # Errors
    /// `Missed` when the machine fails, ends or falls silent before.
    pub(crate) fn hear<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        loop {
            let line = match self.lines.recv_timeout(SILENCE_MAX) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => return Err(self.failed(what, "it fell silent")),
                Err(RecvTimeoutError::Disconnected) => return Err(self.failed(what, "it ended")),
            };
            let found = wanted(&line);
            let gave_up = line.contains("guest: failed") || line.contains("Kernel panic");
            self.heard.push(line);
            if let Some(found) = found {
                return Ok(found);
            }
            if gave_up {
                // What it says behind that names the reason.
                while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(2)) {
                    self.heard.push(line);
                }
                return Err(self.failed(what, "it gave up"));
            }
            if self.life.elapsed() > LIFE_MAX {
                return Err(self.failed(what, "it took too long"));
            }
        }
    }

    /// Tells each scene that the machine plays as it ends, until all are played.
    ///
    /// # Errors
    /// `Missed` when a scene fails.
    pub(crate) fn play_out(&mut self) -> Result<u64, Failure> {
        let mut scenes = 0;
        let name = self.name.clone();
        self.hear("the end of its scenes", |line| {
            let (_, words) = line.split_once(FOR_US)?;
            terminal::note(&format!("{name}: {words}"));
            scenes += u64::from(words.starts_with("ok "));
            (words == "done").then_some(())
        })?;
        Ok(scenes)
    }

    /// Pulls the plug, at once.
    pub(crate) fn cut(&mut self) {
        // Fails only when it has ended by itself.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }

    fn failed(&self, what: &str, why: &str) -> Failure {
        let tail = self.heard[self.heard.len().saturating_sub(SHOWN_LINES)..].join("\n  ");
        let (name, log) = (&self.name, self.log.display());
        Failure::Missed(format!("{name}: waiting for {what}, {why}; the end of {log}:\n  {tail}"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.cut();
    }
}
