//! The metrics of the proxy: what clients and upstreams feel.

use super::{Home, Kind, LATENCY, Metric, OVERHEAD, ROUTE, closed};
use crate::metrics::label::{
    AnsweredBy, Code, HttpMethod, HttpOutcome, StreamEnd, UpstreamError, UpstreamRetry,
    WebhookOutcome,
};

/// `tokenward_http_requests_total`: How much traffic, how many errors, and were they ours or the upstream's?
pub static HTTP_REQUESTS: Metric = Metric {
    name: "tokenward_http_requests_total",
    kind: Kind::Counter,
    labels: &[
        ROUTE,
        closed("method", HttpMethod::CODES),
        closed("code", Code::CODES),
        closed("answered_by", AnsweredBy::CODES),
    ],
    help: "Requests answered by the gateway.",
    question: "How much traffic, how many errors, and were they ours or the upstream's?",
    home: Home::Gateway,
};

/// `tokenward_http_request_duration_seconds`: What do clients feel?
pub static HTTP_REQUEST_DURATION: Metric = Metric {
    name: "tokenward_http_request_duration_seconds",
    kind: Kind::Histogram(LATENCY),
    labels: &[ROUTE, closed("outcome", HttpOutcome::CODES)],
    help: "Time from the request head to the last byte of the response.",
    question: "What do clients feel?",
    home: Home::Gateway,
};

/// `tokenward_gateway_overhead_seconds`: What does the gateway cost?
pub static GATEWAY_OVERHEAD: Metric = Metric {
    name: "tokenward_gateway_overhead_seconds",
    kind: Kind::Histogram(OVERHEAD),
    labels: &[ROUTE],
    help: "Time spent in the gateway itself, without waiting for tokens, upstream or client.",
    question: "What does the gateway cost?",
    home: Home::Gateway,
};

/// `tokenward_upstream_response_seconds`: Is the upstream slow?
pub static UPSTREAM_RESPONSE: Metric = Metric {
    name: "tokenward_upstream_response_seconds",
    kind: Kind::Histogram(LATENCY),
    labels: &[ROUTE],
    help: "Time from sending the upstream request to its response head.",
    question: "Is the upstream slow?",
    home: Home::Gateway,
};

/// `tokenward_http_requests_in_flight`: Is something piling up?
pub static HTTP_REQUESTS_IN_FLIGHT: Metric = Metric {
    name: "tokenward_http_requests_in_flight",
    kind: Kind::Gauge,
    labels: &[ROUTE],
    help: "Requests being served now.",
    question: "Is something piling up?",
    home: Home::Gateway,
};

/// `tokenward_upstream_errors_total`: Why do upstream calls break?
pub static UPSTREAM_ERRORS: Metric = Metric {
    name: "tokenward_upstream_errors_total",
    kind: Kind::Counter,
    labels: &[ROUTE, closed("reason", UpstreamError::CODES)],
    help: "Upstream requests without an HTTP answer.",
    question: "Why do upstream calls break?",
    home: Home::Gateway,
};

/// `tokenward_upstream_retries_total`: Do upstreams reject tokens that we believe are good?
pub static UPSTREAM_RETRIES: Metric = Metric {
    name: "tokenward_upstream_retries_total",
    kind: Kind::Counter,
    labels: &[ROUTE, closed("reason", UpstreamRetry::CODES)],
    help: "Upstream requests sent again.",
    question: "Do upstreams reject tokens that we believe are good?",
    home: Home::Gateway,
};

/// `tokenward_http_request_bytes_total`: Volume in.
pub static HTTP_REQUEST_BYTES: Metric = Metric {
    name: "tokenward_http_request_bytes_total",
    kind: Kind::Counter,
    labels: &[ROUTE],
    help: "Request body bytes received from clients.",
    question: "Volume in.",
    home: Home::Gateway,
};

/// `tokenward_http_response_bytes_total`: Volume out.
pub static HTTP_RESPONSE_BYTES: Metric = Metric {
    name: "tokenward_http_response_bytes_total",
    kind: Kind::Counter,
    labels: &[ROUTE],
    help: "Response body bytes sent to clients.",
    question: "Volume out.",
    home: Home::Gateway,
};

/// `tokenward_webhook_letters_total`: Do the operator's own systems hear what happens?
pub static WEBHOOK_LETTERS: Metric = Metric {
    name: "tokenward_webhook_letters_total",
    kind: Kind::Counter,
    labels: &[closed("outcome", WebhookOutcome::CODES)],
    help: "Letters to webhooks, by what came of them; each try that failed counts too.",
    question: "Do the operator's own systems hear what happens to sessions?",
    home: Home::Gateway,
};

/// `tokenward_streams_closed_total`: Why do long-lived streams break off?
pub static STREAMS_CLOSED: Metric = Metric {
    name: "tokenward_streams_closed_total",
    kind: Kind::Counter,
    labels: &[closed("reason", StreamEnd::CODES)],
    help: "Streams closed by the gateway before their end.",
    question: "Why do long-lived streams break off?",
    home: Home::Gateway,
};
