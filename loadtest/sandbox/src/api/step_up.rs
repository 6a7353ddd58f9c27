//! Calls that ask for more than a valid token (RFC 9470).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::hold;
use crate::provider::settings::ApiStepUp;

use super::Gate;
use super::verify::Claims;

const ERROR: &str = "insufficient_user_authentication";

/// Answers a call whose token tells of too weak or too old an authentication with a challenge. A
/// token that is no good at all is left to the API itself.
pub(super) async fn ask(State(gate): State<Gate>, ask: Request, next: Next) -> Response {
    let wanted = {
        let tenant = hold(&gate.provider.tenant);
        let path = ask.uri().path();
        let for_this =
            |one: &&ApiStepUp| one.api == gate.name && path.starts_with(one.path.as_str());
        tenant.settings.api_step_up.iter().find(for_this).cloned()
    };
    let Some(wanted) = wanted else {
        return next.run(ask).await;
    };
    if let Ok(claims) = gate.claims(ask.headers()).await {
        let now_s = gate.provider.clock.unix_s(gate.provider.clock.now_ms());
        if let Some(reason) = unmet(&wanted, &claims, now_s) {
            return challenge(&wanted, reason);
        }
    }
    next.run(ask).await
}

fn unmet(wanted: &ApiStepUp, claims: &Claims, now_s: u64) -> Option<&'static str> {
    let acr = claims.acr.as_deref().unwrap_or_default();
    let classes = wanted.acr_values.as_deref();
    if classes.is_some_and(|classes| !classes.split_whitespace().any(|class| class == acr)) {
        return Some("A different authentication level is required");
    }
    let age_s = claims.auth_time.map(|auth_time| now_s.saturating_sub(auth_time));
    let old = |max_age_s: u64| age_s.is_none_or(|age_s| age_s > max_age_s);
    wanted.max_age_s.is_some_and(old).then_some("More recent authentication is required")
}

/// RFC 9470 §3.
fn challenge(wanted: &ApiStepUp, reason: &str) -> Response {
    let mut line = format!("Bearer error=\"{ERROR}\", error_description=\"{reason}\"");
    if let Some(classes) = &wanted.acr_values {
        line.push_str(&format!(", acr_values=\"{classes}\""));
    }
    if let Some(max_age_s) = wanted.max_age_s {
        line.push_str(&format!(", max_age=\"{max_age_s}\""));
    }
    let body = Json(json!({ "error": ERROR, "error_description": reason }));
    let mut answer = (StatusCode::UNAUTHORIZED, body).into_response();
    if let Ok(line) = HeaderValue::try_from(line) {
        answer.headers_mut().insert(WWW_AUTHENTICATE, line);
    }
    answer
}
