//! The metrics of tokens, refreshes, challenges and sessions.

use super::{AUDIENCE, FAN_IN, HUMAN, Home, Kind, LATENCY, LIFE, Metric, OVERHEAD_LONG, closed};
use crate::metrics::label::{
    Backend, MfaAttempt, MfaClosed, MfaMethod, MfaTrigger, RefreshClass, RefreshOutcome,
    RefreshTrigger, ReuseAction, RotationOutcome, SessionEvent, SessionState, TokenResult,
};

/// `tokenward_token_requests_total`: Do requests find a fresh token, and what happens when they do not?
pub static TOKEN_REQUESTS: Metric = Metric {
    name: "tokenward_token_requests_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE, closed("result", TokenResult::CODES)],
    help: "Access tokens asked for, by how the wish was met.",
    question: "Do requests find a fresh token, and what happens when they do not?",
    home: Home::Gateway,
};

/// `tokenward_token_wait_seconds`: How much latency does token handling add?
pub static TOKEN_WAIT: Metric = Metric {
    name: "tokenward_token_wait_seconds",
    kind: Kind::Histogram(OVERHEAD_LONG),
    labels: &[AUDIENCE],
    help: "Time a request waited for its access token.",
    question: "How much latency does token handling add?",
    home: Home::Gateway,
};

/// `tokenward_token_remaining_seconds`: Are tokens used close to their end?
pub static TOKEN_REMAINING: Metric = Metric {
    name: "tokenward_token_remaining_seconds",
    kind: Kind::Histogram(LIFE),
    labels: &[AUDIENCE],
    help: "Life left in the access token at the moment it was injected.",
    question: "Are tokens used close to their end?",
    home: Home::Gateway,
};

/// `tokenward_token_scope_reduced_total`: Did the IdP silently take scopes away?
pub static TOKEN_SCOPE_REDUCED: Metric = Metric {
    name: "tokenward_token_scope_reduced_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE],
    help: "Refreshes that granted fewer scopes than asked for.",
    question: "Did the IdP silently take scopes away?",
    home: Home::Gateway,
};

/// `tokenward_refresh_total`: Does refreshing work, and if not, why?
pub static REFRESHES: Metric = Metric {
    name: "tokenward_refresh_total",
    kind: Kind::Counter,
    labels: &[
        AUDIENCE,
        closed("trigger", RefreshTrigger::CODES),
        closed("outcome", RefreshOutcome::CODES),
    ],
    help: "Finished refreshes (after retries).",
    question: "Does refreshing work, and if not, why?",
    home: Home::Gateway,
};

/// `tokenward_refresh_duration_seconds`: How long does a refresh take?
pub static REFRESH_DURATION: Metric = Metric {
    name: "tokenward_refresh_duration_seconds",
    kind: Kind::Histogram(LATENCY),
    labels: &[AUDIENCE, closed("class", RefreshClass::CODES)],
    help: "Time of a whole refresh, from decision to stored token.",
    question: "How long does a refresh take?",
    home: Home::Gateway,
};

/// `tokenward_refresh_waiters`: How many IdP calls did coalescing save?
pub static REFRESH_WAITERS: Metric = Metric {
    name: "tokenward_refresh_waiters",
    kind: Kind::Histogram(FAN_IN),
    labels: &[AUDIENCE],
    help: "Callers served by one refresh (single flight).",
    question: "How many IdP calls did coalescing save?",
    home: Home::Gateway,
};

/// `tokenward_refresh_in_flight`: Is the IdP being hammered?
pub static REFRESH_IN_FLIGHT: Metric = Metric {
    name: "tokenward_refresh_in_flight",
    kind: Kind::Gauge,
    labels: &[AUDIENCE],
    help: "Refreshes under way now.",
    question: "Is the IdP being hammered?",
    home: Home::Gateway,
};

/// `tokenward_refresh_late_total`: Is the refresh margin large enough?
pub static REFRESH_LATE: Metric = Metric {
    name: "tokenward_refresh_late_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE],
    help: "Refreshes that finished after the old access token had expired.",
    question: "Is the refresh margin large enough?",
    home: Home::Gateway,
};

/// `tokenward_rotation_total`: Does the IdP rotate, and is every new refresh token stored?
pub static ROTATIONS: Metric = Metric {
    name: "tokenward_rotation_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE, closed("outcome", RotationOutcome::CODES)],
    help: "Refresh token rotations.",
    question: "Does the IdP rotate, and is every new refresh token stored?",
    home: Home::Gateway,
};

