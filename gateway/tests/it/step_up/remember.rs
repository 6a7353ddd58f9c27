//! A browser that is remembered: who is not asked again, and everybody who is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenward::store::seal::Purpose;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const KNOWN: &str = "tokenward-known";
const DAYS_30: u64 = 30 * 86_400;

/// A gateway whose accounts want a factor once in a session, and remember a browser for 30 days.
async fn remembering() -> (Desk, Browser) {
    let desk = Desk::with(|text| {
        let accounts = "audience = \"https://accounts.sandbox.example\"\n";
        let mfa = "mfa = { session = true, remember = \"30d\" }\n";
        text.replace(accounts, &format!("{accounts}{mfa}"))
    })
    .await;
    put_ada(&desk, json!([{"kind": "otp"}]));
    let browser = desk.signed_in("ada").await;
    (desk, browser)
}

/// Confirms at the provider, by the link that says `words`.
async fn confirm(desk: &Desk, browser: &mut Browser, words: &str) -> Reply {
    let reply = browser.send(Method::GET, "/api/accounts/accounts", &[HTML], None).await;
    let page = browser.send(Method::GET, reply.header("location"), &[HTML], None).await;
    let before = page.body.split(words).next().unwrap();
    let link = before.rsplit("href=\"").next().unwrap().split('"').next().unwrap();
    let place = browser.leave(&link.replace("&#38;", "&").replace("&amp;", "&")).await;
    let wanted: Authenticate =
        serde_json::from_value(json!({"authorize_url": place, "user": "ada", "factor": "otp"}))
            .unwrap();
    let back = desk.sandbox.authenticate(&wanted).unwrap().unwrap();
    browser.get(&back).await
}

/// Signs `user` in anew with no cookie but `known`; returns what the accounts answer.
async fn anew(desk: &Desk, user: &str, known: Option<&str>) -> u16 {
    let mut browser = desk.browser();
    if let Some(known) = known {
        browser.cookies.insert(KNOWN.to_owned(), known.to_owned());
    }
    assert_eq!(desk.sign_in(&mut browser, user).await.status, 303);
    account_opens(&mut browser).await
}

fn opened(desk: &Desk, known: &str) -> Value {
    let sealed = URL_SAFE_NO_PAD.decode(known).unwrap();
    let ring = desk.tokenward.vault().ring();
    let plain = ring.open_sealed(Purpose::Known, KNOWN.as_bytes(), &sealed).unwrap();
    serde_json::from_slice(&plain).unwrap()
}

