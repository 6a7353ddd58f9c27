//! Drives the programs from outside, measures what a caller sees, judges it by the laws, and tells
//! it in one page.
//!
//! A [`plan::Plan`] says what is sent and what goes wrong meanwhile. [`pacer`] fixes the schedule
//! before the run, so that a target that stalls cannot slow its own measurement down: every latency
//! is counted from the moment at which a request was due. [`worker`] sends, [`board`] hears the
//! answers, [`record`] keeps the times, [`director`] plays what goes wrong and reads the provider's
//! ledger, [`verdict`] judges and [`report`] draws.
//!
//! The tests of this package also look at the whole tree: `tests/tidy.rs` holds what the map of the
//! house in the README promises.

pub mod board;
pub mod compare;
pub mod director;
pub mod exchanges;
pub mod fleet;
pub mod machine;
pub mod pacer;
pub mod plan;
pub mod progress;
pub mod record;
pub mod report;
pub mod run;
pub mod verdict;
pub mod worker;
