//! Makes tokens: access tokens, ID tokens, logout tokens, and the answer that carries them.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, PRAGMA};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::hold;

use super::Provider;
use super::family::Grant;
use super::policy::{Granted, has_scope};
use super::seal::random_name;

/// Lifetime of an ID token, in seconds.
const ID_TOKEN_LIFETIME_S: u64 = 36_000;

/// Lifetime of a logout token, in seconds (OpenID Connect Back-Channel Logout 1.0 §4: at most two
/// minutes).
const LOGOUT_TOKEN_LIFETIME_S: u64 = 120;

/// What a token answer carries besides the access token.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) refresh_token: Option<String>,
    pub(crate) id_token: Option<String>,
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
        let (access_token, expires_in) = self.access_token(subject, client, granted);
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
            "auth_time": self.clock.unix_s(grant.auth_time_ms),
            "sid": grant.sid,
            "acr": grant.acr,
            "amr": ["pwd"],
        });
        if let Some(nonce) = &grant.nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(facts) = self.profile(&grant.subject, scope).as_object_mut() {
            facts.iter_mut().for_each(|(name, fact)| claims[name.as_str()] = fact.take());
        }
        Some(self.keys.sign("JWT", &claims))
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

    fn access_token(&self, subject: &str, client: &str, granted: &Granted) -> (String, u64) {
        let (lifetime_s, opaque) = {
            let tenant = hold(&self.tenant);
            (tenant.settings.lifetime_s(&granted.audience), tenant.settings.opaque_access_tokens)
        };
        let now_ms = self.clock.now_ms();
        let iat = self.clock.unix_s(now_ms);
        let claims = json!({
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
        if !opaque {
            return (self.keys.sign("at+jwt", &claims), lifetime_s);
        }
        let access_token = random_name();
        hold(&self.desk).opaque.put(access_token.clone(), claims, now_ms);
        (access_token, lifetime_s)
    }
}
