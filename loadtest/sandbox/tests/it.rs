//! The sandbox, driven over HTTP as the gateway and the load plans drive it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

#[path = "it/apis.rs"]
mod apis;
#[path = "it/clients.rs"]
mod clients;
#[path = "it/faults.rs"]
mod faults;
#[path = "it/flows.rs"]
mod flows;
#[path = "it/mfa.rs"]
mod mfa;
#[path = "it/program.rs"]
mod program;
#[path = "it/rotation.rs"]
mod rotation;
#[path = "it/step_up.rs"]
mod step_up;
#[path = "it/vectors.rs"]
mod vectors;
#[path = "it/world.rs"]
mod world;
