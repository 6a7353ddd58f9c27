//! The harness itself: this test's own program, started anew, meets an adapter that is not there.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a broken harness fails the test")]

use std::env;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use embedded_hal::i2c::I2c;
use linux_embedded_hal::I2cdev;
use linux_embedded_hal::i2cdev::linux::LinuxI2CError;

use tokenward_bus::{Adapter, Chip, Harness, Ledger, Nack, Node, Wire};

/// Exists on no machine, so that a call that slipped through is seen.
const NODE: &str = "/dev/i2c-of-the-harness";
const ADDRESS: u16 = 0x3c;

/// Keeps what it is sent, and answers reads with it.
#[derive(Default)]
struct Notebook(Vec<u8>);

impl Chip for Notebook {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.0.extend(bytes);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        for (to, from) in buffer.iter_mut().zip(&self.0) {
            *to = *from;
        }
        Ok(())
    }
}

#[test]
fn a_sound_bus_carries_bytes_both_ways() {
    let (adapter, notebook) = bus();
    assert_eq!(outcome(&adapter), "read [1, 2, 3]");
    assert_eq!(notebook.lock().unwrap().0, [1, 2, 3, 4, 5]);
    // Three messages of 5, 0 and 3 bytes, each behind its address.
    let ledger = Ledger { opens: 2, refused: 0, messages: 2, nacks: 0, bytes: 10 };
    assert_eq!(adapter.ledger(), ledger);
}

#[test]
fn each_fault_has_the_number_that_linux_gives_it() {
    let fault = |set: fn(&Adapter)| {
        let (adapter, _) = bus();
        set(&adapter);
        outcome(&adapter)
    };
    assert_eq!(fault(|adapter| adapter.set_node(Node::Missing)), "open: errno 2");
    assert_eq!(fault(|adapter| adapter.set_node(Node::Denied)), "open: errno 13");
    assert_eq!(fault(|adapter| adapter.set_owned(ADDRESS, true)), "write: errno 16");
    assert_eq!(fault(|adapter| adapter.set_smbus_only(true)), "write: errno 95");
    assert_eq!(fault(|adapter| adapter.set_wire(Wire::Cut)), "write: errno 121");
    assert_eq!(fault(|adapter| adapter.set_wire(Wire::BreaksAfter(6))), "read: errno 121");
}

#[test]
fn a_wire_that_breaks_lets_the_bytes_before_through() {
    let (adapter, notebook) = bus();
    adapter.set_wire(Wire::BreaksAfter(2));
    assert_eq!(outcome(&adapter), "write: errno 121");
    assert_eq!(notebook.lock().unwrap().0, [1, 2]);
}

/// Hangs a notebook on an adapter.
fn bus() -> (Adapter, Arc<Mutex<Notebook>>) {
    let notebook = Arc::new(Mutex::new(Notebook::default()));
    (Adapter::default().with(ADDRESS, Arc::clone(&notebook)), notebook)
}

/// Runs the program below in the harness, and returns what it says.
fn outcome(adapter: &Adapter) -> String {
    let folder = env::temp_dir();
    let log = folder.join(format!("bus-{:?}.log", std::thread::current().id()));
    let log = log.to_str().expect("a name").replace(['(', ')'], "");
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "a_program_that_writes_and_reads", "--ignored", "--nocapture"]);
    let file = File::create(&log).unwrap();
    let mut harness = Harness::start(&command, Path::new(NODE), adapter, &file).unwrap();
    harness.child().wait().unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let line = said.lines().find_map(|line| line.split_once("outcome "));
    line.unwrap_or_else(|| panic!("it said: {said}")).1.to_owned()
}

/// The program that the tests above start; it knows nothing of them.
#[test]
#[ignore = "is started by the other tests, in the harness"]
fn a_program_that_writes_and_reads() {
    println!("\noutcome {}", write_and_read().unwrap_or_else(|failure| failure));
}

fn write_and_read() -> Result<String, String> {
    let errno = |error: &LinuxI2CError| match error {
        LinuxI2CError::Errno(number) => *number,
        LinuxI2CError::Io(error) => error.raw_os_error().unwrap_or(0),
    };
    let mut bus = I2cdev::new(NODE).map_err(|error| format!("open: errno {}", errno(&error)))?;
    let address = ADDRESS as u8;
    bus.write(address, &[1, 2, 3, 4, 5])
        .map_err(|error| format!("write: errno {}", errno(error.inner())))?;
    let mut buffer = [0; 3];
    bus.read(address, &mut buffer)
        .map_err(|error| format!("read: errno {}", errno(error.inner())))?;
    Ok(format!("read {buffer:?}"))
}
