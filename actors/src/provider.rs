//! The client of one OAuth 2 and OpenID Connect provider: turns its bytes into meaning.
//!
//! No file outside this room knows an OAuth parameter name. What leaves it is
//! [`core::grant::Reply`](crate::core::grant::Reply): every outcome of an exchange has one, and
//! none of them is an error of ours.
//!
//! - [`exchange`]: the trips to the token endpoint.
//! - [`reply`]: what the token endpoint's bytes mean; refresh token first.
//! - `device`: the sign-in of a machine without a browser.
//! - [`step_up`]: the MFA API, and the grants that show a factor.
//! - [`discovery`] and [`jwks`]: what the provider publishes, fetched when needed and kept.
//! - `departure`: the evidence that tells a request that was not sent from one that was not
//!   heard of again.
//! - [`gate`]: the provider's rate limit and circuit breaker, shared by all sessions.

pub mod authorize;
pub mod credentials;
pub mod discovery;
pub mod error;
pub mod exchange;
pub mod gate;
pub mod jwks;
pub mod observe;
pub mod reply;
pub mod settings;

mod ask;
mod completion;
mod departure;
mod device;
mod document;
mod form;
#[cfg(test)]
mod hostile;
mod id_token;
mod jwt;
mod keys;
mod latency;
mod logout;
mod redact;
mod revoke;
pub mod step_up;
mod turn;
mod wire;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::provider::credentials::ClientAuthentication;
use crate::provider::document::Document;
use crate::provider::jwks::KeySet;
use crate::provider::latency::Latency;
use crate::provider::logout::Replays;
use crate::provider::turn::Turnstile;

pub use authorize::{AuthorizeRequest, code_challenge};
pub use credentials::{ClientSecret, Credentials, PrivateKey, SigningAlgorithm};
pub use device::{DeviceAuthorization, DeviceCode, DeviceWish};
pub use discovery::Metadata;
pub use error::{IdTokenFault, ProviderError, SignInError};
pub use exchange::{CodeExchange, RefreshRequest, SignedIn};
pub use gate::Breaker;
pub use id_token::Identity;
pub use logout::LogoutClaims;
pub use observe::{Observer, Unobserved};
pub use settings::{
    AssertionAudience, AudienceParameter, Endpoints, LogoutFallback, ProviderSettings,
    SettingsFault,
};
pub use step_up::{Challenge, Enrolled, MfaApiError, VerifyRequest};
pub use wire::Extent;

/// One provider, shared by all its sessions; a clone is the same provider.
#[derive(Clone)]
pub struct Provider(Arc<Shared>);

struct Shared {
    settings: ProviderSettings,
    issuer: Arc<str>,
    clock: Clock,
    http: wire::Http,
    client: ClientAuthentication,
    by_hand: Option<Metadata>,
    metadata: Document<Metadata>,
    keys: Document<KeySet>,
    turnstile: Turnstile,
    revocations: Semaphore,
    latency: Mutex<Latency>,
    replays: Mutex<Replays>,
    observer: Arc<dyn Observer>,
}

impl Provider {
    /// Makes the client of a provider. Asks the provider nothing yet.
    ///
    /// # Errors
    /// Says which setting the operator must correct.
    pub fn new(settings: ProviderSettings, clock: Clock) -> Result<Self, SettingsFault> {
        Self::observed(settings, clock, Arc::new(Unobserved))
    }

    /// Makes the client of a provider that tells `observer` of every request.
    ///
    /// # Errors
    /// Says which setting the operator must correct.
    pub fn observed(
        settings: ProviderSettings,
        clock: Clock,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, SettingsFault> {
        settings.check()?;
        let fresh = (discovery::METADATA_FRESH, jwks::KEYS_FRESH);
        let (exchanges_max, queue_max) = (settings.exchanges_max, settings.queue_max);
        Ok(Self(Arc::new(Shared {
            issuer: Arc::from(settings.issuer.as_str()),
            http: wire::Http::new(&settings, clock.clone())?,
            client: ClientAuthentication::new(&settings)?,
            by_hand: Metadata::by_hand(&settings)?,
            metadata: Document::new(clock.clone(), fresh.0, Duration::ZERO),
            keys: Document::new(clock.clone(), fresh.1, jwks::REFETCH_MIN),
            turnstile: Turnstile::new(exchanges_max, queue_max, clock.clone()),
            revocations: Semaphore::new(revoke::REVOCATIONS_MAX),
            latency: Mutex::default(),
            replays: Mutex::default(),
            settings,
            clock,
            observer,
        })))
    }

    /// Returns the issuer as it was configured: the name sessions know their provider by.
    pub fn issuer(&self) -> &Arc<str> {
        &self.0.issuer
    }

    /// Returns the name for logs and metric labels.
    pub fn name(&self) -> &str {
        &self.0.settings.name
    }

    /// Returns how long the provider takes the previous refresh token, where that is configured.
    pub fn reuse_window(&self) -> Option<Duration> {
        self.0.settings.reuse_window
    }

    /// Returns the state of the circuit breaker towards the provider.
    pub fn breaker(&self) -> Breaker {
        self.0.turnstile.breaker()
    }

    /// Returns how long a request whose connection is known dead may still be worked on (law L3).
    pub fn settle(&self) -> Duration {
        self.latency().settle(self.0.settings.hard_deadline)
    }

    /// Takes the settling time found in an intent of an earlier process, to go by until the
    /// provider's own answers tell (law L3).
    pub(crate) fn inherit_settle(&self, settle: Duration) {
        self.latency().inherit(settle);
    }

    fn latency(&self) -> MutexGuard<'_, Latency> {
        self.0.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replays(&self) -> MutexGuard<'_, Replays> {
        self.0.replays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noticed(&self, oddity: observe::Oddity, why: &dyn fmt::Display) {
        tracing::warn!(provider = self.name(), code = oddity.code(), %why, "odd provider answer");
        self.0.observer.noticed(oddity);
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.0.issuer).finish()
    }
}
