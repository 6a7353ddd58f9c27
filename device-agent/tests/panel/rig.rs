//! A bus with one panel on it, and everything that can go wrong with it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource, Operation};
use tokenward_device::panel::bus::OpenBus;
use tokenward_device::panel::fault::RawErrno;
use tokenward_device::panel::{Fault, Fitting, Make, Wired};

/// A panel's chip, as the bus sees it.
pub(super) trait Peer: Send + 'static {
    /// Takes one byte of a message; `first` says that the message begins with it.
    fn take(&mut self, byte: u8, first: bool);

    /// Answers a read.
    fn answer(&self) -> Option<u8>;

    /// Loses its power and gets it back.
    fn power_cycle(&mut self);
}

/// The wires between the machine and one panel; clones are the same wires.
pub(super) struct Rig<P>(Arc<Mutex<Wires<P>>>);

pub(super) struct Wires<P> {
    pub(super) chip: P,
    pub(super) address: u8,
    /// Bytes that went over the wire, with one for each address.
    pub(super) bytes: usize,
    /// Messages that began.
    pub(super) messages: usize,
    /// How often the bus was opened.
    pub(super) opened: usize,
    /// The error that every message meets, by the kernel's number.
    pub(super) broken: Option<i32>,
    /// The error that opening meets, by the kernel's number.
    pub(super) shut: Option<i32>,
    /// After how many more bytes the panel stops acknowledging, once.
    pub(super) nack_in: Option<usize>,
}

/// The kernel's number for a missing panel on both controllers of the Raspberry Pi.
pub(super) const EREMOTEIO: i32 = 121;
/// The kernel's number for an address without a panel on many others.
pub(super) const ENXIO: i32 = 6;

impl<P> Clone for Rig<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Peer> Rig<P> {
    pub(super) fn new(chip: P, address: u8) -> Self {
        let wires = Wires {
            chip,
            address,
            bytes: 0,
            messages: 0,
            opened: 0,
            broken: None,
            shut: None,
            nack_in: None,
        };
        Self(Arc::new(Mutex::new(wires)))
    }

    pub(super) fn wires(&self) -> MutexGuard<'_, Wires<P>> {
        self.0.lock().unwrap()
    }

    /// Returns the panel of a make on these wires.
    pub(super) fn panel(&self, make: Make) -> Wired<Self> {
        Wired::new(&Fitting::usual(make), self.clone())
    }

    /// Does something and returns how many bytes it put on the wire.
    pub(super) fn cost(&self, mut of: impl FnMut()) -> usize {
        let before = self.wires().bytes;
        of();
        self.wires().bytes - before
    }
}

impl<P: Peer> OpenBus for Rig<P> {
    type Bus = Self;

    fn open(&mut self) -> Result<Self, Fault> {
        let mut wires = self.wires();
        wires.opened += 1;
        match wires.shut {
            Some(number) => Err(Fault::opening(Some(number))),
            None => Ok(self.clone()),
        }
    }

    fn rest(&mut self, _at_least: Duration) {}
}

/// An error with the kernel's number, as `linux-embedded-hal` has them.
#[derive(Debug)]
pub(super) struct Errno(i32);

impl i2c::Error for Errno {
    fn kind(&self) -> i2c::ErrorKind {
        match self.0 {
            ENXIO => i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address),
            _ => i2c::ErrorKind::Other,
        }
    }
}

impl RawErrno for Errno {
    fn errno(&self) -> Option<i32> {
        Some(self.0)
    }
}

impl<P> i2c::ErrorType for Rig<P> {
    type Error = Errno;
}

impl<P: Peer> I2c for Rig<P> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Errno> {
        let mut wires = self.wires();
        assert_eq!(
            operations.len(),
            1,
            "two writes in a row would need a flag that the Pi ignores"
        );
        for operation in operations {
            wires.messages += 1;
            wires.bytes += 1;
            if let Some(number) = wires.broken {
                return Err(Errno(number));
            }
            if address != wires.address {
                return Err(Errno(EREMOTEIO));
            }
            match operation {
                Operation::Write(bytes) => wires.write(bytes)?,
                Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        wires.bytes += 1;
                        *byte = wires.chip.answer().ok_or(Errno(EREMOTEIO))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl<P: Peer> Wires<P> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.bytes += 1;
            if self.nack_in == Some(0) {
                self.nack_in = None;
                return Err(Errno(EREMOTEIO));
            }
            self.nack_in = self.nack_in.map(|left| left - 1);
            self.chip.take(byte, at == 0);
        }
        Ok(())
    }
}
