//! A device asks for a code (RFC 8628 §3.1 and §3.2).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokenward::core::device_sign_in::codes::{DeviceKind, Wish};
use tokenward::core::name::Audience;
use tokenward::core::scope::ScopeSet;

use super::desk::Unopened;
use super::form::{Form, INVALID, No, switched_off};
use super::{ROOT, place_of};
use crate::control::Visitor;
use crate::front::Front;
use crate::pages::Trouble;
use crate::session::store_trouble;
use crate::sign_in::PROTOCOL_SCOPES;

/// What a device is that does not say it.
pub(super) const KIND: &str = "display";

/// A code and where a person takes it (§3.2).
#[derive(Serialize)]
struct Told {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: u64,
}

/// POST /auth/device/code.
pub(crate) async fn code(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let read = Form::read(&head.headers, body).await;
    let opened = match read {
        Ok(form) => opened(&front, &head, &form).await,
        Err(no) => Err(no),
    };
    match opened {
        Ok(told) => Json(told).into_response(),
        Err(no) => no.reply(&head.headers),
    }
}

/// Returns what a device calls itself.
pub(super) fn kind(form: &Form) -> Result<DeviceKind, No> {
    let said = form.one("client_id")?.unwrap_or(KIND);
    DeviceKind::parse(said)
        .map_err(|_| No::Oauth(INVALID, "client_id is longer than 64 characters, or not printable"))
}

/// Returns the one who asks; everything that comes in by a listener has one.
pub(super) fn visitor(head: &Parts) -> Result<&Visitor, Trouble> {
    head.extensions.get::<Visitor>().ok_or_else(|| {
        let detail = "The gateway does not know where this request comes from.";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Trouble::new(status, "internal", "The gateway failed", detail)
    })
}

async fn opened(front: &Front, head: &Parts, form: &Form) -> Result<Told, No> {
    let config = front.config();
    let device = config.device.as_ref().ok_or_else(|| No::Trouble(switched_off()))?;
    let origin = front.origin(&head.headers, &head.uri).map_err(No::Trouble)?;
    let place = place_of(&config, visitor(head).map_err(No::Trouble)?, &head.headers);
    let wish = wish(front, &device.audiences, form)?;
    let opened = front.displays().open(place, &wish, device.terms).await;
    let opened = opened.map_err(|unopened| match unopened {
        Unopened::Full(wait) => No::Trouble(too_many(wait)),
        Unopened::Later => No::Trouble(store_trouble()),
    })?;
    tracing::info!(kind = wish.kind.as_str(), %place, "a device asks to sign in");
    let user_code = opened.user_code.to_string();
    Ok(Told {
        device_code: opened.device_code.expose().to_string(),
        verification_uri: format!("{origin}{ROOT}"),
        verification_uri_complete: format!("{origin}{ROOT}/{user_code}"),
        user_code,
        expires_in: device.terms.lifetime.as_secs(),
        interval: device.terms.interval.as_secs(),
    })
}

/// Reads what a device asks for: nothing that its kind of devices may not have.
pub(super) fn wish(front: &Front, allowed: &[Audience], form: &Form) -> Result<Wish, No> {
    let kind = kind(form)?;
    let mut audiences: Vec<Audience> = Vec::new();
    for named in form.all("audience").chain(form.all("resource")) {
        let found = allowed.iter().find(|audience| audience.as_str() == named);
        let found = found.ok_or(No::Oauth("invalid_target", "no device may ask for this API"))?;
        if !audiences.contains(found) {
            audiences.push(found.clone());
        }
    }
    if audiences.is_empty() {
        audiences.extend_from_slice(allowed);
    }
    let scopes = ScopeSet::parse(form.one("scope")?.unwrap_or_default());
    let known = front.audiences();
    let of_routes = known.iter().filter(|(audience, _)| audiences.contains(audience));
    let all = of_routes.fold(ScopeSet::parse(PROTOCOL_SCOPES), |all, (_, more)| all.merge(more));
    if !scopes.iter().all(|scope| all.contains(scope)) {
        return Err(No::Oauth("invalid_scope", "no route of these APIs needs this scope"));
    }
    Ok(Wish { kind, audiences, scopes })
}

fn too_many(wait: Duration) -> Trouble {
    Trouble::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_codes",
        "Too many codes",
        "As many codes as there may be are open, here or altogether. Ask again later.",
    )
    .retry_after(wait)
}
