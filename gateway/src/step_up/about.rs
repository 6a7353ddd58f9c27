//! What a page is about: which API asks, why, and the ways back.

use axum::http::StatusCode;
use percent_encoding::utf8_percent_encode;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::step_up::{HoldView, MfaFault};

use super::ask::Place;
use super::visit::Visit;
use super::{fault, with_hold};
use crate::device::{self, LATER, ROOT};
use crate::front::Front;
use crate::pages::Trouble;
use crate::sign_in::{QUERY_VALUE, own_path};

/// What every page and reply of a step-up has in common.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// The prefix of our own endpoints.
    pub(super) prefix: String,
    /// The sealed handle; empty where there is none.
    pub(super) mfa_token: String,
    /// Where the person was going; a checked path on our own origin.
    pub(super) return_to: String,
    /// The API that asks.
    pub(super) audience: String,
    /// The scopes that were asked for.
    pub(super) scope: String,
    /// Why it asks, in a sentence.
    pub(super) why: String,
    /// How long the browser may be remembered, in words; `None` where the policy allows it not.
    pub(super) remember: Option<String>,
    /// Whether the person wants that.
    pub(super) ticked: bool,
    /// Whether the person came by the link of a display, and shows a factor for that.
    pub(super) by_link: bool,
}

impl About {
    /// Starts with what the address or the form says.
    pub(super) fn new(front: &Front, place: &Place) -> Self {
        let prefix = front.config().prefix.to_string();
        let return_to = own_path(&prefix, place.return_to.as_deref().unwrap_or("/")).to_owned();
        Self {
            prefix,
            mfa_token: String::new(),
            return_to,
            audience: place.audience.clone().unwrap_or_default(),
            scope: place.scope.clone().unwrap_or_default(),
            why: String::new(),
            remember: remember(front, place.audience.as_deref().unwrap_or_default()),
            ticked: place.is_ticked(),
            by_link: false,
        }
    }

    /// Goes on for whoever stands before the page.
    pub(super) fn before(mut self, visit: &Visit) -> Self {
        if visit.is_by_link() {
            (self.prefix, self.by_link) = (ROOT.to_owned(), true);
            (self.remember, self.ticked) = (None, false);
        }
        self
    }

    /// Goes on with a handle that was posted.
    pub(super) fn with_handle(mut self, mfa_token: String) -> Self {
        self.mfa_token = mfa_token;
        self
    }

    /// Goes on with what is held.
    pub(super) fn of(mut self, front: &Front, view: &HoldView) -> Self {
        self.mfa_token = view.mfa_token.clone().unwrap_or_default();
        self.audience.clone_from(&view.audience);
        self.scope.clone_from(&view.scope);
        self.remember = remember(front, &view.audience).filter(|_| !self.by_link);
        let why = match view.by {
            "policy" => {
                "The operator of this service wants a recent confirmation before this API \
                         is used."
            }
            "upstream" => {
                "The API wants a stronger or more recent confirmation before it takes \
                           this call."
            }
            _ => "Your provider wants another factor before it lets you use this API.",
        };
        let whose = if self.by_link { "A display waits for you. " } else { "" };
        self.why = format!("{whose}{why}");
        self
    }

    /// Returns the address at which the ways to confirm are shown again.
    pub(super) fn again(&self) -> String {
        address(&self.prefix, &self.audience, &self.scope, Some(&self.return_to))
    }

    /// Returns the address where a person goes who confirms nothing.
    pub(super) fn later(&self) -> &str {
        if self.by_link { LATER } else { &self.return_to }
    }

    /// Returns the address that leads to the provider.
    pub(super) fn provider(&self) -> String {
        let page = format!("{}/mfa", self.prefix);
        self.again().replacen(&page, &format!("{page}/redirect"), 1)
    }

    /// Returns the address that leads to the provider, and has the browser remembered afterwards.
    /// A link, since browsers let no form lead on to another origin (CSP `form-action`).
    pub(super) fn provider_and_remember(&self) -> String {
        self.provider() + "&remember=true"
    }

    /// Returns the address to sign in at, with the way back.
    pub(super) fn sign_in(&self) -> String {
        format!("{}/login?return_to={}", self.prefix, escaped(&self.return_to))
    }

    /// Says what stands in the way, with the way on that fits.
    pub(super) fn trouble(&self, front: &Front, key: &SessionKey, fault: MfaFault) -> Trouble {
        let status = fault.status(fault::PROFILE);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut trouble =
            Trouble::new(status, fault.code(), fault::title(&fault), fault::words(&fault));
        if let Some(wait) = fault.retry_after() {
            trouble = trouble.retry_after(wait);
        }
        match fault {
            MfaFault::SignInRequired { .. } if self.by_link => device::over(),
            MfaFault::SignInRequired { .. } => {
                trouble.challenge("Bearer").way_out("Sign in", self.sign_in())
            }
            MfaFault::Required(hold) => {
                let view = front.tokenward().view_of(key, &hold);
                with_hold(trouble, &view, &self.again()).way_out("Go on", self.again())
            }
            MfaFault::OperatorFault { .. } | MfaFault::WrongPerson => {
                trouble.way_out("Back", self.later())
            }
            MfaFault::RedirectOnly => trouble.way_out("Continue at your provider", self.provider()),
            MfaFault::Authenticators(_)
            | MfaFault::Challenge(_)
            | MfaFault::ChallengeInvalid
            | MfaFault::CodeRefused(_)
            | MfaFault::EnrollRequired
            | MfaFault::Enrollment(_)
            | MfaFault::InvalidRequest(_)
            | MfaFault::NoAvailableFactors
            | MfaFault::NotMet { .. }
            | MfaFault::NotNow { .. }
            | MfaFault::Pending { .. }
            | MfaFault::Rejected
            | MfaFault::SlowDown { .. }
            | MfaFault::TokenExpired
            | MfaFault::TokenInvalid
            | MfaFault::TokenNotFound
            | MfaFault::TooManyAttempts { .. }
            | MfaFault::Verify(_)
            | MfaFault::WrongCode => trouble.way_out("Start again", self.again()),
        }
    }
}

/// Returns the address of the page for an audience and its scopes.
pub(super) fn address(
    prefix: &str,
    audience: &str,
    scope: &str,
    return_to: Option<&str>,
) -> String {
    let mut place = format!("{prefix}/mfa?audience={}", escaped(audience));
    for (name, value) in [("scope", Some(scope)), ("return_to", return_to)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            place.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    place
}

/// Says how long an audience's policy lets a browser be remembered.
fn remember(front: &Front, audience: &str) -> Option<String> {
    let audience = Audience::parse(audience).ok()?;
    let seconds = front.tokenward().remembers(&audience)?.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds % unit == 0)?;
    let count = seconds / unit;
    Some(format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
}

fn escaped(value: &str) -> String {
    utf8_percent_encode(value, QUERY_VALUE).to_string()
}
