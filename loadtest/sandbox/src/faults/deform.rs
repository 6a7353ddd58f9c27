//! How a fault deforms an answer.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::listen::CutConnection;

use super::{Fault, FaultKind, SLOW_MAX_MS, When};

/// The largest answer a fault deforms; ours are a few kilobytes.
const DEFORM_MAX_BYTES: usize = 1 << 20;

/// How long a fault waits for the whole answer it is to deform; a stream has none.
const DEFORM_WITHIN: Duration = Duration::from_secs(2);

/// Between the half that is sent and the abort, so that the half leaves the socket's buffer first.
const HALF_BODY_PAUSE: Duration = Duration::from_millis(30);

/// Plays a fault around the work that would answer; `unix_s` is the time for reset headers.
pub(crate) async fn play<W>(fault: Option<Fault>, unix_s: u64, work: W) -> Response
where
    W: Future<Output = Response>,
{
    let Some(fault) = fault else {
        return work.await;
    };
    let slow = Duration::from_millis(fault.ms.unwrap_or(0).min(SLOW_MAX_MS));
    match fault.when() {
        When::Before => {
            tokio::time::sleep(slow).await;
            if fault.kind == FaultKind::Slow {
                return work.await;
            }
            deform(&fault, unix_s, None).await
        }
        When::After => {
            let answer = work.await;
            tokio::time::sleep(slow).await;
            deform(&fault, unix_s, Some(answer)).await
        }
    }
}

async fn deform(fault: &Fault, unix_s: u64, answer: Option<Response>) -> Response {
    match fault.kind {
        FaultKind::CutAfterCommit | FaultKind::CutBeforeCommit => CutConnection.into_response(),
        FaultKind::RateLimited => rate_limited(fault, unix_s),
        FaultKind::Status => status(fault),
        FaultKind::Slow => answer.unwrap_or_default(),
        FaultKind::HalfBody => half_body(answer.unwrap_or_default()).await,
        FaultKind::Garbage200 => {
            ([(CONTENT_TYPE, "application/json")], "<html>it works!</html>{\"access_")
                .into_response()
        }
        FaultKind::Empty400 => StatusCode::BAD_REQUEST.into_response(),
        FaultKind::Malformed200WithRefreshToken => malformed(answer.unwrap_or_default()).await,
        FaultKind::OauthError => oauth_error(fault),
        FaultKind::Unauthorized => {
            crate::api::unauthorized("the sandbox was told to distrust this token")
        }
    }
}

fn rate_limited(fault: &Fault, unix_s: u64) -> Response {
    let reset = unix_s.saturating_add(fault.reset_s.unwrap_or(1));
    let body = json!({
        "error": "too_many_requests",
        "error_description": "Rate limit exceeded. Please retry after some time.",
    });
    let headers = [
        ("x-ratelimit-limit", "30".to_owned()),
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset", reset.to_string()),
    ];
    retry_after(fault, (StatusCode::TOO_MANY_REQUESTS, headers, axum::Json(body)).into_response())
}

fn status(fault: &Fault) -> Response {
    let status = fault.status.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    retry_after(fault, (status, "upstream connect error or disconnect").into_response())
}

fn oauth_error(fault: &Fault) -> Response {
    let status = fault.status.and_then(|code| StatusCode::from_u16(code).ok());
    let body = json!({
        "error": fault.error.as_deref().unwrap_or("access_denied"),
        "error_description": fault.error_description.as_deref().unwrap_or("The sandbox was told so."),
    });
    retry_after(fault, (status.unwrap_or(StatusCode::FORBIDDEN), axum::Json(body)).into_response())
}

fn retry_after(fault: &Fault, mut answer: Response) -> Response {
    if let Some(seconds) = fault.retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

async fn half_body(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let whole = whole(body).await;
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let half = whole.slice(..whole.len() / 2);
    let chunks = futures_util::stream::unfold(Some(half), |half| async move {
        if let Some(half) = half.filter(|half| !half.is_empty()) {
            return Some((Ok::<Bytes, std::io::Error>(half), Some(Bytes::new())));
        }
        tokio::time::sleep(HALF_BODY_PAUSE).await;
        Some((Err(std::io::Error::other("the sandbox cut the body")), None))
    });
    Response::from_parts(parts, Body::from_stream(chunks))
}

async fn malformed(answer: Response) -> Response {
    let body = whole(answer.into_body()).await;
    let whole: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut left = json!({ "access_token": "", "expires_in": "soon" });
    if let Some(refresh_token) = whole.get("refresh_token") {
        left["refresh_token"] = refresh_token.clone();
    }
    axum::Json(left).into_response()
}

async fn whole(body: Body) -> Bytes {
    let reading = axum::body::to_bytes(body, DEFORM_MAX_BYTES);
    let read = tokio::time::timeout(DEFORM_WITHIN, reading).await;
    read.ok().and_then(Result::ok).unwrap_or_default()
}
