//! What the token endpoint's bytes mean: pure, total, and refresh token first.
//!
//! Two phases (law L2). From any success the new refresh token is salvaged first, by a scan that
//! forgives whatever else is wrong: losing it loses the session. Only then the answer is held
//! against RFC 6749 §5.1.

pub mod members;
mod refused;
mod wait;

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use zeroize::Zeroizing;

use crate::core::grant::{AccessClaims, Grant, Malformed, Reply};
use crate::core::refusal::Refusal;
use crate::core::scope::ScopeSet;
use crate::core::secret::{AccessToken, IdToken, Passcode, RefreshToken};
use crate::core::time::UnixSeconds;
use crate::provider::jwt;
use crate::provider::reply::members::Members;
use crate::provider::wire::Extent;

/// The longest access token: with it, a request's head still fits the 16 KiB that servers take
/// for one field.
pub const ACCESS_TOKEN_BYTES_MAX: usize = 15 * 1024;

/// The longest lifetime believed: longer ones are milliseconds taken for seconds, or jokes.
pub const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// An answer of the token endpoint, as it arrived.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The HTTP header fields.
    pub headers: &'a HeaderMap,
    /// The body, or what arrived of it.
    pub body: &'a [u8],
    /// How much of the body arrived.
    pub extent: Extent,
    /// When it arrived: what dates in it are compared with.
    pub at: UnixSeconds,
}

/// What an answer means, as far as bytes can tell.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The meaning; its ID token is left out.
    pub reply: Reply,
    /// The ID token of a grant, not verified yet.
    pub id_token: Option<IdToken>,
}

/// The body and the header fields are left out: they carry tokens and cookies.
impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("extent", &self.extent)
            .finish_non_exhaustive()
    }
}

/// Reads an answer of the token endpoint. Never panics, whatever the bytes.
pub fn read(received: &Received<'_>) -> Heard {
    if (200..=299).contains(&received.status) {
        success(received)
    } else {
        Heard { reply: refused::read(received), id_token: None }
    }
}

/// Reads what an answer says that is known to say no.
pub(super) fn refusal_of(received: &Received<'_>) -> Refusal {
    refused::refusal(received)
}

fn success(received: &Received<'_>) -> Heard {
    let refresh_token = salvage(received);
    let malformed = |refresh_token, why| Heard {
        reply: Reply::Malformed(Malformed { refresh_token, why }),
        id_token: None,
    };
    match (received.extent, refresh_token) {
        (Extent::Whole, refresh_token) => match strict(received, refresh_token.clone()) {
            Ok(heard) => heard,
            Err(why) => malformed(refresh_token, why),
        },
        (Extent::TooLong, refresh_token) => malformed(refresh_token, "the answer is too long"),
        // Better than in doubt: the successor is known, so nothing has to be sent twice.
        (Extent::Cut(_), Some(refresh_token)) => {
            malformed(Some(refresh_token), "the answer was cut off")
        }
        (Extent::Cut(how), None) => Heard { reply: Reply::Unheard(how), id_token: None },
    }
}

/// Finds the new refresh token, however broken the rest is; an empty one is none.
fn salvage(received: &Received<'_>) -> Option<RefreshToken> {
    if let Some(text) = Members::of(received.body).lenient_text("refresh_token") {
        return RefreshToken::new(&text).into();
    }
    let is_form = received
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let whole = received.extent == Extent::Whole;
    if !(is_form && whole) {
        return None;
    }
    url::form_urlencoded::parse(received.body)
        .find(|(name, value)| name == "refresh_token" && !value.is_empty())
        .map(|(_, value)| RefreshToken::new(&value))
}

/// Holds a whole answer against RFC 6749 §5.1.
fn strict(
    received: &Received<'_>,
    refresh_token: Option<RefreshToken>,
) -> Result<Heard, &'static str> {
    let members = Members::strict(received.body).ok_or("the answer is not a JSON object")?;

    if members.value("access_token").is_none() && refresh_token.is_none() {
        // Some providers say no with a 200.
        if let Some(refusal) = refused::in_success(received, &members) {
            return Ok(Heard { reply: Reply::Refused(refusal), id_token: None });
        }
    }
    let text = access_token(&members)?;
    bearer(&members)?;
    let claims = jwt::unverified_claims(&text);
    let lifetime = match lifetime(&members)? {
        Some(lifetime) => Some(lifetime),
        None => claims.as_ref().and_then(jwt::lifetime),
    };
    let grant = Grant {
        access_token: AccessToken::new(&text),
        lifetime: lifetime.map(|lifetime| lifetime.min(LIFETIME_MAX)),
        granted: granted(&members)?,
        refresh_token,
        id_token: None,
        claims: claims.map(|claims| AccessClaims {
            audiences: jwt::audiences(&claims),
            subject: jwt::text(&claims, "sub"),
            issuer: None,
        }),
        ceiling: None,
        proof: None,
        recovery_code: members.lenient_text("recovery_code").map(|text| Passcode::new(&text)),
    };
    let id_token = members.lenient_text("id_token").map(|text| IdToken::new(&text));
    Ok(Heard { reply: Reply::Granted(Box::new(grant)), id_token })
}

fn access_token(members: &Members<'_>) -> Result<Zeroizing<String>, &'static str> {
    let text = members.text("access_token").ok_or("the answer has no access_token")?;
    if text.is_empty() {
        return Err("the access_token is empty");
    }
    if text.len() > ACCESS_TOKEN_BYTES_MAX {
        return Err("the access_token is too long for a header field");
    }
    // RFC 6749 A.12 allows blanks, a header field of RFC 6750 does not.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the access_token holds characters that do not fit a header field");
    }
    Ok(text)
}

fn bearer(members: &Members<'_>) -> Result<(), &'static str> {
    let Some(value) = members.present("token_type") else {
        // Left out by some providers, and only Bearer is in use without being agreed upon.
        return Ok(());
    };
    match members::decode(value) {
        Some(kind) if kind.eq_ignore_ascii_case("bearer") => Ok(()),
        Some(kind) if kind.eq_ignore_ascii_case("dpop") => {
            Err("the access token is bound to a DPoP key that this client does not have")
        }
        Some(_) => Err("the token_type is not Bearer"),
        None => Err("the token_type is not text"),
    }
}

/// Reads `expires_in`: a number, or a number in quotes.
fn lifetime(members: &Members<'_>) -> Result<Option<Duration>, &'static str> {
    let Some(value) = members.present("expires_in") else {
        return Ok(None);
    };
    let quoted = members::decode(value);
    let digits = quoted
        .as_ref()
        .map_or_else(|| std::str::from_utf8(value).unwrap_or_default(), |quoted| quoted.trim());
    // `f64` also reads "inf" and "nan", which the next line refuses.
    let seconds: f64 = digits.parse().map_err(|_| "expires_in is not a number")?;
    if !(seconds.is_finite() && seconds >= 0.0) {
        return Err("expires_in is not a time to come");
    }
    Ok(Some(Duration::from_secs_f64(seconds.min(LIFETIME_MAX.as_secs_f64()))))
}

/// Reads `scope`: absent, null and blank mean "as asked" (RFC 6749 §5.1).
fn granted(members: &Members<'_>) -> Result<Option<ScopeSet>, &'static str> {
    let Some(value) = members.present("scope") else {
        return Ok(None);
    };
    let text = members::decode(value).ok_or("the scope is not text")?;
    let scopes = ScopeSet::parse(&text);
    Ok((!scopes.is_empty()).then_some(scopes))
}
