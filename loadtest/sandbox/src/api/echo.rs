//! The echo API: tells what arrived, so that tests see what a proxy really sent.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http_body_util::BodyExt;
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use crate::provider::seal::{hex, short_hash};

use super::Gate;

/// The longest body read; bodies are hashed as they arrive and not kept.
const BODY_MAX_BYTES: u64 = 1 << 30;

pub(super) fn router(gate: Gate) -> Router {
    Router::new().fallback(echo).with_state(gate)
}

async fn echo(State(gate): State<Gate>, ask: Request) -> Response {
    let claims = match gate.admit(ask.headers(), None).await {
        Ok(claims) => claims,
        Err(refusal) => return refusal,
    };
    let (parts, mut body) = ask.into_parts();
    let (mut length, mut hash, mut trailers) = (0_u64, Context::new(&SHA256), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        match frame.into_data() {
            Ok(chunk) => {
                length += chunk.len() as u64;
                hash.update(&chunk);
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
        if length > BODY_MAX_BYTES {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
    }
    let told = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "version": format!("{:?}", parts.version),
        "headers": shown(&parts.headers),
        "trailers": shown(&trailers),
        "body_length": length,
        "body_sha256": hex(hash.finish().as_ref()),
        "access_token_seen": gate.seen(&claims),
    });
    Json(told).into_response()
}

/// Pairs, because a name may come more than once. Of the access token only a hash is told.
fn shown(headers: &HeaderMap) -> Vec<Value> {
    let pair = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        match name == AUTHORIZATION {
            true => json!([name.as_str(), format!("hash {}", short_hash(&value))]),
            false => json!([name.as_str(), value]),
        }
    };
    headers.iter().map(pair).collect()
}
