//! `cargo xtask test --vm`: the wall display on real kernels, in machines that are emulated.
//!
//! Emulated instruction by instruction: slow, but on any machine, and without any rights. Everything
//! waits for what happens, never for time.

mod cuts;
mod image;
mod machine;
mod modules;
mod parts;
mod pi;
mod unit;

use std::path::Path;

use clap::ValueEnum;
use tokenward_programs::clock::Watch;
use tokenward_programs::failure::Failure;

use crate::terminal;
use crate::tree::Tree;
use crate::vm::machine::Machine;
use crate::vm::parts::{Kind, Parts};

pub(crate) use parts::built_here;

/// The modules for an adapter on USB that is no more than a socket.
const USB_ADAPTER: [&str; 3] = ["vhci-hcd", "i2c-dev", "i2c-tiny-usb"];

/// What can be tried in a virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scene {
    /// A stock kernel with an I2C adapter on USB: wires, chips and adapters that fail
    Bus,
    /// The same on the wall display's own architecture
    BusArm64,
    /// A Raspberry Pi 3 with its own bus, and QEMU's panel
    Pi,
    /// The plug is pulled fifty times while the display stores
    Cuts,
    /// The unit of the package under systemd: a hang, its watchdog, and a mistake that stays
    Unit,
}

impl Scene {
    const ALL: [Self; 5] = [Self::Bus, Self::Unit, Self::Cuts, Self::BusArm64, Self::Pi];

    fn title(self) -> &'static str {
        match self {
            Self::Bus => "I2C on a stock amd64 kernel",
            Self::BusArm64 => "I2C on a stock arm64 kernel",
            Self::Pi => "Raspberry Pi 3 with QEMU's panel",
            Self::Cuts => "power cuts while storing",
            Self::Unit => "the unit under systemd",
        }
    }

    fn play(self, tree: &Tree, run: &Path) -> Result<u64, Failure> {
        match self {
            Self::Bus => bus(&Parts::ready(tree, Kind::Amd64)?, run, "bus", &PC),
            Self::BusArm64 => bus(&Parts::ready(tree, Kind::Arm64)?, run, "bus-arm64", &BOARD),
            Self::Pi => pi::play(tree, &Parts::ready(tree, Kind::Arm64)?, run),
            Self::Cuts => cuts::play(tree, &Parts::ready(tree, Kind::Amd64)?, run),
            Self::Unit => unit::play(tree, &Parts::ready(tree, Kind::Amd64)?, run),
        }
    }
}

/// A plain machine of the first kind.
const PC: [&str; 10] =
    ["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "256"];
/// A plain machine of the second kind.
const BOARD: [&str; 10] = [
    "-machine",
    "virt",
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "cortex-a53",
    "-smp",
    "2",
    "-m",
    "256",
];

/// Plays the named scenes, or all, and prints a table.
///
/// # Errors
/// `Unavailable` when parts cannot be had; `Missed` with the scene that failed.
pub(crate) fn run(scenes: &[Scene]) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let run = tree.fresh_run("vm")?;
    let mut rows = vec![["scene", "checks", "seconds", "result"].map(str::to_owned).to_vec()];
    let mut first_failure = None;
    for scene in Scene::ALL {
        if !scenes.is_empty() && !scenes.contains(&scene) {
            continue;
        }
        terminal::heading(scene.title());
        let watch = Watch::start();
        let outcome = scene.play(&tree, &run);
        let seconds = watch.elapsed().as_secs().to_string();
        let (checks, word) = match &outcome {
            Ok(checks) => (checks.to_string(), "ok"),
            Err(_) => ("-".to_owned(), "FAILED"),
        };
        rows.push(vec![scene.title().to_owned(), checks, seconds, word.to_owned()]);
        if let Err(failure) = outcome {
            terminal::note(&failure.to_string());
            first_failure.get_or_insert(failure);
        }
    }
    terminal::heading("virtual machines");
    terminal::note(&terminal::table(&rows));
    first_failure.map_or(Ok(()), Err)
}

/// Plays the scenes of the wires.
fn bus(parts: &Parts, run: &Path, name: &str, board: &[&str]) -> Result<u64, Failure> {
    let image = run.join(format!("{name}.cpio"));
    parts.image(&USB_ADAPTER, "")?.write(&image)?;
    let mut command = parts.emulator()?;
    command.args(board).arg("-initrd").arg(&image);
    command.args(["-append", &parts.command_line("bus")]);
    Machine::start(name, &command, &run.join(format!("{name}.log")))?.play_out()
}
