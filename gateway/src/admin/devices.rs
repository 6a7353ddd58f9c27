//! Displays, as they told of themselves last.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::{Admin, json};
use crate::device;

/// The most displays of one answer: each is asked whether it lives.
pub(super) const LISTED_MAX: usize = 200;

/// GET /api/devices: those that were heard of last first.
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Response {
    let devices = device::listed(&admin.front, LISTED_MAX).await;
    let broken = admin.front.displays().reports().broken();
    json(StatusCode::OK, json!({ "devices": devices, "broken_reports": broken }))
}
