//! Whether a request's head has one reading, and what it says about the whole request.
//!
//! hyper refuses what no server could read. Here goes what servers read differently: it is
//! refused, never repaired, because a proxy in front may have read it the other way.

use std::net::Ipv6Addr;

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
    if named.is_some_and(|host| !host.is_empty() && !is_host(host)) {
        return Err(Refusal::Ambiguous("The Host header is no host."));
    }
    let target = head.uri.authority().map(http::uri::Authority::as_str);
    match (target, named) {
        (Some(target), Some(named)) if !target.eq_ignore_ascii_case(named) => {
            Err(Refusal::Ambiguous("The request target and the Host header name two hosts."))
        }
        // Whatever the target says (RFC 9112 §3.2); HTTP/2 has no need of it.
        (Some(_), None) if head.version == Version::HTTP_11 => {
            Err(Refusal::Ambiguous("The request has no Host header."))
        }
        (Some(target), _) if !is_host(target) => {
            Err(Refusal::Ambiguous("The host in the request target is no host."))
        }
        (Some(host), _) => Ok(host),
        (None, Some("")) => Err(Refusal::Ambiguous("The Host header is empty.")),
        (None, Some(host)) => Ok(host),
        // HTTP/1.0 has no Host; everything since must (RFC 9112 §3.2).
        (None, None) if head.version == Version::HTTP_10 => Ok(""),
        (None, None) => Err(Refusal::Ambiguous("The request has no Host header.")),
    }
}

/// Reports whether a text is one host with at most one port (RFC 3986 §3.2.2, without the escapes
/// and the marks that no name in the DNS has).
pub(crate) fn is_host(text: &str) -> bool {
    let (is_name, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address.parse::<Ipv6Addr>().is_ok(), rest),
        None => {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            (is_name(name), rest)
        }
    };
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    is_name && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.bytes().all(is_letter)
}

fn lists(value: &HeaderValue, wanted: &[u8]) -> bool {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_name_and_one_port_at_most() {
        for good in ["x", "a.example", "A.example.:8443", "10.0.0.1:80", "[::1]", "[::1]:80", "a_b"]
        {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "", ":80", "a:", "a:x", "a:80:90", "a:+80", "a:65536", "a b", "a/b", "a@b", "a%2eb",
            "a,b", "a;b", "a\\b", "[::1", "[::1]x", "[::1]x]", "[::1]:", "[x]", "[]", "é",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
