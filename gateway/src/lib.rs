//! A reverse proxy that puts the right, fresh access token on every upstream call.
//!
//! Read `life` first: one request, in order. The rooms:
//!
//! - [`config`]: what the operator wrote, checked as a whole.
//! - [`serve`]: listeners, threads, connections, the calm end.
//! - `life`: the phases of a request, one call each.
//! - `judge`, [`path`], [`route`], [`identify`]: what a request is, before anything is done.
//! - [`inject`]: the only file that writes Authorization.
//! - [`forward`]: upstream connections and streaming.
//! - `trip`: the way to the upstream and back. `replay`: the second try after a 401.
//! - `rescue`: every failure becomes one reply.
//! - `control`: the door to the endpoints of the gateway's own prefix.
//! - [`front`]: these endpoints: `sign_in`, `device`, `logout`, `session`, [`events`]; `pages` for
//!   people.
//! - `trace`: which way a request took, for a collector.
//! - `webhook`: the operator's receivers of events.
//! - [`admin`]: the operator's endpoints, and the console. [`cli`]: the commands. [`assemble`]: puts it together.

pub mod admin;
pub mod assemble;
pub mod challenge;
pub mod cli;
pub mod config;
pub mod control;
pub mod events;
pub mod forward;
pub mod front;
pub mod identify;
pub mod inject;
pub mod observe;
pub mod path;
pub mod problem;
pub mod reload;
pub mod route;
pub mod serve;
pub mod tokens;

mod device;
#[cfg(test)]
mod hostile;
mod house;
mod judge;
mod life;
mod logout;
mod meter;
mod moment;
mod origin;
mod pages;
mod replay;
mod rescue;
mod session;
mod sign_in;
mod step_up;
mod streams;
mod tls;
mod trace;
mod trip;
mod webhook;

pub use house::Rooms;