/// `tokenward_rotation_persist_seconds`: How wide is the window in which a crash loses a session?
pub static ROTATION_PERSIST: Metric = Metric {
    name: "tokenward_rotation_persist_seconds",
    kind: Kind::Histogram(OVERHEAD_LONG),
    labels: &[closed("backend", Backend::CODES)],
    help: "Time from receiving a rotated refresh token to having it stored durably.",
    question: "How wide is the window in which a crash loses a session?",
    home: Home::Gateway,
};

/// `tokenward_refresh_reuse_total`: Are sessions about to be revoked?
pub static REFRESH_REUSE: Metric = Metric {
    name: "tokenward_refresh_reuse_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE, closed("action", ReuseAction::CODES)],
    help: "Attempts to use a refresh token twice: prevented here, or detected by the IdP.",
    question: "Are sessions about to be revoked?",
    home: Home::Gateway,
};

/// `tokenward_mfa_challenges_total`: How often are people asked, and why?
pub static MFA_CHALLENGES: Metric = Metric {
    name: "tokenward_mfa_challenges_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE, closed("trigger", MfaTrigger::CODES)],
    help: "MFA challenges opened.",
    question: "How often are people asked, and why?",
    home: Home::Gateway,
};

/// `tokenward_mfa_attempts_total`: What is the success and failure rate, per method?
pub static MFA_ATTEMPTS: Metric = Metric {
    name: "tokenward_mfa_attempts_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE, closed("method", MfaMethod::CODES), closed("outcome", MfaAttempt::CODES)],
    help: "MFA verifications submitted.",
    question: "What is the success and failure rate, per method?",
    home: Home::Gateway,
};

/// `tokenward_mfa_challenges_closed_total`: How many people give up?
pub static MFA_CHALLENGES_CLOSED: Metric = Metric {
    name: "tokenward_mfa_challenges_closed_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE, closed("outcome", MfaClosed::CODES)],
    help: "MFA challenges closed.",
    question: "How many people give up?",
    home: Home::Gateway,
};

/// `tokenward_mfa_challenges_pending`: Who is locked out right now?
pub static MFA_CHALLENGES_PENDING: Metric = Metric {
    name: "tokenward_mfa_challenges_pending",
    kind: Kind::Gauge,
    labels: &[AUDIENCE],
    help: "MFA challenges waiting for a person now.",
    question: "Who is locked out right now?",
    home: Home::Gateway,
};

/// `tokenward_mfa_duration_seconds`: How long does MFA hold people up?
pub static MFA_DURATION: Metric = Metric {
    name: "tokenward_mfa_duration_seconds",
    kind: Kind::Histogram(HUMAN),
    labels: &[AUDIENCE, closed("method", MfaMethod::CODES)],
    help: "Time from opening a challenge to passing it.",
    question: "How long does MFA hold people up?",
    home: Home::Gateway,
};

/// `tokenward_sessions`: How many sessions are healthy?
pub static SESSIONS: Metric = Metric {
    name: "tokenward_sessions",
    kind: Kind::Gauge,
    labels: &[AUDIENCE, closed("state", SessionState::CODES)],
    help: "Sessions by state.",
    question: "How many sessions are healthy?",
    home: Home::Gateway,
};

/// `tokenward_session_events_total`: Why do sessions go away?
pub static SESSION_EVENTS: Metric = Metric {
    name: "tokenward_session_events_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE, closed("event", SessionEvent::CODES)],
    help: "Session life cycle events.",
    question: "Why do sessions go away?",
    home: Home::Gateway,
};

/// `tokenward_mfa_held`: Who waits for a person, and for which API?
pub static MFA_HELD: Metric = Metric {
    name: "tokenward_mfa_held",
    kind: Kind::Gauge,
    labels: &[AUDIENCE],
    help: "Holds now: what waits until a person shows another factor.",
    question: "Who waits for a person, and for which API?",
    home: Home::Gateway,
};

/// `tokenward_sessions_in_doubt`: Whose refresh token may have been spent without an answer?
pub static SESSIONS_IN_DOUBT: Metric = Metric {
    name: "tokenward_sessions_in_doubt",
    kind: Kind::Gauge,
    labels: &[],
    help: "Exchanges whose outcome is unknown.",
    question: "Whose refresh token may have been spent without an answer?",
    home: Home::Gateway,
};

/// `tokenward_token_audience_mismatch_total`: Does the IdP give us the token we ask for?
pub static TOKEN_AUDIENCE_MISMATCHES: Metric = Metric {
    name: "tokenward_token_audience_mismatch_total",
    kind: Kind::Counter,
    labels: &[AUDIENCE],
    help: "Replies whose access token was for someone else.",
    question: "Does the IdP give us the token we ask for?",
    home: Home::Gateway,
};
