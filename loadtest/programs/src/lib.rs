//! Programs as children of a command: started, listened to, asked, measured and stopped.
//!
//! What drives Tokenward from outside (the load test and `cargo xtask`) starts its programs with
//! [`child`], on a [`port`] of which it knows that it stays free, waits for a [`gateway`], speaks
//! to it by [`http`] and to the [`sandbox`] by [`control`], fills both by [`adoption`], and reads from
//! the kernel what they cost ([`usage`]), where and when ([`machine`], [`date`]). It blocks and needs
//! no runtime.

pub mod adoption;
pub mod child;
pub mod clock;
pub mod control;
pub mod date;
pub mod dice;
pub mod failure;
pub mod gateway;
pub mod http;
pub mod machine;
pub mod port;
pub mod sandbox;
pub mod usage;
