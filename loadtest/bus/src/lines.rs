//! A GPIO chip as Linux shows it: lines that a program asks for, and fingers that press them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use crate::adapter::Node;

/// How many lines the chip has: those of a Raspberry Pi.
const LINES: u32 = 54;
/// `struct gpio_v2_line_request`: 64 offsets, the consumer's name, flags, how many attributes there
/// are, ten of them, how many lines there are, and where the kernel leaves the file.
pub(crate) const REQUEST_BYTES: usize = 592;
/// Where the kernel leaves the number of the file.
pub(crate) const FILE_AT: u64 = 588;
const FLAGS_AT: usize = 288;
const ATTRIBUTES_AT: usize = 320;
const COUNT_AT: usize = 560;
/// `GPIO_V2_LINE_ATTR_ID_DEBOUNCE`.
const DEBOUNCE: u32 = 3;
/// `GPIO_V2_LINE_FLAG_INPUT` and `GPIO_V2_LINE_FLAG_EDGE_RISING`: without both, nobody is told.
const TOLD: u64 = 4 | 16;
/// `GPIO_V2_LINE_EVENT_RISING_EDGE`.
const RISING: u32 = 1;
/// `struct gpio_v2_line_event`.
const EVENT_BYTES: usize = 48;

/// The lines of a chip; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Shared>);

/// How a program wants a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The flags of `linux/gpio.h` (`GPIO_V2_LINE_FLAG_…`).
    pub flags: u64,
    /// How long the kernel waits until a contact has stopped bouncing.
    pub debounce_us: u32,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    node: Option<Node>,
    watched: BTreeMap<u32, (Wanted, File)>,
}

impl Lines {
    /// Decides what programs find where the chip's file should be.
    pub fn set_node(&self, node: Node) {
        self.state().node = Some(node);
    }

    /// Waits until a program watches a line, and returns how; `None` where none does in time.
    pub fn wait_for(&self, line: u32, limit: Duration) -> Option<Wanted> {
        let lacking = |state: &mut State| !state.watched.contains_key(&line);
        let waited = self.0.changed.wait_timeout_while(self.state(), limit, lacking);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.watched.get(&line).map(|(wanted, _)| *wanted)
    }

    /// Presses and lets go.
    ///
    /// # Errors
    /// Fails where no program watches the line.
    pub fn press(&self, line: u32) -> io::Result<()> {
        let state = self.state();
        let (_, file) = state.watched.get(&line).ok_or(io::ErrorKind::NotConnected)?;
        let mut event = [0; EVENT_BYTES];
        event[8..12].copy_from_slice(&RISING.to_ne_bytes());
        event[12..16].copy_from_slice(&line.to_ne_bytes());
        let mut file: &File = file;
        file.write_all(&event)
    }

    /// Opens the chip's file.
    pub(crate) fn open(&self) -> Result<(), Errno> {
        match self.state().node {
            Some(Node::Present) => Ok(()),
            Some(Node::Missing) | None => Err(Errno::ENOENT),
            Some(Node::Denied) => Err(Errno::EACCES),
        }
    }

    /// Takes a request for a line, and returns the file that its events come from.
    pub(crate) fn watch(&self, request: &[u8]) -> Result<OwnedFd, Errno> {
        let line = number(request, 0);
        let flags =
            u64::from(number(request, FLAGS_AT)) | u64::from(number(request, FLAGS_AT + 4)) << 32;
        if number(request, COUNT_AT) != 1 || line >= LINES || flags & TOLD != TOLD {
            return Err(Errno::EINVAL);
        }
        let first = number(request, ATTRIBUTES_AT);
        let debounce_us = if first == DEBOUNCE { number(request, ATTRIBUTES_AT + 8) } else { 0 };
        let mut state = self.state();
        if state.watched.contains_key(&line) {
            return Err(Errno::EBUSY);
        }
        let (events, presses) = pipe2(OFlag::O_CLOEXEC)?;
        state.watched.insert(line, (Wanted { flags, debounce_us }, File::from(presses)));
        self.0.changed.notify_all();
        Ok(events)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked with the lock in hand has failed already.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a number of a request, which is long enough.
fn number(request: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&request[at..at + 4]);
    u32::from_ne_bytes(bytes)
}
