//! What devices say, and how they are told no (RFC 6749 §3.1, §3.2 and §5.2).

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::pages::Trouble;

/// The longest form: a dozen audiences with their scopes.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// A form in which no parameter stands twice but those that may.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

/// Why a device does not get what it asks for.
#[derive(Debug)]
pub(super) enum No {
    /// When it is said in OAuth's own words.
    Oauth(&'static str, &'static str),
    /// When it is said as to everybody else.
    Trouble(Trouble),
}

impl Form {
    /// Reads a form.
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, No> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(No::Oauth(INVALID, "a form is expected"));
        }
        let body = axum::body::to_bytes(body, FORM_BYTES_MAX).await;
        let body = body.map_err(|_| No::Oauth(INVALID, "the form is too long"))?;
        // An empty parameter counts as absent (§3.1).
        let pairs = url::form_urlencoded::parse(&body).into_owned();
        Ok(Self(pairs.filter(|(_, value)| !value.is_empty()).collect()))
    }

    /// Returns a parameter that may stand once.
    pub(super) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, No> {
        let mut values = self.all(name);
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => Err(No::Oauth(INVALID, "a parameter is there twice")),
        }
    }

    /// Returns all values of a parameter that may stand several times.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl No {
    /// Makes the reply.
    pub(super) fn reply(self, headers: &HeaderMap) -> Response {
        match self {
            Self::Oauth(error, description) => {
                let told = json!({ "error": error, "error_description": description });
                (StatusCode::BAD_REQUEST, Json(told)).into_response()
            }
            Self::Trouble(trouble) => trouble.reply(headers),
        }
    }
}

/// The `error` of a request that cannot be understood.
pub(super) const INVALID: &str = "invalid_request";

/// Says that the operator lets no device sign in.
pub(super) fn switched_off() -> Trouble {
    Trouble::new(
        StatusCode::NOT_FOUND,
        "device_sign_in_off",
        "Devices cannot sign in here",
        "The gateway's operator has not switched it on: a [device] table in its configuration does.",
    )
}
