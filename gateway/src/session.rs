//! What a person may know of their own session.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use tokenward::SessionView;
use tokenward::core::name::SessionKey;

use crate::front::Front;
use crate::pages::Trouble;
use crate::{device, origin};

/// How long a caller is sent away while the store does not answer.
pub(crate) const STORE_RETRY: Duration = Duration::from_secs(2);

/// A session with what waits for its person.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    session: SessionView,
    /// Each with the place where its person goes.
    holds: Vec<Value>,
}

/// GET /auth/session.
pub(crate) async fn session(
    State(front): State<Arc<Front>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match living(&front, &headers).await {
        Ok((key, view)) => match front.tokenward().holds(&key).await {
            Ok(holds) => {
                let own = origin::of(&front.config(), &headers, &uri).unwrap_or_default();
                let whose = (&key, view.device.is_some());
                let mut shown = Vec::with_capacity(holds.len());
                for hold in &holds {
                    shown.push(device::with_link(&front, whose, &own, hold).await);
                }
                Json(Shown { session: view, holds: shown }).into_response()
            }
            Err(fault) => {
                tracing::warn!(session = %key.id(), %fault, "what is held cannot be shown");
                Json(Shown { session: view, holds: Vec::new() }).into_response()
            }
        },
        Err(trouble) => trouble.reply(&headers),
    }
}

/// Returns the living session that a request names, or says that a sign-in is needed.
pub(crate) async fn living(
    front: &Front,
    headers: &HeaderMap,
) -> Result<(SessionKey, SessionView), Trouble> {
    let key = front.session_of(headers).ok_or_else(|| not_signed_in(front))?;
    match front.tokenward().describe(&key).await {
        Ok(Some(view)) if view.state != "ended" => Ok((key, view)),
        Ok(Some(_) | None) => Err(not_signed_in(front)),
        Err(error) => {
            tracing::error!(session = %key.id(), %error, "a session cannot be described");
            Err(store_trouble())
        }
    }
}

/// Says that the sessions cannot be read or written at the moment.
pub(crate) fn store_trouble() -> Trouble {
    Trouble::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "Not at the moment",
        "The gateway cannot reach its session store. Try again in a moment; its operator finds the \
         cause in the log.",
    )
    .retry_after(STORE_RETRY)
}

pub(crate) fn not_signed_in(front: &Front) -> Trouble {
    Trouble::new(
        StatusCode::UNAUTHORIZED,
        "login_required",
        "Nobody is signed in",
        "There is no living session with this request. Sign in to go on.",
    )
    .challenge("Bearer")
    .way_out("Sign in", format!("{}/login", front.config().prefix))
}
