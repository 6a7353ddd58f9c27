//! An I2C adapter as Linux shows it, with chips on it and faults that can be switched on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

pub use nix::errno::Errno;

/// The most messages that Linux takes in one call (`I2C_RDWR_IOCTL_MAX_MSGS`).
const MESSAGES_MAX: usize = 42;
/// The longest message that Linux takes (`drivers/i2c/i2c-dev.c`).
const MESSAGE_BYTES_MAX: usize = 8192;
/// Eight bits and the acknowledgement.
const CLOCKS_PER_BYTE: u64 = 9;
/// Nanoseconds in a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// `I2C_FUNC_I2C`: plain messages, which a panel needs.
const PLAIN_MESSAGES: u64 = 0x0000_0001;
/// What the SMBus emulation of Linux adds (`I2C_FUNC_SMBUS_EMUL`).
const SMBUS: u64 = 0x0eff_0008;

/// Something that hangs on the wires at one address.
pub trait Chip: Send {
    /// Takes one message, from its start to its stop or repeated start.
    ///
    /// # Errors
    /// Says which byte it did not acknowledge.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack>;

    /// Fills one message that the adapter reads.
    ///
    /// # Errors
    /// Says that it did not acknowledge its address.
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack>;
}

impl<C: Chip> Chip for Arc<Mutex<C>> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.lock().unwrap_or_else(PoisonError::into_inner).read(buffer)
    }
}

/// The byte of a message that was not acknowledged: 0 is the address, 1 the first byte after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack(pub usize);

/// What a program finds where the adapter's file should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// When the file is there and may be opened.
    Present,
    /// When the adapter is gone: programs that have it open get `EIO` for ever.
    Missing,
    /// When the program may not open it.
    Denied,
}

/// How the wires between adapter and chips are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// When they carry everything.
    Sound,
    /// When they are pulled: no chip acknowledges its address.
    Cut,
    /// When they are pulled after so many more bytes, in the midst of a message.
    BreaksAfter(u64),
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// How often the file was opened.
    pub opens: u64,
    /// How often opening was refused.
    pub refused: u64,
    /// Messages that were acknowledged to their end.
    pub messages: u64,
    /// Messages that were not.
    pub nacks: u64,
    /// Bytes on the wire, addresses included.
    pub bytes: u64,
}

/// An adapter; clones are the same one.
#[derive(Clone)]
pub struct Adapter(Arc<Shared>);

/// One message of a transfer.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) address: u16,
    pub(crate) body: Body,
}

/// Which way the bytes of a message go.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// When the adapter sends them.
    Write(Vec<u8>),
    /// When the chip fills them.
    Read(Vec<u8>),
}

/// What a file that was opened remembers: the adapter that it belonged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plugged(u64);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    node: Node,
    wire: Wire,
    /// Grows when the adapter goes away: files opened before are stale.
    plugged: u64,
    /// Addresses that a driver of the kernel has taken.
    owned: BTreeSet<u16>,
    smbus_only: bool,
    hertz: Option<u64>,
    chips: BTreeMap<u16, Box<dyn Chip>>,
    ledger: Ledger,
}

impl Default for Adapter {
    fn default() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                node: Node::Present,
                wire: Wire::Sound,
                plugged: 0,
                owned: BTreeSet::new(),
                smbus_only: false,
                hertz: None,
                chips: BTreeMap::new(),
                ledger: Ledger::default(),
            }),
            changed: Condvar::new(),
        }))
    }
}

impl Adapter {
    /// Hangs a chip on the wires.
    #[must_use]
    pub fn with(self, address: u16, chip: impl Chip + 'static) -> Self {
        self.state().chips.insert(address, Box::new(chip));
        self
    }

    /// Decides what programs find where the file should be.
    pub fn set_node(&self, node: Node) {
        let mut state = self.state();
        if node == Node::Missing {
            state.plugged += 1;
        }
        state.node = node;
    }

    /// Pulls the wires or mends them.
    pub fn set_wire(&self, wire: Wire) {
        self.state().wire = wire;
    }

    /// Lets a driver of the kernel take an address, or give it back.
    pub fn set_owned(&self, address: u16, owned: bool) {
        let mut state = self.state();
        if owned {
            state.owned.insert(address);
        } else {
            state.owned.remove(&address);
        }
    }

    /// Makes the adapter one that cannot carry plain messages, as those in graphics cards.
    pub fn set_smbus_only(&self, smbus_only: bool) {
        self.state().smbus_only = smbus_only;
    }

    /// Sets the clock of the bus; without it, bytes take no time.
    pub fn set_hertz(&self, hertz: u64) {
        self.state().hertz = Some(hertz);
    }

    /// Returns what has happened so far.
    pub fn ledger(&self) -> Ledger {
        self.state().ledger
    }

