//! The adapter on USB, spoken to as the kernel's driver i2c-tiny-usb does.
#![expect(clippy::unwrap_used, reason = "a broken adapter fails the test")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use tokenward_bus::{Adapter, Chip, Nack, usbip};

/// Takes three bytes and no more.
struct Short;

impl Chip for Short {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        if bytes.len() > 3 { Err(Nack(4)) } else { Ok(()) }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.fill(0x5a);
        Ok(())
    }
}

/// The kernel's end of the cable.
struct Kernel {
    cable: UnixStream,
    sequence: u32,
}

impl Kernel {
    /// Sends a request of the vendor to the adapter: status, how many bytes it took, and its bytes.
    fn ask(&mut self, kind: u8, request: u8, index: u16, out: &[u8], wanted: u16) -> Reply {
        self.sequence += 1;
        let inward = kind & 0x80 != 0;
        let length = if inward { wanted.into() } else { out.len() as u32 };
        let mut header = [0; 48];
        let direction = u32::from(inward);
        let words = [(0, 1), (4, self.sequence), (8, 65538), (12, direction), (24, length)];
        for (at, word) in words {
            header[at..at + 4].copy_from_slice(&u32::to_be_bytes(word));
        }
        header[40..42].copy_from_slice(&[kind, request]);
        header[44..46].copy_from_slice(&index.to_le_bytes());
        header[46..48].copy_from_slice(&(length as u16).to_le_bytes());
        self.cable.write_all(&header).unwrap();
        self.cable.write_all(out).unwrap();
        self.cable.read_exact(&mut header).unwrap();
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4)), (3, self.sequence), "answers what was asked");
        let mut bytes = vec![0; if inward { word(24) as usize } else { 0 }];
        self.cable.read_exact(&mut bytes).unwrap();
        (word(20) as i32, word(24), bytes)
    }

    /// A message as the first and last one of a transfer, and then the driver's question.
    fn write(&mut self, address: u16, bytes: &[u8]) -> (u32, u8) {
        let (_, taken, _) = self.ask(0x41, 7, address, bytes, 0);
        (taken, self.ask(0xc1, 3, 0, &[], 1).2[0])
    }
}

type Reply = (i32, u32, Vec<u8>);

#[test]
fn the_driver_sees_what_was_acknowledged() {
    let (ours, cable) = UnixStream::pair().unwrap();
    let adapter = Adapter::default().with(0x3c, Short);
    let device = thread::spawn(move || usbip::serve(ours, &adapter));
    let mut kernel = Kernel { cable, sequence: 0 };

    let device_descriptor = kernel.ask(0x80, 6, 0, &[], 18);
    assert_eq!((device_descriptor.0, device_descriptor.2.len()), (-32, 0), "no such descriptor");
    assert_eq!(kernel.ask(0xc1, 1, 0, &[], 4).2, 0x0eff_0009_u32.to_le_bytes());
    assert_eq!(kernel.write(0x3c, &[1, 2, 3]), (3, 1), "all taken, acknowledged");
    assert_eq!(kernel.write(0x3c, &[1, 2, 3, 4, 5]), (3, 1), "broke off after three");
    assert_eq!(kernel.write(0x3d, &[1]), (1, 2), "nobody there");
    assert_eq!(kernel.ask(0xc1, 7, 0x3c, &[], 2), (0, 2, vec![0x5a, 0x5a]));

    drop(kernel);
    assert!(device.join().unwrap().is_ok(), "a pulled cable is no failure");
}
