//! The operator's listener over real sockets.

use reqwest::Method;
use serde_json::{Value, json};
use tokenward_sandbox::Mint;

use super::desk::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_sessions_and_ends_them() {
    let desk = Desk::open().await;
    let mut ada = desk.signed_in("ada").await;
    for _ in 0..2 {
        desk.signed_in("alan").await;
    }
    let first = desk.operator(Method::GET, "/api/sessions?limit=2").await;
    assert_eq!(first.header("cache-control"), "no-store");
    let first = first.json();
    assert_eq!(
        (first["total"].as_u64(), first["sessions"].as_array().map(Vec::len)),
        (Some(3), Some(2))
    );
    let rest = format!("/api/sessions?limit=2&after={}", first["next"].as_str().unwrap());
    let rest = desk.operator(Method::GET, &rest).await.json();
    assert_eq!(rest["sessions"].as_array().map(Vec::len), Some(1));
    assert!(rest["next"].is_null());

    let found = desk.operator(Method::GET, "/api/sessions?q=auth0%7Cada").await.json();
    let session = &found["sessions"][0];
    assert_eq!(
        (session["subject"].as_str(), session["state"].as_str()),
        (Some("auth0|ada"), Some("fresh"))
    );
    let id = session["id"].as_str().unwrap().to_owned();
    for sought in [id.as_str(), &id[..7], &id[..1].to_uppercase()] {
        let by_id = desk.operator(Method::GET, &format!("/api/sessions?q={sought}")).await.json();
        let found = by_id["sessions"].as_array().unwrap();
        assert!(found.iter().any(|found| found["id"] == id.as_str()), "{sought}: {found:?}");
    }

    let place = format!("/api/sessions/{id}");
    assert_eq!(desk.operator(Method::GET, &place).await.json()["id"], id.as_str());
    let story = desk.operator(Method::GET, &format!("{place}/timeline")).await.json();
    assert_eq!(story["facts"][0]["event"], "signed_in");
    let retry = desk.operator(Method::POST, &format!("{place}/retry")).await;
    assert_eq!(retry.status, 202);

    let ended = desk.operator(Method::DELETE, &place).await;
    assert_eq!((ended.status, ended.json()["ended"].as_bool()), (200, Some(true)));
    assert_eq!(ada.get("/auth/session").await.status, 401);
    let gone = desk.operator(Method::DELETE, &place).await;
    assert_eq!(gone.problem(), (404, "no_session".to_owned()));
    let story = desk.operator(Method::GET, &format!("{place}/timeline")).await.json();
    assert_eq!(story["ended"], true);
    let facts = story["facts"].as_array().unwrap();
    assert_eq!(facts[0]["text"], "signed in", "its course is kept after its end");
    assert_eq!(facts.last().unwrap()["text"], "session ended: an operator ended it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_answered_clearly() {
    let desk = Desk::open().await;
    for (method, path, status, error) in [
        (Method::GET, "/api/sessions?limit=0", 400, "invalid_request"),
        (Method::GET, "/api/sessions?limit=201", 400, "invalid_request"),
        (Method::GET, "/api/sessions?limit=x", 400, "invalid_request"),
        (Method::GET, "/api/sessions?after=zz", 400, "invalid_request"),
        (Method::GET, "/api/sessions/zz", 404, "no_session"),
        (Method::DELETE, "/api/sessions/000000000000000000000000", 404, "no_session"),
        (Method::GET, "/api/nothing", 404, "not_found"),
        (Method::POST, "/api/sessions", 405, "method_not_allowed"),
        (Method::POST, "/api/adopt", 415, "invalid_request"),
    ] {
        let reply = desk.operator(method, path).await;
        assert_eq!(reply.problem(), (status, error.to_owned()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_health_and_the_board() {
    let desk = Desk::open().await;
    desk.signed_in("ada").await;
    let metrics = desk.operator(Method::GET, "/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(metrics.body.contains("\ntokenward_sessions{"));
    for (path, said) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let reply = desk.operator(Method::GET, path).await;
        assert_eq!((reply.status, reply.json()["status"].as_str()), (200, Some(said)));
    }
    let page = desk.operator(Method::GET, "/").await;
    assert!(page.header("content-security-policy").contains("style-src 'nonce-"));
    for said in ["Living sessions</span><b>1</b>", "/api/quotes/", "Nobody is held up"] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }

    desk.front.drain();
    let reply = desk.operator(Method::GET, "/readyz").await;
    assert_eq!(reply.problem(), (503, "not_ready".to_owned()));
    assert!(reply.body.contains("draining"));
    assert_eq!(desk.operator(Method::GET, "/healthz").await.status, 200);
    let stream = desk.operator(Method::GET, "/api/events").await;
    assert_eq!(stream.problem(), (429, "too_many_streams".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_ends_a_session_for_its_own_pages_only() {
    let desk = Desk::open().await;
    let mut ada = desk.signed_in("ada").await;
    let found = desk.operator(Method::GET, "/api/sessions").await.json();
    let id = found["sessions"][0]["id"].as_str().unwrap().to_owned();
    let place = format!("/sessions/{id}");
    let page = desk.operator(Method::GET, &place).await;
    assert!(page.body.contains("auth0|ada") && page.body.contains("Signed in"), "{}", page.body);
    let list = desk.operator(Method::GET, "/sessions?q=%3Cscript%3E").await;
    assert!(list.status == 200 && !list.body.contains("<script>"), "{}", list.body);

    let evil = [("sec-fetch-site", "cross-site"), ("origin", "http://evil.example")];
    for act in ["end", "retry"] {
        let act = format!("{place}/{act}");
        let reply = desk.at_admin().send(Method::POST, &act, &evil, None).await;
        assert_eq!(reply.problem(), (403, "cross_site".to_owned()));
        let reply = desk.operator(Method::GET, &act).await;
        assert_eq!(reply.problem(), (405, "method_not_allowed".to_owned()));
    }
    for act in ["retry", "end"] {
        let reply = desk.operator(Method::POST, &format!("{place}/{act}")).await;
        assert_eq!((reply.status, reply.header("location")), (303, place.as_str()));
    }
    assert_eq!(ada.get("/auth/session").await.status, 401);
    let page = desk.operator(Method::GET, &place).await;
    assert!(page.body.contains("Session ended: an operator ended it"), "{}", page.body);
    assert!(!page.body.contains("<form method=\"post\""), "nothing is left to be done");
    let live = desk.operator(Method::GET, &format!("/api/console/live?session={id}")).await;
    assert_eq!(live.status, 204, "a browser is told not to ask again");
    let absent = desk.operator(Method::GET, "/sessions/000000000000000000000000").await;
    assert_eq!(absent.problem(), (404, "no_session".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_a_browser_opens_the_console_with_the_token_as_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "of the operators\n").unwrap();
    let token = format!("[admin]\ntoken = {{ file = \"{}\" }}\n", file.display());
    let desk = Desk::with(|text| text.replace("[admin]\n", &token)).await;
    let asks = [("accept", "text/html")];
    let reply = desk.at_admin().send(Method::GET, "/", &asks, None).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    assert!(reply.header("www-authenticate").starts_with("Basic realm="), "{reply:?}");
    let reply = desk.operator(Method::GET, "/metrics").await;
    assert_eq!(reply.problem(), (401, "invalid_token".to_owned()));
    assert!(reply.header("www-authenticate").starts_with("Bearer "), "no dialogue for a script");
    for (word, status) in [("of the operators", 200), ("of the operator", 401)] {
        let opens = desk.at_admin().request(Method::GET, "/", &asks, None);
        let reply = opens.basic_auth("anybody", Some(word)).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_the_operators_door_is_shut_to_others() {
    let desk = Desk::open().await;
    let evil = [("host", "evil.example:9464")];
    let reply = desk.at_admin().send(Method::GET, "/api/sessions", &evil, None).await;
    assert_eq!(reply.problem(), (421, "wrong_host".to_owned()));
    let evil = [("origin", "http://evil.example"), ("content-type", "text/plain")];
    let reply = desk.at_admin().send(Method::POST, "/api/adopt", &evil, None).await;
    assert_eq!(reply.problem(), (403, "cross_site".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_from_elsewhere_becomes_a_session() {
    let desk = Desk::open().await;
    let minted = desk.sandbox.mint(&Mint::default()).unwrap();
    let whole = json!({
        "refresh_token": minted[0].refresh_token,
        "subject": minted[0].subject,
        "audience": "https://quotes.sandbox.example",
    });
    let adopt = async |body: String| {
        let json = [("content-type", "application/json")];
        desk.at_admin().send(Method::POST, "/api/adopt", &json, Some(body)).await
    };
    let with = |name: &str, value: Value| {
        let mut body = whole.clone();
        body[name] = value;
        body.to_string()
    };
    for (body, status) in [
        (with("refresh_token", json!("")), 400),
        (with("refresh_token", json!("two words")), 400),
        (with("refresh_token", json!(7)), 400),
        (with("subject", json!("")), 400),
        (with("subject", json!("x".repeat(2_000))), 400),
        (with("audience", json!("https://unknown.example")), 400),
        (with("unknown", json!(1)), 400),
        ("{".to_owned(), 400),
        (with("subject", json!("x".repeat(70_000))), 413),
    ] {
        let reply = adopt(body.clone()).await;
        assert_eq!(reply.problem(), (status, "invalid_request".to_owned()), "{body}");
        assert!(!reply.body.contains(&minted[0].refresh_token), "law L13: {body}");
    }
    let adopted = adopt(whole.to_string()).await;
    assert_eq!(adopted.status, 201, "{adopted:?}");
    let adopted = adopted.json();
    let bearer = format!("Bearer {}", adopted["handle"].as_str().unwrap());
    let ask = [("authorization", bearer.as_str())];
    let reply = desk.browser().send(Method::GET, "/api/quotes/quote", &ask, None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let view = desk.browser().send(Method::GET, "/auth/session", &ask, None).await;
    assert_eq!(view.json()["id"], adopted["session"]);
    assert_eq!(view.json()["subject"], minted[0].subject.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn l16_operators_hear_of_every_session() {
    let desk = Desk::open().await;
    let operator = desk.at_admin();
    let open = operator.request(Method::GET, "/api/events", &[], None);
    let mut stream = open.send().await.unwrap();
    desk.signed_in("ada").await;
    let mut told = String::new();
    while !told.contains("signed_in") {
        let piece = stream.chunk().await.unwrap().unwrap();
        told.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let data = told.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let fact: Value = serde_json::from_str(data).unwrap();
    for name in ["at_ms", "session", "event", "text"] {
        assert!(!fact[name].is_null(), "{name}: {fact}");
    }
    let last = told.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    let (run, number) = last.split_once('-').unwrap();
    let next = format!("id: {run}-{}", number.parse::<u64>().unwrap() + 1);
    drop(stream);
    desk.signed_in("alan").await;
    for (id, first) in [(last.as_str(), next.as_str()), ("1-1", "data: {\"event\":\"missed\"")] {
        let after = [("last-event-id", id)];
        let again = operator.request(Method::GET, "/api/events", &after, None).send().await;
        let (mut again, mut told) = (again.unwrap(), String::new());
        while !told.contains("data: ") || !told.ends_with("\n\n") {
            told.push_str(std::str::from_utf8(&again.chunk().await.unwrap().unwrap()).unwrap());
        }
        let fields = ["id: ", "data: "];
        let field = told.lines().find(|line| fields.iter().any(|field| line.starts_with(field)));
        assert!(field.unwrap().starts_with(first), "{id}: {told}");
    }

    let mut stream = operator.request(Method::GET, "/api/events", &[], None).send().await.unwrap();
    desk.front.drain();
    let left = async { while stream.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(std::time::Duration::from_secs(10), left)
        .await
        .expect("draining ends the stream");
}
