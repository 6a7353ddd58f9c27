//! What the MFA API and the MFA grants refuse with (WIRE a2, a3). Statuses differ between the
//! vendor's documents and its fixtures, so nobody should branch on them.

use axum::http::StatusCode;

use crate::provider::refusal::{Refusal, invalid_request, refusal};

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// Demands a second factor.
pub const MFA_REQUIRED: Refusal = refusal("mfa_required", "Multifactor authentication required");
/// Answers an `mfa_token` that was never issued, was used, or was replaced.
pub const MALFORMED: Refusal =
    refusal("invalid_grant", "Malformed mfa_token").with(BAD, UNAUTHORIZED);
/// Answers an `mfa_token` after its lifetime.
pub const EXPIRED: Refusal = refusal("expired_token", "mfa_token is expired");
/// Answers another client's `mfa_token`.
pub const FOREIGN: Refusal = invalid_request("mfa_token not issued to this client");
/// Answers a wrong one-time password.
pub const WRONG_OTP: Refusal = refusal("invalid_grant", "Invalid otp_code.");
/// Answers an unknown, used or old challenge.
pub const WRONG_OOB: Refusal = refusal("invalid_grant", "Invalid oob_code.");
/// Answers a wrong code of a message.
pub const WRONG_BINDING: Refusal = refusal("invalid_grant", "Invalid binding_code.");
/// Answers a wrong recovery code.
pub const WRONG_RECOVERY: Refusal = refusal("invalid_grant", "Invalid recovery_code.");
/// Answers a code of a message that is missing.
pub const NO_BINDING: Refusal = invalid_request("binding_code is required");
/// Answers a poll while the user has not decided.
pub const PENDING: Refusal = refusal(
    "authorization_pending",
    "Authorization pending: please repeat the request in a few seconds.",
)
.with(BAD, BAD);
/// Answers a poll that came too early.
pub const SLOW_DOWN: Refusal =
    refusal("slow_down", "You are polling faster than allowed. Try again later.").with(BAD, BAD);
/// Answers a poll after the user refused.
pub const REJECTED: Refusal = refusal("invalid_grant", "MFA Authorization rejected.");
/// Answers a user who was wrong too often.
pub const TOO_MANY_ATTEMPTS: Refusal =
    refusal("too_many_attempts", "Too many failed codes. Wait for some minutes before retrying.")
        .with(TOO_MANY, TOO_MANY);
/// Answers a user who was sent too many messages.
pub const TOO_MANY_MESSAGES: Refusal =
    refusal("too_many_attempts", "Too many messages were sent. Try again later.")
        .with(TOO_MANY, TOO_MANY);
/// Answers the MFA API's caller without a token it knows.
pub const INVALID_TOKEN: Refusal =
    refusal("invalid_token", "Invalid MFA token").with(UNAUTHORIZED, UNAUTHORIZED);
/// Answers the MFA API's caller whose token is too old.
pub const EXPIRED_TOKEN: Refusal = EXPIRED.with(UNAUTHORIZED, UNAUTHORIZED);
/// Answers an access token without the scope.
pub const NO_SCOPE: Refusal = refusal("insufficient_scope", "Insufficient scope")
    .with(StatusCode::FORBIDDEN, StatusCode::FORBIDDEN);
/// Answers a challenge of a user without factors.
pub const NOT_ENROLLED: Refusal =
    refusal("unsupported_challenge_type", "User is not enrolled with guardian")
        .with(UNAUTHORIZED, BAD);
/// Answers a challenge of a user without factors, in other documents.
pub const ASSOCIATION_REQUIRED: Refusal = refusal(
    "association_required",
    "User is not enrolled. You can use /mfa/associate endpoint to enroll the first authenticator.",
);
/// Answers a challenge the user's factors do not serve.
pub const UNSUPPORTED_CHALLENGE: Refusal =
    refusal("unsupported_challenge_type", "The challenge type is not supported by this user.")
        .with(BAD, BAD);
/// Answers an authenticator that is not the user's.
pub const INVALID_AUTHENTICATOR: Refusal =
    refusal("invalid_authenticator", "Invalid authenticator ID").with(BAD, BAD);
/// Answers an enrolment of a user who has a factor.
pub const ALREADY_ENROLLED: Refusal = refusal("access_denied", "User is already enrolled");
/// Answers the removal of an authenticator that is not there.
pub const NO_AUTHENTICATOR: Refusal = refusal("not_found", "The authenticator does not exist.")
    .with(StatusCode::NOT_FOUND, StatusCode::NOT_FOUND);
