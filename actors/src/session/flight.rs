//! Runs a flight: does what it says, step by step, in a task that nothing cancels (law L4).

use std::sync::Arc;

use super::{SessionMessage, ending};
use crate::core::event::Event;
use crate::core::grant::Reply;
use crate::core::lease::{Commit, Verdict};
use crate::core::name::SessionKey;
use crate::core::secret::RefreshToken;
use crate::core::session::due_at;
use crate::core::session::exchange::{Flight, Landing, Reading, Step, TokenRequest};
use crate::core::snapshot::Snapshot;
use crate::core::step_up::Errand;
use crate::exchanges::ExchangeTold;
use crate::mail::Address;
use crate::provider::{RefreshRequest, VerifyRequest};
use crate::router::RouterMessage;
use crate::shared::Shared;
use crate::store::{Restored, StoreError};

/// Starts the flight. Its landing goes to `actor`, or to whoever has taken its place.
pub(super) fn launch(
    flight: Flight,
    key: SessionKey,
    actor: Address<SessionMessage>,
    shared: Arc<Shared>,
) {
    let (tracker, number) = (shared.flights.clone(), flight.number);
    tracker.spawn(async move {
        let flown = tokio::spawn(Pilot { key, shared: Arc::clone(&shared) }.fly(flight));
        // A panic below us must not leave the session waiting for a landing that never comes: the
        // record says what is in doubt, so it is read again.
        let landing = match flown.await {
            Ok(landing) => landing,
            Err(error) => {
                tracing::error!(session = %key.id(), %error, "a flight crashed");
                match shared.read(key).await {
                    Reading::Living(snapshot) => Box::new(Landing::Moved(snapshot)),
                    Reading::Ended(reason) => Box::new(Landing::Ended(reason)),
                    Reading::Absent => Box::new(Landing::Gone),
                    Reading::Failed => Box::new(Landing::StoreDown { doubt: None }),
                }
            }
        };
        if actor.cast(SessionMessage::Landed(number, landing)).is_err() {
            shared.router(&key).send(RouterMessage::Reread(key));
        }
    });
}

struct Pilot {
    key: SessionKey,
    shared: Arc<Shared>,
}

impl Pilot {
    async fn fly(self, mut flight: Flight) -> Box<Landing> {
        // When the provider's answer arrived: from there on a new refresh token can be lost.
        let mut received_at = self.shared.clock.now();
        loop {
            match flight.step() {
                Step::Journal => {
                    let ask = flight.ask(self.shared.owner, self.shared.provider.settle());
                    let begun = self.shared.vault.begin(self.key, ask).await;
                    flight.journalled(self.heard(begun));
                }
                Step::Send => {
                    if let Some(request) = flight.send(self.shared.clock.now()) {
                        let reply = self.ask_provider(&request).await;
                        received_at = self.shared.clock.now();
                        flight.replied(received_at, reply);
                    }
                }
                Step::Save { commit, snapshot } => {
                    let verdict = self.save(commit, &snapshot).await;
                    let (now, metrics) = (self.shared.clock.now(), &self.shared.metrics);
                    match verdict {
                        None => {
                            metrics.save_failed(metrics.audience(flight.need.audience.as_str()));
                        }
                        Some(Verdict::Accept(_)) if commit.rotated => {
                            metrics.persist(now.since(received_at));
                        }
                        Some(Verdict::Accept(_) | Verdict::Ended | Verdict::Superseded) => {}
                    }
                    flight.saved(now, verdict);
                }
                Step::Pause(until) => {
                    let failures = flight.save_failures();
                    self.shared.emit(&self.key, &Event::SaveDelayed { failures });
                    self.shared.clock.sleep_until(until).await;
                    flight.paused();
                }
                Step::Load => flight.loaded(self.shared.read(self.key).await),
                Step::Revoke(refresh_token) => {
                    self.revoke(&refresh_token).await;
                    flight.revoked();
                }
                Step::Land(landing) => {
                    self.tell(&flight, &landing);
                    return landing;
                }
            }
        }
    }

    /// Tells whoever draws exchanges; nobody may listen.
    fn tell(&self, flight: &Flight, landing: &Landing) {
        if self.shared.exchanges.receiver_count() != 0 {
            let now = self.shared.clock.now();
            if let Some(told) = ExchangeTold::of(self.key, flight, landing, now) {
                drop(self.shared.exchanges.send(told));
            }
        }
    }

    async fn ask_provider(&self, request: &TokenRequest) -> Reply {
        let TokenRequest { refresh_token, need, errand, deadline } = request;
        let (provider, deadline) = (&self.shared.provider, *deadline);
        let (audience, scopes) = (&need.audience, &need.scopes);
        match errand {
            Errand::Refresh => {
                let request = RefreshRequest { refresh_token, audience, scopes, deadline };
                provider.refresh(request).await
            }
            Errand::Verify { mfa_token, evidence, .. } => {
                let request = VerifyRequest { mfa_token, evidence, audience, scopes, deadline };
                provider.verify(request).await
            }
            Errand::Code(code) => provider.exchange_step_up(code, need).await,
        }
    }

    async fn save(&self, commit: Commit, snapshot: &Snapshot) -> Option<Verdict> {
        let due = due_at(snapshot, &self.shared.policies(), self.shared.clock.now());
        self.heard(self.shared.vault.commit(self.key, commit, snapshot, due).await)
    }

    async fn revoke(&self, late: &RefreshToken) {
        if ending::revoke_once(&self.shared, &self.key, late).await {
            tracing::info!(session = %self.key.id(), "a late pair was revoked");
        }
    }

    fn heard<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        answer
            .inspect_err(
                |error| tracing::error!(session = %self.key.id(), %error, "the store failed"),
            )
            .ok()
    }
}

impl Shared {
    /// Reads a session's record again.
    pub(crate) async fn read(&self, key: SessionKey) -> Reading {
        match self.load(key).await {
            Ok(Restored::Living(snapshot)) => Reading::Living(snapshot),
            Ok(Restored::Ended(reason)) => Reading::Ended(reason),
            Ok(Restored::Absent) => Reading::Absent,
            Err(error) => {
                tracing::error!(session = %key.id(), %error, "a session cannot be read");
                Reading::Failed
            }
        }
    }

    /// Reads a session's record, unless its end was decided already: the record may not know.
    pub(crate) async fn load(&self, key: SessionKey) -> Result<Restored, StoreError> {
        match self.endings.reason(&key) {
            Some(reason) => Ok(Restored::Ended(reason)),
            None => self.vault.load(key).await,
        }
    }
}
