//! An I2C adapter on USB, for a running kernel: `i2c-tiny-usb` over USB/IP.
//!
//! The kernel's `vhci-hcd` takes a socket in place of a cable (Documentation/usb/usbip_protocol.rst);
//! its driver `i2c-tiny-usb` and all of its I2C code then work as with a real adapter.

use std::io::{self, Read, Write};

use crate::adapter::{Adapter, Body, Message, Nack};

/// What to write behind the socket's number into `vhci_hcd.0/attach`: bus 1, device 2, full speed.
pub const DEVICE_AND_SPEED: &str = "65538 2";

/// The length of every header in both directions.
const HEADER_BYTES: usize = 48;
/// The longest transfer that is believed: above what the kernel's driver sends at once.
const TRANSFER_BYTES_MAX: usize = 64 * 1024;

/// `USBIP_CMD_SUBMIT`: a transfer to do.
const SUBMIT: u32 = 1;
/// `USBIP_CMD_UNLINK`: a transfer to forget.
const UNLINK: u32 = 2;
/// `USBIP_RET_SUBMIT`: a transfer that is done.
const SUBMITTED: u32 = 3;
/// `USBIP_RET_UNLINK`: a transfer that is forgotten, or was done before.
const UNLINKED: u32 = 4;
/// The kernel's number for a transfer that the device refuses.
const STALLED: i32 = -32;

/// A USB device of class "vendor", of full speed, with the numbers of i2c-tiny-usb.
const DEVICE: [u8; 18] =
    [18, 1, 0x10, 0x01, 0xff, 0, 0, 8, 0x03, 0x04, 0x31, 0xc6, 0x05, 0x02, 0, 0, 0, 1];
/// One configuration with one interface and no endpoint but the first.
const CONFIGURATION: [u8; 18] = [9, 2, 18, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 0, 0xff, 0, 0, 0];

/// What the driver asks for, by the number of the vendor's request.
mod request {
    /// What the adapter can do.
    pub(super) const FUNCTIONS: u8 = 1;
    /// How long a half clock takes; it changes nothing here.
    pub(super) const DELAY: u8 = 2;
    /// Whether the last address was acknowledged.
    pub(super) const STATUS: u8 = 3;
    /// A message; the lowest two bits say whether it is the first and the last one.
    pub(super) const MESSAGE: u8 = 4;
    /// The last of these.
    pub(super) const MESSAGE_LAST: u8 = 7;
}

/// `STATUS_ADDRESS_ACK` of the driver.
const ACKNOWLEDGED: u8 = 1;
/// `STATUS_ADDRESS_NAK` of the driver.
const NOT_ACKNOWLEDGED: u8 = 2;
/// `I2C_FUNC_I2C` and the SMBus emulation.
const FUNCTIONS: u32 = 0x0eff_0009;

/// What a transfer came to: the bytes to give back, or how many were taken.
struct Done {
    status: i32,
    bytes: Vec<u8>,
    taken: usize,
}

/// Plays the adapter over a socket whose other end the kernel has, until that end closes.
///
/// # Errors
/// Fails when the kernel's end says something that is not in the protocol.
pub fn serve(mut cable: impl Read + Write, adapter: &Adapter) -> io::Result<()> {
    let mut device = Device { adapter, status: 0 };
    let mut header = [0; HEADER_BYTES];
    loop {
        match cable.read_exact(&mut header) {
            Ok(()) => {}
            // The cable is pulled.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        match word(&header, 0) {
            SUBMIT => {
                let reply = submitted(&mut cable, &header, &mut device)?;
                cable.write_all(&reply)?;
            }
            // Transfers are done one after the other, so there is never one to forget.
            UNLINK => cable.write_all(&head(UNLINKED, word(&header, 4), 0, 0))?,
            other => return Err(io::Error::other(format!("not a USB/IP command: {other}"))),
        }
    }
}

