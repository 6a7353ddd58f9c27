//! The handles, laid out by what their series have in common.

use metrics::{Counter, Gauge};

use super::catalogue::{gateway, operation, tokens};
use super::exemplar::Shelf;
use super::label::{
    Actor, AnsweredBy, Backend, BreakerState, Code, ConfiguredLabel, DeviceFetch, DisplayWrite,
    Endpoint, HttpMethod, HttpOutcome, LogoutLabel, MfaAttempt, MfaClosed, MfaMethod, MfaTrigger,
    ProviderOutcome, RefreshClass, RefreshOutcome, RefreshTrigger, RestartReason, ReuseAction,
    RotationOutcome, SessionEvent, SessionState, StoreOp, StoreOutcome, StreamEnd, TokenResult,
    UpstreamError, UpstreamRetry, WebhookOutcome,
};
use super::registry::{Distribution, Registry};
use super::table::{LazyTable, Table};

/// The series of one audience.
pub(super) struct AudienceRow {
    pub(super) token_requests: Table<TokenResult, Counter>,
    pub(super) token_wait: Distribution,
    pub(super) token_remaining: Distribution,
    pub(super) scope_reduced: Counter,
    pub(super) audience_mismatches: Counter,
    pub(super) refreshes: Table<(RefreshTrigger, RefreshOutcome), Counter>,
    pub(super) refresh_duration: Table<RefreshClass, Distribution>,
    /// Beside `refresh_duration`.
    pub(super) traces: Table<RefreshClass, Shelf>,
    pub(super) refresh_waiters: Distribution,
    pub(super) refresh_in_flight: Gauge,
    pub(super) refresh_late: Counter,
    pub(super) rotations: Table<RotationOutcome, Counter>,
    pub(super) reuse: Table<ReuseAction, Counter>,
    pub(super) mfa_challenges: Table<MfaTrigger, Counter>,
    pub(super) mfa_attempts: Table<(MfaMethod, MfaAttempt), Counter>,
    pub(super) mfa_closed: Table<MfaClosed, Counter>,
    pub(super) mfa_pending: Gauge,
    pub(super) mfa_held: Gauge,
    pub(super) mfa_duration: Table<MfaMethod, Distribution>,
    pub(super) sessions: Table<SessionState, Gauge>,
    pub(super) session_events: Table<SessionEvent, Counter>,
}

/// The series of one route.
pub(super) struct RouteRow {
    pub(super) name: String,
    /// Registered at first use: most of its 400 series never occur.
    pub(super) requests: LazyTable<(HttpMethod, (Code, AnsweredBy)), Counter>,
    pub(super) duration: Table<HttpOutcome, Distribution>,
    /// Beside `duration`.
    pub(super) traces: Table<HttpOutcome, Shelf>,
    pub(super) overhead: Distribution,
    pub(super) upstream_response: Distribution,
    pub(super) in_flight: Gauge,
    pub(super) upstream_errors: Table<UpstreamError, Counter>,
    pub(super) upstream_retries: Table<UpstreamRetry, Counter>,
    pub(super) request_bytes: Counter,
    pub(super) response_bytes: Counter,
}

/// The series of one provider.
pub(super) struct ProviderRow {
    pub(super) requests: Table<(Endpoint, ProviderOutcome), Counter>,
    pub(super) duration: Table<Endpoint, Distribution>,
    pub(super) breaker: Table<BreakerState, Gauge>,
}

/// The series of the one store that a process has.
pub(super) struct StoreRow {
    pub(super) operations: Table<(StoreOp, StoreOutcome), Counter>,
    pub(super) duration: Table<StoreOp, Distribution>,
    pub(super) persist: Distribution,
}

/// The series of which there is one set.
pub(super) struct SingleRow {
    pub(super) mailbox: Table<Actor, Gauge>,
    pub(super) message_wait: Table<Actor, Distribution>,
    pub(super) restarts: Table<(Actor, RestartReason), Counter>,
    pub(super) in_doubt: Gauge,
    pub(super) logouts: Table<LogoutLabel, Counter>,
    pub(super) streams_closed: Table<StreamEnd, Counter>,
    pub(super) device_fetches: Table<DeviceFetch, Counter>,
    pub(super) display_writes: Table<DisplayWrite, Counter>,
    pub(super) device_content: Gauge,
    pub(super) webhooks: Table<WebhookOutcome, Counter>,
    pub(super) reload_successful: Gauge,
    pub(super) reload_timestamp: Gauge,
}

