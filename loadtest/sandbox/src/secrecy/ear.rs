//! Notes what callers of the provider send, before anybody else reads it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::{Kind, Secrets};
use crate::provider::{BODY_MAX_BYTES, Provider};

/// Notes the secrets of a request, and those in the header of its answer.
///
/// Answers' bodies are left alone: a fault may cut them in the middle. What is issued is noted
/// where it is made.
pub(crate) async fn hear(
    State(provider): State<Arc<Provider>>,
    ask: Request,
    next: Next,
) -> Response {
    let (head, body) = ask.into_parts();
    let Ok(body) = to_bytes(body, BODY_MAX_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    provider.secrets.learn_headers(&head.headers);
    let json = head.headers.get(CONTENT_TYPE);
    if json.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
        let object: Value = serde_json::from_slice(&body).unwrap_or_default();
        provider.secrets.learn_members(&object);
    } else {
        learn_form(&provider.secrets, &body);
    }
    let answer = next.run(Request::from_parts(head, Body::from(body))).await;
    learn_answer(&provider.secrets, &answer);
    answer
}

fn learn_form(secrets: &Secrets, form: &[u8]) {
    for (name, value) in url::form_urlencoded::parse(form) {
        secrets.learn_named(&name, &value);
    }
}

fn learn_answer(secrets: &Secrets, answer: &Response) {
    let texts = |name| {
        let values = answer.headers().get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok())
    };
    for place in texts(LOCATION) {
        let query = place.split_once('?').map_or("", |(_, query)| query);
        learn_form(secrets, query.as_bytes());
    }
    for line in texts(SET_COOKIE) {
        let pair = line.split(';').next().and_then(|pair| pair.split_once('='));
        if let Some((_, value)) = pair {
            secrets.learn(Kind::Cookie, value);
        }
    }
}
