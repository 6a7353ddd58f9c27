//! The rules of a sign-in by redirect: what is remembered while the person is away, and whether
//! what comes back belongs to it.

use std::time::Duration;

use crate::name::Audience;
use crate::scope::ScopeSet;
use crate::secret::AccessToken;

/// How long a person may take at the provider before the sign-in must be started anew: longer than
/// any honest sign-in with a forgotten phone, short enough that a stolen cookie is stale.
pub const SIGN_IN_TTL: Duration = Duration::from_secs(15 * 60);

/// The longest path to return to; longer ones go to the start page instead.
pub const RETURN_TO_BYTES_MAX: usize = 2048;

/// What is remembered of a sign-in that is under way.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The value that must come back unchanged (RFC 6749 §10.12).
    pub state: String,
    /// The value that the ID token must carry (OpenID Connect Core §3.1.2.1).
    pub nonce: String,
    /// The PKCE secret that proves that the code is ours (RFC 7636).
    pub code_verifier: AccessToken,
    /// The provider that was asked (RFC 9207).
    pub issuer: String,
    /// Where the person was going; a checked path on our own origin.
    pub return_to: String,
    /// The audience the session will belong to.
    pub audience: Audience,
    /// The scopes that were asked for.
    pub scopes: ScopeSet,
}

/// What the provider sent the browser back with.
#[derive(Clone, Debug, Default)]
pub struct Callback {
    /// `code`.
    pub code: Option<String>,
    /// `state`.
    pub state: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// `error_description`.
    pub description: Option<String>,
}

/// Why a callback is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackFault {
    /// The sign-in was started too long ago, or on another machine's clock.
    Expired,
    /// The answer names another provider than the one that was asked.
    Issuer,
    /// There is neither a code nor an error.
    NoCode,
    /// The provider said no.
    Refused {
        /// Its `error`.
        error: String,
        /// Its `error_description`.
        description: Option<String>,
    },
    /// The answer does not belong to this browser's sign-in.
    State,
}

/// Decides whether `callback` completes `pending`, which was started `age` ago (`None`: unknown),
/// and returns the code to exchange.
///
/// # Errors
/// Says why not; nothing of a refused callback may be used.
pub fn judge<'a>(
    pending: &Pending,
    callback: &'a Callback,
    issuer_required: bool,
    age: Option<Duration>,
) -> Result<&'a str, CallbackFault> {
    // First: an answer to somebody else's sign-in must not even be able to show an error.
    if callback.state.as_deref() != Some(pending.state.as_str()) {
        return Err(CallbackFault::State);
    }
    if age.is_none_or(|age| age > SIGN_IN_TTL) {
        return Err(CallbackFault::Expired);
    }
    match &callback.issuer {
        Some(issuer) if *issuer != pending.issuer => return Err(CallbackFault::Issuer),
        None if issuer_required => return Err(CallbackFault::Issuer),
        Some(_) | None => {}
    }
    if let Some(error) = &callback.error {
        let (error, description) = (error.clone(), callback.description.clone());
        return Err(CallbackFault::Refused { error, description });
    }
    callback.code.as_deref().filter(|code| !code.is_empty()).ok_or(CallbackFault::NoCode)
}

/// Returns `asked` where it is a path on our own origin, and `/` everywhere else.
///
/// Browsers read `//host`, `/\host` and control characters as ways to another host.
pub fn return_path(asked: &str) -> &str {
    let mut bytes = asked.bytes();
    let is_path = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    let is_clean = !asked.bytes().any(|byte| byte < 0x21 || byte == 0x7f || byte == b'\\');
    if is_path && is_clean && asked.len() <= RETURN_TO_BYTES_MAX { asked } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Pending {
        Pending {
            state: "s1".to_owned(),
            nonce: "n1".to_owned(),
            code_verifier: AccessToken::new("v1"),
            issuer: "https://idp.example/".to_owned(),
            return_to: "/".to_owned(),
            audience: Audience::parse("A").unwrap(),
            scopes: ScopeSet::default(),
        }
    }

    fn callback(code: &str, state: &str, issuer: &str, error: &str) -> Callback {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Callback {
            code: text(code),
            state: text(state),
            issuer: text(issuer),
            error: text(error),
            description: None,
        }
    }

    #[test]
    fn only_the_answer_to_this_sign_in_is_accepted() {
        let refused =
            CallbackFault::Refused { error: "access_denied".to_owned(), description: None };
        let (us, them) = ("https://idp.example/", "https://evil.example/");
        for (sent, issuer_required, age_s, expected) in [
            (callback("c1", "s1", us, ""), true, Some(5), Ok("c1")),
            (callback("c1", "s1", "", ""), false, Some(5), Ok("c1")),
            (callback("c1", "s1", "", ""), true, Some(5), Err(CallbackFault::Issuer)),
            (callback("c1", "s1", them, ""), false, Some(5), Err(CallbackFault::Issuer)),
            (callback("c1", "s2", us, ""), false, Some(5), Err(CallbackFault::State)),
            (callback("c1", "", us, ""), false, Some(5), Err(CallbackFault::State)),
            (callback("c1", "s1", us, ""), false, Some(901), Err(CallbackFault::Expired)),
            (callback("c1", "s1", us, ""), false, None, Err(CallbackFault::Expired)),
            (callback("", "s1", us, ""), false, Some(5), Err(CallbackFault::NoCode)),
            (callback("", "s1", us, "access_denied"), false, Some(5), Err(refused)),
        ] {
            let age = age_s.map(Duration::from_secs);
            assert_eq!(judge(&pending(), &sent, issuer_required, age), expected, "{sent:?}");
        }
    }

    #[test]
    fn nobody_is_sent_to_another_origin() {
        for good in ["/", "/a?b=c#d", "/a//b", "/%2f%2fevil.example"] {
            assert_eq!(return_path(good), good);
        }
        for bad in ["", "a", "//evil", "/\\evil", "\\/evil", "https://evil", "/a\nb", "/\t/evil"] {
            assert_eq!(return_path(bad), "/", "{bad:?}");
        }
        assert_eq!(return_path(&format!("/{}", "a".repeat(2048))), "/");
    }
}
