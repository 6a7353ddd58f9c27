//! What is asked about a token: /userinfo, introspection (RFC 7662) and revocation (RFC 7009).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::hold;
use crate::ledger::{Entry, Kind};

use super::policy::has_scope;
use super::refusal;
use super::seal::short_hash;
use super::token_endpoint::read_params;
use super::{Provider, family_name};

/// GET or POST /userinfo.
pub(crate) async fn userinfo(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
) -> Response {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let access_token = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let claims = access_token.and_then(|access_token| provider.living_claims(access_token));
    let scope = claims.as_ref().and_then(|claims| claims.get("scope")?.as_str());
    match (claims.as_ref().and_then(|claims| claims.get("sub")?.as_str()), scope) {
        (Some(subject), Some(scope)) if has_scope(scope, "openid") => {
            let mut facts = provider.profile(subject, scope);
            facts["sub"] = json!(subject);
            Json(facts).into_response()
        }
        _ => {
            let challenge = [(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
            (StatusCode::UNAUTHORIZED, challenge).into_response()
        }
    }
}

/// POST /oauth/introspect. Anyone on this machine may ask: the sandbox's own APIs do, for opaque
/// access tokens.
pub(crate) async fn introspect(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Json<Value> {
    let params = read_params(&headers, &body).unwrap_or_default();
    let claims = params.get("token").and_then(|access_token| provider.living_claims(access_token));
    let Some(mut claims) = claims else {
        return Json(json!({ "active": false }));
    };
    claims["active"] = json!(true);
    Json(claims)
}

/// POST /oauth/revoke: 200 for tokens that are unknown or dead too.
pub(crate) async fn revoke(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let statuses = hold(&provider.tenant).settings.statuses;
    let Some(params) = read_params(&headers, &body) else {
        return refusal::UNREADABLE.answer(statuses);
    };
    let client = match provider.client(&headers, &params) {
        Ok(client) => client.client_id,
        Err(refusal) => return refusal.answer(statuses),
    };
    let Some(revoked) = params.get("token") else {
        return refusal::invalid_request("Missing required parameter: token").answer(statuses);
    };
    let presented = provider.seal.open(revoked);
    let ended = presented.map(|(family, _)| hold(&provider.tenant).revoke(family, &client));
    let ended = ended.unwrap_or_default();
    provider.log(
        Kind::Revoked,
        Entry {
            family: presented.map(|(family, _)| family_name(family)),
            generation: presented.map(|(_, generation)| generation),
            client: Some(client),
            hash: Some(short_hash(revoked)),
            detail: Some(format!("{} families ended", ended.len())),
            ..Entry::default()
        },
    );
    StatusCode::OK.into_response()
}

impl Provider {
    /// Returns the claims of an access token of ours that has not expired.
    pub(super) fn living_claims(&self, access_token: &str) -> Option<Value> {
        let now_ms = self.clock.now_ms();
        let opaque = hold(&self.desk).opaque.look(access_token, now_ms).cloned();
        let claims = opaque.or_else(|| self.keys.verify(access_token))?;
        // An ID token or logout token is no access token: only those carry client_id.
        claims.get("client_id")?;
        (claims.get("exp")?.as_u64()? > self.clock.unix_s(now_ms)).then_some(claims)
    }
}
