//! The file as it is written.

use std::path::PathBuf;

use serde::Deserialize;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) gateway: String,
    pub(super) content: String,
    pub(super) prefix: Option<String>,
    pub(super) client_id: Option<String>,
    #[serde(default)]
    pub(super) audience: Vec<String>,
    pub(super) scope: Option<String>,
    pub(super) every: Option<String>,
    pub(super) probe: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) state_dir: Option<PathBuf>,
    #[serde(default)]
    pub(super) panel: Wiring,
    #[serde(default)]
    pub(super) glass: Glass,
}

/// The panel and its wires.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wiring {
    pub(super) kind: Option<String>,
    pub(super) bus: Option<PathBuf>,
    pub(super) address: Option<u8>,
    #[serde(default)]
    pub(super) upside_down: bool,
    #[serde(default)]
    pub(super) single: bool,
}

/// How the glass is cared for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Glass {
    pub(super) dim_after: Option<String>,
    pub(super) orbit: Option<bool>,
    pub(super) night: Option<String>,
}
