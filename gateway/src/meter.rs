//! Counts what the data plane tells about its requests.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::StatusCode;
use tokenward::metrics::label::{self, HttpOutcome, StreamEnd, UpstreamError, UpstreamRetry};
use tokenward::metrics::{Labels, Metrics, RouteIndex};

use crate::observe::{Answered, AnsweredBy, CloseCause, Observe, RetryReason};

/// The route label of what the gateway answers without a route: its own endpoints, and nowhere.
const NO_ROUTE: &str = "gateway";

/// Counts requests by route.
pub(crate) struct Meter {
    metrics: Arc<Metrics>,
    /// The place of each route of the present configuration.
    routes: ArcSwap<Vec<RouteIndex>>,
    none: RouteIndex,
}

impl Meter {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        metrics.learn(&Labels { routes: vec![NO_ROUTE.to_owned()], ..Labels::default() });
        let none = metrics.route(NO_ROUTE);
        Self { metrics, routes: ArcSwap::default(), none }
    }

    fn at(&self, route: usize) -> RouteIndex {
        // A request may end after a reload that took its route away.
        self.routes.load().get(route).copied().unwrap_or(self.none)
    }
}

impl Observe for Meter {
    fn routes(&self, names: &[Arc<str>]) {
        let routes = names.iter().map(ToString::to_string).collect();
        self.metrics.learn(&Labels { routes, ..Labels::default() });
        let places = names.iter().map(|name| self.metrics.route(name)).collect();
        self.routes.store(Arc::new(places));
    }

    fn began(&self, route: usize) {
        self.metrics.in_flight(self.at(route), 1);
    }

    fn ended(&self, answered: &Answered) {
        let route = answered.route.map_or(self.none, |route| self.at(route));
        let by = match answered.by {
            AnsweredBy::Gateway => label::AnsweredBy::Gateway,
            AnsweredBy::Upstream => label::AnsweredBy::Upstream,
        };
        self.metrics.http_request(route, &answered.method, answered.status, by);
        self.metrics.http_duration(route, outcome(answered), answered.took, answered.trace);
        self.metrics.request_bytes(route, answered.bytes_in);
        self.metrics.response_bytes(route, answered.bytes_out);
        if answered.route.is_some() {
            self.metrics.in_flight(route, -1);
        }
    }

    fn upstream_answered(&self, route: usize, took: Duration) {
        self.metrics.upstream_response(self.at(route), took);
    }

    fn upstream_failed(&self, route: usize, reason: &'static str) {
        let known = UpstreamError::ALL.iter().find(|known| known.code() == reason);
        self.metrics.upstream_error(self.at(route), known.copied().unwrap_or(UpstreamError::Reset));
    }

    fn retried(&self, route: usize, reason: RetryReason) {
        let reason = match reason {
            RetryReason::Connect => UpstreamRetry::Connect,
            RetryReason::Unauthorized => UpstreamRetry::Unauthorized,
        };
        self.metrics.upstream_retry(self.at(route), reason);
    }

    fn passed_on(&self, route: usize, overhead: Duration) {
        self.metrics.overhead(self.at(route), overhead);
    }

    fn stream_closed(&self, cause: CloseCause) {
        self.metrics.stream_closed(match cause {
            CloseCause::Drain => StreamEnd::Drain,
            CloseCause::Expiry => StreamEnd::Expiry,
            CloseCause::Logout => StreamEnd::Logout,
        });
    }
}

fn outcome(answered: &Answered) -> HttpOutcome {
    let server_error = answered.status >= StatusCode::INTERNAL_SERVER_ERROR;
    match (answered.complete, answered.by) {
        (false, AnsweredBy::Gateway | AnsweredBy::Upstream) => HttpOutcome::Canceled,
        (true, AnsweredBy::Gateway) if server_error => HttpOutcome::GatewayError,
        (true, AnsweredBy::Upstream) if server_error => HttpOutcome::ServerError,
        (true, _) if answered.status.is_client_error() => HttpOutcome::ClientError,
        (true, _) => HttpOutcome::Ok,
    }
}
