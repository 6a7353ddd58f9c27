//! What happens while the load goes on.

use serde::Deserialize;

use super::{Api, Span};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// When, from the first request on.
    pub at: Span,
    /// What.
    pub does: Deed,
    /// How long it lasts, where it ends.
    pub lasting: Option<Span>,
    /// The token endpoint's latency, for `provider_slow`.
    pub latency: Option<Span>,
    /// Which part of the requests or sessions it strikes, for `provider_limits` and `logout`.
    pub share: Option<f64>,
    /// Whose tokens another factor is demanded for, for `mfa_wave`.
    pub api: Option<Api>,
}

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// When the provider's token endpoint takes its time.
    ProviderSlow,
    /// When the provider cannot be reached.
    ProviderDown,
    /// When the provider answers a share of the refreshes with 429.
    ProviderLimits,
    /// When a policy of the provider demands another factor for one API.
    MfaWave,
    /// When a gateway dies of SIGKILL; it is started again after `lasting`.
    KillGateway,
    /// When a share of the sessions signs out.
    Logout,
}

impl Act {
    /// Returns what the report writes beside the mark of this act.
    #[must_use]
    pub fn words(&self) -> String {
        let span = |span: Option<Span>| span.unwrap_or_default().to_string();
        match self.does {
            Deed::ProviderSlow => format!("provider takes {}", span(self.latency)),
            Deed::ProviderDown => "provider down".to_owned(),
            Deed::ProviderLimits => "provider limits".to_owned(),
            Deed::MfaWave => {
                format!("second factor for {}", self.api.map_or("an API", Api::name))
            }
            Deed::KillGateway => "gateway killed".to_owned(),
            Deed::Logout => "sign-outs".to_owned(),
        }
    }
}
