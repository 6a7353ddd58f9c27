//! The file as it is written.

use std::path::PathBuf;

use serde::Deserialize;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) gateway: Option<String>,
    pub(super) content: String,
    pub(super) prefix: Option<String>,
    pub(super) client_id: Option<String>,
    #[serde(default)]
    pub(super) audience: Vec<String>,
    pub(super) scope: Option<String>,
    pub(super) provider: Option<Provider>,
    pub(super) every: Option<String>,
    pub(super) probe: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) state_dir: Option<PathBuf>,
    #[serde(default)]
    pub(super) panel: Wiring,
    #[serde(default)]
    pub(super) glass: Glass,
    pub(super) button: Option<Push>,
    pub(super) metrics: Option<Scrape>,
}

/// The provider of direct mode.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "direct"), expect(dead_code, reason = "read to be refused by name"))]
pub(super) struct Provider {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) audience_parameter: Option<String>,
}

/// What is asked for, of whomever.
pub(super) struct Asked {
    pub(super) gateway: Option<String>,
    pub(super) content: String,
    pub(super) prefix: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) audience: Vec<String>,
    pub(super) scope: Option<String>,
}

impl Raw {
    /// Takes out what is asked for.
    pub(super) fn asked(&mut self) -> Asked {
        Asked {
            gateway: self.gateway.take(),
            content: std::mem::take(&mut self.content),
            prefix: self.prefix.take(),
            client_id: self.client_id.take(),
            audience: std::mem::take(&mut self.audience),
            scope: self.scope.take(),
        }
    }
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

/// The button and its wires.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Push {
    pub(super) line: u32,
    pub(super) chip: Option<PathBuf>,
}

/// Where the display's own numbers can be had.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "read to be refused by name"))]
pub(super) struct Scrape {
    pub(super) listen: String,
    #[serde(default)]
    pub(super) beyond_loopback: bool,
}
