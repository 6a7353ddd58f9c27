//! Numbers for Prometheus, and whether the gateway lives and can serve.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokenward::core::time::Instant;
use tokio::sync::Mutex;

use super::Admin;
use crate::front::Front;
use crate::pages::Trouble;

/// For how long an answer of the store is good: probes of many balancers must not become writes.
const STORE_FRESH: Duration = Duration::from_secs(1);

/// How long the store may take to prove itself: probes give up after a few seconds.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// When a balancer should look again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the store said last, and when; one at a time asks.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<(Instant, Result<(), String>)>>);

impl Health {
    /// Returns what keeps the gateway from serving; empty where nothing does.
    pub(super) async fn reasons(&self, front: &Front) -> Vec<String> {
        let mut reasons = Vec::new();
        if front.is_draining() {
            reasons.push("the gateway is draining".to_owned());
        }
        if let Err(reason) = self.store(front).await {
            reasons.push(reason);
        }
        reasons
    }

    async fn store(&self, front: &Front) -> Result<(), String> {
        let clock = front.tokenward().clock();
        let mut last = self.0.lock().await;
        if let Some((at, said)) = &*last
            && clock.now().since(*at) < STORE_FRESH
        {
            return said.clone();
        }
        let asked = tokio::time::timeout(STORE_WITHIN, front.tokenward().ready()).await;
        let said = match asked {
            Ok(said) => said.map_err(|error| error.to_string()),
            Err(_) => Err("the store does not answer in time".to_owned()),
        };
        *last = Some((clock.now(), said.clone()));
        said
    }
}

/// GET /metrics.
pub(super) async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let metrics = Arc::clone(admin.front.tokenward().metrics());
    metrics.look_at_process();
    crate::device::look_at_content(&admin.front);
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let accept = accept.unwrap_or_default().to_owned();
    // A third of a second of work at the catalogue's caps: too long for the threads of the actors.
    let writing = tokio::task::spawn_blocking(move || metrics.exposition(&accept));
    match writing.await {
        Ok((media_type, text)) => ([(header::CONTENT_TYPE, media_type)], text).into_response(),
        // The runtime is ending.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// GET /healthz: the process answers, and nothing more.
pub(super) async fn healthz() -> Response {
    super::json(StatusCode::OK, json!({ "status": "alive" }))
}

/// GET /readyz: tokens can be kept, and the gateway stays.
pub(super) async fn readyz(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let reasons = admin.health.reasons(&admin.front).await;
    if reasons.is_empty() {
        return super::json(StatusCode::OK, json!({ "status": "ready" }));
    }
    Trouble::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_ready",
        "Not ready",
        format!("Not ready: {}.", reasons.join("; ")),
    )
    .retry_after(LOOK_AGAIN)
    .reply(&headers)
}
