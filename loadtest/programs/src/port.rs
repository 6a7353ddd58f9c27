//! Ports of this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::failure::Failure;

/// The ports below those that Linux gives out by itself (32768 and up, ip-sysctl.txt).
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
/// Ports that one run takes at most, with room for those that others hold.
const STRIDE: u32 = 64;

/// Returns a free port of 127.0.0.1 that the kernel gives to nobody who asks for any: whoever stops
/// listening there for a moment finds it free again.
///
/// # Errors
/// `Unavailable` when none of them is free.
pub fn steady() -> Result<u16, Failure> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two programs of ours side by side begin at places of their own, whose numbers are neighbours.
    let start = process::id().wrapping_mul(STRIDE) % u32::from(COUNT);
    let start = u16::try_from(start).unwrap_or(0);
    let candidates = (0..COUNT).map(|_| {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        FIRST + start.wrapping_add(offset) % COUNT
    });
    let mut free =
        candidates.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().ok_or_else(|| {
        Failure::Unavailable("no port of 127.0.0.1 below the kernel's own range is free".to_owned())
    })
}

/// Returns the wanted port of 127.0.0.1, or a free one when something else listens there.
///
/// # Errors
/// `Unavailable` when the machine has no free port.
pub fn wanted_or_free(wanted: u16) -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| Failure::io("find a free port", &error))
}