impl AudienceRow {
    pub(super) fn new(registry: &Registry, name: &str) -> Self {
        let fixed = &[name];
        Self {
            token_requests: registry.table(&tokens::TOKEN_REQUESTS, fixed),
            token_wait: registry.one(&tokens::TOKEN_WAIT, fixed),
            token_remaining: registry.one(&tokens::TOKEN_REMAINING, fixed),
            scope_reduced: registry.one(&tokens::TOKEN_SCOPE_REDUCED, fixed),
            audience_mismatches: registry.one(&tokens::TOKEN_AUDIENCE_MISMATCHES, fixed),
            refreshes: registry.table(&tokens::REFRESHES, fixed),
            refresh_duration: registry.table(&tokens::REFRESH_DURATION, fixed),
            traces: registry.table(&tokens::REFRESH_DURATION, fixed),
            refresh_waiters: registry.one(&tokens::REFRESH_WAITERS, fixed),
            refresh_in_flight: registry.one(&tokens::REFRESH_IN_FLIGHT, fixed),
            refresh_late: registry.one(&tokens::REFRESH_LATE, fixed),
            rotations: registry.table(&tokens::ROTATIONS, fixed),
            reuse: registry.table(&tokens::REFRESH_REUSE, fixed),
            mfa_challenges: registry.table(&tokens::MFA_CHALLENGES, fixed),
            mfa_attempts: registry.table(&tokens::MFA_ATTEMPTS, fixed),
            mfa_closed: registry.table(&tokens::MFA_CHALLENGES_CLOSED, fixed),
            mfa_pending: registry.one(&tokens::MFA_CHALLENGES_PENDING, fixed),
            mfa_held: registry.one(&tokens::MFA_HELD, fixed),
            mfa_duration: registry.table(&tokens::MFA_DURATION, fixed),
            sessions: registry.table(&tokens::SESSIONS, fixed),
            session_events: registry.table(&tokens::SESSION_EVENTS, fixed),
        }
    }
}

impl RouteRow {
    pub(super) fn new(registry: &Registry, name: &str) -> Self {
        let fixed = &[name];
        Self {
            name: name.to_owned(),
            requests: Registry::lazy_table(&gateway::HTTP_REQUESTS, fixed),
            duration: registry.table(&gateway::HTTP_REQUEST_DURATION, fixed),
            traces: registry.table(&gateway::HTTP_REQUEST_DURATION, fixed),
            overhead: registry.one(&gateway::GATEWAY_OVERHEAD, fixed),
            upstream_response: registry.one(&gateway::UPSTREAM_RESPONSE, fixed),
            in_flight: registry.one(&gateway::HTTP_REQUESTS_IN_FLIGHT, fixed),
            upstream_errors: registry.table(&gateway::UPSTREAM_ERRORS, fixed),
            upstream_retries: registry.table(&gateway::UPSTREAM_RETRIES, fixed),
            request_bytes: registry.one(&gateway::HTTP_REQUEST_BYTES, fixed),
            response_bytes: registry.one(&gateway::HTTP_RESPONSE_BYTES, fixed),
        }
    }
}

impl ProviderRow {
    pub(super) fn new(registry: &Registry, name: &str) -> Self {
        let fixed = &[name];
        let row = Self {
            requests: registry.table(&operation::PROVIDER_REQUESTS, fixed),
            duration: registry.table(&operation::PROVIDER_REQUEST_DURATION, fixed),
            breaker: registry.table(&operation::PROVIDER_BREAKER, fixed),
        };
        row.breaker.of(BreakerState::Closed).set(1.0);
        row
    }
}

impl StoreRow {
    pub(super) fn new(registry: &Registry, backend: Backend) -> Self {
        let fixed = &[backend.code()];
        Self {
            operations: registry.table(&operation::STORE_OPERATIONS, fixed),
            duration: registry.table(&operation::STORE_OPERATION_DURATION, fixed),
            persist: registry.one(&tokens::ROTATION_PERSIST, fixed),
        }
    }
}

impl SingleRow {
    pub(super) fn new(registry: &Registry, version: &str, commit: &str) -> Self {
        let build: Gauge = registry.one(&operation::BUILD, &[version, commit]);
        build.set(1.0);
        Self {
            mailbox: registry.table(&operation::ACTOR_MAILBOX_MESSAGES, &[]),
            message_wait: registry.table(&operation::ACTOR_MESSAGE_WAIT, &[]),
            restarts: registry.table(&operation::ACTOR_RESTARTS, &[]),
            in_doubt: registry.one(&tokens::SESSIONS_IN_DOUBT, &[]),
            logouts: registry.table(&operation::LOGOUTS, &[]),
            streams_closed: registry.table(&gateway::STREAMS_CLOSED, &[]),
            device_fetches: registry.table(&operation::DEVICE_FETCHES, &[]),
            display_writes: registry.table(&operation::DEVICE_DISPLAY_WRITES, &[]),
            device_content: registry.one(&operation::DEVICE_CONTENT_TIMESTAMP, &[]),
            webhooks: registry.table(&gateway::WEBHOOK_LETTERS, &[]),
            reload_successful: registry.one(&operation::CONFIG_LAST_RELOAD_SUCCESSFUL, &[]),
            reload_timestamp: registry.one(&operation::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP, &[]),
        }
    }
}

/// Returns the counters of folded observations, one for each label from the configuration.
pub(super) fn overflow(registry: &Registry) -> Table<ConfiguredLabel, Counter> {
    registry.table(&operation::LABEL_OVERFLOW, &[])
}
