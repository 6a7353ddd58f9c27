//! The catalogue: every metric there is, with the question it answers.
//!
//! Names, types, help texts, buckets, label values, zero-initialisation, the series budget and the
//! operators' dashboards derive from this list or are checked against it. A metric that is not in
//! it cannot be registered.

pub mod gateway;
pub mod operation;
pub mod tokens;

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The full name, as it is exposed.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels: those from the configuration first.
    pub labels: &'static [Label],
    /// The help text: a sentence with its full stop.
    pub help: &'static str,
    /// What an operator learns from it.
    pub question: &'static str,
    /// The program that exposes it.
    pub home: Home,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in these buckets; the bounds rise, `+Inf` is implied.
    Histogram(&'static [f64]),
}

/// One label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub values: Values,
}

/// What a label may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// One of these.
    Closed(&'static [&'static str]),
    /// A name from the configuration; beyond this many names, [`OTHER`].
    Configured(usize),
}

/// Which program exposes a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// The gateway, or whoever embeds the framework.
    Gateway,
    /// The device agent.
    Device,
}

/// How many names a configuration has, for the worst case of [`series`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cardinality {
    /// Routes.
    pub routes: usize,
    /// Audiences.
    pub audiences: usize,
    /// Providers.
    pub providers: usize,
}

/// The value that stands for all names beyond a label's cap.
pub const OTHER: &str = "other";

/// The most routes with series of their own: the largest family has 400 series for each.
pub const ROUTES_MAX: usize = 64;

/// The most audiences with series of their own.
pub const AUDIENCES_MAX: usize = 32;

/// The most providers with series of their own.
pub const PROVIDERS_MAX: usize = 8;

/// The label `route`.
pub const ROUTE: Label = Label { name: "route", values: Values::Configured(ROUTES_MAX) };

/// The label `audience`.
pub const AUDIENCE: Label = Label { name: "audience", values: Values::Configured(AUDIENCES_MAX) };

/// The label `provider`.
pub const PROVIDER: Label = Label { name: "provider", values: Values::Configured(PROVIDERS_MAX) };

/// Seconds of network waits: 5 ms to 30 s.
pub const LATENCY: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Seconds of our own work: 10 µs to 100 ms.
pub const OVERHEAD: &[f64] =
    &[0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1];

/// Seconds of work that is mostly short and now and then waits: 10 µs to 10 s.
pub const OVERHEAD_LONG: &[f64] = &[
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1,
    0.5, 1.0, 10.0,
];

/// Seconds that people take: 1 s to 15 min.
pub const HUMAN: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0];

/// Seconds of life left in a token: none to a day.
pub const LIFE: &[f64] =
    &[0.0, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0];

/// How many callers share one answer: 1 to 1000.
pub const FAN_IN: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// The main catalogue: its worst case is the series budget that operators are told.
pub static CATALOGUE: [&Metric; 43] = [
    &gateway::HTTP_REQUESTS,
    &gateway::HTTP_REQUEST_DURATION,
    &gateway::GATEWAY_OVERHEAD,
    &gateway::UPSTREAM_RESPONSE,
    &gateway::HTTP_REQUESTS_IN_FLIGHT,
    &gateway::UPSTREAM_ERRORS,
    &gateway::UPSTREAM_RETRIES,
    &gateway::HTTP_REQUEST_BYTES,
    &gateway::HTTP_RESPONSE_BYTES,
    &tokens::TOKEN_REQUESTS,
    &tokens::TOKEN_WAIT,
    &tokens::TOKEN_REMAINING,
    &tokens::TOKEN_SCOPE_REDUCED,
    &tokens::REFRESHES,
    &tokens::REFRESH_DURATION,
    &tokens::REFRESH_WAITERS,
    &tokens::REFRESH_IN_FLIGHT,
    &tokens::REFRESH_LATE,
    &tokens::ROTATIONS,
    &tokens::ROTATION_PERSIST,
    &tokens::REFRESH_REUSE,
    &operation::PROVIDER_REQUESTS,
    &operation::PROVIDER_REQUEST_DURATION,
    &operation::PROVIDER_BREAKER,
    &tokens::MFA_CHALLENGES,
    &tokens::MFA_ATTEMPTS,
    &tokens::MFA_CHALLENGES_CLOSED,
    &tokens::MFA_CHALLENGES_PENDING,
    &tokens::MFA_DURATION,
    &tokens::SESSIONS,
    &tokens::SESSION_EVENTS,
    &operation::ACTOR_MAILBOX_MESSAGES,
    &operation::ACTOR_MESSAGE_WAIT,
    &operation::ACTOR_RESTARTS,
    &operation::STORE_OPERATIONS,
    &operation::STORE_OPERATION_DURATION,
    &operation::DEVICE_FETCHES,
    &operation::DEVICE_DISPLAY_WRITES,
    &operation::DEVICE_CONTENT_TIMESTAMP,
    &operation::BUILD,
    &operation::CONFIG_LAST_RELOAD_SUCCESSFUL,
    &operation::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP,
    &operation::LABEL_OVERFLOW,
];

/// What the main catalogue leaves open: few series each.
pub static BESIDE: [&Metric; 6] = [
    &tokens::MFA_HELD,
    &tokens::SESSIONS_IN_DOUBT,
    &tokens::TOKEN_AUDIENCE_MISMATCHES,
    &operation::LOGOUTS,
    &gateway::STREAMS_CLOSED,
    &gateway::WEBHOOK_LETTERS,
];

/// Returns every metric there is.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    CATALOGUE.iter().chain(&BESIDE).copied()
}

/// Finds a metric by its full name.
pub fn find(name: &str) -> Option<&'static Metric> {
    all().find(|metric| metric.name == name)
}

/// Returns the most series that `metric` can have in a configuration of this size.
///
/// A histogram has one for each bucket, `+Inf`, the sum and the count. [`OTHER`] is not counted: it
/// comes only when a cap is passed.
pub fn series(metric: &Metric, size: Cardinality) -> usize {
    let label_sets: usize = metric
        .labels
        .iter()
        .map(|label| match label.values {
            Values::Closed(values) => values.len(),
            Values::Configured(cap) => size.of(label.name).min(cap),
        })
        .product();
    label_sets
        * match metric.kind {
            Kind::Counter | Kind::Gauge => 1,
            Kind::Histogram(bounds) => bounds.len() + 3,
        }
}

impl Cardinality {
    /// Every cap reached.
    pub const CAPS: Cardinality =
        Cardinality { routes: ROUTES_MAX, audiences: AUDIENCES_MAX, providers: PROVIDERS_MAX };

    fn of(self, label: &str) -> usize {
        match label {
            "route" => self.routes,
            "audience" => self.audiences,
            "provider" => self.providers,
            // Version and commit have the one value of the running build.
            _ => 1,
        }
    }
}

const fn closed(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::Closed(values) }
}
