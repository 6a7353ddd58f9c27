//! The unit of the package under the systemd of the release that it is for: its rights, a hang that
//! the watchdog ends, and a mistake in the configuration that is not tried again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tokenward_programs::failure::Failure;

use crate::command;
use crate::setup::debs::{self, Wanted};
use crate::tree::Tree;
use crate::vm::machine::Machine;
use crate::vm::parts::Parts;
use crate::vm::{PC, USB_ADAPTER, cuts};

/// systemd with all that it needs, and the rule that gives the bus to the group i2c.
const SYSTEM: Wanted = Wanted {
    folder: "system-amd64",
    programs: &["systemd", "udev"],
    single: &["i2c-tools"],
    behind: &[],
    backports: false,
    pinned: &[],
};
/// The disk's size: some 150 MB of programs, and their journal.
const DISK_BYTES: u64 = 512 << 20;
/// Folders that packages still fill, and that the release has inside of usr.
const MERGED: [&str; 3] = ["bin", "sbin", "lib"];
/// Mount points and homes that no package brings.
const FOLDERS: [&str; 9] =
    ["dev", "etc/tokenward", "proc", "root", "run", "sys", "tmp", "usr/bin", "var/log"];
/// What the packages' own scripts would have written, as little as serves.
const FILES: [(&str, &str); 5] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\ntty:x:5:\nsystemd-journal:x:101:\ni2c:x:102:\nnogroup:x:65534:\n"),
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("etc/hostname", "display\n"),
    ("etc/fstab", ""),
];
/// The unit as the package brings it, and where.
const UNIT: (&str, &str) = (
    "device-agent/packaging/tokenward-device.service",
    "usr/lib/systemd/system/tokenward-device.service",
);
/// Enables it, as the package does.
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/tokenward-device.service";
/// What the guest looks at is not on the console, so nobody else need be asked to sign in there.
const QUIETLY: &str = "systemd.getty_auto=no systemd.unit=multi-user.target systemd.show_status=no";

/// Boots into systemd, and tells what the guest sees beside it.
///
/// # Errors
/// `Unavailable` when the system cannot be put together; `Missed` when a scene fails.
pub(super) fn play(tree: &Tree, parts: &Parts, run: &Path) -> Result<u64, Failure> {
    let (root, disk, image) = (run.join("system"), run.join("unit.ext4"), run.join("unit.cpio"));
    put_together(&debs::system(tree, &SYSTEM)?, &root)?;
    let installed = lay_out(tree, parts, &root);
    installed.map_err(|error| Failure::io("lay out a system", &error))?;
    cuts::format(&disk, DISK_BYTES, Some(&root))?;
    let modules = [&USB_ADAPTER[..], &cuts::MODULES[..]].concat();
    parts.image(&modules, "")?.write(&image)?;
    let mut command = parts.emulator()?;
    command.args(PC).arg("-initrd").arg(&image);
    command.arg("-drive").arg(format!("file={},format=raw,if=virtio", disk.display()));
    command.args(["-append", &format!("{} {QUIETLY}", parts.command_line("unit"))]);
    Machine::start("unit", &command, &run.join("unit.log"))?.play_out()
}

/// Copies the unpacked packages, and puts what is outside of usr into it, as the release has it.
fn put_together(packages: &Path, root: &Path) -> Result<(), Failure> {
    let copy = |from: &Path, to: &Path| {
        let made = fs::create_dir_all(to);
        made.map_err(|error| Failure::io("make a folder", &error))?;
        let mut command = Command::new("cp");
        command.arg("-a").arg(from.join(".")).arg(to);
        command::run_quietly(&mut command, "cp -a")
    };
    copy(packages, root)?;
    for name in MERGED.iter().chain(&["lib64"]) {
        let (outside, inside) = (root.join(name), root.join("usr").join(name));
        if outside.is_dir() {
            copy(&outside, &inside)?;
            let removed = fs::remove_dir_all(&outside);
            removed.map_err(|error| Failure::io("merge folders", &error))?;
        }
        let linked = symlink(Path::new("usr").join(name), &outside);
        linked.map_err(|error| Failure::io("merge folders", &error))?;
    }
    Ok(())
}

/// Adds what makes a system of them, and the wall display.
fn lay_out(tree: &Tree, parts: &Parts, root: &Path) -> std::io::Result<()> {
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    for (path, content) in FILES {
        fs::write(root.join(path), content)?;
    }
    fs::copy(parts.device(), root.join("usr/bin/tokenward-device"))?;
    fs::copy(tree.root().join(UNIT.0), root.join(UNIT.1))?;
    let wanted = root.join(WANTED);
    fs::create_dir_all(wanted.parent().unwrap_or(root))?;
    symlink(Path::new("/").join(UNIT.1), wanted)
}
