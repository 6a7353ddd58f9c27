//! Receivers of the operator's choice hear what happens to sessions.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokenward_sandbox::Sandbox;
use tokio::sync::mpsc;

use super::cli::check;
use super::desk::{Desk, configuration};

/// The signing key that the receiver knows.
const KEY: &[u8] = b"a key of thirty-two bytes, or so";

/// How long a test waits before it calls something stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a receiver was sent.
#[derive(Debug)]
struct Sent {
    headers: HeaderMap,
    body: Bytes,
}

impl Sent {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Checks the signature, without any code of the gateway's.
    fn is_genuine(&self) -> bool {
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let mut signed = format!("{id}.{at}.").into_bytes();
        signed.extend_from_slice(&self.body);
        let expected = format!("v1,{}", STANDARD.encode(hmac(&signed)));
        self.header("webhook-signature") == expected
    }
}

/// HMAC-SHA256 as RFC 2104 writes it down.
fn hmac(message: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(KEY).for_each(|(block, key)| *block ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

/// A receiver that answers as it is told, with 200 in the end.
struct Receiver {
    at: SocketAddr,
    sent: mpsc::UnboundedReceiver<Sent>,
}

type Played = (mpsc::UnboundedSender<Sent>, Arc<Mutex<Vec<Answer>>>);

/// How a receiver answers: a status, and perhaps a header.
type Answer = (u16, Option<(&'static str, String)>);

impl Receiver {
    /// Starts one that gives these answers first, the last of them first.
    async fn start(answers: Vec<Answer>) -> Self {
        let (sender, sent) = mpsc::unbounded_channel();
        let played: Played = (sender, Arc::new(Mutex::new(answers)));
        let router = Router::new().route("/{*rest}", post(answer)).with_state(played);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { at, sent }
    }

    async fn next(&mut self) -> Sent {
        tokio::time::timeout(PATIENCE, self.sent.recv()).await.unwrap().unwrap()
    }
}

async fn answer(
    State((sender, answers)): State<Played>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    sender.send(Sent { headers, body }).unwrap();
    let (status, extra) = answers.lock().unwrap().pop().unwrap_or((200, None));
    let mut reply = StatusCode::from_u16(status).unwrap().into_response();
    if let Some((name, value)) = extra {
        reply.headers_mut().insert(name, value.parse().unwrap());
    }
    reply
}

/// Opens a gateway that tells these addresses.
async fn desk(places: &[(&str, &str)]) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhook-secret");
    Desk::with(|text| {
        let tables = places.iter().map(|(place, events)| table(&file, place, events));
        text + &tables.collect::<String>()
    })
    .await
}

/// Writes the table of a receiver, and the file of its secret.
fn table(file: &Path, place: &str, events: &str) -> String {
    std::fs::write(file, format!("whsec_{}\n", STANDARD.encode(KEY))).unwrap();
    let secret = file.display();
    format!("[[webhook]]\nurl = \"{place}\"\nsecret = {{ file = \"{secret}\" }}\n{events}\n")
}

/// Asks for the accounts, which want a factor.
async fn be_held(desk: &Desk) -> super::desk::Browser {
    let asks = json!({"when": {"audiences": ["https://accounts.sandbox.example"]},
        "then": "challenge"});
    let mut ada = desk.signed_in("ada").await;
    desk.sandbox.tenant(&json!({"mfa": {"rules": [asks]}})).unwrap();
    assert_eq!(ada.get("/api/accounts/accounts").await.status, 403);
    ada
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_a_receiver_hears_of_holds_and_ends_and_of_nothing_secret() {
    let mut receiver = Receiver::start(vec![]).await;
    let place = format!("http://{}/a/path?with=query", receiver.at);
    let desk = desk(&[(&place, "")]).await;
    be_held(&desk).await;
    let held = receiver.next().await;
    assert!(held.is_genuine(), "{held:?}");
    assert_eq!(held.header("content-type"), "application/json");
    let told = held.json();
    assert_eq!(told["type"], "session.held");
    assert_eq!(told["data"]["audience"], "https://accounts.sandbox.example");
    assert!(told["data"]["text"].as_str().unwrap().contains("waits for a person"));
    assert!(!String::from_utf8_lossy(&held.body).contains("ada"), "nothing about the person");

    let id = told["data"]["session"].as_str().unwrap();
    desk.operator(Method::DELETE, &format!("/api/sessions/{id}")).await;
    let ended = receiver.next().await;
    assert!(ended.is_genuine() && ended.json()["type"] == "session.ended", "{ended:?}");
    assert_ne!(ended.header("webhook-id"), held.header("webhook-id"));
    desk.counts("tokenward_webhook_letters_total{outcome=\"delivered\"} 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_a_receiver_with_a_signed_letter_that_says_nothing() {
    let sandbox = Sandbox::start(tokenward_sandbox::Config::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start(vec![(403, None)]).await;
    let place = format!("http://{}/hook?with=query", receiver.at);
    let good = configuration(&sandbox, folder.path(), "127.0.0.1:0");
    let text = good + &table(&folder.path().join("key"), &place, "");
    for (code, part) in [(78, "does not believe the signature"), (0, "took a signed letter")] {
        let ended = check(folder.path(), &text).await;
        let told = format!("{}{}", ended.said, ended.noted);
        assert!(ended.code == code && told.contains(part), "{told}");
        assert!(!told.contains("with=query"), "the path may be a secret: {told}");
        let letter = receiver.next().await;
        assert!(letter.is_genuine(), "{letter:?}");
        assert_eq!(letter.json()["type"], "tokenward.check");
        assert_eq!(letter.json()["data"], json!({}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_tried_again_and_a_redirect_is_not_followed() {
    let mut elsewhere = Receiver::start(vec![]).await;
    let away = format!("http://{}/stolen", elsewhere.at);
    let busy = (503, Some(("retry-after", "0".to_owned())));
    let mut receiver = Receiver::start(vec![(307, Some(("location", away))), busy]).await;
    let place = format!("http://{}/hook", receiver.at);
    let desk = desk(&[(&place, "events = [\"held\"]")]).await;
    be_held(&desk).await;
    let tries = [receiver.next().await, receiver.next().await, receiver.next().await];
    for again in &tries {
        assert!(again.is_genuine(), "each try has a signature of its own: {again:?}");
        assert_eq!(again.header("webhook-id"), tries[0].header("webhook-id"));
        assert_eq!(again.body, tries[0].body);
    }
    desk.counts("tokenward_webhook_letters_total{outcome=\"delivered\"} 1").await;
    desk.counts("tokenward_webhook_letters_total{outcome=\"failed\"} 2").await;
    assert!(elsewhere.sent.try_recv().is_err(), "nobody else is sent a letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_slow_or_gone_holds_up_nobody() {
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut gone = Receiver::start(vec![(410, None)]).await;
    let mut fine = Receiver::start(vec![]).await;
    let places = [
        format!("http://{}/never-answers", slow.local_addr().unwrap()),
        format!("http://{}/gone", gone.at),
        format!("http://{}/fine", fine.at),
    ];
    let desk = desk(&[(&places[0], ""), (&places[1], ""), (&places[2], "")]).await;
    be_held(&desk).await;
    gone.next().await;
    assert_eq!(fine.next().await.json()["type"], "session.held");
    desk.counts("tokenward_webhook_letters_total{outcome=\"given_up\"} 1").await;
    let found = desk.operator(Method::GET, "/api/sessions").await.json();
    let id = found["sessions"][0]["id"].as_str().unwrap();
    desk.operator(Method::DELETE, &format!("/api/sessions/{id}")).await;
    assert_eq!(fine.next().await.json()["type"], "session.ended");
    desk.counts("tokenward_webhook_letters_total{outcome=\"dropped\"} 1").await;
    assert!(gone.sent.try_recv().is_err(), "who is gone is left alone");
}
