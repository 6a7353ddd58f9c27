//! What callers see of a step up, and what they say.

use std::time::Duration;

use serde::Serialize;

use crate::core::name::Audience;
use crate::core::scope::ScopeSet;
use crate::core::secret::Passcode;
use crate::core::session::Need;
use crate::core::snapshot::Hold;
use crate::core::step_up::factor;
use crate::core::step_up::poll::POLL_EVERY;
use crate::core::step_up::{Factor, Strength};
use crate::core::time::Instant;
use crate::provider::step_up::{Challenge, Enrolled};

/// A hold as people and programs may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HoldView {
    /// The sealed handle; `None` where only a redirect meets the demand.
    pub mfa_token: Option<String>,
    /// The API.
    pub audience: String,
    /// The scopes.
    pub scope: String,
    /// Who demands it: `provider`, `policy` or `upstream`.
    pub by: &'static str,
    /// The factors to choose from.
    pub mfa_requirements: Requirements,
    /// Whether the provider named no factors, so that any may be tried.
    pub any_factor: bool,
    /// How many seconds are left to meet the demand by the MFA API.
    pub expires_in_s: Option<u64>,
    /// The authentication classes of which any will do.
    pub acr_values: Vec<String>,
    /// How many seconds ago the person may have authenticated.
    pub max_age_s: Option<u64>,
    /// How many seconds ago the factor was first demanded.
    pub since_s: u64,
    /// Whether the provider's MFA API may be used at the moment.
    pub by_api: bool,
    /// When the factor was first demanded: tells a hold from the next one for the same.
    #[serde(skip)]
    pub since: Instant,
}

/// The factors that a demand lists, in the form that providers use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requirements {
    /// Those that may be challenged.
    pub challenge: Vec<Kind>,
    /// Those that may be enrolled.
    pub enroll: Vec<Kind>,
}

/// A kind of factor, by the provider's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// The name.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A person's authenticator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authenticator {
    /// The provider's name for it.
    pub id: String,
    /// The factor it shows, where it is known here.
    pub factor: Option<&'static str>,
    /// `otp`, `oob`, `recovery-code` and the like.
    pub authenticator_type: String,
    /// How the person is reached.
    pub oob_channel: Option<String>,
    /// What the person knows it by, such as the last digits of a phone number.
    pub name: Option<String>,
}

/// Which challenge somebody wishes for: by factor, by authenticator, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChallengeWish {
    /// The factor.
    pub factor: Option<Factor>,
    /// The provider's name for the authenticator.
    pub authenticator: Option<String>,
}

/// A challenge that was started. Goes to its person only: the handle in it is a secret.
#[derive(Clone, Serialize)]
pub struct Challenged {
    /// `otp`, `oob` or `recovery-code`.
    pub challenge_type: &'static str,
    /// The factor; `unknown` where the provider chose.
    pub factor: &'static str,
    /// The handle by which it is verified, where it is answered elsewhere.
    pub oob_code: Option<String>,
    /// `prompt` where the person was sent a code; nothing where they answer by a tap.
    pub binding_method: Option<&'static str>,
    /// How many seconds to wait between two questions whether the person has answered.
    pub interval_s: u64,
}

/// What a person wants to enrol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// The factor.
    pub factor: Factor,
    /// The number, for factors that ring or text.
    pub phone_number: Option<String>,
    /// The address, where it is not the one that the provider knows.
    pub email: Option<String>,
}

/// A factor that was enrolled and waits to be confirmed. Goes to its person only, once.
#[derive(Clone, Serialize)]
pub struct Associated {
    /// `otp` or `oob`.
    pub authenticator_type: String,
    /// The provider's name for it.
    pub id: Option<String>,
    /// The secret of an app's codes, to be typed in.
    pub secret: Option<String>,
    /// The same as an address for a QR code.
    pub barcode_uri: Option<String>,
    /// Codes for emergencies.
    pub recovery_codes: Vec<String>,
    /// How the person is reached.
    pub oob_channel: Option<String>,
    /// The handle by which it is confirmed, where that happens elsewhere.
    pub oob_code: Option<String>,
    /// `prompt` where the person was sent a code; nothing where they answer by a tap.
    pub binding_method: Option<&'static str>,
    /// How many seconds to wait between two questions whether the person has answered.
    pub interval_s: u64,
}

/// A demand that is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The API that was held.
    pub audience: Audience,
    /// The scopes that were held.
    pub scopes: ScopeSet,
    /// The recovery code that replaces the one that was used: to be shown once.
    pub recovery_code: Option<Passcode>,
}

