//! A document of the provider's that is fetched when needed, kept, and renewed in the background:
//! its metadata, its signing keys.
//!
//! One fetch at a time, whoever asks. What is held stays good while it cannot be renewed: a
//! provider whose discovery is down can still exchange tokens. After a failure nobody asks again
//! for a while.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::core::time::Instant;
use crate::provider::error::ProviderError;

/// The pause after the first failed fetch; it doubles.
const RETRY_FIRST: Duration = Duration::from_millis(500);

/// The longest pause after a failed fetch: a repaired provider is noticed within this.
const RETRY_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Document<T> {
    held: ArcSwapOption<Held<T>>,
    flight: Mutex<Flight>,
    clock: Clock,
    fresh: Duration,
    refetch_min: Duration,
}

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    fetched_at: Instant,
}

/// What is known to whoever may fetch.
#[derive(Debug, Default)]
struct Flight {
    failures: u32,
    failed: Option<(ProviderError, Instant)>,
    refetch_from: Instant,
}

/// Which document will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whatever is held.
    Any,
    /// One fetched after that moment, unless that would be too often.
    After(Instant),
}

impl<T> Document<T> {
    pub(super) fn new(clock: Clock, fresh: Duration, refetch_min: Duration) -> Self {
        let (held, flight) = (ArcSwapOption::empty(), Mutex::default());
        Self { held, flight, clock, fresh, refetch_min }
    }

    /// Returns what is held, however old.
    pub(super) fn held(&self) -> Option<Arc<T>> {
        self.held.load().as_ref().map(|held| held.value.clone())
    }

    /// Reports whether what is held, if anything, should be renewed and nobody is at it.
    pub(super) fn wants_renewal(&self) -> bool {
        let now = self.clock.now();
        let stale = self.held.load().as_ref().is_some_and(|h| now >= h.fetched_at + self.fresh);
        stale && self.flight.try_lock().is_ok_and(|flight| flight.refusal(now).is_none())
    }

    /// Returns a document that will do, fetching it if there is none.
    ///
    /// # Errors
    /// Returns the failed fetch's error, to those who waited for it and to those who ask too soon
    /// after it.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the fetch to the next who waits.
    pub(super) async fn obtain<F>(
        &self,
        wanted: Wanted,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        if let Some(value) = self.satisfying(wanted) {
            return Ok(value);
        }
        let mut flight = self.flight.lock().await;
        if let Some(value) = self.satisfying(wanted) {
            return Ok(value);
        }
        let now = self.clock.now();
        if let Some(error) = flight.refusal(now) {
            return Err(error);
        }
        if let (Wanted::After(_), Some(held)) = (wanted, self.held()) {
            if now < flight.refetch_from {
                return Ok(held);
            }
            flight.refetch_from = now + self.refetch_min;
        }
        match fetch().await {
            Ok(value) => {
                flight.failures = 0;
                flight.failed = None;
                let value = Arc::new(value);
                let held = Held { value: value.clone(), fetched_at: self.clock.now() };
                self.held.store(Some(Arc::new(held)));
                Ok(value)
            }
            Err(error) => {
                flight.fail(error.clone(), self.clock.now());
                Err(error)
            }
        }
    }

    fn satisfying(&self, wanted: Wanted) -> Option<Arc<T>> {
        let held = self.held.load();
        let held = held.as_ref()?;
        let satisfies = match wanted {
            Wanted::Any => true,
            Wanted::After(moment) => held.fetched_at > moment,
        };
        satisfies.then(|| held.value.clone())
    }
}

impl Flight {
    fn refusal(&self, now: Instant) -> Option<ProviderError> {
        let (error, retry_at) = self.failed.as_ref()?;
        let wait = (now < *retry_at).then(|| retry_at.left_at(now))?;
        Some(error.clone().waiting(wait))
    }

    fn fail(&mut self, error: ProviderError, now: Instant) {
        let pause = (RETRY_FIRST * (1 << self.failures.min(8))).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.failed = Some((error, now + pause));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    const FRESH: Duration = Duration::from_secs(900);
    const REFETCH: Duration = Duration::from_secs(30);

    struct Source {
        fetches: AtomicU32,
        ill: bool,
    }

    impl Source {
        async fn fetch(&self) -> Result<u32, ProviderError> {
            let number = self.fetches.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::task::yield_now().await;
            if self.ill {
                return Err(ProviderError::Unreachable("down"));
            }
            Ok(number)
        }

        fn count(&self) -> u32 {
            self.fetches.load(Ordering::Relaxed)
        }
    }

    fn source(ill: bool) -> Source {
        Source { fetches: AtomicU32::new(0), ill }
    }

    #[tokio::test]
    async fn l14_many_askers_are_one_fetch_and_a_failure_is_shared() {
        let (clock, hand) = Clock::manual();
        let document = Document::new(clock.clone(), FRESH, REFETCH);
        let (well, ill) = (source(false), source(true));

        let asked = join_all((0..9).map(|_| document.obtain(Wanted::Any, || ill.fetch()))).await;
        assert!(asked.iter().all(Result::is_err));
        assert_eq!(ill.count(), 1);
        hand.advance(RETRY_FIRST);
        let asked = join_all((0..9).map(|_| document.obtain(Wanted::Any, || well.fetch()))).await;
        assert!(asked.iter().all(|got| matches!(got.as_deref(), Ok(1))));
        assert_eq!(well.count(), 1);
    }

    #[tokio::test]
    async fn a_refetch_is_rare_and_a_failed_one_keeps_what_is_held() {
        let (clock, hand) = Clock::manual();
        let document = Document::new(clock.clone(), FRESH, REFETCH);
        let (well, ill) = (source(false), source(true));
        let newer = || Wanted::After(clock.now());
        document.obtain(Wanted::Any, || well.fetch()).await.unwrap();

        assert_eq!(*document.obtain(newer(), || well.fetch()).await.unwrap(), 2);
        assert_eq!(*document.obtain(newer(), || well.fetch()).await.unwrap(), 2, "too soon");
        hand.advance(REFETCH);
        assert_eq!(*document.obtain(newer(), || well.fetch()).await.unwrap(), 3);

        assert!(!document.wants_renewal());
        hand.advance(FRESH);
        assert!(document.wants_renewal());
        assert!(document.obtain(newer(), || ill.fetch()).await.is_err());
        assert!(!document.wants_renewal(), "not again at once");
        assert_eq!(document.held().as_deref(), Some(&3));
    }
}
