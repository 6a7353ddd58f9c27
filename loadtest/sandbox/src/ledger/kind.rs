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
            Self::FamilyRevoked
            | Self::DeviceStarted
            | Self::FaultPlayed
            | Self::KeyRotated
            | Self::Minted => "",
        }
    }
}
