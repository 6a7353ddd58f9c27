//! What the gateway counts of the requests it serves.

use std::time::Duration;

use ::http::{Method, StatusCode};

use super::catalogue::gateway::HTTP_REQUESTS;
use super::exemplar::Exemplar;
use super::label::{
    AnsweredBy, Code, HttpMethod, HttpOutcome, StreamEnd, UpstreamError, UpstreamRetry,
    WebhookOutcome,
};
use super::{Metrics, RouteIndex};

impl Metrics {
    /// Counts an answered request.
    pub fn http_request(
        &self,
        route: RouteIndex,
        method: &Method,
        status: StatusCode,
        answered_by: AnsweredBy,
    ) {
        let row = self.at_route(route);
        let key = (HttpMethod::of(method), (Code::of(status), answered_by));
        let counter =
            row.requests.of(key, || self.registry.late(&HTTP_REQUESTS, &[&row.name], key));
        counter.increment(1);
    }

    /// Counts the time from a request's head to the last byte of its response; `exemplar` is its
    /// trace, where that was sampled.
    pub fn http_duration(
        &self,
        route: RouteIndex,
        outcome: HttpOutcome,
        took: Duration,
        exemplar: Option<Exemplar>,
    ) {
        let (row, took) = (self.at_route(route), took.as_secs_f64());
        row.duration.of(outcome).record(took);
        if let Some(exemplar) = exemplar {
            row.traces.of(outcome).put(exemplar, took);
        }
    }

    /// Counts the time that the gateway itself took, waits left out.
    pub fn overhead(&self, route: RouteIndex, took: Duration) {
        self.at_route(route).overhead.record(took.as_secs_f64());
    }

    /// Counts the time from sending an upstream request to its response head.
    pub fn upstream_response(&self, route: RouteIndex, took: Duration) {
        self.at_route(route).upstream_response.record(took.as_secs_f64());
    }

    /// Adds requests that are being served, or takes them away.
    pub fn in_flight(&self, route: RouteIndex, change: i32) {
        self.at_route(route).in_flight.increment(f64::from(change));
    }

    /// Counts an upstream request without an HTTP answer.
    pub fn upstream_error(&self, route: RouteIndex, reason: UpstreamError) {
        self.at_route(route).upstream_errors.of(reason).increment(1);
    }

    /// Counts an upstream request that is sent again.
    pub fn upstream_retry(&self, route: RouteIndex, reason: UpstreamRetry) {
        self.at_route(route).upstream_retries.of(reason).increment(1);
    }

    /// Counts bytes of request bodies from clients.
    pub fn request_bytes(&self, route: RouteIndex, bytes: u64) {
        self.at_route(route).request_bytes.increment(bytes);
    }

    /// Counts bytes of response bodies to clients.
    pub fn response_bytes(&self, route: RouteIndex, bytes: u64) {
        self.at_route(route).response_bytes.increment(bytes);
    }

    /// Counts what came of a letter to a webhook.
    pub fn webhook(&self, outcome: WebhookOutcome) {
        self.single.webhooks.of(outcome).increment(1);
    }

    /// Counts a stream that the gateway closed before its end.
    pub fn stream_closed(&self, reason: StreamEnd) {
        self.single.streams_closed.of(reason).increment(1);
    }
}
