//! Counts what a provider's client tells.

use std::sync::Arc;

use super::label::{Endpoint, ProviderOutcome};
use super::{Metrics, ProviderIndex};
use crate::provider::observe::{self, Observer, Outcome, Requested};

/// Counts the requests to one provider; to be given to its client as its observer.
#[derive(Clone)]
pub struct ProviderMeter {
    metrics: Arc<Metrics>,
    provider: ProviderIndex,
}

impl ProviderMeter {
    /// Makes the meter of the provider with this configured name.
    pub fn new(metrics: Arc<Metrics>, name: &str) -> Self {
        let provider = metrics.provider(name);
        Self { metrics, provider }
    }
}

impl Observer for ProviderMeter {
    fn requested(&self, request: Requested) {
        let Requested { endpoint, outcome, took } = request;
        self.metrics.provider_request(
            self.provider,
            of_endpoint(endpoint),
            of_outcome(outcome),
            took,
        );
    }
}

const fn of_endpoint(endpoint: observe::Endpoint) -> Endpoint {
    match endpoint {
        observe::Endpoint::DeviceAuthorization => Endpoint::DeviceAuthorization,
        observe::Endpoint::Discovery => Endpoint::Discovery,
        observe::Endpoint::Jwks => Endpoint::Jwks,
        observe::Endpoint::MfaAssociate => Endpoint::MfaAssociate,
        observe::Endpoint::MfaChallenge => Endpoint::MfaChallenge,
        observe::Endpoint::Revocation => Endpoint::Revocation,
        observe::Endpoint::Token => Endpoint::Token,
    }
}

const fn of_outcome(outcome: Outcome) -> ProviderOutcome {
    match outcome {
        Outcome::Ok => ProviderOutcome::Ok,
        Outcome::OauthError => ProviderOutcome::OauthError,
        Outcome::RateLimited => ProviderOutcome::RateLimited,
        Outcome::ServerError => ProviderOutcome::ServerError,
        Outcome::Network => ProviderOutcome::Network,
        Outcome::Timeout => ProviderOutcome::Timeout,
        Outcome::Malformed => ProviderOutcome::Malformed,
    }
}
