//! What the data plane tells about itself: facts with numbers, for whoever counts them.
//!
//! The calls come from the hot path of every thread. An observer answers with an addition to a
//! counter that it registered beforehand; it never locks and never allocates.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokenward::core::event::EndReason;
use tokenward::metrics::Exemplar;

/// Takes note of what happens to requests. Every method does nothing unless it is written.
pub trait Observe: Send + Sync + 'static {
    /// When the routes are known or were replaced; other calls name them by their place here.
    fn routes(&self, names: &[Arc<str>]) {
        let _ = names;
    }

    /// When a request found its route.
    fn began(&self, route: usize) {
        let _ = route;
    }

    /// When the last byte of an answer was handed over, or its caller went away.
    fn ended(&self, answered: &Answered) {
        let _ = answered;
    }

    /// When an upstream's response head arrived.
    fn upstream_answered(&self, route: usize, took: Duration) {
        let _ = (route, took);
    }

    /// When an upstream gave no answer; `reason` is a value of the catalogue.
    fn upstream_failed(&self, route: usize, reason: &'static str) {
        let _ = (route, reason);
    }

    /// When a request is sent to its upstream a second time.
    fn retried(&self, route: usize, reason: RetryReason) {
        let _ = (route, reason);
    }

    /// When an upstream's answer goes on to its caller: what the gateway itself took until then.
    fn passed_on(&self, route: usize, overhead: Duration) {
        let _ = (route, overhead);
    }

    /// When the gateway breaks a stream off.
    fn stream_closed(&self, cause: CloseCause) {
        let _ = cause;
    }
}

/// One request, when it is over.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The route; `None` where none was found, or the gateway's own endpoints answered.
    pub route: Option<usize>,
    /// The method.
    pub method: Method,
    /// The status that the caller was sent.
    pub status: StatusCode,
    /// Who made the answer.
    pub by: AnsweredBy,
    /// False where the caller went away or the upstream broke off before the end.
    pub complete: bool,
    /// From the request's head to here.
    pub took: Duration,
    /// Its trace, where that is sampled.
    pub trace: Option<Exemplar>,
    /// Body bytes from the caller.
    pub bytes_in: u64,
    /// Body bytes to the caller.
    pub bytes_out: u64,
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    /// The gateway itself.
    Gateway,
    /// The upstream.
    Upstream,
}

/// Why a request was sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryReason {
    /// When a kept connection turned out to be dead.
    Connect,
    /// When the upstream answered 401 and a newer access token was there.
    Unauthorized,
}

/// Why the gateway broke a stream off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// When the gateway goes away and its time to finish is up.
    Drain,
    /// When the session ended by itself, or the provider refused it.
    Expiry,
    /// When somebody ended the session.
    Logout,
}

impl CloseCause {
    /// Returns what a session's end means for its streams.
    pub(crate) fn of(reason: EndReason) -> Self {
        match reason {
            EndReason::LoggedOut(_) => Self::Logout,
            EndReason::Ceiling
            | EndReason::NoRefreshToken
            | EndReason::Refused(_)
            | EndReason::SubjectChanged => Self::Expiry,
        }
    }
}

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observe for Unobserved {}
