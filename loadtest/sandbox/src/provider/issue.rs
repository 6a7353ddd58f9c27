//! Makes tokens: access tokens, ID tokens, logout tokens, and the answer that carries them.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, PRAGMA};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::hold;

use super::Provider;
use super::authorize::PASSWORD_ACR;
use super::family::Grant;
use super::policy::{Granted, has_scope};
use super::seal::random_name;

/// Lifetime of an ID token, in seconds.
const ID_TOKEN_LIFETIME_S: u64 = 36_000;

/// Lifetime of a logout token, in seconds (OpenID Connect Back-Channel Logout 1.0 §4: at most two
/// minutes).
const LOGOUT_TOKEN_LIFETIME_S: u64 = 120;

/// Lifetime of an access token for the MFA API, in seconds; the vendor fixes it.
const MFA_ACCESS_TOKEN_LIFETIME_S: u64 = 600;

/// What a token answer carries besides the access token.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) refresh_token: Option<String>,
    pub(crate) id_token: Option<String>,
    /// The login behind the access token, where there is one.
    pub(crate) grant: Option<Arc<Grant>>,
    /// The recovery code that replaces a used one.
    pub(crate) recovery_code: Option<String>,
}

impl Provider {
    /// Returns the 200 of the token endpoint.
    pub(crate) fn token_answer(
        &self,
        subject: &str,
        client: &str,
        granted: &Granted,
        extras: Extras,
    ) -> Response {
        let grant = extras.grant.as_deref();
        let (access_token, expires_in) = self.access_token(subject, client, granted, grant);
        let mut body = json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": expires_in,
            "scope": granted.scope,
        });
        if let Some(refresh_token) = extras.refresh_token {
            body["refresh_token"] = Value::String(refresh_token);
        }
        if let Some(id_token) = extras.id_token {
            body["id_token"] = Value::String(id_token);
        }
        if let Some(recovery_code) = extras.recovery_code {
            body["recovery_code"] = Value::String(recovery_code);
        }
        self.secrets.learn_members(&body);
        ([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(body)).into_response()
    }

    /// Returns an ID token where the scopes ask for one.
    pub(crate) fn id_token(&self, grant: &Grant, scope: &str) -> Option<String> {
        if !has_scope(scope, "openid") {
            return None;
        }
        let iat = self.clock.unix_s(self.clock.now_ms());
        let mut claims = json!({
            "iss": self.issuer,
            "sub": grant.subject,
            "aud": grant.client,
            "iat": iat,
            "exp": iat + ID_TOKEN_LIFETIME_S,
            "sid": grant.sid,
        });
        self.authentication(grant, &mut claims);
        if let Some(nonce) = &grant.nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(facts) = self.profile(&grant.subject, scope).as_object_mut() {
            facts.iter_mut().for_each(|(name, fact)| claims[name.as_str()] = fact.take());
        }
        Some(self.keys.sign("JWT", &claims))
    }

    /// Writes how and when the user proved who they are (RFC 9470 §6 for access tokens).
    fn authentication(&self, grant: &Grant, claims: &mut Value) {
        claims["auth_time"] = json!(self.clock.unix_s(grant.authenticated_at_ms()));
        let Some(second) = grant.second else {
            claims["acr"] = json!(grant.acr);
            claims["amr"] = json!(["pwd"]);
            return;
        };
        let asked = grant.acr != PASSWORD_ACR;
        let own = hold(&self.tenant).settings.mfa.acr_values.first().cloned();
        claims["acr"] = json!(own.filter(|_| !asked).unwrap_or_else(|| grant.acr.clone()));
        claims["amr"] = json!(["pwd", "mfa", second.kind.method()]);
    }

    /// Returns the user's facts that the scopes open.
    pub(crate) fn profile(&self, subject: &str, scope: &str) -> Value {
        let tenant = hold(&self.tenant);
        let mut facts = json!({});
        let Some(user) = tenant.subject(subject) else {
            return facts;
        };
        if has_scope(scope, "profile") {
            facts["name"] = json!(user.shown());
            facts["nickname"] = json!(user.name);
        }
        if let Some(email) = user.email.as_ref().filter(|_| has_scope(scope, "email")) {
            facts["email"] = json!(email);
            facts["email_verified"] = json!(true);
        }
        facts
    }

    /// Returns a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4) that names `sub`, `sid`
    /// or both.
    pub(crate) fn logout_token(
        &self,
        client: &str,
        (subject, sid): (Option<&str>, Option<&str>),
    ) -> String {
        let iat = self.clock.unix_s(self.clock.now_ms());
        let mut claims = json!({
            "iss": self.issuer,
            "aud": client,
            "iat": iat,
            "exp": iat + LOGOUT_TOKEN_LIFETIME_S,
            "jti": random_name(),
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        for (name, value) in [("sub", subject), ("sid", sid)] {
            if let Some(value) = value {
                claims[name] = json!(value);
            }
        }
        self.keys.sign("logout+jwt", &claims)
    }

    fn access_token(
        &self,
        subject: &str,
        client: &str,
        granted: &Granted,
        grant: Option<&Grant>,
    ) -> (String, u64) {
        let (lifetime_s, opaque) = {
            let tenant = hold(&self.tenant);
            (tenant.settings.lifetime_s(&granted.audience), tenant.settings.opaque_access_tokens)
        };
        let own = granted.audience == self.mfa_audience();
        let lifetime_s = if own { MFA_ACCESS_TOKEN_LIFETIME_S } else { lifetime_s };
        let now_ms = self.clock.now_ms();
        let iat = self.clock.unix_s(now_ms);
        let mut claims = json!({
            "iss": self.issuer,
            "sub": subject,
            "aud": granted.audience,
            "azp": client,
            "client_id": client,
            "scope": granted.scope,
            "jti": random_name(),
            "iat": iat,
            "exp": iat.saturating_add(lifetime_s),
        });
        if let Some(grant) = grant {
            self.authentication(grant, &mut claims);
        }
        if !opaque {
            return (self.keys.sign("at+jwt", &claims), lifetime_s);
        }
        let access_token = random_name();
        hold(&self.desk).opaque.put(access_token.clone(), claims, now_ms);
        (access_token, lifetime_s)
    }
}
