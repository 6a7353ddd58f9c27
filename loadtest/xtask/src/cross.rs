//! `cargo xtask cross`: the wall display's program for the machines that it runs on.
//!
//! The compiler and its library are Debian's, whose library for other machines comes as a package;
//! the linkers are Debian's cross compilers. All of it is unpacked into a folder of ours.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tokenward_programs::failure::Failure;

use crate::command;
use crate::setup::debs::{self, Pinned, Wanted};
use crate::terminal;
use crate::tree::Tree;

/// The program that is built.
const PROGRAM: &str = "tokenward-device";
/// How it is built: small on the card and in memory.
const PROFILE: &str = "device";

/// Compiler, libraries and linkers.
const TOOLCHAIN: Wanted = Wanted {
    folder: "cross",
    programs: &[
        "gcc-aarch64-linux-gnu",
        "gcc-arm-linux-gnueabihf",
        "libc6-dev-arm64-cross",
        "libc6-dev-armhf-cross",
        "rustc-web",
        "libstd-rust-web-dev",
    ],
    single: &["libstd-rust-web-dev:arm64"],
    behind: &[],
    backports: false,
    pinned: &[Pinned {
        package: "libstd-rust-web-dev:armhf",
        sibling: "libstd-rust-web-dev:arm64",
        version: "1.96.0+dfsg1-1~deb12u2",
        checksum: "SHA256:b9f9dd1d03a903680f918cb2bba00a2a3d76558545d5e6a8061072ab461bb989",
    }],
};

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// For which machine; without it, for each of them
    #[arg(long)]
    target: Option<Machine>,
}

/// A kind of machine that the wall display runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// Raspberry Pi 3, 4, 5 and Zero 2 with a 64-bit system
    Aarch64,
    /// Raspberry Pi 2 and later with a 32-bit system
    Armv7,
}

impl Machine {
    /// Each of them.
    pub(crate) const ALL: [Self; 2] = [Self::Aarch64, Self::Armv7];

    /// Returns what Debian calls its packages' architecture.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Aarch64 => "arm64",
            Self::Armv7 => "armhf",
        }
    }

    /// Returns what Rust calls it.
    fn target(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::Armv7 => "armv7-unknown-linux-gnueabihf",
        }
    }

    /// Returns what GNU's compilers call it.
    pub(crate) fn gnu(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-linux-gnu",
            Self::Armv7 => "arm-linux-gnueabihf",
        }
    }
}

/// Builds the program for the named machine, or for all.
///
/// # Errors
/// `Unavailable` when the toolchain cannot be fetched, `Missed` when the build fails.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let toolchain = Toolchain::ready(&tree)?;
    for machine in options.target.map_or_else(|| Machine::ALL.to_vec(), |one| vec![one]) {
        let program = toolchain.build(&tree, machine, PROGRAM, PROGRAM)?;
        terminal::result(&format!(
            "cross {} bytes {} {}",
            machine.debian(),
            size(&program)?,
            program.display()
        ));
    }
    Ok(())
}

/// Builds the wall display's program, and returns where it is.
///
/// # Errors
/// As [`run`].
pub(crate) fn built(tree: &Tree, machine: Machine) -> Result<PathBuf, Failure> {
    Toolchain::ready(tree)?.build(tree, machine, PROGRAM, PROGRAM)
}

/// Returns what Cargo passes to the compiler of the program itself: the linker leaves the tables out
/// that an aborting program has no use for.
pub(crate) fn without_unwinding(tree: &Tree) -> [OsString; 3] {
    let script = tree.root().join("loadtest/xtask/device/no-unwinding.ld");
    let mut argument = OsString::from("-Clink-arg=");
    argument.push(script);
    ["--".into(), "-Clink-arg=-T".into(), argument]
}

/// Returns the length of a file in bytes.
///
/// # Errors
/// `Unavailable` when it is not there.
pub(crate) fn size(file: &Path) -> Result<u64, Failure> {
    let found = fs::metadata(file);
    found.map(|found| found.len()).map_err(|error| Failure::io("measure a file", &error))
}

/// Debian's compiler and linkers in a folder of ours.
#[derive(Debug)]
pub(crate) struct Toolchain {
    root: PathBuf,
}

impl Toolchain {
    /// Fetches and unpacks it where that was not done before.
    ///
    /// # Errors
    /// `Unavailable` with the remedy.
    pub(crate) fn ready(tree: &Tree) -> Result<Self, Failure> {
        let toolchain = Self { root: debs::unpacked(tree, &TOOLCHAIN)? };
        toolchain.wrap("rustc", "rustc", "")?;
        for machine in Machine::ALL {
            let compiler = format!("{}-gcc", machine.gnu());
            let sysroot = format!("--sysroot=\"{}\"", toolchain.root.display());
            toolchain.wrap(&compiler, &compiler, &sysroot)?;
            let archiver = format!("{}-ar", machine.gnu());
            toolchain.wrap(&archiver, &archiver, "")?;
        }
        Ok(toolchain)
    }

    /// Returns the folder that a machine's own C library is in.
    pub(crate) fn libraries(&self, machine: Machine) -> PathBuf {
        self.root.join("usr").join(machine.gnu()).join("lib")
    }

    /// Builds a program of a package for a machine, and returns where it is.
    ///
    /// # Errors
    /// `Missed` when the build fails.
    pub(crate) fn build(
        &self,
        tree: &Tree,
        machine: Machine,
        package: &str,
        program: &str,
    ) -> Result<PathBuf, Failure> {
        let target = machine.target();
        let folder = tree.tools().join("cross-build");
        let compiler = self.wrapper(&format!("{}-gcc", machine.gnu()));
        let archiver = self.wrapper(&format!("{}-ar", machine.gnu()));
        let cargo_name = target.to_uppercase().replace('-', "_");
        let cc_name = target.replace('-', "_");
        let mut command = command::cargo();
        command
            // The wall's own machines have no room for direct mode and its database.
            .args(["rustc", "--locked", "--no-default-features", "--package", package])
            .args(["--bin", program])
            .args(["--profile", PROFILE, "--target", target, "--target-dir"])
            .arg(&folder)
            .args(without_unwinding(tree))
            .env("RUSTC", self.wrapper("rustc"))
            .env(format!("CARGO_TARGET_{cargo_name}_LINKER"), &compiler)
            .env(format!("CC_{cc_name}"), &compiler)
            .env(format!("AR_{cc_name}"), archiver)
            .current_dir(tree.root());
        terminal::note(&format!("building {program} for {target}"));
        command::run_visibly(&mut command, &format!("building {program} for {target}"))?;
        Ok(folder.join(target).join(PROFILE).join(program))
    }

    fn wrapper(&self, name: &str) -> PathBuf {
        self.root.join("wrappers").join(name)
    }

    /// Writes a script that starts an unpacked program with the libraries that lie beside it.
    fn wrap(&self, name: &str, program: &str, arguments: &str) -> Result<(), Failure> {
        let root = self.root.display();
        let script = format!(
            "#!/bin/sh\nexport LD_LIBRARY_PATH=\"{root}/usr/lib/x86_64-linux-gnu\"\n\
             exec \"{root}/usr/bin/{program}\" {arguments} \"$@\"\n"
        );
        let path = self.wrapper(name);
        let written = fs::create_dir_all(self.root.join("wrappers"))
            .and_then(|()| fs::write(&path, script))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)));
        written.map_err(|error| Failure::io("write a wrapper of the toolchain", &error))
    }
}
