//! One request: what reaches the upstream, what never does, and what the caller is told.

use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::Full;
use tokenward::AccessError;
use tokenward::core::name::Audience;
use tokenward::core::scope::ScopeSet;
use tokenward::core::session::Need;
use tokenward::core::snapshot::Hold;
use tokenward::core::step_up::{Origin, Strength};
use tokenward::core::time::Instant;

use super::world::{Gateway, Upstream, ask, full, raw, status, usual};

/// Sends a GET with these headers and returns what the upstream saw of them.
async fn seen_with(gateway: &Gateway, upstream: &Upstream, lines: &[&str]) -> HeaderMap {
    let head = format!(
        "GET /api/x HTTP/1.1\r\nHost: gw.example\r\nCookie: {}\r\n{}\r\n\r\n",
        gateway.cookie(),
        lines.join("\r\n"),
    );
    let reply = raw(gateway.address, head.as_bytes()).await;
    assert_eq!(status(&reply), 200, "{lines:?}: {reply}");
    upstream.last().headers
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_must_not_say_never_reaches_an_upstream() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let own = upstream.address.to_string();
    let token = Some("Bearer first for urn:a");
    for (sent, name, arrives) in [
        (&["X-Mine: 1"][..], "x-mine", Some("1")),
        (&["Authorization: Basic eDp5"], "authorization", token),
        (&["Cookie: a=1; tokenward=x; b=2"], "cookie", Some("a=1; b=2")),
        (&["Cookie: tokenward-login=x;c=3"], "cookie", Some("c=3")),
        (&["Cookie: tokenwardx=keep"], "cookie", Some("tokenwardx=keep")),
        (&[], "cookie", None),
        (&[], "host", Some(&*own)),
        (&["Connection: x-secret, keep-alive", "X-Secret: 1"], "x-secret", None),
        (&["Connection: authorization, x-forwarded-for"], "authorization", token),
        (&["Connection: x-forwarded-for"], "x-forwarded-for", Some("127.0.0.1")),
        (&["Keep-Alive: timeout=9"], "keep-alive", None),
        (&["Proxy-Connection: keep-alive"], "proxy-connection", None),
        (&["Proxy-Authorization: Basic x"], "proxy-authorization", None),
        (&["Upgrade: h2c", "HTTP2-Settings: AAA"], "upgrade", None),
        (&["HTTP2-Settings: AAA"], "http2-settings", None),
        (&["TE: gzip"], "te", None),
        (&["TE: trailers"], "te", Some("trailers")),
        (&["Forwarded: for=6.6.6.6"], "forwarded", None),
        (&["X-Forwarded-For: 6.6.6.6"], "x-forwarded-for", Some("127.0.0.1")),
        (&["X-Forwarded-Proto: https"], "x-forwarded-proto", Some("http")),
        (&["X-Forwarded-Host: evil"], "x-forwarded-host", Some("gw.example")),
        (&["X-Forwarded-Anything: evil"], "x-forwarded-anything", None),
        (&["X_Forwarded_For: 6.6.6.6"], "x_forwarded_for", None),
        (&["X-Real-IP: 6.6.6.6"], "x-real-ip", None),
        (&["X-Original-URL: /admin"], "x-original-url", None),
        (&["Tokenward-Device: state=online", "Tokenward-Device: up"], "tokenward-device", None),
        (&["Tokenward_Device: up"], "tokenward_device", None),
        (&["Expect: nothing"], "expect", None),
    ] {
        let headers = seen_with(&gateway, &upstream, sent).await;
        let got: Vec<_> = headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
        assert_eq!(got, Vec::from_iter(arrives), "{sent:?}");
    }
    let via = seen_with(&gateway, &upstream, &["Via: 1.1 evil"]).await;
    assert_eq!(via.get_all("via").iter().count(), 1);
    assert!(via["via"].to_str().unwrap().starts_with("1.1 tokenward-"), "{via:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_in_front_is_believed() {
    let upstream = Upstream::echo().await;
    let trusted = format!("trusted_proxies = [\"127.0.0.0/8\"]\n---\n{}", usual(&upstream, ""));
    let gateway = Gateway::start(&trusted).await;
    let sent =
        ["X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.example"];
    let headers = seen_with(&gateway, &upstream, &sent).await;
    assert_eq!(headers["x-forwarded-for"], "9.9.9.9, 127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-forwarded-host"], "a.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_route_needs_no_session_and_gets_no_token() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let plain = Request::get("/page").header(header::HOST, "x").body(Full::default()).unwrap();
    assert_eq!(ask(gateway.address, plain).await.text(), "GET /page");
    assert_eq!(gateway.get("/page").await.status, 200);
    assert_eq!(upstream.last().header("authorization"), None, "the caller's own went no further");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_cannot_touch_our_cookie_nor_lead_callers_around_us() {
    let upstream = Upstream::start(|_| {
        Response::builder()
            .header("set-cookie", "tokenward=evil; Path=/")
            .header("set-cookie", "theirs=1")
            .header("set-cookie", "tokenward-login=evil")
            .header("set-cookie", "also=2")
            .header("alt-svc", "h3=\":443\"")
            .header("keep-alive", "timeout=5")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("x-kept", "1")
            .body(full("ok"))
            .unwrap()
    })
    .await;
    let reply = Gateway::before(&upstream).await.get("/api/x").await;
    let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["theirs=1", "also=2"]);
    for gone in ["alt-svc", "keep-alive", "connection", "x-hop"] {
        assert_eq!(reply.header(gone), None, "{gone}");
    }
    assert_eq!((reply.header("x-kept"), reply.text()), (Some("1"), "ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_routed_is_what_is_forwarded() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    for (path, expected) in [
        ("/api/x?q=../..//%2f", "GET /api/x?q=../..//%2f"),
        ("/%61pi/%78", "GET /api/x"),
        ("/api/../private", "dot segment"),
        ("/api/%2e%2e/private", "dot segment"),
        ("/api/..;/private", "dot segment"),
        ("/api//x", "empty segment"),
        ("/api/%2fx", "escaped slash"),
        ("/api/x%00", "escaped slash or control"),
        ("/api/x\\y", "must be escaped"),
        ("/api/%zz", "broken percent"),
    ] {
        let auth = gateway.bearer();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n\r\n");
        let reply = raw(gateway.address, head.as_bytes()).await;
        let good = expected.starts_with("GET");
        assert_eq!(status(&reply), if good { 200 } else { 400 }, "{path}: {reply}");
        assert!(reply.contains(expected), "{path}: {reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_get_no_token_has_its_own_answer() {
    let upstream = Upstream::echo().await;
    let gateway =
        Gateway::start(&usual(&upstream, "mfa = { max_age = \"5m\", acr = \"urn:mfa\" }")).await;
    gateway.tokens.unpublish();
    for (error, code, name, header, value) in refusals() {
        gateway.tokens.answer(Err(error));
        let reply = gateway.get("/api/x").await;
        assert_eq!((reply.status.as_u16(), &*reply.problem("error")), (code, name));
        assert_eq!(reply.header(header), Some(value), "{name}");
        assert!(!reply.problem("detail").is_empty());
    }
    assert_eq!(upstream.seen().len(), 0, "no request went on without a token");
}

/// Why there is no token, and what the caller is told: status, code, and one header.
fn refusals() -> Vec<(AccessError, u16, &'static str, &'static str, &'static str)> {
    vec![
        (
            AccessError::SignInRequired { reason: None },
            401,
            "login_required",
            "www-authenticate",
            "Bearer error=\"invalid_token\"",
        ),
        (
            AccessError::Downscoped { missing: ScopeSet::parse("b c") },
            403,
            "insufficient_scope",
            "www-authenticate",
            "Bearer error=\"insufficient_scope\", scope=\"b c\"",
        ),
        (
            AccessError::NotNow { retry_after: Duration::from_millis(1500), why: "busy" },
            503,
            "temporarily_unavailable",
            "retry-after",
            "2",
        ),
        (
            AccessError::OperatorFault { code: "invalid_client" },
            503,
            "temporarily_unavailable",
            "retry-after",
            "60",
        ),
        (
            AccessError::MfaRequired(Box::new(hold())),
            403,
            "mfa_required",
            "www-authenticate",
            "Bearer error=\"insufficient_user_authentication\", acr_values=\"urn:mfa\", max_age=\"300\"",
        ),
        (
            AccessError::Denied { code: "x".into() },
            403,
            "access_denied",
            "cache-control",
            "no-store",
        ),
        (
            AccessError::Rejected { code: "x".into() },
            502,
            "provider_rejects",
            "cache-control",
            "no-store",
        ),
    ]
}

fn hold() -> Hold {
    let need = Need { audience: Audience::parse("urn:a").unwrap(), scopes: ScopeSet::default() };
    Hold::of(&need, Origin::Provider, Strength::default(), Instant::ZERO)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_sent_to_sign_in_and_a_program_is_told() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let known = gateway.cookie();
    for (name, value, expected) in [
        ("sec-fetch-mode", "navigate", "302 /auth/login?return_to=/api/x%3Fa%3D1%26b"),
        ("accept", "text/html,*/*;q=0.8", "302 /auth/login?return_to=/api/x%3Fa%3D1%26b"),
        ("sec-fetch-mode", "cors", "401 "),
        ("accept", "application/json", "401 "),
        ("authorization", "Bearer not-a-handle", "401 "),
        ("cookie", "tokenward=short", "401 "),
        ("cookie", &*known, "200 "),
    ] {
        let request = Request::get("/api/x?a=1&b").header(header::HOST, "x").header(name, value);
        let reply = ask(gateway.address, request.body(Full::default()).unwrap()).await;
        let place = reply.header("location").unwrap_or_default();
        assert_eq!(format!("{} {place}", reply.status.as_u16()), expected, "{name}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_cannot_use_the_cookie() {
    let upstream = Upstream::echo().await;
    let settings = "[session]\ntrusted_origins = \"https://friend.example\"\n";
    let gateway = Gateway::start(&format!("{settings}{}", usual(&upstream, ""))).await;
    for (method, headers, code) in [
        (Method::POST, &[][..], 200),
        (Method::GET, &[("sec-fetch-site", "cross-site")], 200),
        (Method::POST, &[("sec-fetch-site", "same-origin")], 200),
        (Method::POST, &[("sec-fetch-site", "cross-site")], 403),
        (Method::DELETE, &[("sec-fetch-site", "same-site")], 403),
        (Method::POST, &[("origin", "http://gw.example")], 200),
        (Method::POST, &[("origin", "https://gw.example")], 403),
        (Method::POST, &[("origin", "http://evil.example")], 403),
        (Method::POST, &[("origin", "null")], 403),
        (
            Method::POST,
            &[("origin", "https://friend.example"), ("sec-fetch-site", "cross-site")],
            200,
        ),
    ] {
        let mut request = Request::builder()
            .method(method.clone())
            .uri("/api/x")
            .header(header::HOST, "gw.example")
            .header(header::COOKIE, gateway.cookie());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = ask(gateway.address, request.body(Full::default()).unwrap()).await;
        assert_eq!(reply.status, code, "{method} {headers:?}");
    }
}
