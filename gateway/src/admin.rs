//! The operator's listener: the console, numbers, health, sessions, and what happens to them.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use crate::front::Front;
use crate::pages::Trouble;

mod adopt;
mod console;
mod devices;
mod feed;
mod gate;
mod health;
mod past;
mod sessions;

pub use sessions::{ENDED_EVENT, Page, Story};

/// The largest body that is read here: a refresh token with its names.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The event streams of operators and their tools: each looks at every fact.
const STREAMS_MAX: usize = 64;

/// What the operator's endpoints share.
pub(crate) struct Admin {
    front: Arc<Front>,
    console: console::Console,
    health: health::Health,
    past: Arc<past::Past>,
    streams: Arc<Semaphore>,
}

/// Returns the operator's endpoints.
pub fn router(front: Arc<Front>) -> Router {
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    let (console, health) = Default::default();
    let past = Arc::new(past::Past::new(front.tokenward().clock().unix_millis()));
    tokio::spawn(past::follow(Arc::clone(&past), front.tokenward().events()));
    let admin = Arc::new(Admin { front, console, health, past, streams });
    console::start(&admin);
    Router::new()
        .route("/", get(console::page))
        .route("/sessions", get(console::sessions))
        .route("/sessions/{id}", get(console::session))
        .route("/sessions/{id}/end", post(console::end))
        .route("/sessions/{id}/retry", post(console::retry))
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/api/devices", get(devices::list))
        .route("/api/sessions", get(sessions::list))
        .route("/api/sessions/{id}", get(sessions::show).delete(sessions::end))
        .route("/api/sessions/{id}/timeline", get(sessions::timeline))
        .route("/api/sessions/{id}/retry", post(sessions::retry))
        .route("/api/events", get(feed::events))
        .route("/api/console/live", get(console::live))
        .route("/api/adopt", post(adopt::adopt))
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&admin), gate::gate))
        .layer(map_response(guarded))
        .with_state(admin)
}

/// Adds what every reply of ours carries; pages bring a content policy of their own.
async fn guarded(mut reply: Response) -> Response {
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
    reply
}

async fn not_found(headers: HeaderMap) -> Response {
    Trouble::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "Nothing is here",
        "There are /, /sessions, /metrics, /healthz, /readyz, /api/sessions, /api/devices, \
         /api/events and /api/adopt.",
    )
    .way_out("Console", "/")
    .reply(&headers)
}

async fn wrong_method(headers: HeaderMap) -> Response {
    Trouble::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This is asked in another way",
        "The endpoint does not take this method; the Allow header says which it takes.",
    )
    .reply(&headers)
}

/// Makes a reply of JSON with a status.
fn json(status: StatusCode, body: impl serde::Serialize) -> Response {
    (status, axum::Json(body)).into_response()
}
