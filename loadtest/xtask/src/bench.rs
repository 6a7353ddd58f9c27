//! Measurements: each compares like with like in one run, and ends with one line.

mod contest;
pub(crate) mod device;
mod hop;
mod memory;
pub(crate) mod parts;
mod peers;
mod plain;
mod start;
mod store;
mod storm;

use clap::Subcommand;
use tokenward_programs::failure::Failure;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Subject {
    /// What the wall display costs on card, wire and in memory, beside a Python program
    Device,
    /// CPU per proxied request, against nginx as a plain proxy
    Hop(hop::Options),
    /// What an idle and an active session cost in memory
    Memory(memory::Options),
    /// What the parts of a request and of an exchange cost in instructions, against a kept baseline
    Parts(parts::Options),
    /// CPU per proxied request, and what goes wrong, against what people would otherwise pick
    Peers(peers::Options),
    /// How soon the gateway serves after a kill, with a million sessions in its store
    Start(start::Options),
    /// Durable rotations a second through the framework and in the bare store, file and Redis
    Store,
    /// Ten thousand callers at once on one expired session
    Storm,
}

/// Measures the subject; the figures go to standard error, the last line to standard output.
///
/// # Errors
/// `Unavailable` when a program is lacking; `Missed` when an aim is missed by a law.
pub(crate) fn run(subject: &Subject) -> Result<(), Failure> {
    match subject {
        Subject::Device => device::run(),
        Subject::Hop(options) => hop::run(options),
        Subject::Memory(options) => memory::run(options),
        Subject::Parts(options) => parts::run(options),
        Subject::Peers(options) => peers::run(options),
        Subject::Start(options) => start::run(options),
        Subject::Store => store::run(),
        Subject::Storm => storm::run(),
    }
}
