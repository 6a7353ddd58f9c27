//! The wires of a wall display, without a wall display.
//!
//! An [`Adapter`] is what Linux calls an I2C adapter: chips hang on it by their addresses, it counts
//! what passes, and it can be made to fail as real ones do. Three ways lead to it:
//!
//! - a test calls it directly;
//! - a [`Harness`] starts an unmodified program and answers its system calls on `/dev/i2c-1`
//!   (seccomp user notification: no root, no kernel module, no virtual machine);
//! - [`usbip`] plugs it into a running kernel as a USB adapter, with the kernel's own I2C code
//!   between it and the program.
//!
//! Beside the wires there may be a button: [`Lines`] are a GPIO chip, which a [`Harness`] shows to
//! its program as `/dev/gpiochip0`.
//!
//! This package imports nothing of ours: a wire that shares code with what hangs on it shares its
//! mistakes.

mod adapter;
mod filter;
mod harness;
mod kernel;
mod lines;
mod listener;
mod memory;
pub mod usbip;

pub use adapter::{Adapter, Chip, Errno, Ledger, Nack, Node, Wire};
pub use harness::Harness;
pub use lines::{Lines, Wanted};
