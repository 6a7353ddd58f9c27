//! The metrics of what must run: provider, actors, store, devices, configuration.

use super::{Home, Kind, LATENCY, Label, Metric, OVERHEAD_LONG, PROVIDER, Values, closed};
use crate::metrics::label::{
    Actor, Backend, BreakerState, ConfiguredLabel, DeviceFetch, DisplayWrite, Endpoint,
    LogoutLabel, ProviderOutcome, RestartReason, StoreOp, StoreOutcome,
};

/// `tokenward_provider_requests_total`: Is the IdP available?
pub static PROVIDER_REQUESTS: Metric = Metric {
    name: "tokenward_provider_requests_total",
    kind: Kind::Counter,
    labels: &[
        PROVIDER,
        closed("endpoint", Endpoint::CODES),
        closed("outcome", ProviderOutcome::CODES),
    ],
    help: "HTTP requests sent to the identity provider.",
    question: "Is the IdP available?",
    home: Home::Gateway,
};

/// `tokenward_provider_request_duration_seconds`: Is the IdP slow?
pub static PROVIDER_REQUEST_DURATION: Metric = Metric {
    name: "tokenward_provider_request_duration_seconds",
    kind: Kind::Histogram(LATENCY),
    labels: &[PROVIDER, closed("endpoint", Endpoint::CODES)],
    help: "Time of one HTTP request to the identity provider.",
    question: "Is the IdP slow?",
    home: Home::Gateway,
};

/// `tokenward_provider_breaker`: Did we stop calling the IdP?
pub static PROVIDER_BREAKER: Metric = Metric {
    name: "tokenward_provider_breaker",
    kind: Kind::Gauge,
    labels: &[PROVIDER, closed("state", BreakerState::CODES)],
    help: "State of the circuit breaker towards the IdP: 1 for the current state.",
    question: "Did we stop calling the IdP?",
    home: Home::Gateway,
};

/// `tokenward_actor_mailbox_messages`: Which actor falls behind?
pub static ACTOR_MAILBOX_MESSAGES: Metric = Metric {
    name: "tokenward_actor_mailbox_messages",
    kind: Kind::Gauge,
    labels: &[closed("actor", Actor::CODES)],
    help: "Messages waiting in mailboxes, summed over actors of a kind.",
    question: "Which actor falls behind?",
    home: Home::Gateway,
};

/// `tokenward_actor_message_wait_seconds`: How late are actors?
pub static ACTOR_MESSAGE_WAIT: Metric = Metric {
    name: "tokenward_actor_message_wait_seconds",
    kind: Kind::Histogram(OVERHEAD_LONG),
    labels: &[closed("actor", Actor::CODES)],
    help: "Time a message waited in a mailbox.",
    question: "How late are actors?",
    home: Home::Gateway,
};

/// `tokenward_actor_restarts_total`: What crashes?
pub static ACTOR_RESTARTS: Metric = Metric {
    name: "tokenward_actor_restarts_total",
    kind: Kind::Counter,
    labels: &[closed("actor", Actor::CODES), closed("reason", RestartReason::CODES)],
    help: "Actors restarted by their supervisor.",
    question: "What crashes?",
    home: Home::Gateway,
};

/// `tokenward_store_operations_total`: Is the store healthy, do machines fight over sessions?
pub static STORE_OPERATIONS: Metric = Metric {
    name: "tokenward_store_operations_total",
    kind: Kind::Counter,
    labels: &[
        closed("backend", Backend::CODES),
        closed("op", StoreOp::CODES),
        closed("outcome", StoreOutcome::CODES),
    ],
    help: "Operations on the token store.",
    question: "Is the store healthy, do machines fight over sessions?",
    home: Home::Gateway,
};

/// `tokenward_store_operation_duration_seconds`: Is the store slow?
pub static STORE_OPERATION_DURATION: Metric = Metric {
    name: "tokenward_store_operation_duration_seconds",
    kind: Kind::Histogram(OVERHEAD_LONG),
    labels: &[closed("backend", Backend::CODES), closed("op", StoreOp::CODES)],
    help: "Time of one store operation.",
    question: "Is the store slow?",
    home: Home::Gateway,
};

/// `tokenward_device_fetches_total`: Can the display get its data?
pub static DEVICE_FETCHES: Metric = Metric {
    name: "tokenward_device_fetches_total",
    kind: Kind::Counter,
    labels: &[closed("outcome", DeviceFetch::CODES)],
    help: "Content fetches through the gateway.",
    question: "Can the display get its data?",
    home: Home::Gateway,
};

/// `tokenward_device_display_writes_total`: Is the wiring sound?
pub static DEVICE_DISPLAY_WRITES: Metric = Metric {
    name: "tokenward_device_display_writes_total",
    kind: Kind::Counter,
    labels: &[closed("outcome", DisplayWrite::CODES)],
    help: "Display updates over I2C.",
    question: "Is the wiring sound?",
    home: Home::Gateway,
};

/// `tokenward_device_content_timestamp_seconds`: How old is what the display shows?
pub static DEVICE_CONTENT_TIMESTAMP: Metric = Metric {
    name: "tokenward_device_content_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "Unix time at which the shown content was fetched.",
    question: "How old is what the display shows?",
    home: Home::Gateway,
};

/// `tokenward_build_info`: What is deployed where?
pub static BUILD: Metric = Metric {
    name: "tokenward_build_info",
    kind: Kind::Gauge,
    labels: &[
        Label { name: "version", values: Values::Configured(1) },
        Label { name: "commit", values: Values::Configured(1) },
    ],
    help: "Always 1; which build runs.",
    question: "What is deployed where?",
    home: Home::Gateway,
};

/// `tokenward_config_last_reload_successful`: Does the running configuration match the file?
pub static CONFIG_LAST_RELOAD_SUCCESSFUL: Metric = Metric {
    name: "tokenward_config_last_reload_successful",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 if the last configuration reload was accepted.",
    question: "Does the running configuration match the file?",
    home: Home::Gateway,
};

/// `tokenward_config_last_reload_success_timestamp_seconds`: Since when?
pub static CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP: Metric = Metric {
    name: "tokenward_config_last_reload_success_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "Unix time of the last accepted configuration.",
    question: "Since when?",
    home: Home::Gateway,
};

/// `tokenward_label_overflow_total`: Are the metrics themselves still honest?
pub static LABEL_OVERFLOW: Metric = Metric {
    name: "tokenward_label_overflow_total",
    kind: Kind::Counter,
    labels: &[closed("label", ConfiguredLabel::CODES)],
    help: "Observations folded into \"other\" because a label had too many values.",
    question: "Are the metrics themselves still honest?",
    home: Home::Gateway,
};

/// `tokenward_logout_total`: Who ends sessions?
pub static LOGOUTS: Metric = Metric {
    name: "tokenward_logout_total",
    kind: Kind::Counter,
    labels: &[closed("kind", LogoutLabel::CODES)],
    help: "Sessions ended by somebody.",
    question: "Who ends sessions?",
    home: Home::Gateway,
};