    /// Waits until the ledger is as wanted; tells whether it came to that within the limit.
    pub fn wait_until(&self, limit: Duration, wanted: impl Fn(&Ledger) -> bool) -> bool {
        let waited =
            self.0.changed.wait_timeout_while(self.state(), limit, |state| !wanted(&state.ledger));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Opens the file.
    pub(crate) fn open(&self) -> Result<Plugged, Errno> {
        let mut state = self.state();
        let opened = match state.node {
            Node::Present => Ok(Plugged(state.plugged)),
            Node::Missing => Err(Errno::ENOENT),
            Node::Denied => Err(Errno::EACCES),
        };
        match opened {
            Ok(_) => state.ledger.opens += 1,
            Err(_) => state.ledger.refused += 1,
        }
        self.0.changed.notify_all();
        opened
    }

    /// Chooses an address, which fails where a driver of the kernel has taken it.
    pub(crate) fn choose(&self, plugged: Plugged, address: u16) -> Result<(), Errno> {
        let mut state = self.state();
        state.is_fresh(plugged)?;
        if state.owned.contains(&address) {
            state.ledger.refused += 1;
            self.0.changed.notify_all();
            return Err(Errno::EBUSY);
        }
        Ok(())
    }

    /// Returns what the adapter can do, as `I2C_FUNCS` says it.
    pub(crate) fn functions(&self, plugged: Plugged) -> Result<u64, Errno> {
        let state = self.state();
        state.is_fresh(plugged)?;
        Ok(if state.smbus_only { SMBUS } else { PLAIN_MESSAGES | SMBUS })
    }

    /// Carries the messages of one call, in order, until one is not acknowledged.
    pub(crate) fn transfer(&self, plugged: Plugged, messages: &mut [Message]) -> Result<(), Errno> {
        let (bytes, hertz, outcome) = {
            let mut state = self.state();
            let before = state.ledger.bytes;
            let outcome = state.transfer(plugged, messages);
            (state.ledger.bytes - before, state.hertz, outcome)
        };
        if let Some(hertz) = hertz {
            thread::sleep(Duration::from_nanos(bytes * CLOCKS_PER_BYTE * NANOSECONDS / hertz));
        }
        self.0.changed.notify_all();
        outcome.map_err(|nack| nack.unwrap_or(Errno::EREMOTEIO))
    }

    /// Carries one message, for adapters that name the refused byte themselves.
    pub(crate) fn carry(&self, message: &mut Message) -> Result<(), Nack> {
        let carried = self.state().carry(message);
        self.0.changed.notify_all();
        carried
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked with the lock in hand has failed already.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Adapter").field(&self.ledger()).finish()
    }
}

impl State {
    fn is_fresh(&self, plugged: Plugged) -> Result<(), Errno> {
        if plugged == Plugged(self.plugged) { Ok(()) } else { Err(Errno::EIO) }
    }

    /// Fails with a number of its own, or with none where a message was not acknowledged.
    fn transfer(
        &mut self,
        plugged: Plugged,
        messages: &mut [Message],
    ) -> Result<(), Option<Errno>> {
        self.is_fresh(plugged)?;
        if self.smbus_only {
            self.ledger.refused += 1;
            return Err(Some(Errno::EOPNOTSUPP));
        }
        let long = |message: &Message| message.body.len() > MESSAGE_BYTES_MAX;
        if messages.len() > MESSAGES_MAX || messages.iter().any(long) {
            return Err(Some(Errno::EINVAL));
        }
        // Both controllers of the Raspberry Pi answer whatever is not acknowledged with EREMOTEIO.
        messages.iter_mut().try_for_each(|message| self.carry(message).map_err(|_| None))
    }

    fn carry(&mut self, message: &mut Message) -> Result<(), Nack> {
        let carried = self.carry_bytes(message);
        match carried {
            Ok(()) => self.ledger.messages += 1,
            Err(_) => self.ledger.nacks += 1,
        }
        carried
    }

    fn carry_bytes(&mut self, message: &mut Message) -> Result<(), Nack> {
        self.ledger.bytes += 1;
        let Some(chip) = self.chips.get_mut(&message.address).filter(|_| self.wire != Wire::Cut)
        else {
            return Err(Nack(0));
        };
        let whole = message.body.len();
        let through = match self.wire {
            Wire::Sound | Wire::Cut => whole,
            Wire::BreaksAfter(left) => whole.min(usize::try_from(left).unwrap_or(usize::MAX)),
        };
        self.ledger.bytes += through as u64;
        if let Wire::BreaksAfter(left) = &mut self.wire {
            *left -= through as u64;
        }
        match &mut message.body {
            Body::Write(bytes) => chip.write(&bytes[..through])?,
            Body::Read(buffer) => chip.read(&mut buffer[..through])?,
        }
        if through < whole {
            self.wire = Wire::Cut;
            return Err(Nack(through + 1));
        }
        Ok(())
    }
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Write(bytes) | Self::Read(bytes) => bytes.len(),
        }
    }
}
