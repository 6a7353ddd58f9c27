//! `cargo xtask bench device`: what the wall display costs: bytes on the card, memory, wires, wakes
//! and writes, beside a Python program that shows the same.

mod stage;
mod subject;

use tokenward_programs::failure::Failure;

use crate::bench::device::stage::Stage;
use crate::bench::device::subject::{Figures, Subject};
use crate::cross::{self, Machine};
use crate::terminal;
use crate::tree::Tree;
use crate::vm;

/// The most that the program may be, for the wall display's own architecture.
const BINARY_BYTES_MAX: u64 = 2_500_000;
/// The most that it may be for the machines that tests run on: their instructions are longer.
const HERE_BYTES_MAX: u64 = 2_600_000;
/// The most that it may hold in memory after requests over TLS.
const RSS_BYTES_MAX: u64 = 5_000_000;
/// Its threads: the loop and the panel.
const THREADS: u64 = 2;
/// The most that setting a panel up puts on the wire, its whole picture included.
const PICTURE_BYTES_MAX: u64 = 1_120;
/// The most that a change of the clock's minute puts on the wire.
const MINUTE_BYTES_MAX: u64 = 20;

/// For how many minutes each program is watched.
const MINUTES: u64 = 3;
/// The same in the test run, which has the laws to look at and no peer to compare with.
const MINUTES_IN_TESTS: u64 = 2;

/// Measures, prints a table, and judges.
///
/// # Errors
/// `Unavailable` when a part cannot be had; `Missed` naming the figures that are too large.
pub(super) fn run() -> Result<(), Failure> {
    let tree = Tree::find()?;
    let on_the_card = cross::size(&cross::built(&tree, Machine::Aarch64)?)?;
    let program = vm::built_here(&tree, "tokenward-device", "tokenward-device", &[])?;
    let here = cross::size(&program)?;
    let run = tree.fresh_run("bench-device")?;
    let peer = stage::peer(&tree)?;
    let stage = Stage::open(&tree, &run)?;
    terminal::heading("the wall display");
    let ours = subject::measure(&stage, &Subject::ours(&program, stage.config()?), MINUTES)?;
    terminal::heading("the same with luma.oled and requests");
    let theirs = subject::measure(&stage, &Subject::peer(&stage, &peer), MINUTES)?;
    terminal::note(&table(&ours, Some(&theirs), here));
    terminal::note(&format!("stripped program: aarch64 {on_the_card} bytes, here {here} bytes"));
    terminal::result(&format!("device binary_bytes {on_the_card} rss_bytes {}", ours.rss_bytes));
    judged(("bytes of the program for aarch64", on_the_card, BINARY_BYTES_MAX), &ours)
}

/// Measures the program as it is built for the wall, but for this machine, and judges: no
/// cross-compiler and no network is needed.
///
/// # Errors
/// As [`run`].
pub(crate) fn step() -> Result<(), Failure> {
    let tree = Tree::find()?;
    let program = vm::built_here(&tree, "tokenward-device", "tokenward-device", &[])?;
    let here = cross::size(&program)?;
    let run = tree.fresh_run("test-device")?;
    let stage = Stage::open(&tree, &run)?;
    let subject = Subject::ours(&program, stage.config()?);
    let figures = subject::measure(&stage, &subject, MINUTES_IN_TESTS)?;
    terminal::note(&table(&figures, None, here));
    judged(("bytes of the program here", here, HERE_BYTES_MAX), &figures)
}

fn judged(size: (&str, u64, u64), figures: &Figures) -> Result<(), Failure> {
    // Whoever wakes at the turn of each minute wakes once more than minutes pass.
    let wakes_max = figures.minutes + 1;
    let missed: Vec<String> = [
        size,
        ("bytes in memory", figures.rss_bytes, RSS_BYTES_MAX),
        ("threads", figures.threads, THREADS),
        ("bytes on the wire for setting the panel up", figures.picture_bytes, PICTURE_BYTES_MAX),
        ("bytes on the wire for a minute", figures.minute_bytes, MINUTE_BYTES_MAX),
        ("moments of waking when idle", figures.wakes, wakes_max),
        ("bytes written to disk when idle", figures.written_bytes, 0),
    ]
    .into_iter()
    .filter(|(_, found, limit)| found > limit)
    .map(|(what, found, limit)| format!("{what}: {found}, and at most {limit} were allowed"))
    .collect();
    if missed.is_empty() { Ok(()) } else { Err(Failure::Missed(missed.join("\n"))) }
}

fn table(ours: &Figures, theirs: Option<&Figures>, binary_bytes: u64) -> String {
    let row = |what: &str, of: fn(&Figures) -> u64| {
        let theirs = theirs.map_or_else(|| "-".to_owned(), |theirs| of(theirs).to_string());
        vec![what.to_owned(), of(ours).to_string(), theirs]
    };
    terminal::table(&[
        ["", "tokenward", "luma.oled"].map(str::to_owned).to_vec(),
        vec!["bytes of the program".to_owned(), binary_bytes.to_string(), "-".to_owned()],
        row("resident bytes", |figures| figures.rss_bytes),
        row("threads", |figures| figures.threads),
        row("wire bytes of setting the panel up", |figures| figures.picture_bytes),
        row("wire bytes of a minute, the middle one", |figures| figures.minute_bytes),
        row("minutes watched idle", |figures| figures.minutes),
        row("moments of waking in them", |figures| figures.wakes),
        row("bytes written to disk in them", |figures| figures.written_bytes),
    ])
}
