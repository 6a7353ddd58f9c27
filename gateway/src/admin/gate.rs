//! Who may talk to the operator's endpoints.
//!
//! Where a bearer token is configured, it is the proof, whatever the request looks like: programs
//! send it as it is, and a browser as the password that it asks its person for (RFC 7617; the user's
//! name does not matter). Without
//! one the listener is on loopback, and what must be kept out is the operator's own browser when a
//! foreign page steers it: by a name that was bent to this address (DNS rebinding), or by sending a
//! request whose answer it need not read.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Admin;
use crate::config::AdminConfig;
use crate::origin;
use crate::pages::{Trouble, wants_page};
use crate::route::without_port;

/// Lets a request pass, or refuses it.
pub(super) async fn gate(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    let config = admin.front.config();
    let refused = refusal(&config.admin, request.method(), request.headers(), request.uri());
    match refused {
        None => next.run(request).await,
        Some(trouble) => trouble.reply(request.headers()),
    }
}

fn refusal(
    config: &AdminConfig,
    method: &Method,
    headers: &HeaderMap,
    uri: &Uri,
) -> Option<Trouble> {
    let host = origin::host(headers, uri).unwrap_or_default();
    match &config.bearer {
        Some(bearer) if proves(headers, bearer.expose()) => {}
        Some(_) => return Some(unproven(headers)),
        None if is_ours(config, host) => {}
        None => return Some(rebound()),
    }
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    (!safe && is_foreign(headers, host)).then(cross_site)
}

/// Compares in constant time; only the length can be found out.
fn proves(headers: &HeaderMap, bearer: &str) -> bool {
    let Some(shown) = headers.get(header::AUTHORIZATION) else { return false };
    let shown = shown.as_bytes();
    let after = |scheme: &[u8]| {
        let (named, rest) = shown.split_at_checked(scheme.len())?;
        named.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
    };
    let is_it = |shown: &[u8]| bool::from(shown.ct_eq(bearer.as_bytes()));
    if let Some(shown) = after(b"bearer ") {
        return is_it(shown);
    }
    let Some(pair) = after(b"basic ").and_then(|pair| STANDARD.decode(pair).ok()) else {
        return false;
    };
    let pair = Zeroizing::new(pair);
    let mut parts = pair.splitn(2, |byte| *byte == b':');
    parts.nth(1).is_some_and(is_it)
}

fn is_ours(config: &AdminConfig, host: &str) -> bool {
    origin::is_loopback(host) || without_port(host) == config.listen.ip().to_string()
}

/// Reports whether a browser says that another origin's page sent the request.
fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let origin = headers.get(header::ORIGIN).map(|origin| origin.as_bytes());
    let own = |origin: &[u8]| {
        let bare = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        bare.is_some_and(|named| named.eq_ignore_ascii_case(host.as_bytes()))
    };
    let ours = site.is_some_and(|site| site == b"same-origin" || site == b"none");
    // A page without referrers, such as ours, sends its own forms with the origin "null".
    let hidden = |origin: &[u8]| ours && origin == b"null";
    site.is_some() && !ours || origin.is_some_and(|origin| !own(origin) && !hidden(origin))
}

/// A browser is asked for a password only where a person waits for a page: a script's request must
/// not open a dialogue.
fn unproven(headers: &HeaderMap) -> Trouble {
    let challenge = match wants_page(headers) {
        true => "Basic realm=\"tokenward admin\", charset=\"UTF-8\"",
        false => "Bearer realm=\"tokenward admin\"",
    };
    Trouble::new(
        StatusCode::UNAUTHORIZED,
        "invalid_token",
        "Who asks?",
        "This listener wants the token that admin.token of the configuration names: from programs as \
         a bearer token, from a browser as the password, with any user name.",
    )
    .challenge(challenge)
}

fn rebound() -> Trouble {
    Trouble::new(
        StatusCode::MISDIRECTED_REQUEST,
        "wrong_host",
        "This address is not served",
        "Without a bearer token this listener answers to the names of its own machine only, such as \
         127.0.0.1 and localhost. Use one of them, or write admin.token into the configuration.",
    )
}

