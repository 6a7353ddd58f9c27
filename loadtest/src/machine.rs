//! Where and with what a run took place.

use serde::{Deserialize, Serialize};
use tokenward_programs::machine::Machine;

use crate::fleet::Programs;

/// Where and with what a run took place.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Environment {
    /// The machine.
    #[serde(flatten)]
    pub machine: Machine,
    /// The gateway's own word on its version.
    pub gateway: String,
    /// The commit that the gateway was built from, where it knows it.
    pub commit: Option<String>,
    /// The load test's version.
    pub loadtest: String,
    /// Whether generator and gateway had cores of their own.
    pub apart: bool,
}

impl Environment {
    /// Looks at this machine.
    #[must_use]
    pub fn here(programs: &Programs) -> Self {
        Self {
            machine: Machine::here(),
            gateway: programs.version(),
            commit: None,
            loadtest: env!("CARGO_PKG_VERSION").to_owned(),
            apart: programs.are_apart(),
        }
    }
}
