//! The rooms beside the data plane, played by the test.

use std::collections::VecDeque;
use std::sync::Mutex;

use http::HeaderValue;
use tokenward::AccessError;
use tokenward::core::name::{Epoch, SessionKey};
use tokenward::core::snapshot::Hold;
use tokenward::step_up::{HoldView, Requirements};
use tokenward_gateway::challenge::FactorChallenge;
use tokenward_gateway::observe::{Answered, CloseCause, Observe, RetryReason};
use tokenward_gateway::tokens::{Answer, Demanded, Ends, Link, Noting, Over, Ticket, Tokens, Want};

/// Tokens that the test hands out: what is published, and what the next wishes are answered.
#[derive(Default)]
pub(super) struct Played {
    published: Mutex<Option<Ticket>>,
    answers: Mutex<VecDeque<Result<Ticket, AccessError>>>,
    wishes: Mutex<Vec<Option<Epoch>>>,
}

impl Played {
    pub(super) fn publish(&self, access_token: &str, serial: u64) {
        *self.published.lock().unwrap() = Some(ticket(access_token, serial));
    }

    pub(super) fn unpublish(&self) {
        *self.published.lock().unwrap() = None;
    }

    pub(super) fn answer(&self, answer: Result<Ticket, AccessError>) {
        self.answers.lock().unwrap().push_back(answer);
    }

    /// Returns which tokens the wishes so far wanted replaced.
    pub(super) fn wishes(&self) -> Vec<Option<Epoch>> {
        self.wishes.lock().unwrap().clone()
    }
}

pub(super) fn ticket(access_token: &str, serial: u64) -> Ticket {
    let authorization = HeaderValue::try_from(format!("Bearer {access_token}")).unwrap();
    Ticket { authorization, serial: Epoch(serial) }
}

impl Tokens for Played {
    fn at_hand(&self, want: Want<'_>) -> Option<Ticket> {
        let mut ticket = self.published.lock().unwrap().clone()?;
        // Which API it is for shows in the token, so that a mix-up is seen.
        let value = format!("{} for {}", ticket.authorization.to_str().unwrap(), want.audience);
        ticket.authorization = HeaderValue::try_from(value).unwrap();
        Some(ticket)
    }

    fn obtain<'a>(&'a self, _: Want<'a>, refused: Option<Epoch>) -> Answer<'a> {
        self.wishes.lock().unwrap().push(refused);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.unwrap_or(Err(AccessError::SignInRequired { reason: None })) })
    }

    fn demand<'a>(&'a self, _: Want<'a>, _: Epoch, _: FactorChallenge) -> Demanded<'a> {
        Box::pin(std::future::ready(None))
    }

    fn view_of(&self, _: &SessionKey, hold: &Hold) -> HoldView {
        HoldView {
            mfa_token: Some("sealed".to_owned()),
            audience: hold.audience.to_string(),
            scope: hold.scopes.to_string(),
            by: hold.origin.code(),
            mfa_requirements: Requirements::default(),
            any_factor: false,
            expires_in_s: Some(300),
            acr_values: vec!["urn:mfa".to_owned()],
            max_age_s: Some(300),
            since_s: 0,
            by_api: true,
            since: tokenward::core::time::Instant::ZERO,
        }
    }

    fn link_of<'a>(&'a self, _: &'a SessionKey, _: &'a HoldView) -> Link<'a> {
        Box::pin(std::future::ready(None))
    }

    fn note<'a>(&'a self, _: &'a SessionKey, _: HeaderValue) -> Noting<'a> {
        Box::pin(std::future::ready(()))
    }

    fn ends(&self) -> Ends {
        Box::pin(futures_util::stream::pending())
    }

    fn end_of<'a>(&'a self, _: &'a SessionKey) -> Over<'a> {
        Box::pin(std::future::ready(None))
    }
}

/// What an observer was told.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) ended: Mutex<Vec<Answered>>,
    pub(super) failed: Mutex<Vec<&'static str>>,
    pub(super) retried: Mutex<Vec<RetryReason>>,
    pub(super) closed: Mutex<Vec<CloseCause>>,
}

impl Observe for Notes {
    fn ended(&self, answered: &Answered) {
        self.ended.lock().unwrap().push(answered.clone());
    }

    fn upstream_failed(&self, _: usize, reason: &'static str) {
        self.failed.lock().unwrap().push(reason);
    }

    fn retried(&self, _: usize, reason: RetryReason) {
        self.retried.lock().unwrap().push(reason);
    }

    fn stream_closed(&self, cause: CloseCause) {
        self.closed.lock().unwrap().push(cause);
    }
}
