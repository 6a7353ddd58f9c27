//! Signing in, and everything that must not become a sign-in.

use reqwest::Method;

use super::desk::{Desk, query, with_query};

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_once_opens_every_api() {
    let desk = Desk::open().await;
    let mut browser = desk.browser();
    let reply = browser.get("/auth/login?return_to=/here%3Fa%3Db%23c&unknown=1").await;
    let place = reply.header("location").to_owned();
    assert!(place.starts_with(&desk.sandbox.addresses().issuer), "{place}");
    let expected = [
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        ("audience", "https://quotes.sandbox.example"),
        ("scope", "openid profile email offline_access read:quotes"),
    ];
    for (name, value) in expected {
        assert_eq!(query(&place, name).as_deref(), Some(value), "{name}");
    }
    let [pending] = reply.set_cookies("tokenward-in-")[..] else { panic!("{reply:?}") };
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=900"] {
        assert!(pending.contains(attribute), "{pending}");
    }

    let reply = browser.get(&desk.approve(&place, "ada")).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/here?a=b#c"));
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
    let [session] = reply.set_cookies("tokenward=")[..] else { panic!("{reply:?}") };
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(session.contains(attribute), "{session}");
    }
    assert!(!session.contains("Secure") && browser.pending().is_empty());

    for path in ["/api/quotes/quote", "/api/accounts/accounts"] {
        let reply = browser.get(path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let session = browser.get("/auth/session").await.json();
    assert_eq!(session["subject"], "auth0|ada");
    let audiences: Vec<&str> = session["audiences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["audience"].as_str().unwrap())
        .collect();
    assert_eq!(audiences, ["https://quotes.sandbox.example", "https://accounts.sandbox.example"]);
    let nobody = desk.browser().get("/auth/session").await;
    assert_eq!(nobody.problem(), (401, "login_required".to_owned()));
    assert_eq!(nobody.header("www-authenticate"), "Bearer");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_answer_to_this_browsers_sign_in_is_accepted() {
    let desk = Desk::open().await;
    let bad = "x".repeat(43);
    type Tamper<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let replace = |name: &'static str, value: Option<&'static str>| -> Tamper<'_> {
        Box::new(move |back| with_query(back, name, value))
    };
    let foreign: Tamper<'_> = Box::new(|back| with_query(back, "state", Some(&bad)));
    let rows: Vec<(Tamper<'_>, u16, &str)> = vec![
        (foreign, 400, "sign_in_unknown"),
        (replace("state", None), 400, "sign_in_unknown"),
        (replace("state", Some("short")), 400, "sign_in_unknown"),
        (replace("iss", Some("https://evil.example/")), 400, "issuer_mismatch"),
        (replace("iss", None), 400, "issuer_mismatch"),
        (replace("code", None), 400, "invalid_request"),
        (replace("code", Some("stolen")), 400, "sign_in_expired"),
        (replace("error", Some("access_denied")), 403, "access_denied"),
        (replace("error", Some("login_required")), 401, "login_required"),
        (replace("error", Some("server_error")), 503, "provider_unavailable"),
        (replace("error", Some("invalid_scope")), 502, "provider_misfit"),
        // A parameter twice has two readings.
        (Box::new(|back| format!("{back}&code=another")), 400, "invalid_request"),
    ];
    for (tamper, status, error) in rows {
        let mut browser = desk.browser();
        let place = browser.leave("/auth/login").await;
        let back = tamper(&desk.approve(&place, "ada"));
        let reply = browser.get(&back).await;
        assert_eq!(reply.problem(), (status, error.to_owned()), "{back}");
        assert!(!browser.cookies.contains_key("tokenward"), "no session: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_do_not_disturb_each_other_and_are_bounded() {
    let desk = Desk::open().await;
    let mut browser = desk.browser();
    let mut places = Vec::new();
    for number in 0..7 {
        places.push(browser.leave(&format!("/auth/login?return_to=/tab{number}")).await);
    }
    assert_eq!(browser.pending().len(), 5);
    let oldest = browser.get(&desk.approve(&places[0], "ada")).await;
    assert_eq!(oldest.problem(), (400, "sign_in_unknown".to_owned()));

    let mut handles = Vec::new();
    for number in [6, 4] {
        let reply = browser.get(&desk.approve(&places[number], "ada")).await;
        assert_eq!(reply.header("location"), format!("/tab{number}"));
        handles.push(browser.cookies["tokenward"].clone());
    }
    let mut former = desk.browser();
    former.cookies.insert("tokenward".to_owned(), handles[0].clone());
    assert_eq!(former.get("/auth/session").await.status, 401, "the former session has ended");
    assert_eq!(browser.get("/auth/session").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_begin_says_why_to_people_and_to_programs() {
    let desk = Desk::open().await;
    let mut browser = desk.browser();
    for (path, status, error) in [
        ("/auth/login?audience=https://unknown.example", 400, "invalid_target"),
        ("/auth/login?return_to=/a&return_to=/b", 400, "invalid_request"),
        ("/auth/callback", 400, "sign_in_unknown"),
        ("/auth/nowhere", 404, "not_found"),
        ("/auth/logout", 405, "method_not_allowed"),
    ] {
        let reply = browser.get(path).await;
        assert_eq!(reply.problem(), (status, error.to_owned()), "{path}");
    }
    let headers = [("accept", "text/html,application/xhtml+xml")];
    let page = browser.send(Method::GET, "/auth/callback", &headers, None).await;
    assert_eq!(page.status, 400);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(page.body.contains("/auth/login?return_to=/"), "{}", page.body);

    let reply = browser.send(Method::GET, "/auth/login", &[("host", "evil.example")], None).await;
    assert_eq!(reply.problem(), (421, "wrong_host".to_owned()));

    let asked = browser.leave("/auth/login?resource=https://accounts.sandbox.example").await;
    assert_eq!(query(&asked, "audience").as_deref(), Some("https://accounts.sandbox.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_cookies_are_bound_to_the_host() {
    let desk = Desk::with(|text| format!("public_url = \"https://app.example.com\"\n{text}")).await;
    let mut browser = desk.browser();
    let reply = browser.get("/auth/login").await;
    let place = reply.header("location").to_owned();
    assert_eq!(
        query(&place, "redirect_uri").as_deref(),
        Some("https://app.example.com/auth/callback")
    );
    let [pending] = reply.set_cookies("__Host-tokenward-in-")[..] else { panic!("{reply:?}") };
    assert!(pending.contains("Secure") && !pending.contains("Domain"), "{pending}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_asked_in_its_own_way() {
    let desk = Desk::with(|text| {
        let own =
            "audience_parameter = \"resource\"\nauthorize = { prompt = \"consent\" }\n[admin]";
        text.replace("[admin]", own)
    })
    .await;
    let wanted = "/auth/login?audience=https://accounts.sandbox.example";
    let place = url::Url::parse(&desk.browser().leave(wanted).await).unwrap();
    let asked = |wanted: &str| -> Vec<String> {
        let pairs = place.query_pairs();
        pairs.filter(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).collect()
    };
    let (accounts, quotes) = ("https://accounts.sandbox.example", "https://quotes.sandbox.example");
    assert_eq!(asked("resource"), [accounts, quotes], "the session's own comes first");
    let scopes = "openid profile email offline_access read:accounts read:quotes";
    assert_eq!(asked("scope"), [scopes]);
    assert_eq!(asked("prompt"), ["consent"]);
    assert!(asked("audience").is_empty());

    let mut browser = desk.browser();
    assert_eq!(desk.sign_in(&mut browser, "ada").await.status, 303);
    assert_eq!(browser.get("/api/accounts/accounts").await.status, 200);
}