fn cross_site() -> Trouble {
    Trouble::new(
        StatusCode::FORBIDDEN,
        "cross_site",
        "Request from another site refused",
        "A page of another origin made your browser send this request.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn l13_the_gate_lets_in_who_proves_it_or_is_on_this_machine() {
        type Row<'a> = (Option<&'a str>, &'a str, &'a str, &'a [(&'a str, &'a str)], Option<u16>);
        // What a browser says of a form of our own pages, which send no referrer; and of a foreign one.
        let ours = &[("sec-fetch-site", "same-origin"), ("origin", "null")][..];
        let foreign = &[("sec-fetch-site", "cross-site"), ("origin", "null")][..];
        let rows: &[Row<'_>] = &[
            (None, "POST", "localhost:9464", ours, None),
            (None, "POST", "localhost:9464", foreign, Some(403)),
            (None, "GET", "127.0.0.1:9464", &[], None),
            (None, "GET", "localhost", &[], None),
            (None, "GET", "[::1]:9464", &[], None),
            (None, "GET", "evil.example:9464", &[], Some(421)),
            (None, "GET", "127.0.0.1.evil.example", &[], Some(421)),
            (None, "GET", "", &[], Some(421)),
            (None, "DELETE", "localhost:9464", &[], None),
            (None, "DELETE", "localhost:9464", &[("sec-fetch-site", "same-origin")], None),
            (None, "DELETE", "localhost:9464", &[("sec-fetch-site", "cross-site")], Some(403)),
            (None, "POST", "localhost:9464", &[("sec-fetch-site", "same-site")], Some(403)),
            (None, "POST", "localhost:9464", &[("origin", "https://evil.example")], Some(403)),
            (None, "POST", "localhost:9464", &[("origin", "null")], Some(403)),
            (None, "POST", "localhost:9464", &[("origin", "http://localhost:9464")], None),
            (None, "GET", "localhost:9464", &[("sec-fetch-site", "cross-site")], None),
            (Some("s3cret"), "GET", "127.0.0.1:9464", &[], Some(401)),
            (Some("s3cret"), "GET", "gw:9464", &[("authorization", "Bearer s3cret")], None),
            (Some("s3cret"), "GET", "gw:9464", &[("authorization", "bearer s3cret")], None),
            (Some("s3cret"), "GET", "gw:9464", &[("authorization", "Bearer s3cre")], Some(401)),
            (Some("s3cret"), "GET", "gw:9464", &[("authorization", "Bearer s3creT")], Some(401)),
            (Some("s3cret"), "GET", "gw:9464", &[("authorization", "Basic s3cret")], Some(401)),
            (Some("s3cret"), "GET", "gw:9464", &[("authorization", "é")], Some(401)),
            (
                Some("s3cret"),
                "POST",
                "gw:9464",
                &[("authorization", "Bearer s3cret"), ("origin", "http://evil.example")],
                Some(403),
            ),
        ];
        for (bearer, method, host, headers, expected) in rows {
            let config = AdminConfig {
                listen: "127.0.0.1:9464".parse().unwrap(),
                bearer: bearer.map(|bearer| Secret::new(bearer.to_owned())),
            };
            let mut sent = HeaderMap::new();
            sent.insert(header::HOST, host.parse().unwrap());
            for (name, value) in *headers {
                let name: axum::http::HeaderName = name.parse().unwrap();
                sent.insert(name, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let method: Method = method.parse().unwrap();
            let refused = refusal(&config, &method, &sent, &Uri::from_static("/"));
            let status = refused.map(|trouble| trouble.reply(&sent).status().as_u16());
            assert_eq!(status, *expected, "{bearer:?} {method} {host} {headers:?}");
        }
    }

    #[test]
    fn l13_a_password_is_all_that_follows_the_first_colon() {
        // "ops:s3cret", ":s3cret", "ops:s3cret:", "s3cret", "s3cret:", and what is no base64.
        for (pair, proven) in [
            ("b3BzOnMzY3JldA==", true),
            ("OnMzY3JldA==", true),
            ("b3BzOnMzY3JldDo=", false),
            ("czNjcmV0", false),
            ("czNjcmV0Og==", false),
            ("s3cret", false),
        ] {
            let mut sent = HeaderMap::new();
            sent.append(header::AUTHORIZATION, format!("Basic {pair}").parse().unwrap());
            assert_eq!(proves(&sent, "s3cret"), proven, "{pair}");
        }
    }
}
