//! Makes an upstream's request out of a caller's: the only place that writes Authorization.
//!
//! First everything goes that a caller must not say to an upstream: its credentials, our cookies,
//! the headers of its own connection (RFC 9110 §7.6.1) and claims about who forwarded it. Then
//! our own statements are put in. Names are compared with `_` read as `-`, because CGI and WSGI
//! servers cannot tell `X_Forwarded_For` from `X-Forwarded-For`.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::identify::pairs;
use crate::tokens::Ticket;

/// What is said to the upstream about a request.
#[derive(Debug)]
pub struct Statement<'a> {
    /// The access token; `None` on a public route.
    pub ticket: Option<&'a Ticket>,
    /// The upstream's own Host.
    pub host: &'a HeaderValue,
    /// The Host that the caller asked for.
    pub asked_host: Option<HeaderValue>,
    /// The caller's address.
    pub peer: &'a HeaderValue,
    /// Whether the caller used TLS.
    pub https: bool,
    /// Whether the peer is a proxy whose X-Forwarded headers are believed.
    pub trusted: bool,
    /// Our entry in Via.
    pub via: &'a HeaderValue,
    /// The session cookie; others that begin with its name and `-` are ours, too.
    pub cookie: &'a str,
    /// Whether the caller takes trailers, which gRPC needs to be told.
    pub trailers: bool,
}

/// X-Forwarded-For.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// X-Forwarded-Host.
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// X-Forwarded-Proto.
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

const KEEP_ALIVE: &str = "keep-alive";
const HTTP: HeaderValue = HeaderValue::from_static("http");
const HTTPS: HeaderValue = HeaderValue::from_static("https");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Rewrites the headers of a request for its upstream.
pub fn inject(headers: &mut HeaderMap, statement: &Statement<'_>) {
    let believed = if statement.trusted { Believed::take(headers) } else { Believed::default() };
    strip_connection(headers);
    strip_claims(headers);
    strip_cookies(headers, statement.cookie);

    headers.insert(header::HOST, statement.host.clone());
    if let Some(ticket) = statement.ticket {
        headers.insert(header::AUTHORIZATION, ticket.authorization.clone());
    }
    headers.insert(FORWARDED_FOR, believed.path_to(statement.peer));
    let proto = if statement.https { HTTPS } else { HTTP };
    headers.insert(FORWARDED_PROTO, believed.proto.unwrap_or(proto));
    if let Some(host) = believed.host.or_else(|| statement.asked_host.clone()) {
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(
        header::VIA,
        believed.via.map_or_else(|| statement.via.clone(), |before| joined(&before, statement.via)),
    );
    if statement.trailers {
        headers.insert(header::TE, TRAILERS);
    }
}

/// Puts another access token into a request that is sent a second time.
pub fn replace(headers: &mut HeaderMap, ticket: &Ticket) {
    headers.insert(header::AUTHORIZATION, ticket.authorization.clone());
}

/// Removes the headers that describe one connection only, and those that `Connection` names.
pub(crate) fn strip_connection(headers: &mut HeaderMap) {
    let mut said = headers.get_all(header::CONNECTION).into_iter();
    match (said.next(), said.next()) {
        (None, _) => return,
        // What nearly every message says.
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(KEEP_ALIVE.as_bytes()) => {
            headers.remove(header::CONNECTION);
            headers.remove(KEEP_ALIVE);
            return;
        }
        (Some(_), _) => {}
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        // Our own statements are written after this, so that no caller can name them away; the
        // length of a body is not the caller's to take back.
        .filter(|name| *name != header::CONTENT_LENGTH && *name != header::HOST)
        .collect();
    headers.remove(header::CONNECTION);
    for name in named {
        headers.remove(name);
    }
}

/// Reports whether a header speaks about a single connection (RFC 9110 §7.6.1).
fn is_hop_by_hop(text: &str) -> bool {
    // Every header of every message is asked: most are told by their first letter.
    match text.as_bytes().first() {
        Some(b'c') => text == "connection",
        Some(b'h') => text == "http2-settings",
        Some(b'k') => text == "keep-alive",
        Some(b'p') => matches!(
            text,
            "proxy-authenticate"
                | "proxy-authentication-info"
                | "proxy-authorization"
                | "proxy-connection"
        ),
        Some(b't') => matches!(text, "te" | "transfer-encoding"),
        Some(b'u') => text == "upgrade",
        Some(_) | None => false,
    }
}

/// Takes out of an upstream's response what is not for the caller: the headers of its connection,
/// cookies that would replace ours, and offers to go around us.
pub(crate) fn clean_response(headers: &mut HeaderMap, cookie: &str) {
    strip_connection(headers);
    let mut doomed: Vec<HeaderName> = Vec::new();
    let mut sets_ours = false;
    for (name, value) in headers.iter() {
        let text = name.as_str();
        if is_hop_by_hop(text) || text == "alt-svc" {
            doomed.push(name.clone());
        }
        sets_ours |= text == "set-cookie" && is_ours(value.as_bytes(), cookie);
    }
    for name in doomed {
        headers.remove(name);
    }
    if sets_ours && let header::Entry::Occupied(entry) = headers.entry(header::SET_COOKIE) {
        let (_, values) = entry.remove_entry_mult();
        let kept: Vec<HeaderValue> =
            values.filter(|value| !is_ours(value.as_bytes(), cookie)).collect();
        for value in kept {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// Reports whether a cookie pair, or a Set-Cookie value, names a cookie of ours. Some browsers send
/// a cookie that was set without a name by its value alone.
fn is_ours(pair: &[u8], cookie: &str) -> bool {
    let pair = pair.trim_ascii_start();
    let pair = pair.strip_prefix(b"=").unwrap_or(pair).trim_ascii_start();
    pair.strip_prefix(cookie.as_bytes())
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'=' | b'-' | b' ' | b'\t' | b';')))
}

fn strip_claims(headers: &mut HeaderMap) {
    // Most requests carry one or two of these: a short list is cheaper than asking for each.
    let mut doomed: Vec<HeaderName> = Vec::new();
    for name in headers.keys() {
        let text = name.as_str();
        if is_hop_by_hop(text) || is_claim(text) {
            doomed.push(name.clone());
        }
    }
    for name in doomed {
        headers.remove(name);
    }
}

/// Reports whether only we may say this to an upstream, or nobody.
fn is_claim(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'a') => text == "authorization",
        Some(b'c') => text == "content_length",
        Some(b'e') => text == "expect",
        Some(b'f') => text == "forwarded",
        // Some servers cannot tell these from their spelling with a dash.
        Some(b'p') => matches!(text, "proxy_authorization" | "proxy_connection"),
        Some(b't') => matches!(text, "transfer_encoding" | "tokenward_device"),
        Some(b'v') => text == "via",
        Some(b'x') => is_proxy_claim(text),
        Some(_) | None => false,
    }
}

