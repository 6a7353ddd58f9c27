//! The first program of a virtual machine, in which the wall display meets a real kernel, and mostly
//! the only one.
//!
//! It loads the kernel's modules, does what the kernel's command line names by `tokenward=`, says on
//! the console how each scene ended, and switches the machine off. The lines that begin with
//! `guest:` are for whoever started the machine.

mod machine;
mod program;
mod scenes;
mod storing;
mod unit;

use std::fs;
use std::io;

use nix::sys::reboot::{RebootMode, reboot};

fn main() {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some(unit::WATCHING) => unit::watch(),
        _ => machine::set_up().and_then(|()| play(&wanted()?)),
    };
    match outcome {
        Ok(()) => say("done"),
        Err(error) => say(&format!("failed: {error}")),
    }
    // The first program must not end: the kernel would call that a panic.
    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    say(&format!("cannot switch off: {error}"));
}

fn play(name: &str) -> io::Result<()> {
    match name {
        "bus" => scenes::play_all(),
        "wired" => scenes::play_wired(),
        "store" => storing::store(),
        "unit" => unit::enter(),
        other => Err(io::Error::other(format!("there is no scene called {other:?}"))),
    }
}

/// Returns what the kernel's command line asks for.
fn wanted() -> io::Result<String> {
    let words = fs::read_to_string("/proc/cmdline")?;
    let found = words.split_whitespace().find_map(|word| word.strip_prefix("tokenward="));
    found.map(str::to_owned).ok_or_else(|| io::Error::other("the command line names no scene"))
}

/// Tells whoever watches the console.
#[expect(clippy::print_stdout, reason = "the console is this machine's only way to tell")]
pub(crate) fn say(text: &str) {
    println!("guest: {text}");
}
