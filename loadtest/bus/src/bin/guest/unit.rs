//! The wall display as a unit of systemd: this program starts systemd in its own place, and watches
//! from beside it.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chroot;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use tokenward_bus::Adapter;

use crate::machine;
use crate::program::PICTURE_BYTES;
use crate::say;
use crate::scenes::{ADDRESS, Glass};

/// The argument of the one that watches.
pub(crate) const WATCHING: &str = "watching";
/// The disk with the system on it, and where it is mounted before it becomes the root.
const DISK: &str = "/dev/vda";
const SYSTEM: &str = "/system";
/// Says that the adapter is plugged in, and the configuration written.
const PREPARED: &str = "run/tokenward-prepared";
/// systemd, and the unit.
const FIRST: &str = "/lib/systemd/systemd";
const UNIT: &str = "tokenward-device.service";
/// Where the unit's program finds its configuration.
const CONFIG: &str = "/etc/tokenward/device.toml";
/// Between two questions: each is a program of its own, and the machine an emulated one.
const GAP: Duration = Duration::from_millis(500);
/// How many lines of the journal are shown when something failed.
const SHOWN_LINES: &str = "--lines=40";

/// Makes the disk the root, and becomes its systemd; another process of this program watches.
pub(crate) fn enter() -> io::Result<()> {
    machine::until(|| fs::metadata(DISK).ok())?;
    fs::create_dir_all(SYSTEM)?;
    mount(Some(DISK), SYSTEM, Some("ext4"), MsFlags::empty(), None::<&str>)?;
    for (kind, place) in [("proc", "proc"), ("sysfs", "sys"), ("devtmpfs", "dev"), ("tmpfs", "run")]
    {
        let place = Path::new(SYSTEM).join(place);
        mount(Some(kind), &place, Some(kind), MsFlags::empty(), None::<&str>)?;
    }
    Command::new("/proc/self/exe").arg(WATCHING).spawn()?;
    machine::until(|| Path::new(SYSTEM).join(PREPARED).exists().then_some(()))?;
    env::set_current_dir(SYSTEM)?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    chroot(".")?;
    env::set_current_dir("/")?;
    Err(Command::new(FIRST).exec())
}

/// Plugs the panel in, and tells what the unit does when it is well, when it hangs, and when its
/// configuration is wrong.
pub(crate) fn watch() -> io::Result<()> {
    chroot(SYSTEM)?;
    env::set_current_dir("/")?;
    let adapter = Adapter::default().with(ADDRESS, Arc::new(Mutex::new(Glass::default())));
    let node = machine::plug_in(&adapter)?;
    fs::write(
        CONFIG,
        format!(
            "gateway = \"http://127.0.0.1:9\"\ncontent = \"/\"\n[panel]\nbus = \"{}\"\n",
            node.display()
        ),
    )?;
    File::create(Path::new("/").join(PREPARED))?;
    let first = ready(&adapter, 0)?;
    hang(&adapter, &first)?;
    mistake()
}

/// Waits until the unit says that it is ready and has drawn, and returns its process.
fn ready(adapter: &Adapter, before: u64) -> io::Result<String> {
    let process = asked("readiness", |state| {
        let drawn = adapter.ledger().bytes >= before + PICTURE_BYTES;
        (drawn && state.is("ActiveState", "active")).then(|| state.of("MainPID").to_owned())
    })?;
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or("0");
    let user = user.split_whitespace().next().unwrap_or("0");
    if user == "0" {
        return Err(failed("it runs as root"));
    }
    say(&format!("ok ready and drawn, as user {user}"));
    Ok(process)
}

/// Halts the program, and waits until the watchdog has ended it and it draws again.
fn hang(adapter: &Adapter, first: &str) -> io::Result<()> {
    let before = adapter.ledger().bytes;
    systemctl(&["kill", "--signal=STOP", "--kill-who=main", UNIT])?;
    say("halted; its watchdog waits for minutes");
    let mut was_watchdog = false;
    asked("another process", |state| {
        was_watchdog |= state.is("Result", "watchdog");
        let is_another = state.of("MainPID") != first && state.is("ActiveState", "active");
        (is_another && state.is("NRestarts", "1")).then_some(())
    })?;
    if !was_watchdog && !journal()?.contains("Watchdog timeout") {
        return Err(failed("something else than the watchdog ended it"));
    }
    say("ok ended by its watchdog, and started again once");
    ready(adapter, before).map(drop)
}

/// Breaks the configuration, and waits until systemd has given the unit up.
fn mistake() -> io::Result<()> {
    fs::write(CONFIG, "gateway = 1\n")?;
    // Fails, because the unit does.
    let _ = systemctl(&["restart", UNIT]);
    let (status, restarts) = asked("an end", |state| {
        // Between two tries the state is another one: activating, as auto-restart.
        let is_over = state.is("ActiveState", "failed");
        let told = (state.of("ExecMainStatus").to_owned(), state.of("NRestarts").to_owned());
        is_over.then_some(told)
    })?;
    if (status.as_str(), restarts.as_str()) != ("78", "0") {
        return Err(failed(&format!("it ended with {status}, and was restarted {restarts} times")));
    }
    say("ok a mistake in the configuration ends it with 78, and it is not started again");
    Ok(())
}

/// What systemd says of the unit.
struct State(String);

impl State {
    fn of(&self, name: &str) -> &str {
        let mut lines = self.0.lines().filter_map(|line| line.split_once('='));
        lines.find(|(found, _)| *found == name).map_or("", |(_, value)| value)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.of(name) == value
    }
}

/// Asks systemd until the answer is the wanted one; whoever started the machine ends it when that
/// takes too long.
fn asked<T>(what: &str, mut wanted: impl FnMut(&State) -> Option<T>) -> io::Result<T> {
    let found = machine::until(|| {
        thread::sleep(GAP);
        // Before systemd listens there is nobody to ask.
        let told = systemctl(&["show", UNIT]).ok()?;
        let state = State(told);
        let is_given_up = state.is("ActiveState", "failed");
        match wanted(&state) {
            Some(found) => Some(Ok(found)),
            None if is_given_up => Some(Err(failed(&format!("it failed before {what}")))),
            None => None,
        }
    });
    found?
}

fn systemctl(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("/bin/systemctl").args(arguments).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn journal() -> io::Result<String> {
    let mut command = Command::new("/bin/journalctl");
    let output = command.args(["--no-pager", SHOWN_LINES, "--unit", UNIT]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Wraps a failure with what the journal has of the unit.
fn failed(what: &str) -> io::Error {
    let said = journal().unwrap_or_default();
    io::Error::other(format!("{what}; the journal says:\n{said}"))
}
