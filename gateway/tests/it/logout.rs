//! Signing out: here, at the provider, and by the provider.

use std::time::Duration;

use reqwest::Method;
use tokenward_sandbox::Mint;

use super::desk::{CLIENT, Desk, query};

const HTML: (&str, &str) = ("accept", "text/html");

#[tokio::test(flavor = "multi_thread")]
async fn l10_signing_out_ends_the_session_everywhere() {
    let desk = Desk::open().await;
    let mut browser = desk.signed_in("ada").await;
    let old = browser.clone();
    assert_eq!(browser.get("/api/quotes/quote").await.status, 200);

    let reply = browser
        .send(Method::POST, "/auth/logout", &[HTML, ("sec-fetch-site", "same-origin")], None)
        .await;
    assert_eq!(reply.status, 303, "{reply:?}");
    let place = reply.header("location");
    assert!(place.starts_with(&desk.sandbox.addresses().issuer), "{place}");
    assert_eq!(query(place, "post_logout_redirect_uri"), Some(format!("{}/", desk.origin)));
    assert!(query(place, "id_token_hint").is_some_and(|hint| hint.split('.').count() == 3));
    let signed_out =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let way_back = signed_out.get(place).send().await.unwrap();
    assert_eq!(way_back.headers()["location"], format!("{}/", desk.origin).as_str());
    assert!(!browser.cookies.contains_key("tokenward"));

    desk.until(|sandbox| sandbox.ledger().summary().revocations > 0).await;
    let mut thief = old;
    for path in ["/auth/session", "/api/quotes/quote", "/auth/events"] {
        let reply = thief.get(path).await;
        assert_eq!(reply.problem(), (401, "login_required".to_owned()), "{path}");
    }
    let again =
        thief.send(Method::POST, "/auth/logout", &[("accept", "application/json")], None).await;
    assert_eq!((again.status, again.json()["logout_url"].is_null()), (200, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_pages_sign_out() {
    let desk = Desk::open().await;
    let mut browser = desk.signed_in("ada").await;
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("host", "evil.example"),
    ] {
        let reply = browser.send(Method::POST, "/auth/logout", &[foreign], None).await;
        let expected = if foreign.0 == "host" { (421, "wrong_host") } else { (403, "cross_site") };
        assert_eq!(reply.problem(), (expected.0, expected.1.to_owned()), "{foreign:?}");
        assert_eq!(browser.get("/auth/session").await.status, 200, "{foreign:?}");
    }
    let own = [("origin", desk.origin.as_str())];
    let reply = browser.send(Method::POST, "/auth/logout", &own, None).await;
    assert_eq!(reply.status, 200);
    assert!(reply.json()["logout_url"].is_string());
    assert_eq!(browser.get("/auth/session").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_the_provider_signs_out_one_login_or_a_whole_person() {
    let desk = Desk::open().await;
    let (mut first, mut second) = (desk.signed_in("ada").await, desk.signed_in("ada").await);
    let mut other = desk.signed_in("alan").await;
    // The newest login's `sid`.
    let status = desk.sandbox.backchannel_logout(CLIENT, "auth0|ada", None).await;
    assert_eq!(status, Ok(200));
    assert_eq!(second.get("/auth/session").await.status, 401);
    assert_eq!(first.get("/auth/session").await.status, 200);

    // A person without a login at the provider is named by `sub` alone.
    let minted = desk.sandbox.mint(&Mint { count: 1, ..Mint::default() }).unwrap();
    let (subject, refresh_token) = (&minted[0].subject, &minted[0].refresh_token);
    let adoption = serde_json::json!({
        "refresh_token": refresh_token,
        "subject": subject,
        "audience": "https://quotes.sandbox.example",
    });
    let json = [("content-type", "application/json")];
    let adopted = desk
        .at_admin()
        .send(Method::POST, "/api/adopt", &json, Some(adoption.to_string()))
        .await
        .json();
    let bearer = format!("Bearer {}", adopted["handle"].as_str().unwrap());
    let mut program = desk.browser();
    let ask = [("authorization", bearer.as_str())];
    let reply = program.send(Method::GET, "/api/quotes/quote", &ask, None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let claims = tokenward::provider::LogoutClaims {
        subject: Some(subject.clone()),
        provider_session: None,
        jti: "one".to_owned(),
    };
    assert_eq!(desk.tokenward.end_by_provider(&claims).await, Ok(1));
    let reply = program.send(Method::GET, "/auth/session", &ask, None).await;
    assert_eq!(reply.problem(), (401, "login_required".to_owned()));
    assert_eq!(other.get("/auth/session").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_logout_token_of_the_provider_signs_out() {
    let desk = Desk::open().await;
    let mut browser = desk.signed_in("ada").await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let long = format!("logout_token={}", "a".repeat(70_000));
    let (invalid, too_large) = ((400, "invalid_request"), (413, "body_too_large"));
    for (headers, body, (status, error)) in [
        (vec![form], "logout_token=abc".to_owned(), invalid),
        (vec![form], "logout_token=eyJhbGciOiJub25lIn0.e30.".to_owned(), invalid),
        (vec![form], "token=abc".to_owned(), invalid),
        (vec![form], String::new(), invalid),
        (vec![form], long, too_large),
        (vec![], "logout_token=abc".to_owned(), invalid),
    ] {
        let reply =
            browser.send(Method::POST, "/auth/backchannel-logout", &headers, Some(body)).await;
        assert_eq!(reply.problem(), (status, error.to_owned()));
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    assert_eq!(browser.get("/auth/session").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_the_stream_of_a_session_tells_its_course_and_ends_with_it() {
    let desk = Desk::open().await;
    let mut browser = desk.signed_in("ada").await;
    let mut stranger = desk.signed_in("alan").await;
    let open = browser.request(Method::GET, "/auth/events", &[], None);
    let mut stream = open.send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let read = tokio::spawn(async move {
        let mut told = String::new();
        while let Some(piece) = stream.chunk().await.unwrap() {
            told.push_str(std::str::from_utf8(&piece).unwrap());
        }
        told
    });
    assert_eq!(browser.get("/api/accounts/accounts").await.status, 200);
    assert_eq!(stranger.get("/api/accounts/accounts").await.status, 200);
    let reply = browser.send(Method::POST, "/auth/logout", &[HTML], None).await;
    assert_eq!(reply.status, 303);
    let told = tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
    let facts: Vec<serde_json::Value> = told
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let codes: Vec<&str> = facts.iter().map(|fact| fact["event"].as_str().unwrap()).collect();
    assert!(codes.contains(&"refreshed"), "{codes:?}");
    assert_eq!(codes.last(), Some(&"ended"), "the end comes last: {codes:?}");
    assert!(facts.iter().all(|fact| fact["session"] == facts[0]["session"]), "{told}");
    assert!(told.starts_with(':') || told.starts_with("retry"), "it opens at once: {told}");
    assert!(told.contains("\nid:"), "{told}");
}
