//! What happens to the wires while the program runs, and what must come of it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokenward_bus::{Adapter, Chip, Nack, Wire};

use crate::machine;
use crate::program::{PICTURE_BYTES, Program};
use crate::say;

/// Where the panel is.
pub(crate) const ADDRESS: u16 = 0x3c;

/// Acknowledges everything, and remembers the longest message.
#[derive(Default)]
pub(crate) struct Glass {
    longest: usize,
}

impl Chip for Glass {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.longest = self.longest.max(bytes.len());
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.fill(0);
        Ok(())
    }
}

/// Plays all scenes with an adapter on USB.
pub(crate) fn play_all() -> io::Result<()> {
    let glass = Arc::new(Mutex::new(Glass::default()));
    let adapter = Adapter::default().with(ADDRESS, Arc::clone(&glass));
    let node = machine::plug_in(&adapter)?;
    say(&format!("adapter {}", node.display()));
    present(&adapter, &node)?;
    let longest = glass.lock().unwrap_or_else(PoisonError::into_inner).longest;
    say(&format!("ok present; the longest message had {longest} bytes"));
    absent(&adapter, &node)?;
    say("ok absent, then plugged in");
    breaking(&adapter, &node)?;
    say("ok broken off in the midst of a picture");
    owned(&adapter, &node)?;
    say("ok address owned by a driver of the kernel, then given back");
    unplugged(&adapter, &node)?;
    say("ok adapter pulled out and plugged in again");
    Ok(())
}

/// Lets the program draw on a panel that the machine itself has, until the machine is ended from
/// outside.
pub(crate) fn play_wired() -> io::Result<()> {
    let node = machine::built_in("bcm2835")?;
    say(&format!("adapter {}", node.display()));
    let mut program = Program::start(&node)?;
    program.says("the panel answers")?;
    say("ok drawn");
    program.says("whoever started this machine ends it")
}

fn present(adapter: &Adapter, node: &Path) -> io::Result<()> {
    let before = adapter.ledger().bytes;
    Program::start(node)?.draws(adapter, before)
}

fn absent(adapter: &Adapter, node: &Path) -> io::Result<()> {
    adapter.set_wire(Wire::Cut);
    let mut program = Program::start(node)?;
    // This driver's word for an address that nobody acknowledges is ENXIO.
    program.says("errno 6)")?;
    mended(adapter, &mut program)
}

fn breaking(adapter: &Adapter, node: &Path) -> io::Result<()> {
    adapter.set_wire(Wire::BreaksAfter(PICTURE_BYTES / 2));
    let mut program = Program::start(node)?;
    program.says("errno ")?;
    mended(adapter, &mut program)
}

fn owned(adapter: &Adapter, node: &Path) -> io::Result<()> {
    machine::take_address(node, true)?;
    let mut program = Program::start(node)?;
    program.says("errno 16)")?;
    let before = adapter.ledger().bytes;
    machine::take_address(node, false)?;
    program.draws(adapter, before)
}

fn unplugged(adapter: &Adapter, node: &Path) -> io::Result<()> {
    let before = adapter.ledger().bytes;
    let mut program = Program::start(node)?;
    program.draws(adapter, before)?;
    machine::pull_out(node)?;
    program.says("errno ")?;
    let before = adapter.ledger().bytes;
    let again = machine::plug_in(adapter)?;
    if again != node {
        return Err(io::Error::other(format!("it came back as {}", again.display())));
    }
    program.draws(adapter, before)
}

fn mended(adapter: &Adapter, program: &mut Program) -> io::Result<()> {
    let before = adapter.ledger().bytes;
    adapter.set_wire(Wire::Sound);
    program.draws(adapter, before)
}
