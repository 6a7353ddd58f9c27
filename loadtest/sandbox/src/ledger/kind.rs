//! What may happen, and the vendor's log code for it.

use serde::Serialize;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A user signed in at the provider.
    Login,
    /// An authorization request was answered from the browser's session.
    SilentLogin,
    /// An authorization request with `prompt=none` found no session.
    SilentLoginRefused,
    /// An authorization code was exchanged.
    CodeExchanged,
    /// An authorization code was refused.
    CodeRefused,
    /// A refresh token was exchanged.
    Refreshed,
    /// A refresh arrived while another of its family, with a connected caller, was in flight.
    RefreshesOverlap,
    /// A refresh token of a family that has ended, or no refresh token at all, was refused.
    RefreshRefused,
    /// A spent refresh token was presented outside the reuse window.
    ReuseDetected,
    /// A family ended because of a reuse.
    FamilyRevoked,
    /// A family ended because its user and client had too many.
    FamilyEvicted,
    /// A refresh token was revoked by its client or by the operator.
    Revoked,
    /// A user was signed out at the provider.
    Logout,
    /// A logout token was sent to a client.
    BackchannelLogout,
    /// A device asked for a code.
    DeviceStarted,
    /// A device code was exchanged.
    DeviceExchanged,
    /// A device code was refused for good.
    DeviceRefused,
    /// A client's own token was issued.
    ClientCredentials,
    /// A client failed to authenticate.
    ClientRefused,
    /// An armed fault was played.
    FaultPlayed,
    /// The signing key was replaced.
    KeyRotated,
    /// Families were minted for a load test.
    Minted,
    /// A second factor was demanded, of a refresh, a sign-in or a device.
    MfaRequired,
    /// A one-time password was asked for.
    MfaOtpAsked,
    /// A code was sent by text message.
    MfaSmsSent,
    /// A code was read out by telephone.
    MfaVoiceSent,
    /// A code was sent by e-mail.
    MfaEmailSent,
    /// A push was sent.
    MfaPushSent,
    /// A one-time password completed a demand.
    OtpVerified,
    /// A message or push completed a demand.
    OobVerified,
    /// A recovery code completed a demand.
    RecoveryVerified,
    /// A one-time password was wrong.
    OtpWrong,
    /// The code of a message was wrong.
    OobWrong,
    /// A recovery code was wrong.
    RecoveryWrong,
    /// A poll was told that the user refused a push.
    MfaRejected,
    /// A poll was told that the user has not decided.
    MfaPending,
    /// A poll came too early.
    MfaSlowDown,
    /// A user was wrong, or was sent messages, too often.
    MfaRateLimited,
    /// An `mfa_token` was unknown, used, expired or another client's.
    MfaTokenRefused,
    /// A verification lacked something, or named an old challenge.
    MfaBadRequest,
    /// A second factor was given in a sign-in with a browser.
    MfaPagePassed,
    /// A second factor was wrong in a sign-in with a browser.
    MfaPageFailed,
    /// An enrolment began.
    MfaEnrollStarted,
    /// An enrolment was confirmed.
    MfaEnrolled,
    /// An authenticator was removed.
    MfaUnenrolled,
}

impl Kind {
    /// Returns the vendor's log code, or an empty string where the vendor logs nothing.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Login => "s",
            Self::SilentLogin => "ssa",
            Self::SilentLoginRefused => "fsa",
            Self::CodeExchanged => "seacft",
            Self::CodeRefused => "feacft",
            Self::Refreshed => "sertft",
            Self::RefreshRefused => "fertft",
            Self::ReuseDetected => "ferrt",
            Self::FamilyEvicted => "resource_cleanup",
            Self::Revoked => "srrt",
            Self::Logout => "slo",
            Self::BackchannelLogout => "oidc_backchannel_logout_succeeded",
            Self::DeviceExchanged => "sede",
            Self::DeviceRefused => "fede",
            Self::ClientCredentials => "seccft",
            Self::ClientRefused => "feccft",
            Self::MfaRequired => "mfar",
            Self::MfaOtpAsked => "gd_start_auth",
            Self::MfaSmsSent => "gd_send_sms",
            Self::MfaVoiceSent => "gd_send_voice",
            Self::MfaEmailSent => "gd_send_email",
            Self::MfaPushSent => "gd_send_pn",
            Self::OtpVerified => "seotpft",
            Self::OobVerified => "seoobft",
            Self::RecoveryVerified => "sercft",
            Self::OtpWrong => "feotpft",
            Self::OobWrong => "feoobft",
            Self::RecoveryWrong => "fercft",
            Self::MfaRejected => "gd_auth_rejected",
            Self::MfaRateLimited => "gd_otp_rate_limit_exceed",
            Self::MfaPagePassed => "gd_auth_succeed",
            Self::MfaPageFailed => "gd_auth_failed",
            Self::MfaEnrollStarted => "gd_start_enroll",
            Self::MfaEnrolled => "gd_enrollment_complete",
            Self::MfaUnenrolled => "gd_unenroll",
            Self::MfaPending
            | Self::MfaSlowDown
            | Self::MfaTokenRefused
            | Self::MfaBadRequest
            | Self::FamilyRevoked
            | Self::RefreshesOverlap
            | Self::DeviceStarted
            | Self::FaultPlayed
            | Self::KeyRotated
            | Self::Minted => "",
        }
    }
}
