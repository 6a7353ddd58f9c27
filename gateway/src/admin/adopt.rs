//! Makes a session of a refresh token from elsewhere, for the command `tokenward adopt`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use tokenward::core::secret::RefreshToken;
use tokenward::{AdoptError, Adoption};

use super::{Admin, sessions};
use crate::config::Secret;
use crate::pages::Trouble;

/// The longest subject (OpenID Connect Core §2 allows 255 characters).
const SUBJECT_BYTES_MAX: usize = 1_020;

/// What is to be adopted. Has no text, because it holds a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Foundling {
    #[serde(deserialize_with = "secret")]
    refresh_token: Secret,
    subject: String,
    audience: String,
}

/// POST /api/adopt.
pub(super) async fn adopt(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    foundling: Result<Json<Foundling>, JsonRejection>,
) -> Response {
    let answer = match foundling {
        Ok(Json(foundling)) => adopted(&admin, &foundling).await,
        // The rejection's own words may quote what was sent.
        Err(rejection) => Err(malformed(&rejection)),
    };
    match answer {
        Ok(reply) => reply,
        Err(trouble) => trouble.reply(&headers),
    }
}

async fn adopted(admin: &Admin, foundling: &Foundling) -> Result<Response, Trouble> {
    let bad = |detail: String| {
        Trouble::new(StatusCode::BAD_REQUEST, "invalid_request", "Not adopted", detail)
    };
    if foundling.subject.is_empty() || foundling.subject.len() > SUBJECT_BYTES_MAX {
        return Err(bad(
            "subject is empty or too long; give the provider's name for the person (sub)."
                .to_owned(),
        ));
    }
    let known = admin.front.audiences();
    let primary = known.iter().map(|(audience, _)| audience);
    let Some(primary) = primary.clone().find(|known| known.as_str() == foundling.audience) else {
        let listed: Vec<&str> = primary.map(|audience| audience.as_str()).collect();
        return Err(bad(format!("No route has this audience; use one of {}.", listed.join(", "))));
    };
    let refresh_token = foundling.refresh_token.expose().trim();
    if refresh_token.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad("The refresh token holds blanks; give one token on one line.".to_owned()));
    }
    let adoption = Adoption {
        refresh_token: RefreshToken::new(refresh_token),
        subject: foundling.subject.clone(),
        primary: primary.clone(),
    };
    match admin.front.tokenward().adopt(adoption).await {
        Ok(handle) => {
            let session = handle.key().id();
            tracing::info!(%session, "a refresh token was adopted");
            let body = json!({ "handle": handle.expose().as_str(), "session": session });
            Ok(super::json(StatusCode::CREATED, body))
        }
        Err(AdoptError::Empty) => {
            Err(bad("The refresh token is empty; pass it on standard input.".to_owned()))
        }
        Err(AdoptError::Store(error)) => Err(sessions::store(&error)),
    }
}

fn malformed(rejection: &JsonRejection) -> Trouble {
    let (status, detail) = match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send it with Content-Type: application/json.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            (StatusCode::PAYLOAD_TOO_LARGE, "The body is longer than 64 KiB, or broke off.")
        }
        _ => (
            StatusCode::BAD_REQUEST,
            "Send a JSON object with the texts refresh_token, subject and audience, and nothing else.",
        ),
    };
    Trouble::new(status, "invalid_request", "Not adopted", detail)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}
