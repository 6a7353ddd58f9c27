//! Drives the programs from outside, measures and judges them.

fn main() {}
