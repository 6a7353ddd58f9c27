//! Waiting for a person who answers elsewhere.

use std::time::Duration;

use super::classify::Meaning;

/// How often a provider is asked whether a push was answered, where it does not say.
pub const POLL_EVERY: Duration = Duration::from_secs(5);

/// By how much a provider that is asked too often is asked less often (RFC 8628 §3.5).
pub const SLOW_DOWN_BY: Duration = Duration::from_secs(5);

/// The longest pause between two questions: a person watches the page.
pub const POLL_EVERY_MAX: Duration = Duration::from_secs(60);

/// What to do after one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask again after so long.
    Poll(Duration),
    /// Start from the demand, or from a new challenge.
    Restart,
    /// Give up.
    Stop,
}

/// Decides what to do after an answer that means `meaning`; `every` is the pause kept so far.
pub fn next(meaning: Meaning, every: Duration) -> Next {
    match meaning {
        Meaning::Pending | Meaning::Transient => Next::Poll(every),
        // Kept for all later questions too.
        Meaning::SlowDown => Next::Poll((every + SLOW_DOWN_BY).min(POLL_EVERY_MAX)),
        Meaning::TokenExpired | Meaning::TokenInvalid | Meaning::ChallengeInvalid => Next::Restart,
        Meaning::BadRequest
        | Meaning::CodeInvalid
        | Meaning::EnrollRequired
        | Meaning::Fault(_)
        | Meaning::InteractionRequired
        | Meaning::LoginRequired
        | Meaning::NotMfa
        | Meaning::ReauthRequired
        | Meaning::Rejected
        | Meaning::Required
        | Meaning::RequiredInteractive
        | Meaning::TooManyAttempts => Next::Stop,
    }
}
