//! Keeps the numbers that nothing else moves: what must be looked at again and again.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::label::BreakerState;
use crate::provider::Breaker;
use crate::shared::Shared;

/// How often. Histograms pile up their samples until they are drained, 16 bytes each: at ten
/// thousand calls a second this keeps less than a megabyte.
const EVERY: Duration = Duration::from_secs(1);

/// Starts the task; it ends with the framework.
pub(crate) fn start(shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    tokio::spawn(async move {
        while let Some(alive) = shared.upgrade() {
            alive.metrics.upkeep();
            let provider = alive.metrics.provider(alive.provider.name());
            alive.metrics.breaker(provider, breaker(alive.provider.breaker()));
            drop(alive);
            tokio::time::sleep(EVERY).await;
        }
    });
}

const fn breaker(breaker: Breaker) -> BreakerState {
    match breaker {
        Breaker::Closed => BreakerState::Closed,
        Breaker::HalfOpen => BreakerState::HalfOpen,
        Breaker::Open => BreakerState::Open,
    }
}
