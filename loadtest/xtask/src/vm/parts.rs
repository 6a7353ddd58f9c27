//! What virtual machines are made of: Debian's emulators and stock kernels, and programs of ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokenward_programs::failure::Failure;

use crate::command;
use crate::cross::{Machine as Board, Toolchain, without_unwinding};
use crate::setup::debs::{self, Wanted};
use crate::tree::{Profile, Tree};
use crate::vm::image::Image;
use crate::vm::modules;

/// QEMU 10, whose Raspberry Pi has working I2C; the release's own 7.2 has not.
const EMULATORS: Wanted = Wanted {
    folder: "emulators",
    programs: &["qemu-system-arm", "qemu-system-x86"],
    single: &[],
    behind: &[],
    backports: true,
    pinned: &[],
};

const AMD64_KERNEL: Wanted = kernel("kernel-amd64", &["linux-image-amd64:amd64"]);
const ARM64_KERNEL: Wanted = kernel("kernel-arm64", &["linux-image-arm64:arm64"]);

/// The configuration of the program in a machine without a network, as the guest completes it.
const CONFIG: &str = "gateway = \"http://127.0.0.1:9\"\ncontent = \"/\"\nstate_dir = \"/run/state\"\n\
                      [panel]\nbus = \"@NODE@\"\n";

const fn kernel(folder: &'static str, behind: &'static [&'static str]) -> Wanted {
    Wanted { folder, programs: &[], single: &[], behind, backports: false, pinned: &[] }
}

/// The architecture of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The one of most machines that tests run on.
    Amd64,
    /// The wall display's.
    Arm64,
}

/// A kernel, and programs for it.
#[derive(Debug)]
pub(crate) struct Parts {
    kind: Kind,
    kernel: PathBuf,
    emulators: PathBuf,
    libraries: PathBuf,
    guest: PathBuf,
    device: PathBuf,
}

impl Parts {
    /// Fetches and builds what a machine of this kind needs.
    ///
    /// # Errors
    /// `Unavailable` with the remedy; `Missed` when a build fails.
    pub(crate) fn ready(tree: &Tree, kind: Kind) -> Result<Self, Failure> {
        let emulators = debs::unpacked(tree, &EMULATORS)?;
        let (kernel, libraries, guest, device) = match kind {
            Kind::Amd64 => (
                debs::unpacked(tree, &AMD64_KERNEL)?,
                PathBuf::from("/lib/x86_64-linux-gnu"),
                built_here(tree, "tokenward-bus", "tokenward-bus-guest", &[])?,
                built_here(tree, "tokenward-device", "tokenward-device", &[])?,
            ),
            Kind::Arm64 => {
                let toolchain = Toolchain::ready(tree)?;
                let build = |package: &str, program: &str| {
                    toolchain.build(tree, Board::Aarch64, package, program)
                };
                (
                    debs::unpacked(tree, &ARM64_KERNEL)?,
                    toolchain.libraries(Board::Aarch64),
                    build("tokenward-bus", "tokenward-bus-guest")?,
                    build("tokenward-device", "tokenward-device")?,
                )
            }
        };
        Ok(Self { kind, kernel, emulators, libraries, guest, device })
    }

    /// Puts a file system together: the guest as first program, the wall display, and the modules.
    ///
    /// # Errors
    /// `Unavailable` when a part cannot be read.
    pub(crate) fn image(&self, wanted: &[&str], extra: &str) -> Result<Image, Failure> {
        let mut image = Image::default();
        image.program("/init", &self.guest)?;
        image.program("/bin/tokenward-device", &self.device)?;
        image.text("/etc/tokenward/device.toml.in", &format!("{CONFIG}{extra}"));
        let (loader_folder, loader) = match self.kind {
            Kind::Amd64 => ("/lib64", "ld-linux-x86-64.so.2"),
            Kind::Arm64 => ("/lib", "ld-linux-aarch64.so.1"),
        };
        image.program(&format!("{loader_folder}/{loader}"), &self.libraries.join(loader))?;
        for library in ["libc.so.6", "libgcc_s.so.1", "libm.so.6"] {
            image.program(&format!("/lib/{library}"), &self.libraries.join(library))?;
        }
        let mut order = String::new();
        for file in modules::in_order(&self.kernel, wanted)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            image.program(&format!("/modules/{name}"), &file)?;
            order.push_str(&name);
            order.push('\n');
        }
        image.text("/modules/order", &order);
        Ok(image)
    }

    /// Returns the wall display's program.
    pub(crate) fn device(&self) -> &Path {
        &self.device
    }

    /// Returns the emulator with the libraries that lie beside it, and the kernel set.
    ///
    /// # Errors
    /// `Unavailable` when the kernel is not where Debian puts it.
    pub(crate) fn emulator(&self) -> Result<Command, Failure> {
        let program = match self.kind {
            Kind::Amd64 => "qemu-system-x86_64",
            Kind::Arm64 => "qemu-system-aarch64",
        };
        let mut command = Command::new(self.emulators.join("usr/bin").join(program));
        let beside = ["usr/lib", "lib"].map(|folder| {
            self.emulators.join(folder).join("x86_64-linux-gnu").display().to_string()
        });
        command.env("LD_LIBRARY_PATH", beside.join(":"));
        for folder in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(self.emulators.join(folder));
        }
        command.args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]);
        command.arg("-kernel").arg(named(&self.kernel.join("boot"), "vmlinuz-")?);
        Ok(command)
    }

    /// Returns what the kernel is told: where its console is, and which scene to play.
    pub(crate) fn command_line(&self, scene: &str) -> String {
        let board = match self.kind {
            // A busy machine of iron starves the emulated timer, which the kernel would take for a
            // broken one.
            Kind::Amd64 => "console=ttyS0 no_timer_check",
            Kind::Arm64 => "console=ttyAMA0",
        };
        // A panic ends the machine; protections against spies would only slow it.
        format!("{board} panic=-1 quiet mitigations=off tokenward={scene}")
    }

    /// Returns the description of a board that comes with the kernel.
    ///
    /// # Errors
    /// `Unavailable` when the kernel has none of that name.
    pub(crate) fn board(&self, name: &str) -> Result<PathBuf, Failure> {
        Ok(named(&self.kernel.join("usr/lib"), "linux-image-")?.join("broadcom").join(name))
    }
}

/// Builds a program for this machine as it is built for the wall, and returns where it is.
///
/// # Errors
/// `Missed` when the build fails.
pub(crate) fn built_here(
    tree: &Tree,
    package: &str,
    program: &str,
    features: &[&str],
) -> Result<PathBuf, Failure> {
    let mut command = command::cargo();
    command.args(["rustc", "--locked", "--no-default-features", "--profile", "device"]);
    command.args(["--package", package, "--bin", program]).args(features);
    command.args(without_unwinding(tree));
    command::run_visibly(command.current_dir(tree.root()), &format!("building {program}"))?;
    Ok(tree.built(Profile::Device, program))
}

fn named(folder: &Path, beginning: &str) -> Result<PathBuf, Failure> {
    let found = fs::read_dir(folder).map_err(|error| Failure::io("read a kernel", &error))?;
    let mut names = found.flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning))
    };
    names
        .find(is_it)
        .ok_or_else(|| Failure::Unavailable(format!("{} has no {beginning}…", folder.display())))
}
