//! The console, as an operator without dashboards has it: a hundred thousand sessions, one person
//! who is held up, and what can be done about it.

use std::sync::Arc;

use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::{Value, json};
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::secret::RefreshToken;
use tokenward::core::snapshot::Snapshot;
use tokenward::{Clock, Vault};
use tokenward_sandbox::secrecy::Kind;
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, Authenticate, QUOTES_AUDIENCE, Sandbox};

use super::browser::Browser;
use super::gateway::{Gateway, Place, routes};
use super::program::{PATIENCE, eventually, free_port, http};
use super::provider::sandbox;

/// The sessions that lie in the store before the gateway starts.
const AT_REST: u32 = 100_000;

/// How many of them are written at a time: what the store puts into one transaction.
const WRITERS: u32 = 512;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_who_is_held_up_and_ends_a_session() {
    let port = free_port();
    let (sandbox, registration) = sandbox(port).await;
    let place = Place::at(port, &registration);
    fill(&place, &registration.issuer).await;
    let gateway = Gateway::start(place, &routes(&sandbox)).await;
    let board = gateway.place.admin("/");
    let browser = Browser::open().await;
    browser.client.goto(&board).await.unwrap();
    says(&browser, "#sum", "100\u{202f}000").await;
    // A reload would forget it.
    browser.client.execute("window.stayed = true", vec![]).await.unwrap();

    let ada = Ada::sign_in(&sandbox, &gateway).await;
    let problem = ada.held_up().await;
    says(&browser, "#held", "ada").await;
    says(&browser, "#facts", "waits for a person").await;
    ada.tries(&problem, "000000").await;
    says(&browser, "#facts", "was not accepted").await;
    says(&browser, "#live", "live").await;
    browser.show("console-board").await;

    let (id, list) = (browser.text("#held code").await, gateway.place.admin("/sessions"));
    look_through_the_list(&browser, &list).await;
    find(&browser, &id[..9]).await;
    says(&browser, "main", &id).await;
    find(&browser, &id).await;
    browser.arrives(&format!("{list}/{id}")).await;
    says(&browser, "#who", "waits for a person").await;
    says(&browser, "#story", "as the provider demands").await;
    browser.show("console-session").await;

    browser.client.execute("window.stayed = true", vec![]).await.unwrap();
    ada.tries(&problem, &sandbox.otp("ada").unwrap()).await;
    says(&browser, "#story", "is free again").await;
    browser.press("summary").await;
    browser.show("console-end").await;
    browser.press("button.danger").await;
    says(&browser, "h1", "has ended").await;
    says(&browser, "#story", "Session ended: an operator ended it").await;
    browser.show("console-ended").await;
    assert_eq!(ada.call("/api/quotes/quote").await.status(), 401);

    browser.client.goto(&board).await.unwrap();
    says(&browser, "#mfa", "50.0\u{a0}%").await;
    browser.show("console-board-later").await;
    let odd = browser.complaints().await;
    assert!(odd.is_empty(), "{odd:#?}");
    browser.close().await;
}

/// Walks on to the second page by the keyboard alone.
async fn look_through_the_list(browser: &Browser, list: &str) {
    browser.client.goto(list).await.unwrap();
    says(browser, "h1", "100\u{202f}001 living sessions").await;
    browser.show("console-sessions").await;
    let first = browser.text("tbody code").await;
    let next = browser.client.find(Locator::Css("a[rel=next]")).await.unwrap();
    next.send_keys(&Key::Enter.to_string()).await.unwrap();
    eventually("there is a next page", PATIENCE, async || {
        let code = browser.client.find(Locator::Css("tbody code")).await.ok()?;
        (code.text().await.ok()? > first).then_some(())
    })
    .await;
}

/// Types into the field at the head of each page.
async fn find(browser: &Browser, what: &str) {
    let field = browser.client.find(Locator::Css("input[type=search]")).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(&format!("{what}{}", char::from(Key::Enter))).await.unwrap();
}

