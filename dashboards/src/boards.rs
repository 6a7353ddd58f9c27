//! The dashboards, one module each.

use crate::panel::Board;

mod devices;
mod gateway;
mod mfa;
mod overview;
mod refresh;
mod sessions;

/// Returns the dashboards, in the order in which an operator opens them.
pub fn all() -> Vec<Board> {
    vec![
        overview::board(),
        mfa::board(),
        refresh::board(),
        gateway::board(),
        sessions::board(),
        devices::board(),
    ]
}
