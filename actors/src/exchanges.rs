//! Exchanges that are over, for whoever draws them beside the requests that they served.

use tokio::sync::broadcast;

use crate::access::Tokenward;
use crate::core::event::Trigger;
use crate::core::name::{Audience, Epoch, SessionKey};
use crate::core::session::exchange::{Flight, Landing, Outcome};
use crate::core::time::Instant;

/// How many exchanges a slow listener may be behind before it misses some: they are for looking at.
pub(crate) const BACKLOG: usize = 1_024;

/// One exchange that was sent, when it is over.
#[derive(Clone, Debug)]
pub struct ExchangeTold {
    /// The session.
    pub session: SessionKey,
    /// Its number: the access token that it brought has the same ([`crate::Offer::serial`]).
    pub epoch: Epoch,
    /// What was asked for.
    pub audience: Audience,
    /// What set it off.
    pub trigger: Trigger,
    /// When it was decided.
    pub decided_at: Instant,
    /// When it had landed: what it brought was durable.
    pub landed_at: Instant,
    /// What came of it, as a code.
    pub outcome: &'static str,
}

/// Receives exchanges; ends when the framework is dropped.
pub struct ExchangeStream(broadcast::Receiver<ExchangeTold>);

impl ExchangeStream {
    /// Waits for the next exchange, missing those that it was too slow for; `None` when there will
    /// be no more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ExchangeTold> {
        loop {
            match self.0.recv().await {
                Ok(told) => return Some(told),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl ExchangeTold {
    /// Tells of a flight that has landed; `None` where it never left.
    pub(crate) fn of(
        session: SessionKey,
        flight: &Flight,
        landing: &Landing,
        landed_at: Instant,
    ) -> Option<Self> {
        flight.sent_at().map(|_| Self {
            session,
            epoch: flight.epoch(),
            audience: flight.need.audience.clone(),
            trigger: flight.trigger,
            decided_at: flight.decided_at,
            landed_at,
            outcome: outcome(landing),
        })
    }
}

impl Tokenward {
    /// Listens to the exchanges that are over from now on.
    pub fn exchanges(&self) -> ExchangeStream {
        ExchangeStream(self.shared.exchanges.subscribe())
    }
}

const fn outcome(landing: &Landing) -> &'static str {
    match landing {
        Landing::Saved(receipt) => match receipt.outcome() {
            Outcome::Turned(_) => "refreshed",
            Outcome::Malformed(_) => "malformed",
        },
        Landing::Busy(_) => "busy",
        Landing::Doubt { .. } => "in_doubt",
        Landing::Ended(_) => "ended",
        Landing::Gone => "gone",
        Landing::Moved(_) => "superseded",
        Landing::NotSent { .. } => "not_sent",
        Landing::Refused { .. } => "refused",
        Landing::SteppedUp { .. } => "step_up_refused",
        Landing::StoreDown { .. } => "store_error",
    }
}