fn is_proxy_claim(name: &str) -> bool {
    let dashed;
    let name = if name.contains('_') {
        dashed = name.replace('_', "-");
        &dashed
    } else {
        name
    };
    name.starts_with("x-forwarded-")
        || matches!(
            name,
            "x-forwarded"
                | "x-real-ip"
                | "x-client-ip"
                | "x-cluster-client-ip"
                // Some frameworks route by these instead of the path that we routed by.
                | "x-original-url"
                | "x-rewrite-url"
                | "x-original-host"
        )
}

/// Removes our own cookies and leaves the others as they are; several Cookie headers, which
/// HTTP/2 allows, become one (RFC 9113 §8.2.3).
fn strip_cookies(headers: &mut HeaderMap, cookie: &str) {
    let mut values = headers.get_all(header::COOKIE).into_iter();
    let Some(first) = values.next() else { return };
    let alone = values.next().is_none();
    let mine = |pair: &[u8]| is_ours(pair, cookie);
    if alone && !pairs(first.as_bytes()).any(mine) {
        return;
    }
    let mut kept: Vec<u8> = Vec::new();
    for value in headers.get_all(header::COOKIE) {
        for pair in pairs(value.as_bytes()).filter(|pair| !pair.is_empty() && !mine(pair)) {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(kept)) {
        Ok(value) if !value.is_empty() => {
            headers.insert(header::COOKIE, value);
        }
        // Parts of valid values are valid: an error cannot happen, and would lose cookies only.
        Ok(_) | Err(_) => {
            headers.remove(header::COOKIE);
        }
    }
}

/// What a trusted proxy in front said.
#[derive(Debug, Default)]
struct Believed {
    before: Option<HeaderValue>,
    host: Option<HeaderValue>,
    proto: Option<HeaderValue>,
    via: Option<HeaderValue>,
}

impl Believed {
    fn take(headers: &mut HeaderMap) -> Self {
        Self {
            before: headers.remove(FORWARDED_FOR),
            host: headers.remove(FORWARDED_HOST),
            proto: headers.remove(FORWARDED_PROTO),
            via: headers.remove(header::VIA),
        }
    }

    fn path_to(&self, peer: &HeaderValue) -> HeaderValue {
        self.before.as_ref().map_or_else(|| peer.clone(), |before| joined(before, peer))
    }
}

fn joined(before: &HeaderValue, last: &HeaderValue) -> HeaderValue {
    let text = [before.as_bytes(), b", ", last.as_bytes()].concat();
    // Joined valid values are a valid value.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or_else(|_| last.clone())
}
