//! One request's way to its upstream and back, with what a second try needs.

use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode};
use tokenward::AccessError;
use tokenward::core::name::SessionKey;

use crate::challenge::factor_challenge;
use crate::forward::{self, BodyFault, Choice, Failure, Outgoing, Relayed, Tape};
use crate::inject;
use crate::observe::RetryReason;
use crate::replay::{self, Second};
use crate::rescue::Refusal;
use crate::route::Route;
use crate::serve::Flight;
use crate::streams::Leash;
use crate::tokens::{Ticket, Want};

/// A request on its way to its upstream, with what a second try needs.
pub(crate) struct Trip<'a> {
    pub(crate) flight: &'a Flight,
    pub(crate) route: &'a Route,
    pub(crate) target: PathAndQuery,
    pub(crate) session: Option<SessionKey>,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) head: &'a Parts,
    pub(crate) tape: Option<Arc<Tape>>,
}

impl Trip<'_> {
    /// Sends the request, a second time where that helps, and returns the response.
    pub(crate) async fn make(&mut self) -> Result<Response<Relayed>, Refusal> {
        if let Some(tape) = &self.tape
            && tape.lasts()
            && let Some(leash) = self.enter()
        {
            tape.leash(leash);
        }
        let mut outgoing = self.outgoing().ok_or(Refusal::BrokenBody)?;
        let response = match self.send(&mut outgoing, Choice::Any).await {
            Ok(response) => response,
            Err(failure) => match self.again_after(&failure) {
                Some(mut outgoing) => {
                    self.retried(RetryReason::Connect);
                    let sent = Box::pin(self.send(&mut outgoing, Choice::Fresh)).await;
                    sent.map_err(|failure| self.failed(&failure))?
                }
                None => return Err(self.failed(&failure)),
            },
        };
        if response.status() == StatusCode::UNAUTHORIZED && self.ticket.is_some() {
            // Boxed, because it is rare and its state would burden every request's.
            return Box::pin(self.second(response)).await;
        }
        Ok(response)
    }

    /// Opens a WebSocket.
    pub(crate) async fn open(
        &mut self,
        caller: hyper::upgrade::OnUpgrade,
    ) -> Result<forward::Opened, Refusal> {
        let mut outgoing = self.outgoing().ok_or(Refusal::BrokenBody)?;
        if let Some(trace) = self.flight.trace() {
            trace.goes_along(outgoing.request.headers_mut());
        }
        let timeouts = &self.route.config.timeouts;
        forward::tunnel(&self.route.upstream, timeouts, outgoing, caller)
            .await
            .map_err(|failure| self.failed(&failure))
    }

    /// Enters the exchange among those that end with their session, where its reply can last.
    pub(crate) fn enter_reply(&self, reply: &Relayed) -> Option<Arc<Leash>> {
        if !reply.lasts() {
            return None;
        }
        let upload = self.tape.as_ref().and_then(|tape| tape.leashed());
        upload.or_else(|| self.enter())
    }

    /// Enters the exchange among those that end with their session; open routes have none.
    pub(crate) fn enter(&self) -> Option<Arc<Leash>> {
        let (Some(session), Some(audience)) = (self.session, &self.route.config.audience) else {
            return None;
        };
        let house = &self.flight.line().house;
        let leash = house.streams.enter(session);
        let want = Want { session: &session, audience, scopes: &self.route.config.scopes };
        if !house.tokens.is_at_hand(want) {
            // The session may have ended before the entry, which its end then did not find.
            let asking = Arc::clone(house);
            house.runtime.spawn(async move { asking.close_if_over(&session).await });
        }
        Some(leash)
    }

    /// Sends again with a newer access token, where there is one and the request is still there.
    async fn second(&mut self, refused: Response<Relayed>) -> Result<Response<Relayed>, Refusal> {
        let (Some(ticket), Some(session), Some(audience)) =
            (&self.ticket, &self.session, &self.route.config.audience)
        else {
            return Ok(refused);
        };
        if self.tape.as_ref().is_some_and(|tape| !tape.can_play()) {
            return Ok(refused);
        }
        let want = Want { session, audience, scopes: &self.route.config.scopes };
        let tokens = &*self.flight.line().house.tokens;
        let before = self.flight.age();
        if let Some(challenge) = factor_challenge(refused.headers())
            && let Some(hold) = tokens.demand(want, ticket.serial, challenge).await
        {
            self.flight.waited(self.flight.age().saturating_sub(before));
            return Err(Refusal::Access(AccessError::MfaRequired(hold)));
        }
        let second = replay::second(tokens, want, ticket).await;
        self.flight.waited(self.flight.age().saturating_sub(before));
        let newer = match second {
            Second::Again(newer) => newer,
            Second::PassOn => return Ok(refused),
            Second::Refuse(error) => return Err(Refusal::Access(error)),
        };
        let Some(mut outgoing) = self.outgoing() else {
            return Ok(refused);
        };
        inject::replace(outgoing.request.headers_mut(), &newer);
        self.retried(RetryReason::Unauthorized);
        drop(refused);
        self.send(&mut outgoing, Choice::Any).await.map_err(|failure| self.failed(&failure))
    }

    async fn send(
        &self,
        outgoing: &mut Outgoing,
        choice: Choice,
    ) -> Result<Response<Relayed>, Failure> {
        let before = self.flight.age();
        let trace = self.flight.trace();
        let sending = trace.and_then(|trace| trace.sends(before, outgoing.request.headers_mut()));
        let timeouts = &self.route.config.timeouts;
        let sent = forward::send(&self.route.upstream, timeouts, outgoing, choice).await;
        let took = self.flight.age().saturating_sub(before);
        self.flight.waited(took);
        if let (Some(trace), Some(sending)) = (trace, &sending) {
            let status = sent.as_ref().ok().map(Response::status);
            trace.sent(sending, (&self.head.method, self.flight.age()), status);
        }
        if sent.is_ok() {
            self.flight.line().house.observe.upstream_answered(self.route.number, took);
        }
        sent
    }

    /// Makes the request anew; `None` where its body is gone.
    fn outgoing(&self) -> Option<Outgoing> {
        let body = match &self.tape {
            None => forward::SentBody::Empty,
            Some(tape) => tape.play()?,
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.headers_mut() = self.head.headers.clone();
        Some(Outgoing { request, target: self.target.clone() })
    }

    /// Makes the request anew after a kept connection broke before it answered: the upstream may
    /// have acted, so only what may be repeated is (RFC 9110 §9.2.2).
    fn again_after(&self, failure: &Failure) -> Option<Outgoing> {
        let repeatable = failure.stale && self.head.method.is_idempotent();
        if !repeatable || self.tape.as_ref().is_some_and(|tape| !tape.can_play()) {
            return None;
        }
        self.outgoing()
    }

    fn retried(&self, reason: RetryReason) {
        self.flight.line().house.observe.retried(self.route.number, reason);
    }

    /// Says whose fault a failure is.
    fn failed(&self, failure: &Failure) -> Refusal {
        match self.tape.as_ref().and_then(|tape| tape.fault()) {
            Some(BodyFault::TooLarge) => return Refusal::BodyTooLarge,
            Some(BodyFault::Ended) => {
                return Refusal::Access(AccessError::SignInRequired { reason: None });
            }
            Some(BodyFault::Broken | BodyFault::Idle) => return Refusal::BrokenBody,
            Some(BodyFault::Control | BodyFault::Superseded) | None => {}
        }
        let observe = &self.flight.line().house.observe;
        observe.upstream_failed(self.route.number, failure.fault.reason());
        Refusal::Upstream(failure.fault)
    }
}
