//! Whether a request's head has one reading, and what it says about the whole request.
//!
//! hyper refuses what no server could read. Here goes what servers read differently: it is
//! refused, never repaired, because a proxy in front may have read it the other way.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version, header};

use crate::config::Limits;
use crate::rescue::Refusal;
use crate::serve::Line;

/// Checks a head, and returns the host that was asked for.
pub(crate) fn judge<'a>(line: &Line, limits: &Limits, head: &'a Parts) -> Result<&'a str, Refusal> {
    if line.pulse.is_smuggling() {
        return Err(Refusal::Ambiguous("The request's body has two lengths."));
    }
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::MethodNotAllowed);
    }
    let mut bytes = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    for (name, value) in &head.headers {
        // The colon, the blank and the line break count as well.
        bytes += name.as_str().len() + value.len() + 4;
    }
    if bytes > limits.header_bytes {
        return Err(Refusal::HeaderTooLarge);
    }
    judge_coding(&head.headers)?;
    judge_loop(&head.headers, &line.house.name)?;
    host(head)
}

/// Reports whether the request opens a WebSocket; no other upgrade is forwarded.
pub(crate) fn opens_socket(head: &Parts) -> Result<bool, Refusal> {
    if head.version != Version::HTTP_11 {
        return Ok(false);
    }
    let Some(upgrade) = head.headers.get(header::UPGRADE) else {
        return Ok(false);
    };
    let has_body = head.headers.contains_key(header::TRANSFER_ENCODING)
        || head.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_body {
        return Err(Refusal::Ambiguous("The request wants an upgrade and has a body."));
    }
    let connection = head.headers.get_all(header::CONNECTION);
    let asks = connection.into_iter().any(|value| lists(value, b"upgrade"));
    Ok(asks && head.method == Method::GET && upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Returns the host that was asked for, to be told to the upstream.
pub(crate) fn asked_host(head: &Parts) -> Option<HeaderValue> {
    if let Some(host) = head.headers.get(header::HOST) {
        return Some(host.clone());
    }
    HeaderValue::from_str(head.uri.authority()?.as_str()).ok()
}

/// Reports whether the caller takes trailers.
pub(crate) fn takes_trailers(head: &Parts) -> bool {
    head.headers.get(header::TE).is_some_and(|value| lists(value, b"trailers"))
}

fn judge_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).into_iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(Refusal::Ambiguous("Only one transfer coding is taken: chunked.")),
    }
}

fn judge_loop(headers: &HeaderMap, own: &str) -> Result<(), Refusal> {
    let own = own.as_bytes();
    let passed = headers
        .get_all(header::VIA)
        .into_iter()
        .any(|via| via.as_bytes().windows(own.len()).any(|part| part == own));
    if passed { Err(Refusal::Loop) } else { Ok(()) }
}

fn host(head: &Parts) -> Result<&str, Refusal> {
    let mut hosts = head.headers.get_all(header::HOST).into_iter();
    let named = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Ambiguous("The request has two Host headers."));
    }
    let named = named.map(HeaderValue::to_str).transpose();
    let named = named.map_err(|_| Refusal::Ambiguous("The Host header is not plain text."))?;
    if named.is_some_and(|host| !host.bytes().all(is_host_byte)) {
        return Err(Refusal::Ambiguous("The Host header is no host."));
    }
    let target = head.uri.authority().map(http::uri::Authority::as_str);
    match (target, named) {
        (Some(target), Some(named)) if !target.eq_ignore_ascii_case(named) => {
            Err(Refusal::Ambiguous("The request target and the Host header name two hosts."))
        }
        (Some(target), _) if target.contains('@') => {
            Err(Refusal::Ambiguous("The request target holds credentials."))
        }
        (Some(host), _) => Ok(host),
        (None, Some("")) => Err(Refusal::Ambiguous("The Host header is empty.")),
        (None, Some(host)) => Ok(host),
        // HTTP/1.0 has no Host; everything since must (RFC 9112 §3.2).
        (None, None) if head.version == Version::HTTP_10 => Ok(""),
        (None, None) => Err(Refusal::Ambiguous("The request has no Host header.")),
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(&byte)
}

fn lists(value: &HeaderValue, wanted: &[u8]) -> bool {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(wanted))
}