/// Waits until a part of the page says something.
async fn says(browser: &Browser, selector: &str, words: &str) {
    let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
    let mut last = Value::Null;
    for _ in 0..600 {
        last = browser.client.execute(script, vec![json!(selector)]).await.unwrap_or_default();
        if last.as_str().is_some_and(|text| text.contains(words)) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{selector} does not say {words:?}: {last}");
}

/// A person with an authenticator app and without a browser.
struct Ada {
    http: reqwest::Client,
    origin: String,
    cookie: String,
}

impl Ada {
    async fn sign_in(sandbox: &Sandbox, gateway: &Gateway) -> Self {
        let ada = json!({
            "name": "ada", "email": "ada@sandbox.example", "display_name": "Ada",
            "factors": [{"kind": "otp"}],
        });
        sandbox.put_user(serde_json::from_value(ada).unwrap());
        let away = http().get(gateway.url("/auth/login?return_to=/")).send().await.unwrap();
        let wanted = Authenticate {
            authorize_url: Some(header(&away, "location")),
            user: Some("ada".to_owned()),
            ..Authenticate::default()
        };
        let back = sandbox.authenticate(&wanted).unwrap().unwrap();
        let cookie = header(&away, "set-cookie");
        let home = http().get(back).header("cookie", &cookie).send().await.unwrap();
        let set = home.headers().get_all("set-cookie").iter();
        let mut cookies = set.map(|value| value.to_str().unwrap().split(';').next().unwrap());
        let cookie = cookies.rfind(|cookie| cookie.starts_with("tokenward="));
        let cookie = cookie.unwrap().to_owned();
        sandbox.secrets().learn(Kind::SessionHandle, cookie.trim_start_matches("tokenward="));
        let done = json!({"when": {"mfa_done": true}, "then": "return"});
        let asks = json!({"when": {"audiences": [ACCOUNTS_AUDIENCE]}, "then": "challenge"});
        sandbox.tenant(&json!({"mfa": {"rules": [done, asks]}})).unwrap();
        Self { http: http(), origin: gateway.url(""), cookie }
    }

    async fn call(&self, path: &str) -> reqwest::Response {
        let place = format!("{}{path}", self.origin);
        self.http.get(place).header("cookie", &self.cookie).send().await.unwrap()
    }

    /// Calls an API until it wants a factor; returns what it says.
    async fn held_up(&self) -> Value {
        let refused = self.call("/api/accounts/accounts").await;
        assert_eq!(refused.status(), 403);
        serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap()
    }

    async fn tries(&self, problem: &Value, otp: &str) {
        let body = json!({"mfa_token": problem["mfa_token"], "otp": otp});
        let place = format!("{}/auth/mfa/verify", self.origin);
        let ask = self.http.post(place).header("cookie", &self.cookie);
        let ask = ask.header("origin", &self.origin).header("content-type", "application/json");
        ask.body(body.to_string()).send().await.unwrap();
    }
}

fn header(reply: &reqwest::Response, name: &str) -> String {
    reply.headers()[name].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// Writes sessions that nobody uses into the store.
async fn fill(place: &Place, issuer: &str) {
    std::fs::create_dir_all(place.state()).unwrap();
    let vault = Vault::embedded(&place.state(), Clock::system()).unwrap();
    let primary = Audience::parse(QUOTES_AUDIENCE).unwrap();
    let issuer: Arc<str> = issuer.into();
    for first in (0..AT_REST).step_by(WRITERS as usize) {
        let writes = (first..AT_REST.min(first + WRITERS)).map(|number| {
            let (vault, issuer, primary) = (vault.clone(), Arc::clone(&issuer), primary.clone());
            tokio::spawn(async move {
                let refresh_token = RefreshToken::new(&format!("rt-at-rest-{number}"));
                let subject = format!("auth0|person-{number:06}").into();
                let snapshot = Snapshot::new(issuer, subject, primary, Some(refresh_token));
                vault.create(key(number), &snapshot, None).await.unwrap();
            })
        });
        for write in writes.collect::<Vec<_>>() {
            write.await.unwrap();
        }
    }
}

/// Spreads numbers over all keys, as random handles do.
fn key(number: u32) -> SessionKey {
    let mut key = [0; 32];
    let spread = u64::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    key[..8].copy_from_slice(&spread);
    key[8..12].copy_from_slice(&number.to_be_bytes());
    SessionKey(key)
}
