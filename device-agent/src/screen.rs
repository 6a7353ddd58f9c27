//! The words and pictures: pure functions from what is known to what is seen.

pub mod frame;
