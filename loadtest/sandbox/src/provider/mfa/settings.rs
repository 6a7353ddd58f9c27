//! How the tenant demands and checks second factors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The tenant's options for second factors: the key `mfa` of `POST /tenant`, of which a patch
/// changes the named keys.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MfaSettings {
    /// The policy, which decides where no rule gives a directive.
    pub policy: MfaPolicy,
    /// Whether the policy challenges refreshes too (seed 000 says no, seed 001 yes).
    pub policy_applies_to_refresh: bool,
    /// Rules and Actions: the first that matches decides.
    pub rules: Vec<MfaRule>,
    /// Whether a list that an Action gives is cut to the factors the user has.
    pub intersect_enrolled: bool,
    /// Whether a demand carries an `mfa_token`.
    pub send_mfa_token: bool,
    /// Whether a demand carries `mfa_requirements`.
    pub send_requirements: bool,
    /// Where a sign-in with a browser is challenged.
    pub challenge_at: ChallengeAt,
    /// The status of `mfa_required` instead of the one that `statuses` stands for.
    pub required_status: Option<u16>,
    /// Lifetime of an `mfa_token`, in seconds.
    pub mfa_token_lifetime_s: u64,
    /// How many further factors are demanded, each with a new `mfa_token`, after the first.
    pub chain: u8,
    /// Lifetime of an out-of-band challenge, in seconds.
    pub oob_lifetime_s: u64,
    /// Shortest gap between two polls for a push, in seconds.
    pub push_interval_s: u64,
    /// Whether each one-time password serves once.
    pub otp_single_use: bool,
    /// Wrong codes a user may give at once.
    pub failed_otp_burst: u32,
    /// Seconds until the user may give one more.
    pub failed_otp_refill_s: u64,
    /// Text messages a user may be sent in an hour.
    pub sms_per_hour: u32,
    /// Whether the list of authenticators carries the feature-flagged `type`.
    pub authenticator_type_field: bool,
    /// What a challenge answers a user without factors.
    pub unenrolled: Unenrolled,
    /// The authentication context classes that stand for a second factor; the first is returned
    /// after one was given without being asked for by name.
    pub acr_values: Vec<String>,
}

/// The tenant's policy ("Require Multi-factor Authentication").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MfaPolicy {
    /// Only rules challenge.
    Never,
    /// Each sign-in is challenged.
    Always,
}

/// Where a sign-in with a browser is challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChallengeAt {
    /// On a page after the login page.
    Page,
    /// By `mfa_required` to the exchange of the code.
    TokenEndpoint,
}

/// What a challenge answers a user without factors: the documents name both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unenrolled {
    /// `unsupported_challenge_type`.
    UnsupportedChallengeType,
    /// `association_required`.
    AssociationRequired,
}

/// One branch of a rule or Action.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MfaRule {
    /// Which transactions it is for.
    #[serde(default)]
    pub when: When,
    /// What it says of them.
    pub then: Then,
    /// The factors an Action's `challengeWithAny` or `enrollWithAny` lists; empty means all.
    #[serde(default)]
    pub with: Vec<String>,
}

/// Which transactions a rule is for; what is left out matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// The protocol.
    pub protocol: Option<Protocol>,
    /// One of these clients.
    pub client_ids: Vec<String>,
    /// All of these facts in the client's metadata.
    pub metadata: BTreeMap<String, String>,
    /// One of these audiences.
    pub audiences: Vec<String>,
    /// None of these audiences.
    pub except_audiences: Vec<String>,
    /// Whether a second factor was given in this session.
    pub mfa_done: Option<bool>,
    /// With `mfa_done`, only one given in the last so many seconds counts.
    pub mfa_within_s: Option<u64>,
    /// Whether the user has an active factor.
    pub enrolled: Option<bool>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Challenges (`context.multifactor`, `challengeWithAny`).
    Challenge,
    /// Enrols (`enrollWithAny`).
    Enroll,
    /// Returns early and says nothing: the policy decides.
    Return,
    /// Asks for no factor whatever the policy says (`multifactor.enable("none")`).
    None,
    /// Refuses (`access.deny`).
    Deny,
    /// Revokes the refresh token (`refreshToken.revoke`); refuses where there is none.
    RevokeRefreshToken,
}

/// The protocol of a transaction, as rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Protocol {
    /// A sign-in with a browser.
    #[serde(rename = "oidc-basic-profile")]
    Login,
    /// A sign-in with a browser that may ask nothing (`prompt=none`).
    #[serde(rename = "silent_auth")]
    Silent,
    /// A refresh.
    #[serde(rename = "oauth2-refresh-token")]
    Refresh,
    /// A sign-in of a device.
    #[serde(rename = "oauth2-device-code")]
    DeviceCode,
}

/// The class of the vendor for a second factor, from OpenID Connect's predecessor PAPE.
const PAPE_ACR: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

/// The class of our own, to have two.
pub const MFA_ACR: &str = "urn:tokenward:sandbox:mfa";

impl Default for MfaSettings {
    fn default() -> Self {
        Self {
            policy: MfaPolicy::Never,
            policy_applies_to_refresh: false,
            rules: Vec::new(),
            intersect_enrolled: false,
            send_mfa_token: true,
            send_requirements: true,
            challenge_at: ChallengeAt::Page,
            required_status: None,
            mfa_token_lifetime_s: 300,
            chain: 0,
            oob_lifetime_s: 300,
            push_interval_s: 5,
            otp_single_use: true,
            failed_otp_burst: 10,
            failed_otp_refill_s: 360,
            sms_per_hour: 10,
            authenticator_type_field: false,
            unenrolled: Unenrolled::UnsupportedChallengeType,
            acr_values: vec![MFA_ACR.to_owned(), PAPE_ACR.to_owned()],
        }
    }
}
