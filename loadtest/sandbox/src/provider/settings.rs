//! How the tenant behaves; every field can be changed while it runs (`POST /tenant`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mfa::settings::MfaSettings;

/// The tenant's options. A partial JSON object changes the named keys and leaves the others.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Lifetime of an access token, in seconds.
    pub access_token_lifetime_s: u64,
    /// Lifetimes of single audiences, in seconds.
    pub audience_lifetime_s: BTreeMap<String, u64>,
    /// Whether a refresh replaces the refresh token.
    pub rotation: bool,
    /// The reuse window for the immediately previous refresh token, in seconds.
    pub leeway_s: u64,
    /// Lifetime of a family from its login, in seconds; rotation does not extend it.
    pub absolute_lifetime_s: u64,
    /// Lifetime of a family from its last exchange, in seconds.
    pub idle_lifetime_s: u64,
    /// Living families per user and client; the oldest is evicted.
    pub max_active: usize,
    /// Which audiences a refresh token may be used for besides its login's (MRRT).
    pub mrrt: Vec<MrrtPolicy>,
    /// What a refresh for an audience outside the policies gets.
    pub unknown_audience: UnknownAudience,
    /// Whether scopes the audience does not know are dropped silently.
    pub scope_filtering: bool,
    /// Which HTTP statuses go with the OAuth errors.
    pub statuses: Statuses,
    /// Whether access tokens are opaque strings instead of JWTs.
    pub opaque_access_tokens: bool,
    /// What the sample APIs forgive beyond a token's `exp`, in seconds: `exp` is a whole second, so
    /// that a token may be over a second before its lifetime is.
    pub api_leeway_s: u64,
    /// Whether a refresh also returns an ID token.
    pub id_token_on_refresh: bool,
    /// Artificial latency of the token endpoint, half of it before the commit, in milliseconds.
    pub token_latency_ms: u64,
    /// Whether revoking a refresh token ends all families of its user and client.
    pub revoke_deletes_grant: bool,
    /// Lifetime of a device code, in seconds.
    pub device_code_lifetime_s: u64,
    /// Shortest gap between two polls of a device, in seconds.
    pub device_interval_s: u64,
    /// Second factors.
    pub mfa: MfaSettings,
    /// Which calls of the sample APIs ask for more than a valid token (RFC 9470).
    pub api_step_up: Vec<ApiStepUp>,
}

/// A call of a sample API that asks for a certain authentication.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiStepUp {
    /// The API's name: `quotes`, `accounts` or `echo`.
    pub api: String,
    /// How the paths begin that ask for it.
    pub path: String,
    /// The authentication context classes that will do, separated by spaces.
    #[serde(default)]
    pub acr_values: Option<String>,
    /// How old the authentication may be, in seconds.
    #[serde(default)]
    pub max_age_s: Option<u64>,
}

/// Scopes of one audience that a refresh token of another login may be exchanged for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MrrtPolicy {
    /// The audience.
    pub audience: String,
    /// Its scopes.
    pub scope: Vec<String>,
}

/// What a refresh for an audience outside the policies gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownAudience {
    /// A token of the login's audience.
    Fallback,
    /// `invalid_request`.
    Reject,
}

/// Which HTTP statuses go with the OAuth errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Statuses {
    /// As Auth0 answers: 403 for most, 429 for `slow_down`.
    Auth0,
    /// As RFC 6749 and RFC 8628 say: 400.
    Rfc,
}

/// A day, in seconds.
const DAY_S: u64 = 86_400;

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_token_lifetime_s: 10,
            audience_lifetime_s: BTreeMap::new(),
            rotation: true,
            leeway_s: 60,
            absolute_lifetime_s: 30 * DAY_S,
            idle_lifetime_s: 15 * DAY_S,
            max_active: 200,
            mrrt: vec![
                policy(crate::QUOTES_AUDIENCE, &["read:quotes"]),
                policy(crate::ACCOUNTS_AUDIENCE, &["read:accounts", "write:accounts"]),
                policy(crate::ECHO_AUDIENCE, &["use:echo"]),
            ],
            unknown_audience: UnknownAudience::Fallback,
            scope_filtering: true,
            statuses: Statuses::Auth0,
            opaque_access_tokens: false,
            api_leeway_s: 0,
            id_token_on_refresh: true,
            token_latency_ms: 0,
            revoke_deletes_grant: false,
            device_code_lifetime_s: 900,
            device_interval_s: 5,
            mfa: MfaSettings::default(),
            api_step_up: Vec::new(),
        }
    }
}

impl Settings {
    /// Returns the settings with the keys of a JSON object replaced.
    ///
    /// # Errors
    /// The sentence to tell the caller, when the patch is no object, or names an unknown key, or
    /// carries a value of the wrong type.
    pub fn patched(&self, patch: &Value) -> Result<Self, String> {
        let Value::Object(changes) = patch else {
            return Err("the tenant's settings must be a JSON object".to_owned());
        };
        let mut whole = serde_json::to_value(self).map_err(|error| error.to_string())?;
        if let Some(keys) = whole.as_object_mut() {
            let mut changes = changes.clone();
            if let (Some(Value::Object(mfa)), Some(Value::Object(kept))) =
                (changes.get_mut("mfa"), keys.remove("mfa"))
            {
                // What the patch names wins over what was there.
                *mfa = kept.into_iter().chain(std::mem::take(mfa)).collect();
            }
            keys.extend(changes);
        }
        serde_json::from_value(whole).map_err(|error| error.to_string())
    }

    /// Returns the lifetime of an access token for an audience, in seconds.
    #[must_use]
    pub fn lifetime_s(&self, audience: &str) -> u64 {
        self.audience_lifetime_s.get(audience).copied().unwrap_or(self.access_token_lifetime_s)
    }
}

fn policy(audience: &str, scope: &[&str]) -> MrrtPolicy {
    MrrtPolicy {
        audience: audience.to_owned(),
        scope: scope.iter().map(|&name| name.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let patched =
            Settings::default().patched(&json!({"leeway_s": 0, "statuses": "rfc"})).unwrap();
        assert_eq!(
            patched,
            Settings { leeway_s: 0, statuses: Statuses::Rfc, ..Settings::default() }
        );
        let patched = patched.patched(&json!({"mfa": {"chain": 1}})).unwrap();
        let patched = patched.patched(&json!({"mfa": {"policy": "always"}})).unwrap();
        assert_eq!((patched.mfa.chain, patched.leeway_s), (1, 0), "mfa is patched by its own keys");
    }

    #[test]
    fn a_patch_with_an_unknown_key_or_a_wrong_type_is_refused() {
        for (patch, named) in [
            (json!({"lee_way": 1}), "lee_way"),
            (json!({"mfa": {"chains": 1}}), "chains"),
            (json!({"mfa": 1}), "MfaSettings"),
            (json!({"rotation": 3}), "boolean"),
            (json!(1), "object"),
        ] {
            let refused = Settings::default().patched(&patch).unwrap_err();
            assert!(refused.contains(named), "{refused}");
        }
    }
}