/// What a redirect to the provider must ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepUpRequest {
    /// The APIs, the held one first.
    pub audiences: Vec<Audience>,
    /// The scopes of all of them.
    pub scopes: ScopeSet,
    /// The authentication classes of which any will do.
    pub acr_values: Option<String>,
    /// How long ago the person may have authenticated.
    pub max_age: Option<Duration>,
    /// `login` where nothing else makes the provider ask the person.
    pub prompt: Option<&'static str>,
}

/// What a redirect came back with, and what it was sent away with.
#[derive(Clone)]
pub struct StepUpReturn {
    /// What is held.
    pub need: Need,
    /// The code that the browser brought.
    pub code: String,
    /// The PKCE secret (RFC 7636).
    pub code_verifier: String,
    /// The address the browser was sent back to.
    pub redirect_uri: String,
    /// What the ID token must repeat.
    pub nonce: String,
}

impl HoldView {
    pub(super) fn new(
        hold: &Hold,
        strength: &Strength,
        mfa_token: Option<String>,
        now: Instant,
    ) -> Self {
        let kinds = |names: &[String]| -> Vec<Kind> {
            names.iter().map(|name| Kind { kind: name.clone() }).collect()
        };
        let open = hold.context.as_ref().filter(|context| !context.is_over(now));
        Self {
            by_api: mfa_token.is_some(),
            mfa_token,
            audience: hold.audience.to_string(),
            scope: hold.scopes.to_string(),
            by: hold.origin.code(),
            mfa_requirements: Requirements {
                challenge: kinds(&hold.demand.challenge),
                enroll: kinds(&hold.demand.enroll),
            },
            any_factor: !hold.demand.is_listed,
            expires_in_s: open.map(|context| context.ends_at().left_at(now).as_secs()),
            acr_values: strength.classes.clone(),
            max_age_s: strength.max_age.map(|age| age.as_secs()),
            since_s: now.since(hold.since).as_secs(),
            since: hold.since,
        }
    }
}

impl Authenticator {
    pub(super) fn of(listed: &factor::Authenticator) -> Self {
        Self {
            id: listed.id.clone(),
            factor: listed.factor().map(Factor::code),
            authenticator_type: listed.authenticator_type.clone(),
            oob_channel: listed.channel.clone(),
            name: listed.name.clone(),
        }
    }
}

impl Challenged {
    pub(super) fn recovery_code() -> Self {
        let code = Factor::RecoveryCode.code();
        Self {
            challenge_type: code,
            factor: code,
            oob_code: None,
            binding_method: None,
            interval_s: POLL_EVERY.as_secs(),
        }
    }

    pub(super) fn of(wish: &ChallengeWish, started: &Challenge) -> Self {
        let is_oob = started.oob_code.is_some() || started.challenge_type == "oob";
        let by_id = wish.authenticator.as_deref().and_then(|id| id.split('|').next());
        let factor = wish.factor.or_else(|| by_id.and_then(Factor::parse));
        let factor = factor.or((!is_oob).then_some(Factor::Otp));
        let factor = factor.or((!started.prompts).then_some(Factor::Push));
        Self {
            challenge_type: if is_oob { "oob" } else { "otp" },
            factor: factor.map_or("unknown", Factor::code),
            oob_code: started.oob_code.as_ref().map(|code| code.expose().to_owned()),
            binding_method: started.prompts.then_some("prompt"),
            interval_s: POLL_EVERY.as_secs(),
        }
    }

    /// Returns the factor, where it is known.
    pub fn known_factor(&self) -> Option<Factor> {
        Factor::parse(self.factor)
    }
}

impl Associated {
    pub(super) fn of(enrolled: &Enrolled) -> Self {
        let shown = |secret: &Option<Passcode>| secret.as_ref().map(|s| s.expose().to_owned());
        Self {
            authenticator_type: enrolled.authenticator_type.clone(),
            id: enrolled.id.clone(),
            secret: shown(&enrolled.secret),
            barcode_uri: shown(&enrolled.barcode_uri),
            recovery_codes: enrolled.recovery_codes.iter().map(|c| c.expose().to_owned()).collect(),
            oob_channel: enrolled.oob_channel.clone(),
            oob_code: shown(&enrolled.oob_code),
            binding_method: enrolled.prompts.then_some("prompt"),
            interval_s: POLL_EVERY.as_secs(),
        }
    }
}