fn sealed(desk: &Desk, purpose: Purpose, known: &Value) -> String {
    let ring = desk.tokenward.vault().ring();
    let sealed = ring.seal(purpose, KNOWN.as_bytes(), known.to_string().as_bytes());
    URL_SAFE_NO_PAD.encode(sealed.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_a_remembered_browser_is_not_asked_again_and_everybody_else_is() {
    let (desk, mut browser) = remembering().await;
    let reply = confirm(&desk, &mut browser, "Continue, and remember").await;
    assert_eq!((reply.status, account_opens(&mut browser).await), (303, 200), "{reply:?}");
    let [set] = reply.set_cookies(KNOWN)[..] else { panic!("{reply:?}") };
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", &format!("Max-Age={DAYS_30}")] {
        assert!(set.contains(attribute), "{attribute} is not in {set}");
    }
    let known = browser.cookies[KNOWN].clone();
    assert_eq!(anew(&desk, "ada", Some(&known)).await, 200, "the same person and browser");
    assert_eq!(anew(&desk, "ada", None).await, 403, "another browser");
    assert_eq!(anew(&desk, "alan", Some(&known)).await, 403, "another person");

    let shown = opened(&desk, &known);
    let at = shown["at"].as_u64().unwrap();
    let with = |name: &str, value: Value| {
        let mut other = shown.clone();
        other[name] = value;
        sealed(&desk, Purpose::Known, &other)
    };
    let mut cut = known.clone();
    cut.pop();
    for (what, other) in [
        ("too old", with("at", json!(at - DAYS_30))),
        ("of the future", with("at", json!(at + 3_600))),
        ("of another provider", with("issuer", json!("https://other.example/"))),
        ("of one factor only", with("methods", json!(["pwd"]))),
        ("sealed for something else", sealed(&desk, Purpose::Cookie, &shown)),
        ("tampered", cut),
    ] {
        assert_eq!(anew(&desk, "ada", Some(&other)).await, 403, "{what}");
    }
    let young = with("at", json!(at - DAYS_30 + 3_600));
    assert_eq!(anew(&desk, "ada", Some(&young)).await, 200, "an hour before its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_nothing_is_remembered_that_nobody_asked_for() {
    let (desk, mut browser) = remembering().await;
    let reply = confirm(&desk, &mut browser, "Continue at your provider").await;
    assert_eq!((reply.status, account_opens(&mut browser).await), (303, 200), "{reply:?}");
    assert!(!browser.cookies.contains_key(KNOWN), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_the_provider_s_own_demand_stays_and_a_code_with_the_tick_is_remembered() {
    let (desk, mut browser) = remembering().await;
    confirm(&desk, &mut browser, "Continue, and remember").await;
    let known = browser.cookies[KNOWN].clone();
    let done = json!({"when": {"mfa_done": true}, "then": "return"});
    let asks = json!({"when": {"audiences": [ACCOUNTS]}, "then": "challenge"});
    let mfa = json!({"rules": [done, asks], "otp_single_use": false});
    let mut later = desk.browser();
    later.cookies.insert(KNOWN.to_owned(), known.clone());
    desk.sign_in(&mut later, "ada").await;
    desk.sandbox.tenant(&json!({"mfa": mfa})).unwrap();
    let problem = refused(&mut later).await;
    assert_eq!(problem["by"], "provider", "{problem}");
    let otp = desk.sandbox.otp("ada").unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("mfa_token", problem["mfa_token"].as_str().unwrap())
        .append_pair("otp", &otp)
        .append_pair("remember", "true")
        .finish();
    let reply = later.send(Method::POST, "/auth/mfa/verify", &[FORM, OWN], Some(form)).await;
    assert_eq!((reply.status, reply.set_cookies(KNOWN).len()), (200, 1), "{reply:?}");
    assert_ne!(later.cookies[KNOWN], known);
    assert_eq!(opened(&desk, &later.cookies[KNOWN])["methods"], json!(["mfa", "otp"]));
}

/// Answers one request at `listener`; returns its head.
async fn seen(listener: tokio::net::TcpListener) -> String {
    let (mut caller, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(caller.read_u8().await.unwrap());
    }
    caller.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    String::from_utf8(head).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_an_upstream_sees_neither_the_session_nor_the_remembered_browser() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let desk = Desk::with(|text| {
        let accounts = "audience = \"https://accounts.sandbox.example\"\n";
        let mfa = "mfa = { session = true, remember = \"30d\" }\n";
        let text = text.replace(accounts, &format!("{accounts}{mfa}"));
        format!(
            "{text}[[route]]\npath = \"/api/own/\"\nupstream = \"http://{upstream}\"\n\
             audience = \"https://quotes.sandbox.example\"\nscopes = \"read:quotes\"\n"
        )
    })
    .await;
    put_ada(&desk, json!([{"kind": "otp"}]));
    let mut browser = desk.signed_in("ada").await;
    confirm(&desk, &mut browser, "Continue, and remember").await;
    browser.cookies.insert("theirs".to_owned(), "kept".to_owned());
    let ours: Vec<_> = browser.cookies.iter().filter(|(name, _)| *name != "theirs").collect();
    let (names, values): (Vec<_>, Vec<_>) =
        ours.into_iter().map(|(name, value)| (name.clone(), value.clone())).unzip();
    assert!(names.iter().any(|name| name == KNOWN) && names.len() >= 2, "{names:?}");

    let seeing = tokio::spawn(seen(listener));
    assert_eq!(browser.get("/api/own/").await.status, 200);
    let head = seeing.await.unwrap();
    assert!(head.contains("theirs=kept"), "{head}");
    for ours in names.iter().map(|name| format!("{name}=")).chain(values) {
        assert!(!head.contains(&ours), "{ours} is in {head}");
    }
}
