//! A device asks whether somebody has said yes (RFC 8628 §3.4 and §3.5).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokenward::core::device_sign_in::codes::Answer;

use super::authorize::kind;
use super::desk::{DeviceCode, tell};
use super::form::{Form, INVALID, No, switched_off};
use crate::front::Front;
use crate::session::store_trouble;

/// The grant type of this endpoint; there is no other.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The handle of the device's session, as an access token (RFC 6749 §5.1).
#[derive(Serialize)]
struct Told {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
}

/// POST /auth/device/token.
pub(crate) async fn token(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let read = Form::read(&head.headers, body).await;
    let redeemed = match read {
        Ok(form) => redeemed(&front, &form).await,
        Err(no) => Err(no),
    };
    match redeemed {
        Ok(told) => Json(told).into_response(),
        Err(no) => no.reply(&head.headers),
    }
}

async fn redeemed(front: &Front, form: &Form) -> Result<Told, No> {
    let config = front.config();
    if config.device.is_none() {
        return Err(No::Trouble(switched_off()));
    }
    match form.one("grant_type")? {
        Some(GRANT_TYPE) => {}
        Some(_) => {
            let description = "only the device code grant is offered here";
            return Err(No::Oauth("unsupported_grant_type", description));
        }
        None => return Err(No::Oauth(INVALID, "grant_type is missing")),
    }
    let kind = kind(form)?;
    let said = form.one("device_code")?.ok_or(No::Oauth(INVALID, "device_code is missing"))?;
    let unknown = No::Oauth("invalid_grant", "there is no such code any more: ask for another");
    let Some(device_code) = DeviceCode::parse(said) else { return Err(unknown) };
    let answer = front.displays().poll(&device_code, &kind).await.map_err(|error| {
        tell(&error);
        No::Trouble(store_trouble())
    })?;
    match answer {
        Answer::Granted(handle) => Ok(Told {
            access_token: handle.expose().to_owned(),
            token_type: "Bearer",
            expires_in: config.session.lifetime.as_secs(),
        }),
        Answer::Pending => {
            Err(No::Oauth("authorization_pending", "nobody has approved the code yet"))
        }
        Answer::SlowDown => Err(No::Oauth("slow_down", "ask five seconds less often from here on")),
        Answer::Denied => Err(No::Oauth("access_denied", "somebody said no")),
        Answer::Expired => Err(No::Oauth("expired_token", "nobody approved the code in time")),
        Answer::Unknown => Err(unknown),
    }
}
