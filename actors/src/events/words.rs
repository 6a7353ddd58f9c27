//! Events in plain words, for operators.

use std::time::Duration;

use crate::core::event::{EndReason, Event, LogoutKind, Trigger};
use crate::core::grant::Unheard;
use crate::core::refusal::EndCause;

/// Says what happened in one sentence without a full stop.
pub fn in_words(event: &Event) -> String {
    match event {
        Event::AudienceMismatched { audience } => {
            format!("the provider answered for another API than {audience}; not used")
        }
        Event::Denied { audience, code } => format!("the provider denies {audience} ({code})"),
        Event::Downscoped { audience, missing } => {
            format!("the provider did not grant {missing} for {audience}")
        }
        Event::Ended { reason } => format!("session ended: {}", reason_in_words(*reason)),
        Event::ExchangeStarted { audience, trigger } => {
            format!("asking for a token for {audience}, {}", trigger_in_words(*trigger))
        }
        Event::Held { audience } => format!("{audience} waits for a person to show another factor"),
        Event::InDoubt { how, wait } => doubt_in_words(*how, *wait),
        Event::Malformed { audience, why, .. } => {
            format!("the provider's reply for {audience} is broken ({why}); refresh token saved")
        }
        Event::NotSent { cause, wait, .. } => {
            format!("provider not reached ({}); next try in {}", cause.code(), span(*wait))
        }
        Event::OperatorMustAct { fault, code } => {
            format!("the provider refuses this client ({code}, {}): check its set-up", fault.code())
        }
        Event::Postponed { code, wait, .. } => {
            format!("the provider is busy ({code}); next try in {}", span(*wait))
        }
        Event::Refreshed { audience, rotated, waiters, took, late, .. } => {
            let rotation = if *rotated { ", refresh token rotated and saved" } else { "" };
            let lateness = if *late { ", after the old one had ended" } else { "" };
            let answered = match waiters {
                0 => String::new(),
                1 => ", one caller answered".to_owned(),
                many => format!(", {many} callers answered"),
            };
            format!("{audience} refreshed in {}{rotation}{answered}{lateness}", span(*took))
        }
        Event::Rejected { audience, code } => {
            format!("the provider refuses {audience} or its scopes ({code})")
        }
        Event::Released { audience } => format!("{audience} is free again"),
        Event::Restored => "read back from the store".to_owned(),
        Event::ReusePrevented { .. } => {
            "the refresh token may be in use elsewhere; not sent twice".to_owned()
        }
        Event::SaveDelayed { failures } => {
            format!("the store did not take the new tokens ({failures} tries); kept, trying again")
        }
        Event::SignedIn => "signed in".to_owned(),
        Event::StoreFailed { wait } => {
            format!("the store cannot be asked; next try in {}", span(*wait))
        }
        Event::Superseded => "another machine was faster; its tokens are used".to_owned(),
    }
}

fn doubt_in_words(how: Option<Unheard>, wait: Duration) -> String {
    let how = match how {
        Some(Unheard::ConnectionLost) => "the connection broke before the reply",
        Some(Unheard::Deadline) => "the provider did not answer in time",
        Some(Unheard::GatewayTimeout) => "a gateway gave up waiting for the provider",
        None => "an earlier exchange was interrupted",
    };
    format!("in doubt: {how}; asking again in {}", span(wait))
}

fn trigger_in_words(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Ahead => "ahead of its end",
        Trigger::Demand => "a caller waits",
        Trigger::Doubt => "to clear a doubt",
        Trigger::Forced => "the API refused the old one",
    }
}

fn reason_in_words(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Ceiling => "the provider's longest session time is over",
        EndReason::LoggedOut(LogoutKind::Admin) => "an operator ended it",
        EndReason::LoggedOut(LogoutKind::Backchannel | LogoutKind::Provider) => {
            "the provider logged the person out"
        }
        EndReason::LoggedOut(LogoutKind::User) => "signed out",
        EndReason::NoRefreshToken => "there is no refresh token to go on with",
        EndReason::Refused(EndCause::InvalidGrant) => {
            "the provider no longer takes the refresh token"
        }
        EndReason::Refused(EndCause::UserBlocked) => "the person is blocked at the provider",
        EndReason::Refused(EndCause::UserDeleted) => "the person was deleted at the provider",
        EndReason::SubjectChanged => "the provider answered for another person",
    }
}

fn span(span: Duration) -> String {
    match span.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        _ => format!("{:.1} s", span.as_secs_f64()),
    }
}
