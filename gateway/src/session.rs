//! What a person may know of their own session.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokenward::SessionView;
use tokenward::core::name::SessionKey;
use tokenward::step_up::HoldView;

use crate::front::Front;
use crate::pages::Trouble;

/// How long a caller is sent away while the store does not answer.
pub(crate) const STORE_RETRY: Duration = Duration::from_secs(2);

/// A session with what waits for its person.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    session: SessionView,
    holds: Vec<HoldView>,
}

/// GET /auth/session.
pub(crate) async fn session(State(front): State<Arc<Front>>, headers: HeaderMap) -> Response {
    match living(&front, &headers).await {
        Ok((key, view)) => match front.tokenward().holds(&key).await {
            Ok(holds) => Json(Shown { session: view, holds }).into_response(),
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
