//! Secrets that cannot be printed by accident.
//!
//! None of these types has a text: `Debug` names the kind only, there is no `Display`, no
//! conversion and no serialisation. What leaves goes through [`RefreshToken::spend`],
//! [`RefreshToken::seal`] or an `expose`, so that every such place can be found by name. The memory is wiped when the last clone goes.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::step_up::ContextId;

/// A refresh token: worth a whole session, spent once.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(Text);

impl RefreshToken {
    /// Takes a refresh token as the provider wrote it.
    pub fn new(text: &str) -> Self {
        Self(Text::new(text))
    }

    /// Gives out the token to be sent to the provider that issued it.
    pub fn spend(&self) -> &str {
        self.0.expose()
    }

    /// Gives out the token to be sealed for storage.
    pub fn seal(&self) -> &str {
        self.0.expose()
    }
}

/// What stands before an access token in the header of a call (RFC 6750 §2.1).
const SCHEME: &str = "Bearer ";

/// An access token: opens one audience until it expires.
///
/// It is kept as it stands in the header of a call, so that every call shares one copy of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Text);

impl AccessToken {
    /// Takes an access token as the provider wrote it.
    pub fn new(text: &str) -> Self {
        // The exact size: a string that grows would leave a copy behind that nobody wipes.
        let mut credentials = String::with_capacity(SCHEME.len() + text.len());
        credentials.push_str(SCHEME);
        credentials.push_str(text);
        Self(Text(Arc::new(Zeroizing::new(credentials.into_boxed_str()))))
    }

    /// Gives out the token to be verified or sealed for storage.
    pub fn expose(&self) -> &str {
        &self.0.expose()[SCHEME.len()..]
    }

    /// Gives out the token with `Bearer` before it, to be put on a call.
    pub fn credentials(&self) -> &str {
        self.0.expose()
    }
}

/// An ID token: who signed in, as the provider signed it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdToken(Text);

impl IdToken {
    /// Takes an ID token as the provider wrote it.
    pub fn new(text: &str) -> Self {
        Self(Text::new(text))
    }

    /// Gives out the token to be verified, sealed, or sent as a logout hint.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// What shows a factor, or starts to: a one-time code, a recovery code, the handle of a challenge.
#[derive(Clone, PartialEq, Eq)]
pub struct Passcode(Text);

impl Passcode {
    /// Takes a code as somebody wrote it.
    pub fn new(text: &str) -> Self {
        Self(Text::new(text))
    }

    /// Gives out the code to be sent to the provider, or to be shown to its person once.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// A provider's name for one demand for a factor, which opens its MFA API.
#[derive(Clone, PartialEq, Eq)]
pub struct MfaToken {
    text: Text,
    id: ContextId,
}

impl MfaToken {
    /// Takes an mfa_token as the provider wrote it, with the hash that it is known by here.
    pub fn new(text: &str, id: ContextId) -> Self {
        Self { text: Text::new(text), id }
    }

    /// Returns the hash.
    pub const fn id(&self) -> ContextId {
        self.id
    }

    /// Gives out the mfa_token to be sent to the provider that issued it, or to be sealed.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }
}

impl fmt::Debug for Passcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[passcode]")
    }
}

impl fmt::Debug for MfaToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[mfa_token]")
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[refresh token]")
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[access token]")
    }
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[ID token]")
    }
}

#[derive(Clone)]
struct Text(Arc<Zeroizing<Box<str>>>);

impl Text {
    fn new(text: &str) -> Self {
        Self(Arc::new(Zeroizing::new(Box::from(text))))
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        // Every byte is looked at, so that the time taken says nothing about where they differ.
        let (a, b) = (self.expose().as_bytes(), other.expose().as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
    }
}

impl Eq for Text {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l13_no_secret_shows_in_debug_output() {
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            RefreshToken::new("s3cret"),
            AccessToken::new("s3cret"),
            IdToken::new("s3cret"),
            Passcode::new("s3cret"),
            MfaToken::new("s3cret", ContextId([0; 32])),
        );
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn an_access_token_is_kept_with_its_scheme_and_known_without_it() {
        let access_token = AccessToken::new("opaque");
        assert_eq!(
            (access_token.expose(), access_token.credentials()),
            ("opaque", "Bearer opaque")
        );
    }

    #[test]
    fn equality_is_by_content() {
        assert_eq!(RefreshToken::new("a"), RefreshToken::new("a"));
        assert_ne!(RefreshToken::new("a"), RefreshToken::new("b"));
        assert_ne!(RefreshToken::new("a"), RefreshToken::new("aa"));
    }
}
