//! The kernel's side of `/dev/i2c-1` and of `/dev/gpiochip0`: what `drivers/i2c/i2c-dev.c` and
//! `drivers/gpio/gpiolib-cdev.c` answer, answered by us.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::adapter::{Adapter, Body, Message, Plugged};
use crate::filter::OUR_FILES;
use crate::lines::{FILE_AT, Lines, REQUEST_BYTES};
use crate::listener::{Call, Listener};
use crate::memory::Memory;

/// `I2C_SLAVE`: choose an address.
const CHOOSE: u64 = 0x0703;
/// `I2C_SLAVE_FORCE`: choose an address, whoever has it.
const CHOOSE_BY_FORCE: u64 = 0x0706;
/// `I2C_FUNCS`: what the adapter can do.
const FUNCTIONS: u64 = 0x0705;
/// `I2C_RDWR`: carry messages.
const CARRY: u64 = 0x0707;
/// `I2C_SMBUS`: one of SMBus's commands, which Linux makes of plain messages.
const SMBUS: u64 = 0x0720;
/// `struct i2c_smbus_ioctl_data` on 64-bit machines: direction, command, a gap, size, data.
const SMBUS_CALL_BYTES: usize = 16;
/// `I2C_SMBUS_BLOCK_MAX`: the longest block.
const SMBUS_BLOCK_MAX: usize = 32;
/// `I2C_PEC`, `I2C_RETRIES`, `I2C_TIMEOUT`, `I2C_TENBIT`: settings that change nothing here.
const SETTINGS: [u64; 4] = [0x0708, 0x0701, 0x0702, 0x0704];
/// `GPIO_V2_GET_LINE_IOCTL`: watch lines.
const WATCH_LINES: u64 = 0xc250_b407;
/// Where programs look for the GPIOs of a Raspberry Pi.
const CHIP: &str = "/dev/gpiochip0";

/// Answers the calls of one program.
#[derive(Debug)]
pub(crate) struct Kernel<'a> {
    listener: &'a Listener,
    adapter: &'a Adapter,
    lines: &'a Lines,
    node: PathBuf,
    /// What stands for the adapter's file in the program: it is never read or written.
    stand_in: File,
    files: BTreeMap<u32, Open>,
    /// The files that are open on the chip.
    chips: BTreeSet<u32>,
}

/// A file that the program has open.
#[derive(Clone, Copy, Debug)]
struct Open {
    plugged: Plugged,
    address: u16,
}

impl<'a> Kernel<'a> {
    /// Takes over the nodes for whatever the listener hears of.
    pub(crate) fn new(
        listener: &'a Listener,
        (adapter, lines): (&'a Adapter, &'a Lines),
        node: PathBuf,
        stand_in: File,
    ) -> Self {
        let (files, chips) = (BTreeMap::new(), BTreeSet::new());
        Self { listener, adapter, lines, node, stand_in, files, chips }
    }

    /// Answers one call; what is not about the node goes to the kernel.
    ///
    /// Fails where the program ended in the meantime, which concerns nobody.
    pub(crate) fn answer(&mut self, call: &Call) -> Result<(), Errno> {
        let file = u32::try_from(call.arguments[0]).ok().filter(|file| OUR_FILES.contains(file));
        match (call.number, file) {
            (libc::SYS_ioctl, Some(file)) => {
                let result = self.control(call, file);
                self.listener.answer(call, result)
            }
            (libc::SYS_read, Some(file)) => {
                let result = self.read(call, file);
                self.listener.answer(call, result)
            }
            (libc::SYS_write, Some(file)) => {
                let result = self.write(call, file);
                self.listener.answer(call, result)
            }
            (libc::SYS_close, Some(file)) => {
                self.files.remove(&file);
                self.chips.remove(&file);
                self.listener.let_through(call)
            }
            _ => self.open(call),
        }
    }

    fn open(&mut self, call: &Call) -> Result<(), Errno> {
        // `openat` names a folder first; our path is absolute, which makes the folder meaningless.
        let path_at = call.arguments[usize::from(call.number == libc::SYS_openat)];
        let path = Memory::of(call.thread).ok().and_then(|memory| memory.path(path_at));
        let is_bus = path.as_deref() == Some(self.node.as_os_str().as_bytes());
        if !is_bus && path.as_deref() != Some(CHIP.as_bytes()) {
            return self.listener.let_through(call);
        }
        let is_taken = |file: &u32| self.files.contains_key(file) || self.chips.contains(file);
        let number = OUR_FILES.clone().find(|file| !is_taken(file)).ok_or(Errno::EMFILE);
        let opened = number.and_then(|number| {
            if is_bus {
                let open = Open { plugged: self.adapter.open()?, address: 0 };
                self.files.insert(number, open);
            } else {
                self.lines.open()?;
                self.chips.insert(number);
            }
            Ok(number)
        });
        match opened {
            Ok(number) => self.listener.give(call, self.stand_in.as_fd(), number),
            Err(error) => self.listener.answer(call, Err(error)),
        }
    }

