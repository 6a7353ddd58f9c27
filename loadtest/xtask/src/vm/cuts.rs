//! Pulling the plug while the display stores, again and again: what it called safe must be there.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use tokenward_programs::failure::Failure;

use crate::command;
use crate::terminal;
use crate::tree::Tree;
use crate::vm::PC;
use crate::vm::machine::Machine;
use crate::vm::parts::{self, Parts};

/// The modules of a disk with a journal, whose checksums are a module that it does not name.
pub(super) const MODULES: [&str; 4] = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];
/// How often the plug is pulled.
const CUTS: u32 = 50;
/// The disk's size: room for the journal and a few records.
const DISK_BYTES: u64 = 48 << 20;
/// The plug is pulled after so many records at the least, and so many more at the most.
const RECORDS: (u32, u32) = (3, 40);
/// The program that stores.
const STORER: &str = "tokenward-device-storing";
/// What the storing program says of a record that is safe, and of the one it found.
const STORED: &str = "stored ";
const FOUND: &str = "found ";

/// Cuts, boots, compares.
///
/// # Errors
/// `Missed` when a generation that was called safe is gone.
pub(super) fn play(tree: &Tree, parts: &Parts, run: &Path) -> Result<u64, Failure> {
    let storer = parts::built_here(tree, "tokenward-device", STORER, &["--features", "storing"])?;
    let (image, disk) = (run.join("cuts.cpio"), run.join("cuts.ext4"));
    let mut files = parts.image(&MODULES, "")?;
    files.program("/bin/storing", &storer)?;
    files.write(&image)?;
    format(&disk, DISK_BYTES, None)?;
    let mut command = parts.emulator()?;
    command.args(PC).arg("-initrd").arg(&image);
    command.arg("-drive").arg(format!("file={},format=raw,if=virtio", disk.display()));
    command.args(["-append", &parts.command_line("store")]);
    let progress = terminal::progress(CUTS, "cuts");
    let mut safe = 0;
    for cut in 0..=CUTS {
        let mut machine = Machine::start("cuts", &command, &run.join("cuts.log"))?;
        let found = machine.hear("what is found", |line| number(line, FOUND))?;
        if found < safe {
            return Err(Failure::Missed(format!(
                "after cut {cut}, generation {found} was found where {safe} had been called safe"
            )));
        }
        if cut == CUTS {
            break;
        }
        // Spread over the range without chance, so that a run can be repeated.
        let wanted = RECORDS.0 + cut * 7 % (RECORDS.1 - RECORDS.0);
        for _ in 0..wanted {
            safe = machine.hear("a record", |line| number(line, STORED))?;
        }
        machine.cut();
        progress.step(&format!("generation {safe} was safe"));
    }
    Ok(u64::from(CUTS))
}

/// Makes a disk with a journal, empty or with what is in a folder.
///
/// # Errors
/// `Unavailable` when it cannot be written.
pub(super) fn format(disk: &Path, bytes: u64, content: Option<&Path>) -> Result<(), Failure> {
    let made = File::create(disk).and_then(|file| file.set_len(bytes));
    made.map_err(|error| Failure::io("make a disk", &error))?;
    let mut command = Command::new("/sbin/mkfs.ext4");
    command.arg("-q");
    if let Some(content) = content {
        command.arg("-d").arg(content);
    }
    command::run_quietly(command.arg(disk), "mkfs.ext4")
}

fn number(line: &str, before: &str) -> Option<u64> {
    line.split_once(before)?.1.trim().parse().ok()
}
