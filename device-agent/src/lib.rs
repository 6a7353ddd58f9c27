//! What hangs on the wall: a Raspberry Pi agent with an I2C display.
//!
//! It shows a text that it fetches through the gateway, signs in by a code that a person scans,
//! keeps on through power cuts, missing networks and wrong clocks, and where another factor is
//! demanded it says so and waits for a person.
//!
//! Where to read on:
//! - [`agent`]: the rules, pure: what can happen and what follows.
//! - [`model`]: what is known, from which the screens are drawn.

pub mod agent;
pub mod alarm;
pub mod button;
pub mod cli;
pub mod config;
pub mod content;
pub mod feed;
pub mod journal;
pub mod kernel;
pub mod life;
pub mod model;
pub mod numbers;
pub mod panel;
pub mod power;
#[cfg(feature = "metrics")]
pub mod scrape;
pub mod screen;
pub mod state;
pub mod view;
