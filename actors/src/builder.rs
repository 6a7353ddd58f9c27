//! Putting the framework together.

use std::sync::Arc;

use crate::access::Tokenward;
use crate::clock::Clock;
use crate::core::name::Owner;
use crate::core::policy::Policies;
use crate::metrics::{Labels, Metrics};
use crate::numbers;
use crate::provider::Provider;
use crate::resume;
use crate::router::Router;
use crate::shared::{Parts, Shared};
use crate::sharing;
use crate::store::Vault;

/// Collects what a [`Tokenward`] is made of. A provider and a vault are needed; the rest has good
/// defaults.
#[derive(Default)]
pub struct Builder {
    clock: Option<Clock>,
    metrics: Option<Arc<Metrics>>,
    policies: Policies,
    provider: Option<Provider>,
    shared_store: bool,
    vault: Option<Vault>,
}

/// Why a framework could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The embedder forgot a part.
    #[error("cannot build Tokenward without a {0}: call Builder::{0}")]
    Missing(&'static str),
    /// An actor did not start: a defect of ours.
    #[error("an actor did not start")]
    Actor(#[from] Box<ractor::SpawnErr>),
}

impl Builder {
    /// Sets where refresh tokens are spent.
    #[must_use]
    pub fn provider(mut self, provider: Provider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Sets where sessions are kept.
    #[must_use]
    pub fn vault(mut self, vault: Vault) -> Self {
        self.vault = Some(vault);
        self
    }

    /// Sets deadlines and margins, and what each audience asks for.
    #[must_use]
    pub fn policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// Sets the clock; the vault's where it is not called.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets where numbers are counted; a set of their own where it is not called.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Says that other machines use the same store, so that an exchange found unfinished may still
    /// be under way on one of them. A store that is made for that says so itself.
    #[must_use]
    pub fn shared_store(mut self) -> Self {
        self.shared_store = true;
        self
    }

    /// Starts the framework on the current tokio runtime, and resumes what the last process left
    /// unfinished.
    ///
    /// # Errors
    /// [`BuildError`]; nothing has been started then.
    pub async fn build(self) -> Result<Tokenward, BuildError> {
        let provider = self.provider.ok_or(BuildError::Missing("provider"))?;
        let vault = self.vault.ok_or(BuildError::Missing("vault"))?;
        let metrics = self.metrics.unwrap_or_else(|| {
            let audiences = self.policies.audiences.keys().map(ToString::to_string).collect();
            Metrics::new(Labels { audiences, ..Labels::default() })
        });
        let clock = self.clock.unwrap_or_else(|| vault.clock().clone());
        let vault = vault.metered(&metrics);
        let alone = !self.shared_store && !vault.is_shared();
        let parts = Parts { alone, clock, metrics, policies: self.policies, provider, vault };
        let shared = Arc::new(Shared::new(parts, random_owner()));

        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        let mut routers = Vec::with_capacity(shards);
        for _ in 0..shards {
            routers.push(Router::start(Arc::clone(&shared)).await.map_err(Box::new)?);
        }
        shared.staff(routers);
        resume::start(&shared);
        sharing::start(&shared);
        numbers::start(&shared);
        Ok(Tokenward::new(shared))
    }
}

#[expect(clippy::expect_used, reason = "without the kernel's randomness nothing here is safe")]
fn random_owner() -> Owner {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    Owner(u128::from_be_bytes(bytes))
}
