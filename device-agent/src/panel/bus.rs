//! The bus as the panels see it: opened anew after every failure.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use embedded_hal::i2c::I2c;
use linux_embedded_hal::I2cdev;

use crate::panel::fault::{Fault, RawErrno, raw_errno};

/// Opens a bus, again and again.
///
/// An open bus goes stale for ever when its adapter disappears, so whoever meets an error drops it
/// and asks for another one.
pub trait OpenBus: Send {
    /// The bus.
    type Bus: I2c<Error: RawErrno> + Send;

    /// Opens the bus.
    ///
    /// # Errors
    ///
    /// Says why it cannot be opened.
    fn open(&mut self) -> Result<Self::Bus, Fault>;

    /// Lets the panel rest between two messages, as its data sheet asks for.
    fn rest(&mut self, at_least: Duration);
}

/// The adapters of Linux: `/dev/i2c-1` and its like.
#[derive(Clone, Debug)]
pub struct LinuxBus {
    path: PathBuf,
}

impl LinuxBus {
    /// Names an adapter; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl OpenBus for LinuxBus {
    type Bus = I2cdev;

    fn open(&mut self) -> Result<I2cdev, Fault> {
        I2cdev::new(&self.path).map_err(|error| Fault::opening(raw_errno(&error)))
    }

    fn rest(&mut self, at_least: Duration) {
        thread::sleep(at_least);
    }
}
