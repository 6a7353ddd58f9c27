//! Signing out: by the person, and by the provider behind the browser's back.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use serde::{Deserialize, Serialize};
use tokenward::core::event::LogoutKind;

use crate::front::Front;
use crate::pages::{Trouble, wants_page};
use crate::session::{STORE_RETRY, store_trouble};
use crate::sign_in::jar;

#[derive(Serialize)]
struct SignedOut {
    /// Where the browser ends the provider's session too; absent where the provider has no place.
    logout_url: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Announcement {
    logout_token: String,
}

/// POST /auth/logout: ends the session here, then leads the browser to the provider's own end.
pub(crate) async fn logout(
    State(front): State<Arc<Front>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if let Err(trouble) = front.guard(&headers, &uri) {
        return trouble.reply(&headers);
    }
    let mut reply = match ended(&front, &headers, &uri).await {
        Ok(place) if wants_page(&headers) => see_other(place.as_deref().unwrap_or("/")),
        Ok(logout_url) => Json(SignedOut { logout_url }).into_response(),
        Err(trouble) => trouble.reply(&headers),
    };
    // Also where the end is not durable yet: it is tried on without the browser.
    let config = front.config();
    jar::remove(reply.headers_mut(), &config.session.cookie, config.is_https());
    reply
}

/// POST /auth/backchannel-logout (OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8).
pub(crate) async fn backchannel(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    form: Result<Form<Announcement>, FormRejection>,
) -> Response {
    let logout_token = match form {
        Ok(Form(Announcement { logout_token })) => logout_token,
        Err(rejection) => {
            let detail =
                format!("A form with logout_token is expected: {}.", rejection.body_text());
            return refused("invalid_request", detail).reply(&headers);
        }
    };
    let provider = front.tokenward().provider();
    let claims = match provider.verify_logout_token(&logout_token).await {
        Ok(claims) => claims,
        Err(fault) => {
            tracing::warn!(%fault, "a logout token does not pass");
            let detail = format!("The logout token does not pass: {fault}.");
            return refused("invalid_request", detail).reply(&headers);
        }
    };
    match front.tokenward().end_by_provider(&claims).await {
        Ok(ended) => {
            tracing::info!(ended, "the provider announced a logout");
            StatusCode::OK.into_response()
        }
        Err(error) => {
            // The provider repeats what failed, and must not be told that it was used before.
            provider.forget_logout(&claims);
            tracing::error!(%error, "an announced logout could not be carried out");
            let detail = "The logout could not be made durable; announce it again.";
            refused("temporarily_unavailable", detail.to_owned())
                .retry_after(STORE_RETRY)
                .reply(&headers)
        }
    }
}

/// Ends the session that the request names; answers where the provider's own session is ended.
async fn ended(front: &Front, headers: &HeaderMap, uri: &Uri) -> Result<Option<String>, Trouble> {
    let Some(key) = front.session_of(headers) else { return Ok(None) };
    let origin = front.origin(headers, uri)?;
    let farewell = match front.tokenward().end(&key, LogoutKind::User).await {
        Ok(Some(farewell)) => farewell,
        Ok(None) => return Ok(None),
        Err(error) => {
            tracing::error!(session = %key.id(), %error, "a sign-out is not durable yet");
            return Err(store_trouble());
        }
    };
    let home = format!("{origin}/");
    let hint = farewell.id_token.as_ref();
    // No `state`: the way back leads to the start page and does nothing there that it could guard.
    let place = front.tokenward().provider().end_session_url(hint, Some(&home), None).await;
    Ok(place.map(String::from))
}

fn see_other(place: &str) -> Response {
    let mut reply = StatusCode::SEE_OTHER.into_response();
    // A URL is ASCII.
    if let Ok(place) = HeaderValue::try_from(place) {
        reply.headers_mut().insert(header::LOCATION, place);
    }
    reply
}

fn refused(error: &'static str, detail: String) -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, error, "Logout not carried out", detail)
}
