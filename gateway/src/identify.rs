//! Who calls: the session handle in a cookie or a bearer credential, and whether to believe it.

use http::{HeaderMap, Method, header};
use tokenward::core::name::SessionKey;

use crate::config::SessionConfig;
use crate::route::without_port;
use tokenward::SessionHandle;

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// When nothing names a session.
    Nobody,
    /// When a handle was sent on purpose: a program, or a device.
    Program(SessionKey),
    /// When a browser sent its cookie, as it does with every request, wanted or not.
    Browser(SessionKey),
    /// When a bearer credential was sent that is no session handle.
    Stranger,
    /// When cookies of one name carry two handles: one of them was put there by another host of
    /// the domain, and nobody can tell which.
    Two,
}

/// Finds the session handle of a request; a bearer credential goes before a cookie.
pub fn identify(headers: &HeaderMap, cookie: &str) -> Caller {
    if let Some(bearer) =
        headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()))
    {
        return SessionHandle::parse(bearer)
            .map_or(Caller::Stranger, |handle| Caller::Program(handle.key()));
    }
    let mut keys = headers
        .get_all(header::COOKIE)
        .into_iter()
        .flat_map(|value| pairs(value.as_bytes()))
        .filter_map(|pair| named(pair, cookie))
        .filter_map(|value| SessionHandle::parse(value).ok())
        .map(|handle| handle.key());
    match keys.next() {
        None => Caller::Nobody,
        Some(key) if keys.all(|other| other == key) => Caller::Browser(key),
        Some(_) => Caller::Two,
    }
}

/// Splits a Cookie header into its pairs.
pub(crate) fn pairs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// Why a browser's request is not believed to come from our own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

/// Checks that an unsafe request with a cookie was sent by a page of ours.
///
/// The cookie is SameSite=Lax already; this closes what Lax leaves open: sibling subdomains, old
/// browsers, and WebSockets, which no same-origin policy covers. Browsers that matter send
/// Sec-Fetch-Site, older ones Origin; a request with neither comes from a program.
///
/// # Errors
/// Says that the request must be refused.
pub fn guard(
    method: &Method,
    headers: &HeaderMap,
    opens_socket: bool,
    own_origin: OwnOrigin<'_>,
    session: &SessionConfig,
) -> Result<(), Forged> {
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if safe && !opens_socket {
        return Ok(());
    }
    let origin = headers.get(header::ORIGIN).map(|value| value.as_bytes());
    if let Some(origin) = origin
        && session.trusted_origins.iter().any(|trusted| trusted.as_bytes() == origin)
    {
        return Ok(());
    }
    match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
        Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Forged),
        None => match origin {
            Some(origin) if own_origin.is(origin) => Ok(()),
            Some(_) => Err(Forged),
            None => Ok(()),
        },
    }
}

/// The origin under which browsers know the gateway.
#[derive(Clone, Copy, Debug)]
pub enum OwnOrigin<'a> {
    /// When the operator wrote `public_url`.
    Configured(&'a str),
    /// When the request itself says it.
    Requested {
        /// Whether it came over TLS.
        https: bool,
        /// Its Host.
        host: &'a str,
    },
}

impl OwnOrigin<'_> {
    fn is(self, origin: &[u8]) -> bool {
        let Ok(origin) = std::str::from_utf8(origin) else {
            return false;
        };
        match self {
            OwnOrigin::Configured(own) => own.eq_ignore_ascii_case(origin),
            OwnOrigin::Requested { https, host } => {
                let (scheme, port) = if https { ("https://", ":443") } else { ("http://", ":80") };
                let Some(named) = origin.strip_prefix(scheme) else {
                    return false;
                };
                // An origin leaves the default port out, a Host header may name it.
                named.eq_ignore_ascii_case(host)
                    || host.ends_with(port) && named.eq_ignore_ascii_case(without_port(host))
            }
        }
    }
}

fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, credential) = value.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    std::str::from_utf8(credential.trim_ascii()).ok()
}

fn named<'a>(pair: &'a [u8], cookie: &str) -> Option<&'a str> {
    let value = pair.strip_prefix(cookie.as_bytes())?.strip_prefix(b"=")?;
    std::str::from_utf8(value).ok()
}
