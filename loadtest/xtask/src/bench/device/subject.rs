//! One program under the same eyes: its memory, its wires, its wakes and its writes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tokenward_bus::{Adapter, Chip, Harness, Ledger, Nack, Wire};
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use crate::bench::device::stage::{Peer, Stage};
use crate::terminal;

/// Where programs look for the adapter of a Raspberry Pi.
const NODE: &str = "/dev/i2c-1";
/// Where the panel is.
const ADDRESS: u16 = 0x3c;
/// What a whole picture puts on the wire, at the least.
const PICTURE_BYTES: u64 = 1024;
/// How long anything may take that takes seconds.
const LIMIT: Duration = Duration::from_secs(180);
/// A bus that was quiet for so long has shown the picture to its end.
const QUIET: Duration = Duration::from_secs(3);
/// How long a program is left alone before it counts as idle: connections are kept a while for more
/// questions.
const REST: Duration = Duration::from_secs(40);
/// How often an idle program is looked at: wakes closer together are one moment.
const LOOK: Duration = Duration::from_secs(1);

/// A program to be measured.
pub(super) struct Subject {
    name: &'static str,
    command: Command,
    /// Whether it can be made to draw everything anew by a wire that is pulled.
    survives: bool,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) rss_bytes: u64,
    pub(super) threads: u64,
    pub(super) picture_bytes: u64,
    pub(super) minute_bytes: u64,
    pub(super) minutes: u64,
    pub(super) wakes: u64,
    pub(super) written_bytes: u64,
}

impl Subject {
    /// Our program, as it is installed.
    pub(super) fn ours(program: &Path, config: PathBuf) -> Self {
        let mut command = Command::new(program);
        command.args(["run", "--config"]).arg(config);
        Self { name: "tokenward-device", command, survives: true }
    }

    /// The peer; it ends when a wire is pulled, as its like do.
    pub(super) fn peer(stage: &Stage, peer: &Peer) -> Self {
        let mut command = Command::new(&peer.python);
        command.arg(&peer.program).arg(format!("{}/api/quote", stage.origin));
        command.arg(&stage.certificate);
        Self { name: "luma", command, survives: false }
    }
}

/// Acknowledges everything, as a lit panel does.
struct Glass;

impl Chip for Glass {
    fn write(&mut self, _bytes: &[u8]) -> Result<(), Nack> {
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.fill(0x03);
        Ok(())
    }
}

/// Runs a program in the harness, and watches it for so many minutes.
///
/// # Errors
/// `Missed` when it does not draw, `Unavailable` when it cannot be watched.
pub(super) fn measure(stage: &Stage, subject: &Subject, minutes: u64) -> Result<Figures, Failure> {
    let adapter = Adapter::default().with(ADDRESS, Glass);
    let path = stage.run.join(format!("{}.log", subject.name));
    let log = File::create(&path).map_err(|error| Failure::io("write a log", &error))?;
    let program = Harness::start(&subject.command, Path::new(NODE), &adapter, &log);
    let program =
        program.map_err(|error| Failure::io(&format!("start {}", subject.name), &error))?;
    let lost = |what: &str| {
        let said = fs::read_to_string(&path).unwrap_or_default();
        Failure::Missed(format!("{} {what}; it said:\n{said}", subject.name))
    };
    let drawn = |before: Ledger| {
        adapter.wait_until(LIMIT, |ledger| ledger.bytes >= before.bytes + PICTURE_BYTES)
    };
    if !drawn(Ledger::default()) {
        return Err(lost("drew nothing"));
    }
    let mut picture_bytes = settled(&adapter).bytes;
    if subject.survives {
        adapter.set_wire(Wire::Cut);
        let nacks = adapter.ledger().nacks;
        if !adapter.wait_until(LIMIT, |ledger| ledger.nacks > nacks) {
            return Err(lost("did not notice that the wire was pulled"));
        }
        let before = adapter.ledger();
        adapter.set_wire(Wire::Sound);
        if !drawn(before) {
            return Err(lost("did not draw again"));
        }
        picture_bytes = settled(&adapter).bytes - before.bytes;
    }
    let id = program.id();
    terminal::note("waiting until nothing is left to do");
    thread::sleep(REST);
    let idle = watch(id, &adapter, minutes).ok_or_else(|| lost("ended"))?;
    let status = |key| of_status(id, key).ok_or_else(|| lost("ended"));
    Ok(Figures {
        rss_bytes: status("VmRSS:")? * 1024,
        threads: status("Threads:")?,
        picture_bytes,
        minute_bytes: idle.minute_bytes,
        minutes,
        wakes: idle.wakes,
        written_bytes: idle.written_bytes,
    })
}

struct Idle {
    minute_bytes: u64,
    wakes: u64,
    written_bytes: u64,
}

/// Watches a program that has nothing to do.
fn watch(id: u32, adapter: &Adapter, minutes: u64) -> Option<Idle> {
    let progress = terminal::progress(minutes * 60, "seconds watched");
    let (switches_before, written_before) = (switches(id)?, written(id)?);
    let (mut switches_last, mut bytes_last) = (switches_before, adapter.ledger().bytes);
    let (mut drawn, mut wakes) = (Vec::new(), 0);
    for _ in 0..minutes * 60 {
        thread::sleep(LOOK);
        let (switches, bytes) = (switches(id)?, adapter.ledger().bytes);
        wakes += u64::from(switches != switches_last);
        if bytes != bytes_last {
            drawn.push(bytes - bytes_last);
        }
        (switches_last, bytes_last) = (switches, bytes);
        progress.step(&format!("woke {wakes} times"));
    }
    // The full hour changes up to four digits and the tenth minute heals; most do neither.
    drawn.sort_unstable();
    let middle = drawn.len().saturating_sub(1) / 2;
    let minute_bytes = drawn.get(middle).copied().unwrap_or_default();
    Some(Idle { minute_bytes, wakes, written_bytes: written(id)? - written_before })
}

/// Waits until the bus is quiet.
fn settled(adapter: &Adapter) -> Ledger {
    let mut last = adapter.ledger();
    clock::poll(LIMIT, QUIET, || {
        let ledger = adapter.ledger();
        let quiet = ledger == last;
        last = ledger;
        quiet.then_some(())
    });
    last
}

/// Counts how often the threads of a program went to sleep by themselves: each time they had woken.
fn switches(id: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).ok()?;
    let one = |path: PathBuf| {
        let status = fs::read_to_string(path.join("status")).ok()?;
        number(&status, "voluntary_ctxt_switches:")
    };
    Some(threads.flatten().filter_map(|thread| one(thread.path())).sum())
}

/// Returns how many bytes a program had the kernel write to disks.
fn written(id: u32) -> Option<u64> {
    number(&fs::read_to_string(format!("/proc/{id}/io")).ok()?, "write_bytes:")
}

fn of_status(id: u32, key: &str) -> Option<u64> {
    number(&fs::read_to_string(format!("/proc/{id}/status")).ok()?, key)
}

fn number(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_whole_key() {
        let status = "nonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t42\nVmRSS:\t3 kB\n";
        assert_eq!(number(status, "voluntary_ctxt_switches:"), Some(42));
        assert_eq!(number(status, "VmRSS:"), Some(3));
        assert_eq!(number(status, "Threads:"), None);
    }
}
