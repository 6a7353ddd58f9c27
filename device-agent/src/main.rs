//! The program of the wall display.

fn main() {}
