//! The attacks on a sign-in that RFC 9700 lists, each tried.

use reqwest::Method;

use super::desk::{Browser, Desk, query, with_query};

/// Where a browser of this desk has signed in, and what an attacker's page can make it send.
const FOREIGN: [&[(&str, &str)]; 5] = [
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site"), ("origin", "http://sibling.localhost")],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("origin", "http://127.0.0.1")],
];

#[tokio::test(flavor = "multi_thread")]
async fn csrf_no_foreign_page_changes_anything() {
    let desk = Desk::open().await;
    let mut browser = desk.signed_in("ada").await;
    for foreign in FOREIGN {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let reply = browser.send(method, "/api/quotes/quote", foreign, None).await;
            assert_eq!(reply.problem(), (403, "cross_site".to_owned()), "{foreign:?}");
        }
        let form = [foreign, &[("content-type", "application/x-www-form-urlencoded")]].concat();
        let reply = browser.send(Method::POST, "/auth/logout", &form, Some("a=b".into())).await;
        assert_eq!(reply.problem(), (403, "cross_site".to_owned()), "{foreign:?}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        assert_eq!(browser.send(method, "/auth/logout", &[], None).await.status, 405);
    }
    assert_eq!(browser.get("/auth/session").await.status, 200, "still signed in");
    assert_eq!(desk.sandbox.ledger().summary().revocations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_csrf_nobody_is_signed_in_as_somebody_else() {
    let desk = Desk::open().await;
    let mut attacker = desk.browser();
    let place = attacker.leave("/auth/login").await;
    let back = desk.approve(&place, "alan");

    let mut victim = desk.browser();
    assert_eq!(victim.get(&back).await.problem(), (400, "sign_in_unknown".to_owned()));
    assert!(victim.cookies.is_empty());
    // Also a victim with a sign-in of their own under way.
    victim.leave("/auth/login").await;
    assert_eq!(victim.get(&back).await.problem(), (400, "sign_in_unknown".to_owned()));
    assert!(!victim.cookies.contains_key("tokenward"));
    // Not even the seal of the attacker's sign-in opens it in another place.
    let ours = victim.pending()[0].to_owned();
    let theirs = attacker.cookies[attacker.pending()[0]].clone();
    victim.cookies.insert(ours.clone(), theirs);
    let state = query(&place, "state").unwrap();
    let moved = with_query(&back, "state", Some(&format!("{}{}", &ours[13..], &state[8..])));
    assert_eq!(victim.get(&moved).await.problem(), (400, "sign_in_unknown".to_owned()));
    assert_eq!(desk.sandbox.ledger().summary().token_requests, 0, "no code was spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_fixation_no_handle_from_before_the_sign_in_is_good_after_it() {
    let desk = Desk::open().await;
    let planted = desk.signed_in("alan").await.cookies["tokenward"].clone();
    let guessed = "A".repeat(43);
    for handle in [planted, guessed] {
        let mut browser = desk.browser();
        browser.cookies.insert("tokenward".to_owned(), handle.clone());
        assert_eq!(desk.sign_in(&mut browser, "ada").await.status, 303);
        assert_ne!(browser.cookies["tokenward"], handle);
        assert_eq!(browser.get("/auth/session").await.json()["subject"], "auth0|ada");

        let mut attacker = desk.browser();
        attacker.cookies.insert("tokenward".to_owned(), handle);
        assert_eq!(attacker.get("/auth/session").await.status, 401);
        assert_eq!(attacker.get("/api/quotes/quote").await.status, 401);
    }
    // A second sign-in in one browser has a handle of its own, and ends the first.
    let mut browser = desk.signed_in("ada").await;
    let first = browser.cookies["tokenward"].clone();
    desk.sign_in(&mut browser, "ada").await;
    assert_ne!(browser.cookies["tokenward"], first);
    browser.cookies.insert("tokenward".to_owned(), first);
    assert_eq!(browser.get("/auth/session").await.status, 401);
}

/// Ways to leave this origin, or to come back to where one is sent away from.
const LURES: &[&str] = &[
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "https://evil.example/",
    "https:evil.example",
    "https:/evil.example",
    "http:\\\\evil.example",
    "HTTPS://evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "@evil.example",
    ".evil.example",
    ":80@evil.example",
    "?x=//evil.example",
    "#//evil.example",
    "/..//evil.example",
    "/.//evil.example",
    "/x/..//evil.example",
    "/%2e%2e//evil.example",
    "/%5cevil.example",
    "/%2f%2fevil.example",
    "/ok\r\nSet-Cookie: tokenward=x",
    "/ok\r\n\r\n<script>",
    "/ok\0",
    "/auth/login?return_to=/",
    "/auth/logout",
    "/auth",
    "/%61uth/login",
    "/x/../auth/login",
    "/./auth/login",
];

/// What looks like a lure and stays here.
const HARMLESS: &[(&str, &str)] = &[
    ("", "/"),
    ("/", "/"),
    ("/a/b?c=d", "/a/b?c=d"),
    (
        "/a?next=https://evil.example/#//evil.example",
        "/a?next=https://evil.example/#//evil.example",
    ),
    ("/café", "/caf%C3%A9"),
    ("/\u{2044}evil.example", "/%E2%81%84evil.example"),
    ("/\u{ff0f}evil.example", "/%EF%BC%8Fevil.example"),
    ("/@evil.example", "/@evil.example"),
    ("/%09/evil.example", "/"),
    ("/authors", "/authors"),
];

#[tokio::test(flavor = "multi_thread")]
async fn open_redirect_the_way_back_stays_on_this_origin() {
    let desk = Desk::open().await;
    let long = format!("/{}", "a".repeat(3000));
    let lures = LURES.iter().copied().chain([&*long]).map(|lure| (lure, "/"));
    let origin = url::Url::parse(&desk.origin).unwrap();
    for (asked, expected) in lures.chain(HARMLESS.iter().copied()) {
        let mut browser = desk.browser();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", asked)
            .finish();
        let place = browser.leave(&format!("/auth/login?{query}")).await;
        let reply = browser.get(&desk.approve(&place, "ada")).await;
        assert_eq!((reply.status, reply.header("location")), (303, expected), "{asked:?}");
        let landed = origin.join(reply.header("location")).unwrap();
        assert_eq!(landed.origin(), origin.origin(), "{asked:?}");
        assert_eq!(reply.set_cookies("tokenward=").len(), 1, "{asked:?}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mix_up_an_answer_of_another_provider_is_not_taken() {
    let desk = Desk::open().await;
    let mut browser = desk.browser();
    let place = browser.leave("/auth/login").await;
    let back = desk.approve(&place, "ada");
    let issuer = query(&back, "iss").expect("the provider says who it is (RFC 9207)");
    for other in [
        None,
        Some("https://evil.example/".to_owned()),
        Some(issuer.trim_end_matches('/').to_owned() + "/x"),
        Some(issuer.to_ascii_uppercase()),
        Some(String::new()),
    ] {
        // Each time with the cookie that the browser left with.
        let mut twin = browser.clone();
        let mixed = with_query(&back, "iss", other.as_deref());
        assert_eq!(
            twin.get(&mixed).await.problem(),
            (400, "issuer_mismatch".to_owned()),
            "{other:?}"
        );
        assert!(!twin.cookies.contains_key("tokenward"));
    }
    let twice = format!("{back}&iss=https://evil.example/");
    assert_eq!(browser.clone().get(&twice).await.problem(), (400, "invalid_request".to_owned()));
    assert_eq!(desk.sandbox.ledger().summary().token_requests, 0, "the code went nowhere");
    assert_eq!(browser.get(&back).await.status, 303, "the honest answer is still good");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_injection_a_stolen_code_opens_nothing_elsewhere() {
    let desk = Desk::open().await;
    let mut victim = desk.browser();
    let stolen = desk.approve(&victim.leave("/auth/login").await, "ada");
    let code = query(&stolen, "code");

    // Into a sign-in of the attacker's own: the PKCE secret does not fit (RFC 7636).
    let mut attacker = desk.browser();
    let own = desk.approve(&attacker.leave("/auth/login").await, "alan");
    let mixed = with_query(&own, "code", code.as_deref());
    assert_eq!(attacker.get(&mixed).await.problem(), (400, "sign_in_expired".to_owned()));
    assert!(!attacker.cookies.contains_key("tokenward"));

    // An ID token that was issued for another sign-in: its nonce does not fit.
    let mut browser = desk.browser();
    let place = browser.leave("/auth/login").await;
    let back = desk.approve(&with_query(&place, "nonce", Some("another")), "ada");
    assert_eq!(browser.get(&back).await.problem(), (502, "provider_misfit".to_owned()));
    assert!(!browser.cookies.contains_key("tokenward"));
    // What came with it is of no use to anybody.
    desk.until(|sandbox| sandbox.ledger().summary().revocations > 0).await;

    // A downgrade: without a challenge the provider would have issued a code to anybody.
    let plain = with_query(&desk.browser().leave("/auth/login").await, "code_challenge", None);
    assert!(query(&plain, "code_challenge").is_none());
    let method = query(&place, "code_challenge_method");
    assert_eq!(method.as_deref(), Some("S256"), "never plain");
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_callback_is_good_once() {
    let desk = Desk::open().await;
    let mut browser = desk.browser();
    let back = desk.approve(&browser.leave("/auth/login").await, "ada");
    let mut hoarder = browser.clone();
    assert_eq!(browser.get(&back).await.status, 303);
    assert!(browser.pending().is_empty(), "the cookie went with it");
    assert_eq!(browser.get(&back).await.problem(), (400, "sign_in_unknown".to_owned()));
    assert_eq!(browser.get("/auth/session").await.status, 200, "the session lives on");
    // Also with the old cookie kept: the provider takes a code once.
    assert_eq!(hoarder.get(&back).await.problem(), (400, "sign_in_expired".to_owned()));
    assert!(!hoarder.cookies.contains_key("tokenward"));
}

/// Sends these cookies, as they are, for a protected API.
async fn tossed(browser: &Browser, cookies: &str) -> (u16, String) {
    let headers = [("cookie", cookies)];
    let reply = browser.clone().send(Method::GET, "/api/quotes/quote", &headers, None).await;
    let error = if reply.status == 200 { String::new() } else { reply.problem().1 };
    (reply.status, error)
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_tossing_of_two_sessions_neither_is_believed() {
    let desk = Desk::open().await;
    let handle_of = |browser: Browser| browser.cookies["tokenward"].clone();
    let (own, theirs) =
        (handle_of(desk.signed_in("ada").await), handle_of(desk.signed_in("alan").await));
    let nobody = desk.browser();
    let expected = |status, error: &str| (status, error.to_owned());
    for (cookies, expected) in [
        (format!("tokenward={own}"), expected(200, "")),
        (format!("a=b; tokenward={own}; tokenward={own}"), expected(200, "")),
        // What is no handle takes nobody's place.
        (format!("tokenward=x; tokenward={own}"), expected(200, "")),
        (format!("Tokenward={theirs}; tokenward={own}"), expected(200, "")),
        (format!("tokenward={theirs}; tokenward={own}"), expected(400, "bad_request")),
        (format!("tokenward={own}; x=y; tokenward={theirs}"), expected(400, "bad_request")),
        (format!("tokenward=\"{own}\""), expected(401, "login_required")),
        (format!("x=tokenward={own}"), expected(401, "login_required")),
        (format!("$Version=1; tokenward-in={own}"), expected(401, "login_required")),
    ] {
        assert_eq!(tossed(&nobody, &cookies).await, expected, "{cookies}");
    }

    // Over TLS the name itself keeps other hosts and plain pages from setting it.
    let desk = Desk::with(|text| format!("public_url = \"https://app.example.com\"\n{text}")).await;
    let mut browser = desk.browser();
    let reply = browser.get("/auth/login").await;
    let [pending] = reply.set_cookies("__Host-tokenward-in-")[..] else { panic!("{reply:?}") };
    for attribute in ["Secure", "HttpOnly", "Path=/", "SameSite=Lax"] {
        assert!(pending.contains(attribute), "{pending}");
    }
    assert!(!pending.contains("Domain"), "{pending}");
    assert_eq!(tossed(&browser, &format!("tokenward={own}")).await.0, 401, "without the prefix");
}

#[tokio::test(flavor = "multi_thread")]
async fn response_splitting_what_callers_say_stays_in_its_place() {
    let desk = Desk::open().await;
    let mut browser = desk.browser();
    let place = browser.leave("/auth/login").await;
    let back = desk.approve(&place, "ada");
    let evil = "%0d%0aSet-Cookie:%20tokenward=evil%0d%0a%0d%0a%3Cscript%3Ealert(1)%3C/script%3E%00";
    let page = ("accept", "text/html");
    for path in [
        format!("/auth/login?return_to=/{evil}"),
        format!("/auth/login?audience={evil}"),
        format!("/auth/login?{evil}={evil}"),
        format!("/auth/callback?state={evil}"),
        format!("/auth/callback?code={evil}&state={}", query(&place, "state").unwrap()),
        format!("{back}&error={evil}&error_description={evil}"),
        format!("/auth/{}", "x".repeat(4000)),
        format!("/api/quotes/quote?{evil}"),
    ] {
        for headers in [&[][..], &[page]] {
            let reply = browser.clone().send(Method::GET, &path, headers, None).await;
            assert!(reply.set_cookies("tokenward=evil").is_empty(), "{path}: {reply:?}");
            let is_page = reply.header("content-type").starts_with("text/html");
            assert!(!(is_page && reply.body.contains("<script")), "{path}: {}", reply.body);
            let place = reply.header("location");
            assert!(place.bytes().all(|byte| byte.is_ascii_graphic()), "{path}: {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clickjacking_and_caching_nothing_of_ours_is_framed_kept_or_referred_to() {
    let desk = Desk::open().await;
    let mut browser = desk.signed_in("ada").await;
    let mut away = desk.browser();
    let back = desk.approve(&away.leave("/auth/login").await, "ada");
    for (method, path) in [
        (Method::GET, "/auth/login"),
        (Method::GET, "/auth/login?audience=unknown"),
        (Method::GET, "/auth/login?return_to=/&return_to=/"),
        (Method::GET, "/auth/callback"),
        (Method::GET, &*back),
        (Method::GET, "/auth/session"),
        (Method::GET, "/auth/nothing"),
        (Method::GET, "/auth/logout"),
        (Method::POST, "/auth/backchannel-logout"),
        (Method::POST, "/auth/logout"),
    ] {
        for accept in ["application/json", "text/html"] {
            let headers = [("accept", accept)];
            let reply = browser.send(method.clone(), path, &headers, None).await;
            for (name, value) in [
                ("cache-control", "no-store"),
                ("referrer-policy", "no-referrer"),
                ("x-content-type-options", "nosniff"),
                ("cross-origin-resource-policy", "same-origin"),
                ("x-frame-options", "DENY"),
            ] {
                assert_eq!(reply.header(name), value, "{method} {path} {accept}: {reply:?}");
            }
            let policy = reply.header("content-security-policy");
            assert!(policy.contains("frame-ancestors 'none'"), "{method} {path}: {policy}");
        }
    }
    // What the data plane says itself is kept as little.
    for path in ["/api/quotes/quote", "/nowhere", "/api/quotes//x"] {
        let reply = desk.browser().get(path).await;
        assert_eq!(reply.header("cache-control"), "no-store", "{path}: {reply:?}");
    }
}
