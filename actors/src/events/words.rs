//! Events in plain words, for operators.

use std::time::{Duration, UNIX_EPOCH};

use crate::clock::Clock;
use crate::core::device_sign_in::codes::DeviceKind;
use crate::core::event::{EndReason, Event, LogoutKind, Trigger};
use crate::core::grant::Unheard;
use crate::core::name::Audience;
use crate::core::refusal::EndCause;
use crate::core::step_up::{Factor, Origin};
use crate::core::time::Instant;

/// What the words for an event need beside it.
pub(super) struct Past<'a> {
    pub(super) clock: &'a Clock,
    /// The reply whose loss is not made good.
    pub(super) lost: Option<LostReply>,
}

/// A reply that nobody received.
#[derive(Clone, Copy, Debug)]
pub(super) struct LostReply {
    /// When its exchange began, or, where that is not known, when the loss was noticed.
    pub(super) at_ms: u64,
    /// How it was lost; `None` where the process that waited for it died.
    pub(super) how: Option<Unheard>,
    /// When the loss was noticed.
    pub(super) known_ms: u64,
}

/// Says what happened in one sentence without a full stop.
pub(super) fn in_words(event: &Event, past: &Past<'_>) -> String {
    match event {
        Event::AudienceMismatched { audience } => {
            format!("the provider answered for another API than {audience}; not used")
        }
        Event::Denied { audience, code } => format!("the provider denies {audience} ({code})"),
        Event::Downscoped { audience, missing } => {
            format!("the provider did not grant {missing} for {audience}")
        }
        Event::Elsewhere { wait } => elsewhere_in_words(*wait),
        Event::Ended { reason } => reason_in_words(*reason, past.lost),
        Event::ExchangeStarted { audience, trigger } => {
            format!("asking for a token for {audience}, {}", trigger_in_words(*trigger))
        }
        Event::Held { audience, origin } => held_in_words(audience, *origin),
        Event::Abandoned { audience } => {
            format!("nobody showed the factor that {audience} waits for in time")
        }
        Event::Challenged { audience, factor } => challenged_in_words(audience, *factor),
        Event::Verified { audience, factor, took } => verified_in_words(audience, *factor, *took),
        Event::VerificationFailed { audience, factor, code } => {
            let factor = factor_in_words(*factor);
            format!("a factor ({factor}) was not accepted for {audience} ({code})")
        }
        Event::InDoubt { how, since, wait } => doubt_in_words(*how, *since, *wait, past.clock),
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
            let which = refreshed_in_words(*rotated, *waiters, *late);
            format!("{audience} refreshed in {}{which}", span(*took))
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
        Event::SignedIn { device } => signed_in_in_words(device.as_ref()),
        Event::StoreFailed { wait } => {
            format!("the store cannot be asked; next try in {}", span(*wait))
        }
        Event::Superseded => "another machine was faster; its tokens are used".to_owned(),
    }
}

fn elsewhere_in_words(wait: Duration) -> String {
    format!("another machine is asking; waiting for word of it for up to {}", span(wait))
}

fn signed_in_in_words(device: Option<&DeviceKind>) -> String {
    match device {
        None => "signed in".to_owned(),
        Some(kind) => {
            format!(
                "a person signed in a device, which calls itself \u{201c}{}\u{201d}",
                kind.as_str()
            )
        }
    }
}

fn held_in_words(audience: &Audience, origin: Origin) -> String {
    let by = match origin {
        Origin::Provider => "the provider",
        Origin::Policy => "its policy",
        Origin::Upstream => "the API",
    };
    format!("{audience} waits for a person to show another factor, as {by} demands")
}

fn challenged_in_words(audience: &Audience, factor: Option<Factor>) -> String {
    format!("a person is asked for a factor ({}) for {audience}", factor_in_words(factor))
}

fn verified_in_words(audience: &Audience, factor: Option<Factor>, took: Duration) -> String {
    let (factor, took) = (factor_in_words(factor), span(took));
    format!("a person showed a factor ({factor}) for {audience}, {took} after the demand")
}

fn refreshed_in_words(rotated: bool, waiters: u32, late: bool) -> String {
    let rotation = if rotated { ", refresh token rotated and saved" } else { "" };
    let lateness = if late { ", after the old one had ended" } else { "" };
    let answered = match waiters {
        0 => String::new(),
        1 => ", one caller answered".to_owned(),
        many => format!(", {many} callers answered"),
    };
    format!("{rotation}{answered}{lateness}")
}

fn doubt_in_words(
    how: Option<Unheard>,
    since: Option<Instant>,
    wait: Duration,
    clock: &Clock,
) -> String {
    let how = match (how, since) {
        (Some(how), _) => how_in_words(how).to_owned(),
        (None, Some(since)) => {
            let since = moment(clock.unix_millis_of(since));
            format!("the gateway was killed during an exchange of {since}")
        }
        (None, None) => "an earlier exchange was interrupted".to_owned(),
    };
    format!("in doubt: {how}; asking again in {}", span(wait))
}

const fn how_in_words(how: Unheard) -> &'static str {
    match how {
        Unheard::ConnectionLost => "the connection broke before the reply",
        Unheard::Deadline => "the provider did not answer in time",
        Unheard::GatewayTimeout => "a gateway gave up waiting for the provider",
    }
}

fn factor_in_words(factor: Option<Factor>) -> &'static str {
    factor.map_or("unknown", Factor::code)
}

fn trigger_in_words(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Ahead => "ahead of its end",
        Trigger::Demand => "a caller waits",
        Trigger::Doubt => "to clear a doubt",
        Trigger::StepUp => "because a person shows a factor",
        Trigger::Forced => "the API refused the old one",
    }
}

fn reason_in_words(reason: EndReason, lost: Option<LostReply>) -> String {
    let ended = |why: &str| format!("session ended: {why}");
    ended(match reason {
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
        EndReason::Refused(EndCause::ReplyLost) => {
            return ended(&lost_in_words(lost, "the provider gives no reuse window"));
        }
        EndReason::Refused(EndCause::ReplyLostTooLong) => {
            return ended(&lost_in_words(lost, "the provider's reuse window was over"));
        }
        EndReason::Refused(EndCause::UserBlocked) => "the person is blocked at the provider",
        EndReason::Refused(EndCause::UserDeleted) => "the person was deleted at the provider",
        EndReason::SubjectChanged => "the provider answered for another person",
    })
}

/// Says why a token that was sent again was refused, and what keeps that from happening.
fn lost_in_words(lost: Option<LostReply>, window: &str) -> String {
    let lost = match lost {
        Some(LostReply { at_ms, how: Some(how), .. }) => {
            format!("the reply of {} was lost ({})", moment(at_ms), how_in_words(how))
        }
        Some(LostReply { at_ms, how: None, known_ms }) => format!(
            "the reply to an exchange of {} was lost when the gateway was killed before {}",
            moment(at_ms),
            moment(known_ms)
        ),
        None => "the reply to an earlier exchange was lost".to_owned(),
    };
    format!(
        "{lost}; {window}, so the refresh token that had been sent was refused as spent. Set a \
         reuse window of 30 s or more at the provider, and reuse_window here, to outlive this"
    )
}

/// Writes a wall clock's moment as logs of HTTP servers have it.
fn moment(at_ms: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(at_ms))
}

fn span(span: Duration) -> String {
    match span.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        _ => format!("{:.1} s", span.as_secs_f64()),
    }
}
