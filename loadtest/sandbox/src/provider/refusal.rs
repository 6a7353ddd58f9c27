//! The OAuth errors of the provider, with the statuses Auth0 sends and those of the RFCs.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::settings::Statuses;

/// An OAuth error. Statuses differ between vendors, so both are kept and the tenant chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The `error` code.
    pub error: &'static str,
    /// The `error_description`.
    pub description: &'static str,
    auth0: StatusCode,
    rfc: StatusCode,
}

/// Says the same for expired, revoked, reused, idle and evicted tokens, as the vendor does.
pub const UNKNOWN_REFRESH_TOKEN: Refusal =
    refusal("invalid_grant", "Unknown or invalid refresh token.");
/// Answers a refresh for a deleted user.
pub const USER_GONE: Refusal = refusal(
    "invalid_grant",
    "The refresh_token was generated for a user who doesn't exist anymore.",
);
/// Answers a bad authorization code.
pub const INVALID_CODE: Refusal = refusal("invalid_grant", "Invalid authorization code");
/// Answers a wrong PKCE verifier.
pub const PKCE_FAILED: Refusal = refusal("invalid_grant", "Failed to verify code verifier");
/// Answers a device code that is unknown or was used.
pub const INVALID_DEVICE_CODE: Refusal =
    refusal("invalid_grant", "Invalid or expired device code.");
/// Answers a poll while nobody has decided.
pub const PENDING: Refusal =
    refusal("authorization_pending", "User has yet to authorize device code.");
/// Answers a poll that came too early.
pub const SLOW_DOWN: Refusal = Refusal {
    auth0: StatusCode::TOO_MANY_REQUESTS,
    ..refusal("slow_down", "You are polling faster than the specified interval of 5 seconds.")
};
/// Answers the first poll after the expiry.
pub const DEVICE_EXPIRED: Refusal = refusal("expired_token", "The device code is expired.");
/// Answers a poll after the user refused.
pub const DENIED: Refusal = refusal("access_denied", "User cancelled the confirmation prompt.");
/// Answers a client that failed to prove who it is.
pub const INVALID_CLIENT: Refusal = Refusal {
    auth0: StatusCode::UNAUTHORIZED,
    rfc: StatusCode::UNAUTHORIZED,
    ..refusal("invalid_client", "Client authentication failed")
};
/// Answers a grant type this tenant has not.
pub const UNSUPPORTED_GRANT: Refusal = Refusal {
    auth0: StatusCode::BAD_REQUEST,
    ..refusal("unsupported_grant_type", "Grant type not supported")
};
/// Answers a body that is neither a form nor a JSON object of strings.
pub const UNREADABLE: Refusal = invalid_request("The body is neither a form nor a JSON object.");
/// Answers a refresh for an audience outside the policies.
pub const AUDIENCE_REJECTED: Refusal = Refusal {
    auth0: StatusCode::FORBIDDEN,
    ..invalid_request("The audience is not allowed for this refresh token.")
};
/// Answers a request for an audience the tenant does not have.
pub const UNKNOWN_AUDIENCE: Refusal = refusal("access_denied", "Service not found.");
/// Answers what a rule refused.
pub const DENIED_BY_RULE: Refusal = refusal("access_denied", "Access denied by a rule.");
/// Answers a refresh token that a rule has just revoked.
pub const REVOKED_BY_RULE: Refusal =
    refusal("invalid_grant", "The refresh token was revoked by a rule.");

/// Describes a malformed request.
#[must_use]
pub const fn invalid_request(description: &'static str) -> Refusal {
    Refusal {
        error: "invalid_request",
        description,
        auth0: StatusCode::BAD_REQUEST,
        rfc: StatusCode::BAD_REQUEST,
    }
}

/// Describes a refusal with the statuses most have.
pub(super) const fn refusal(error: &'static str, description: &'static str) -> Refusal {
    Refusal { error, description, auth0: StatusCode::FORBIDDEN, rfc: StatusCode::BAD_REQUEST }
}

impl Refusal {
    /// Returns the refusal with other statuses: the vendor's and that of the RFCs.
    pub(super) const fn with(self, auth0: StatusCode, rfc: StatusCode) -> Self {
        Self { auth0, rfc, ..self }
    }

    /// Returns the status of the answer.
    pub(crate) fn status(self, statuses: Statuses) -> StatusCode {
        match statuses {
            Statuses::Auth0 => self.auth0,
            Statuses::Rfc => self.rfc,
        }
    }

    /// Returns the HTTP answer.
    pub(crate) fn answer(self, statuses: Statuses) -> Response {
        let status = self.status(statuses);
        let body = json!({"error": self.error, "error_description": self.description});
        let mut answer = (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = axum::http::HeaderValue::from_static("Basic realm=\"sandbox\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}
