//! What the data plane tells about itself: facts with numbers, for whoever counts them.
//!
//! The calls come from the hot path of every thread. An observer answers with an addition to a
//! counter that it registered beforehand; it never locks and never allocates.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

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

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observe for Unobserved {}
