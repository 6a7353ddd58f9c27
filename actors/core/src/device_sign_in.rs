//! The device authorization grant (RFC 8628), from both sides: how often a device asks a provider
//! and what an answer means for it; and, where we are the provider of our own devices, the codes
//! that are open ([`codes`]), the links of displays that wait for their person ([`links`]), what
//! people type of both ([`user_code`]), how often anybody may try ([`tries`]), and what else a
//! gateway counts by itself ([`tally`]).

use std::time::Duration;

use crate::refusal::Refusal;
use crate::time::Instant;

pub mod codes;
pub mod links;
pub mod tally;
pub mod tries;
pub mod user_code;

/// How often a device asks where nobody says (RFC 8628 §3.2).
pub const INTERVAL: Duration = Duration::from_secs(5);

/// By how much a device that is told to slow down asks less often, from then on (§3.5).
pub const SLOW_DOWN_BY: Duration = Duration::from_secs(5);

/// The longest pause: codes live for some minutes, and one question must fall inside.
pub const INTERVAL_MAX: Duration = Duration::from_secs(120);

/// What a device heard of one question.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// The tokens.
    Granted,
    /// A no.
    Refused(&'a Refusal),
    /// Nothing: no connection, or no answer in time.
    Nothing,
}

/// What a device does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It has its tokens.
    Done,
    /// It asks again after so long.
    Poll(Duration),
    /// It asks for a new code: the old one is spent or too old.
    Restart,
    /// It gives up: the person said no, or the operator must act.
    Stop,
}

/// Decides what a device does next, that has asked every `interval` so far.
///
/// The `error` decides and not the status: providers send 400, 403 and 429 for the same word.
pub fn next(heard: Heard<'_>, interval: Duration) -> Next {
    let refusal = match heard {
        Heard::Granted => return Next::Done,
        // A provider that does not answer in time is asked less and less often (§3.5).
        Heard::Nothing => return Next::Poll((interval * 2).min(INTERVAL_MAX)),
        Heard::Refused(refusal) => refusal,
    };
    let again = |pause: Duration| {
        let asked = refusal.wait.unwrap_or_default();
        Next::Poll(pause.max(asked).min(INTERVAL_MAX))
    };
    match refusal.error.as_deref() {
        Some("authorization_pending") => again(interval),
        Some("slow_down") => again(interval + SLOW_DOWN_BY),
        Some("expired_token" | "invalid_grant") => Next::Restart,
        Some("too_many_requests" | "server_error" | "temporarily_unavailable") => again(interval),
        Some(_) if refusal.status >= 500 || refusal.status == 429 => again(interval),
        Some(_) => Next::Stop,
        None if matches!(refusal.status, 408 | 425 | 429 | 500..) => again(interval),
        None => Next::Stop,
    }
}

/// How often one device may ask us.
///
/// A question that came too soon does not move the time that the next one is counted from, and
/// the pause stays as announced: else a steady device would be told to slow down for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    asked_at: Option<Instant>,
}

impl Pace {
    /// Takes a question at `now`; false where it came too soon.
    pub fn allows(&mut self, interval: Duration, now: Instant) -> bool {
        if self.asked_at.is_some_and(|at| now.since(at) < interval) {
            return false;
        }
        self.asked_at = Some(now);
        true
    }
}
