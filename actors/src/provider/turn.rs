//! Waiting for one's turn to ask a provider: the gate, a bounded number of exchanges at once, and
//! a bounded queue before them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::core::grant::{NotSent, NotSentCause};
use crate::core::time::Instant;
use crate::provider::gate::{Attempt, Breaker, Gate, Pass};

/// How long those are asked to wait whom the queue has no room for.
const QUEUE_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Turnstile {
    gate: Mutex<Gate>,
    permits: Arc<Semaphore>,
    queued: AtomicUsize,
    queue_max: usize,
    clock: Clock,
}

impl Turnstile {
    pub(super) fn new(exchanges_max: usize, queue_max: usize, clock: Clock) -> Self {
        let permits = exchanges_max.min(Semaphore::MAX_PERMITS);
        Self {
            gate: Mutex::default(),
            permits: Arc::new(Semaphore::new(permits)),
            queued: AtomicUsize::new(0),
            queue_max,
            clock,
        }
    }

    /// Waits for a turn, until `until` at the latest.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub(super) async fn enter(&self, until: Instant) -> Result<Turn<'_>, NotSent> {
        if let Some(not_sent) = self.gate().refusal(self.clock.now()) {
            return Err(not_sent);
        }
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.queue(until).await?,
        };
        // The provider may have asked everybody to wait while this one queued.
        let pass = self.gate().admit(self.clock.now())?;
        Ok(Turn { turnstile: self, pass: Some(pass), _permit: permit })
    }

    /// Returns the state of the breaker.
    pub(super) fn breaker(&self) -> Breaker {
        self.gate().breaker(self.clock.now())
    }

    async fn queue(&self, until: Instant) -> Result<OwnedSemaphorePermit, NotSent> {
        let full = NotSent { cause: NotSentCause::Queue, wait: Some(QUEUE_WAIT) };
        let place = Place::take(&self.queued);
        if place.number > self.queue_max {
            return Err(full);
        }
        tokio::select! {
            biased;
            permit = self.permits.clone().acquire_owned() => permit.map_err(|_| full),
            () = self.clock.sleep_until(until) => Err(full),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Every change of a gate is complete before it can panic.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request's turn; dropping it unsettled gives it back unused.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turnstile: &'a Turnstile,
    pass: Option<Pass>,
    _permit: OwnedSemaphorePermit,
}

impl Turn<'_> {
    /// Ends the turn with what came of it.
    pub(super) fn settle(mut self, attempt: Attempt) {
        self.end(attempt);
    }

    fn end(&mut self, attempt: Attempt) {
        if let Some(pass) = self.pass.take() {
            // Without chance the probe is merely less spread.
            let chance = getrandom::u64().unwrap_or_default();
            let now = self.turnstile.clock.now();
            self.turnstile.gate().settle(now, pass, attempt, chance);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.end(Attempt::Abandoned);
    }
}

struct Place<'a> {
    queued: &'a AtomicUsize,
    number: usize,
}

impl<'a> Place<'a> {
    fn take(queued: &'a AtomicUsize) -> Self {
        Self { queued, number: queued.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn l14_exchanges_and_the_queue_before_them_are_bounded() {
        let (clock, hand) = Clock::manual();
        let turnstile = Turnstile::new(1, 1, clock.clone());
        let until = clock.now() + Duration::from_secs(2);
        let first = turnstile.enter(until).await.unwrap();

        let second = turnstile.enter(until);
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none(), "one waits");
        let third = turnstile.enter(until).await.map(drop);
        assert_eq!(third.unwrap_err().cause, NotSentCause::Queue, "and no more than one");

        first.settle(Attempt::Answered);
        let second = second.await.unwrap();

        let late = turnstile.enter(until);
        tokio::pin!(late);
        assert!(late.as_mut().now_or_never().is_none());
        hand.advance(Duration::from_secs(2));
        assert_eq!(late.await.map(drop).unwrap_err().cause, NotSentCause::Queue, "not for ever");
        drop(second);
        assert!(turnstile.enter(until).await.is_ok());
    }

    #[tokio::test]
    async fn l7_a_limit_met_while_queueing_still_holds() {
        let (clock, _hand) = Clock::manual();
        let turnstile = Turnstile::new(1, 9, clock.clone());
        let until = clock.now() + Duration::from_secs(2);
        let first = turnstile.enter(until).await.unwrap();
        let second = turnstile.enter(until);
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        first.settle(Attempt::Limited(Some(Duration::from_secs(5))));
        let turned_back = second.await.map(drop).unwrap_err();
        assert_eq!(turned_back.cause, NotSentCause::RateLimited);
        assert_eq!(turned_back.wait, Some(Duration::from_secs(5)));
    }
}
