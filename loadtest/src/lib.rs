//! Drives the programs from outside, measures and judges them.
//!
//! The tests of this package look at the whole tree: `tests/tidy.rs` holds what the map of the
//! house in the README promises.