fn submitted(
    cable: &mut impl Read,
    header: &[u8; HEADER_BYTES],
    device: &mut Device<'_>,
) -> io::Result<Vec<u8>> {
    let (sequence, inward, length) = (word(header, 4), word(header, 12) == 1, word(header, 24));
    let length = length as usize;
    if length > TRANSFER_BYTES_MAX {
        return Err(io::Error::other(format!("a transfer of {length} bytes")));
    }
    let mut sent = vec![0; if inward { 0 } else { length }];
    cable.read_exact(&mut sent)?;
    let mut setup = [0; 8];
    setup.copy_from_slice(&header[40..]);
    let mut done = device.control(setup, sent, length);
    done.bytes.truncate(length);
    let actual = if inward { done.bytes.len() } else { done.taken };
    let mut reply = head(SUBMITTED, sequence, done.status, actual as u32);
    if inward {
        reply.extend(done.bytes);
    }
    Ok(reply)
}

/// The adapter as a USB device.
struct Device<'a> {
    adapter: &'a Adapter,
    status: u8,
}

impl Device<'_> {
    /// Does a transfer on the control endpoint, which is the only one.
    fn control(&mut self, setup: [u8; 8], sent: Vec<u8>, length: usize) -> Done {
        let [kind, request, rest @ ..] = setup;
        let value = u16::from_le_bytes([rest[0], rest[1]]);
        let index = u16::from_le_bytes([rest[2], rest[3]]);
        let of_the_vendor = kind & 0x60 == 0x40;
        match (of_the_vendor, request) {
            (true, request::FUNCTIONS) => Done::with(&FUNCTIONS.to_le_bytes()),
            (true, request::DELAY) => Done::taking(sent.len()),
            (true, request::STATUS) => Done::with(&[self.status]),
            (true, request::MESSAGE..=request::MESSAGE_LAST) => {
                let inward = kind & 0x80 != 0;
                let body = if inward { Body::Read(vec![0; length]) } else { Body::Write(sent) };
                self.message(Message { address: index, body })
            }
            // GET_DESCRIPTOR, by the kind of the descriptor in the upper half of the value.
            (false, 6) => match value >> 8 {
                1 => Done::with(&DEVICE),
                2 => Done::with(&CONFIGURATION),
                _ => Done::refused(),
            },
            // GET_STATUS: powered by the bus, awake.
            (false, 0) => Done::with(&[0, 0]),
            // SET_FEATURE, CLEAR_FEATURE, SET_CONFIGURATION, SET_INTERFACE: there is one of each.
            (false, 1 | 3 | 9 | 11) => Done::taking(0),
            _ => Done::refused(),
        }
    }

    fn message(&mut self, mut message: Message) -> Done {
        let carried = self.adapter.carry(&mut message);
        self.status = if carried == Err(Nack(0)) { NOT_ACKNOWLEDGED } else { ACKNOWLEDGED };
        match (carried, message.body) {
            (Ok(()), Body::Read(bytes)) => Done { status: 0, taken: bytes.len(), bytes },
            (Ok(()), Body::Write(bytes)) => Done::taking(bytes.len()),
            // The driver sees an address that was refused by the status, and anything else by
            // bytes that were not taken.
            (Err(Nack(0)), Body::Write(bytes)) => Done::taking(bytes.len()),
            (Err(Nack(0)), Body::Read(bytes)) => Done { status: 0, taken: bytes.len(), bytes },
            (Err(Nack(at)), Body::Read(_) | Body::Write(_)) => Done::taking(at - 1),
        }
    }
}

impl Done {
    fn with(bytes: &[u8]) -> Self {
        Self { status: 0, bytes: bytes.to_vec(), taken: bytes.len() }
    }

    fn taking(taken: usize) -> Self {
        Self { status: 0, bytes: Vec::new(), taken }
    }

    fn refused() -> Self {
        Self { status: STALLED, bytes: Vec::new(), taken: 0 }
    }
}

/// Builds the header of a reply: who it answers, with what status, and how many bytes.
fn head(command: u32, sequence: u32, status: i32, actual: u32) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[0..4].copy_from_slice(&command.to_be_bytes());
    bytes[4..8].copy_from_slice(&sequence.to_be_bytes());
    bytes[20..24].copy_from_slice(&status.to_be_bytes());
    bytes[24..28].copy_from_slice(&actual.to_be_bytes());
    bytes
}

fn word(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
