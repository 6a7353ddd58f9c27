//! The demo of a fleet as a person tries it at a terminal: every key is pressed and does what it says,
//! and who quits leaves nothing behind.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{self, Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use tokenward_programs::child::until_we_die;
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use crate::terminal;
use crate::tree::Tree;

/// The least terminal that everything is to fit in.
const SCREEN: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
/// How long a key may take, and the start: longer than a gateway needs beside a build.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often the screen is looked at.
const LOOK_GAP: Duration = Duration::from_millis(50);
/// How much of the screen is shown where it lacks something, in bytes.
const SHOWN: usize = 2_000;

/// A key with what it brings.
struct Trial {
    key: u8,
    says: &'static str,
    /// The programs that run then, and how many of them stand still.
    programs: [usize; 2],
}

/// Two gateways with Redis and the provider.
const ALL: [usize; 2] = [4, 0];
const TRIALS: [Trial; 11] = [
    Trial { key: b'2', says: "[b] ●", programs: ALL },
    Trial { key: b'k', says: "b  killed", programs: [3, 0] },
    Trial { key: b'p', says: "b  is killed: press k first", programs: [3, 0] },
    Trial { key: b'k', says: "b  started again", programs: ALL },
    Trial { key: b'p', says: "b  paused", programs: [4, 1] },
    Trial { key: b'p', says: "b  goes on", programs: ALL },
    Trial { key: b'c', says: "b  cut off from Redis", programs: ALL },
    Trial { key: b'c', says: "b  reaches Redis again", programs: ALL },
    Trial { key: b'r', says: "Redis  killed", programs: [3, 0] },
    Trial { key: b'R', says: "Redis  started again", programs: ALL },
    Trial { key: b'1', says: "[a] ●", programs: ALL },
];

/// Tries the keys.
///
/// # Errors
/// `Missed` where a key does not do what it says, or something outlives the demo.
pub(super) fn run() -> Result<(), Failure> {
    terminal::note("trying the keys of the fleet's demo");
    let folder = Tree::find()?.fresh_run("demo-tried")?;
    let mut person = Person::sit_down(&folder)?;
    let tried = person.try_all();
    // Fails only where it has ended, which is what is wanted.
    let _ = person.demo.kill();
    let _ = person.demo.wait();
    tried
}

/// A person before a demo.
struct Person {
    keys: File,
    /// The other side of the terminal: as long as it is open, its settings can be looked at.
    screen: File,
    demo: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    /// How much of what was shown has been read.
    read: usize,
}

impl Person {
    fn sit_down(folder: &Path) -> Result<Self, Failure> {
        let ends = openpty(&SCREEN, None).map_err(|error| told("open a terminal", error))?;
        let (keys, screen) = (File::from(ends.master), File::from(ends.slave));
        let copy = |file: &File| file.try_clone().map_err(|error| Failure::io("copy it", &error));
        // The file itself: a build meanwhile may have put another one in its place.
        let mut command = Command::new(format!("/proc/{}/exe", process::id()));
        command.args(["demo", "--fleet", "2", "--port", "0"]);
        let log = File::create(folder.join("demo.log"));
        let log = log.map_err(|error| Failure::io("make the demo's log", &error))?;
        let demo = until_we_die(&command)
            .env("TERM", "xterm")
            .stdin(copy(&screen)?)
            .stdout(copy(&screen)?)
            .stderr(Stdio::from(log))
            .spawn();
        let demo = demo.map_err(|error| Failure::io("start the demo", &error))?;
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut light, sees) = (copy(&keys)?, Arc::clone(&shown));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = light.read(&mut buffer) {
                let mut sees = sees.lock().unwrap_or_else(PoisonError::into_inner);
                sees.extend_from_slice(&buffer[..length]);
            }
        });
        Ok(Self { keys, screen, demo, shown, read: 0 })
    }

    fn try_all(&mut self) -> Result<(), Failure> {
        let before = self.echoes()?;
        self.sees("q quit", "the start")?;
        for Trial { key, says, programs } in TRIALS {
            let pressed = format!("the key {}", char::from(key));
            self.press(key)?;
            self.sees(says, &pressed)?;
            let are_there = || (count(&self.programs()) == programs).then_some(());
            let [running, still] = programs;
            clock::poll(PATIENCE, LOOK_GAP, are_there).ok_or_else(|| {
                let there = self.programs();
                let wanted = format!("{running} programs, {still} of them paused");
                Failure::Missed(format!("after {pressed} there are not {wanted}: {there:?}"))
            })?;
        }
        let programs = self.programs();
        self.press(b'q')?;
        self.sees("stopped", "the key q")?;
        let ended = clock::poll(PATIENCE, LOOK_GAP, || self.demo.try_wait().ok().flatten());
        let left: Vec<u32> = programs.iter().map(|(number, _)| *number).filter(lives).collect();
        if !ended.is_some_and(|status| status.success()) || !left.is_empty() {
            return Err(Failure::Missed(format!("the demo ended ({ended:?}), and left {left:?}")));
        }
        if self.echoes()? != before {
            return Err(Failure::Missed("the demo did not give the terminal back".to_owned()));
        }
        Ok(())
    }

    fn press(&mut self, key: u8) -> Result<(), Failure> {
        self.keys.write_all(&[key]).map_err(|error| Failure::io("press a key", &error))
    }

    /// Waits until something is shown that was not there before.
    fn sees(&mut self, what: &str, after: &str) -> Result<(), Failure> {
        let found = clock::poll(PATIENCE, LOOK_GAP, || {
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let mut fresh = shown[self.read..].windows(what.len());
            fresh.position(|window| window == what.as_bytes())
        });
        let Some(at) = found else {
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let last = &shown[shown.len().saturating_sub(SHOWN)..];
            let last = String::from_utf8_lossy(last);
            return Err(Failure::Missed(format!("after {after} nothing said {what:?}: {last}")));
        };
        self.read += at + what.len();
        Ok(())
    }

    /// Returns the programs that the demo has started, each with the letter of its state (proc(5)).
    fn programs(&self) -> Vec<(u32, char)> {
        let found = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = found.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let ours = numbers.filter_map(|number: u32| {
            let (state, parent) = stat(number)?;
            (parent == self.demo.id()).then_some((number, state))
        });
        ours.collect()
    }

    fn echoes(&self) -> Result<LocalFlags, Failure> {
        let settings = tcgetattr(self.screen.as_fd());
        settings.map(|it| it.local_flags).map_err(|error| told("look at the terminal", error))
    }
}

fn count(programs: &[(u32, char)]) -> [usize; 2] {
    [programs.len(), programs.iter().filter(|(_, state)| *state == 'T').count()]
}

fn lives(number: &u32) -> bool {
    stat(*number).is_some_and(|(state, _)| state != 'Z')
}

/// Returns a program's state and its parent.
fn stat(number: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // Its name may hold anything, brackets too.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn told(doing: &str, error: nix::Error) -> Failure {
    Failure::io(doing, &error.into())
}
