//! The proofs of the core: simulation, deliberate breakages, and the vectors of other
//! implementations. Each is a program or a test of the core's own; its last line is ours.

pub(crate) mod mutants;
pub(crate) mod sim;
pub(crate) mod vectors;

mod tally;