    fn control(&mut self, call: &Call, file: u32) -> Result<i64, Errno> {
        let (request, argument) = (call.arguments[1] & 0xffff_ffff, call.arguments[2]);
        if self.chips.contains(&file) {
            return if request == WATCH_LINES { self.watch(call) } else { Err(Errno::ENOTTY) };
        }
        let open = self.files.get_mut(&file).ok_or(Errno::EBADF)?;
        match request {
            CHOOSE | CHOOSE_BY_FORCE => {
                let address = u16::try_from(argument).map_err(|_| Errno::EINVAL)?;
                if request == CHOOSE {
                    self.adapter.choose(open.plugged, address)?;
                }
                open.address = address;
                Ok(0)
            }
            FUNCTIONS => {
                let functions = self.adapter.functions(open.plugged)?;
                Memory::of(call.thread)?.write(argument, &functions.to_ne_bytes())?;
                Ok(0)
            }
            CARRY => self.carry(call, file, argument),
            SMBUS => self.command(call, file, argument),
            setting if SETTINGS.contains(&setting) => Ok(0),
            _ => Err(Errno::ENOTTY),
        }
    }

    /// Gives the program a file from which it hears of a line.
    fn watch(&self, call: &Call) -> Result<i64, Errno> {
        let (memory, at) = (Memory::of(call.thread)?, call.arguments[2]);
        let events = self.lines.watch(&memory.read(at, REQUEST_BYTES)?)?;
        let number = self.listener.lend(call, events.as_fd())?;
        memory.write(at + FILE_AT, &number.to_ne_bytes())?;
        Ok(0)
    }

    fn carry(&self, call: &Call, file: u32, argument: u64) -> Result<i64, Errno> {
        let open = self.files.get(&file).ok_or(Errno::EBADF)?;
        let memory = Memory::of(call.thread)?;
        let laid = memory.messages(argument)?;
        let places: Vec<u64> = laid.iter().map(|laid| laid.at).collect();
        let mut messages: Vec<Message> = laid.into_iter().map(|laid| laid.message).collect();
        self.adapter.transfer(open.plugged, &mut messages)?;
        for (message, at) in messages.iter().zip(places) {
            match &message.body {
                Body::Read(bytes) => memory.write(at, bytes)?,
                Body::Write(_) => {}
            }
        }
        i64::try_from(messages.len()).map_err(|_| Errno::EINVAL)
    }

    /// A command of SMBus that writes: the command's byte, and the bytes behind it, in one message.
    fn command(&self, call: &Call, file: u32, argument: u64) -> Result<i64, Errno> {
        let memory = Memory::of(call.thread)?;
        let wanted = memory.read(argument, SMBUS_CALL_BYTES)?;
        let (reads, command, size) = (wanted[0] == 1, wanted[1], wanted[4]);
        let mut data = [0; 8];
        data.copy_from_slice(&wanted[8..]);
        let data = u64::from_ne_bytes(data);
        let mut bytes = vec![command];
        match (reads, size) {
            // I2C_SMBUS_BYTE, I2C_SMBUS_BYTE_DATA, and I2C_SMBUS_I2C_BLOCK_DATA in both spellings.
            (false, 1) => {}
            (false, 2) => bytes.extend(memory.read(data, 1)?),
            (false, 6 | 8) => {
                let length = usize::from(memory.read(data, 1)?[0]);
                if length > SMBUS_BLOCK_MAX {
                    return Err(Errno::EINVAL);
                }
                bytes.extend(memory.read(data + 1, length)?);
            }
            _ => return Err(Errno::EOPNOTSUPP),
        }
        self.single(file, Body::Write(bytes))?;
        Ok(0)
    }

    /// A plain `read`: one message from the chosen address.
    fn read(&self, call: &Call, file: u32) -> Result<i64, Errno> {
        let length = usize::from(u16::try_from(call.arguments[2]).map_err(|_| Errno::EINVAL)?);
        let message = self.single(file, Body::Read(vec![0; length]))?;
        match message.body {
            Body::Read(bytes) => Memory::of(call.thread)?.write(call.arguments[1], &bytes)?,
            Body::Write(_) => {}
        }
        i64::try_from(length).map_err(|_| Errno::EINVAL)
    }

    /// A plain `write`: one message to the chosen address.
    fn write(&self, call: &Call, file: u32) -> Result<i64, Errno> {
        let length = usize::from(u16::try_from(call.arguments[2]).map_err(|_| Errno::EINVAL)?);
        let bytes = Memory::of(call.thread)?.read(call.arguments[1], length)?;
        self.single(file, Body::Write(bytes))?;
        i64::try_from(length).map_err(|_| Errno::EINVAL)
    }

    fn single(&self, file: u32, body: Body) -> Result<Message, Errno> {
        let open = self.files.get(&file).ok_or(Errno::EBADF)?;
        let mut messages = [Message { address: open.address, body }];
        self.adapter.transfer(open.plugged, &mut messages)?;
        let [message] = messages;
        Ok(message)
    }
}
