//! Every secret of a run, and the search for them wherever none may be.
//!
//! The sandbox notes each secret that it issues or receives; tests add those that only the program
//! under test has (session handles, sealing keys). A [`Search`] then looks through logs, pages,
//! metrics, files and processes for any of them, in clear or in the encodings that leaks come in,
//! and for long pieces of them.
//!
//! ```
//! use tokenward_sandbox::secrecy::{Kind, Secrets};
//!
//! let secrets = Secrets::default();
//! secrets.learn(Kind::RefreshToken, "v1.Wm9vbS1ub3QtYS1yZWFsLW9uZQ");
//! let search = secrets.search();
//! assert!(search.look("a log", b"refreshed in 12 ms").is_empty());
//! assert_eq!(search.look("a log", b"sent v1.Wm9vbS1ub3QtYS1yZWFs...").len(), 1);
//! ```

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use crate::hold;

mod ear;
mod forms;
mod places;
mod search;
mod tap;
mod watch;

pub(crate) use self::ear::hear;
pub use self::places::{files, process};
pub use self::search::{Leak, Search};
pub use self::tap::Tap;
pub use self::watch::Watch;

/// The shortest text that is taken for a secret: shorter ones are in every log by chance.
pub const SECRET_BYTES_MIN: usize = 8;

/// The most secrets that are kept, the newest: at a kilobyte each this stays below 20 MB under
/// any load, and no test comes near it.
const KEPT_MAX: usize = 16_384;

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An access token.
    AccessToken,
    /// The operator's bearer token.
    AdminToken,
    /// A signed assertion of a client.
    Assertion,
    /// An authorization code.
    AuthorizationCode,
    /// A client's secret, or what it sends for it.
    ClientSecret,
    /// The secret of PKCE.
    CodeVerifier,
    /// A cookie's value.
    Cookie,
    /// A device code.
    DeviceCode,
    /// A proof of a second factor.
    Factor,
    /// An ID token.
    IdToken,
    /// A logout token.
    LogoutToken,
    /// What a demand for a factor is answered with.
    MfaToken,
    /// A user's password.
    Password,
    /// A refresh token.
    RefreshToken,
    /// A key that seals what is stored.
    SealingKey,
    /// A session handle.
    SessionHandle,
}

/// One secret.
#[derive(Clone, Serialize)]
pub struct Secret {
    /// What it is.
    pub kind: Kind,
    /// The secret itself.
    #[serde(serialize_with = "as_text")]
    pub text: Arc<str>,
}

/// The secrets of a run; a clone is another door to the same ones.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    secrets: VecDeque<Secret>,
    texts: HashSet<Arc<str>>,
    forgotten: u64,
}

impl Secrets {
    /// Notes a secret. Texts shorter than [`SECRET_BYTES_MIN`] are left out.
    pub fn learn(&self, kind: Kind, text: &str) {
        if text.len() < SECRET_BYTES_MIN {
            return;
        }
        let mut known = hold(&self.0);
        if known.texts.contains(text) {
            return;
        }
        if known.secrets.len() >= KEPT_MAX
            && let Some(oldest) = known.secrets.pop_front()
        {
            known.texts.remove(&oldest.text);
            known.forgotten += 1;
        }
        let text: Arc<str> = text.into();
        known.texts.insert(Arc::clone(&text));
        known.secrets.push_back(Secret { kind, text });
    }

    /// Returns all that are kept, and how many were forgotten to make room.
    #[must_use]
    pub fn all(&self) -> (Vec<Secret>, u64) {
        let known = hold(&self.0);
        (known.secrets.iter().cloned().collect(), known.forgotten)
    }

    /// Prepares a search for all that are known at this moment.
    #[must_use]
    pub fn search(&self) -> Search {
        Search::new(&self.all().0)
    }

    /// Notes what a request says in its header.
    fn learn_headers(&self, headers: &HeaderMap) {
        let texts =
            |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        for value in texts(AUTHORIZATION) {
            let Some((scheme, credentials)) = value.split_once(' ') else { continue };
            if !scheme.eq_ignore_ascii_case("basic") {
                self.learn(Kind::AccessToken, credentials);
                continue;
            }
            self.learn(Kind::ClientSecret, credentials);
            let pair =
                STANDARD.decode(credentials).ok().and_then(|pair| String::from_utf8(pair).ok());
            if let Some((_, secret)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
                self.learn(Kind::ClientSecret, secret);
            }
        }
        for pair in texts(COOKIE).flat_map(|line| line.split(';')) {
            if let Some((_, value)) = pair.split_once('=') {
                self.learn(Kind::Cookie, value.trim());
            }
        }
    }

    /// Notes a parameter of a request, or a member of an answer, where its name says what it is.
    pub(crate) fn learn_named(&self, name: &str, value: &str) {
        if let Some(kind) = kind_of(name) {
            self.learn(kind, value);
        }
    }

    /// Notes the members of an object.
    pub(crate) fn learn_members(&self, object: &Value) {
        for (name, value) in object.as_object().into_iter().flatten() {
            if let Some(text) = value.as_str() {
                self.learn_named(name, text);
            }
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", hold(&self.0).secrets.len())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:?}]", self.kind)
    }
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn kind_of(name: &str) -> Option<Kind> {
    Some(match name {
        "access_token" | "subject_token" | "actor_token" => Kind::AccessToken,
        "client_assertion" => Kind::Assertion,
        "client_secret" => Kind::ClientSecret,
        "code" => Kind::AuthorizationCode,
        "code_verifier" => Kind::CodeVerifier,
        "device_code" => Kind::DeviceCode,
        "id_token" | "id_token_hint" => Kind::IdToken,
        "logout_token" => Kind::LogoutToken,
        "mfa_token" => Kind::MfaToken,
        "oob_code" | "otp" | "binding_code" | "recovery_code" | "secret" => Kind::Factor,
        "password" => Kind::Password,
        "refresh_token" | "token" => Kind::RefreshToken,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_noted_once_and_the_newest_are_kept() {
        let secrets = Secrets::default();
        secrets.learn(Kind::Password, "short");
        for number in 0..=KEPT_MAX {
            secrets.learn(Kind::RefreshToken, &format!("token {number:05}"));
            secrets.learn(Kind::RefreshToken, &format!("token {number:05}"));
        }
        let (all, forgotten) = secrets.all();
        assert_eq!((all.len(), forgotten, &*all[0].text), (KEPT_MAX, 1, "token 00001"));
    }

    #[test]
    fn what_a_request_carries_is_noted() {
        let secrets = Secrets::default();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, "Basic d2ViOm9wZW4tc2VzYW1l".parse().unwrap());
        headers.append(COOKIE, "a=1; sso=Wm9vbS1ub3QtYQ".parse().unwrap());
        secrets.learn_headers(&headers);
        secrets
            .learn_members(&serde_json::json!({ "mfa_token": "Fe26.2*abc", "scope": "openid x" }));
        let (all, _) = secrets.all();
        let texts: Vec<&str> = all.iter().map(|secret| &*secret.text).collect();
        assert_eq!(texts, ["d2ViOm9wZW4tc2VzYW1l", "open-sesame", "Wm9vbS1ub3QtYQ", "Fe26.2*abc"]);
    }
}
