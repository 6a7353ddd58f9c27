//! The sample APIs. Each checks the access token it is sent and shows what it saw of it, never the
//! token itself.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::faults::Endpoint;
use crate::hold;
use crate::provider::Provider;
use crate::provider::policy::has_scope;

use self::verify::{Claims, Distrust, Verifier};

mod accounts;
mod echo;
mod quotes;
mod step_up;
mod verify;

/// The largest body the quotes and accounts APIs read.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// A sample API, ready to be served.
pub(crate) struct Served {
    pub(crate) name: &'static str,
    pub(crate) router: Router,
}

/// What an API checks tokens with.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    name: &'static str,
    provider: Arc<Provider>,
    verifier: Arc<Verifier>,
}

/// Returns the sample APIs: quotes, accounts, echo.
pub(crate) fn all(provider: &Arc<Provider>) -> [Served; 3] {
    let gate = |name, audience| Gate {
        name,
        provider: Arc::clone(provider),
        verifier: Arc::new(Verifier::new(provider, audience)),
    };
    let served = |gate: Gate, router: Router| Served {
        name: gate.name,
        router: router
            .layer(from_fn_with_state(gate.clone(), step_up::ask))
            .layer(from_fn_with_state(gate, faulty)),
    };
    let small = DefaultBodyLimit::max(BODY_MAX_BYTES);
    let quotes = gate("quotes", crate::QUOTES_AUDIENCE);
    let accounts = gate("accounts", crate::ACCOUNTS_AUDIENCE);
    let echo = gate("echo", crate::ECHO_AUDIENCE);
    [
        served(quotes.clone(), quotes::router(quotes).layer(small)),
        served(accounts.clone(), accounts::router(accounts).layer(small)),
        served(echo.clone(), echo::router(echo)),
    ]
}

/// Returns a 401 as RFC 6750 §3.1 has it.
pub(crate) fn unauthorized(reason: &str) -> Response {
    challenge(StatusCode::UNAUTHORIZED, "invalid_token", reason, None)
}

impl Gate {
    /// Returns the claims of the access token of a request that carries the scope.
    async fn admit(
        &self,
        headers: &HeaderMap,
        scope: Option<&str>,
    ) -> Result<Arc<Claims>, Response> {
        let claims = self.claims(headers).await?;
        match scope {
            Some(scope) if !has_scope(&claims.scope, scope) => {
                let reason = "the token lacks a scope";
                Err(challenge(StatusCode::FORBIDDEN, "insufficient_scope", reason, Some(scope)))
            }
            Some(_) | None => Ok(claims),
        }
    }

    async fn claims(&self, headers: &HeaderMap) -> Result<Arc<Claims>, Response> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let access_token = bearer
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, access_token)| access_token.trim())
            .ok_or_else(|| unauthorized("there is no bearer token"))?;
        let leeway_s = hold(&self.provider.tenant).settings.api_leeway_s;
        let checked = self.verifier.check(access_token, leeway_s).await;
        checked.map_err(|distrust| match distrust {
            Distrust::Token(reason) => unauthorized(reason),
            Distrust::KeysUnreachable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        })
    }

    /// Returns what may be shown of an access token, so that people can watch it being replaced.
    fn seen(&self, claims: &Claims) -> Value {
        let now_s = self.provider.clock.unix_s(self.provider.clock.now_ms());
        json!({
            "jti_prefix": claims.jti.chars().take(6).collect::<String>(),
            "aud": claims.aud,
            "sub": claims.sub,
            "scope": claims.scope,
            "seconds_left": claims.exp.saturating_sub(now_s),
            "issued_at": claims.iat,
            "acr": claims.acr,
            "amr": claims.amr,
            "auth_time": claims.auth_time,
        })
    }
}

async fn faulty(State(gate): State<Gate>, ask: Request, next: Next) -> Response {
    gate.provider.faulty(Endpoint::Api, gate.name, next.run(ask)).await
}

fn challenge(status: StatusCode, error: &str, reason: &str, scope: Option<&str>) -> Response {
    let scope = scope.map(|scope| format!(", scope=\"{scope}\"")).unwrap_or_default();
    let line = format!("Bearer error=\"{error}\", error_description=\"{reason}\"{scope}");
    let body = Json(json!({ "error": error, "error_description": reason }));
    let mut answer = (status, body).into_response();
    if let Ok(line) = HeaderValue::try_from(line) {
        answer.headers_mut().insert(WWW_AUTHENTICATE, line);
    }
    answer
}
