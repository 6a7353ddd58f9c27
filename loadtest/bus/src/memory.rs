//! The memory of another program, and the structures of `linux/i2c-dev.h` in it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::adapter::{Body, Message};

/// The longest path that is looked at: ours is far shorter, and any longer one is not ours.
const PATH_BYTES_MAX: usize = 256;
/// The most messages of one call, as the kernel has it.
const MESSAGES_MAX: u32 = 42;
/// `struct i2c_msg` on 64-bit machines: address, flags, length, a gap, and where the bytes are.
const MESSAGE_BYTES: usize = 16;
/// `I2C_M_RD`: the chip fills the message.
const READ: u16 = 1;

/// The memory of a thread's program.
#[derive(Debug)]
pub(crate) struct Memory(File);

/// A message as the program laid it out: what to carry, and where its bytes are.
#[derive(Debug)]
pub(crate) struct Laid {
    pub(crate) at: u64,
    pub(crate) message: Message,
}

impl Memory {
    /// Opens the memory of a program that waits for us.
    pub(crate) fn of(thread: u32) -> Result<Self, Errno> {
        let path = PathBuf::from(format!("/proc/{thread}/mem"));
        let file = File::options().read(true).write(true).open(path);
        file.map(Self).map_err(|_| Errno::EPERM)
    }

    /// Reads a path; `None` where it is longer than any of ours.
    pub(crate) fn path(&self, at: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; PATH_BYTES_MAX];
        // The path may end right before memory that cannot be read.
        let read = self.0.read_at(&mut bytes, at).ok()?;
        let end = bytes[..read].iter().position(|&byte| byte == 0)?;
        bytes.truncate(end);
        Some(bytes)
    }

    pub(crate) fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, at).map_err(|_| Errno::EFAULT)?;
        Ok(bytes)
    }

    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.0.write_all_at(bytes, at).map_err(|_| Errno::EFAULT)
    }

    /// Reads the messages of `struct i2c_rdwr_ioctl_data`.
    pub(crate) fn messages(&self, at: u64) -> Result<Vec<Laid>, Errno> {
        let call = self.read(at, 12)?;
        let (first, count) = (number(&call[..8]), number(&call[8..]) as u32);
        if count > MESSAGES_MAX {
            return Err(Errno::EINVAL);
        }
        let table = self.read(first, count as usize * MESSAGE_BYTES)?;
        table.chunks_exact(MESSAGE_BYTES).map(|entry| self.message(entry)).collect()
    }

    fn message(&self, entry: &[u8]) -> Result<Laid, Errno> {
        let address = number(&entry[..2]) as u16;
        let flags = number(&entry[2..4]) as u16;
        let length = number(&entry[4..6]) as usize;
        let at = number(&entry[8..]);
        let body = match flags & READ {
            0 => Body::Write(self.read(at, length)?),
            _ => Body::Read(vec![0; length]),
        };
        Ok(Laid { at, message: Message { address, body } })
    }
}

/// Reads a number of up to eight bytes as this machine lays it out.
fn number(bytes: &[u8]) -> u64 {
    let place = |at: usize| if cfg!(target_endian = "little") { at } else { bytes.len() - 1 - at };
    (0..bytes.len()).fold(0, |sum, at| sum | u64::from(bytes[place(at)]) << (8 * at))
}
