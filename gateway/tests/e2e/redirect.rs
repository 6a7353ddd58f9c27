//! A person confirms at a provider that nobody here wrote, and comes back into the same session.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::browser::Browser;
use super::gateway::{Gateway, Place};
use super::nginx::Nginx;
use super::program::{PATIENCE, eventually, http};
use super::provider::{ACCOUNTS, QUOTES, RealProvider};
use super::rotation::sign_in;
use super::upstream::Verifier;

const QUOTE: &str = "/quotes/today";
const MINE: &str = "/accounts/mine";
/// The class that the provider grants to whoever confirms.
const CLASS: &str = "urn:sandbox:second-factor";
/// Between two calls of the client that goes on all the while.
const GAP: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn l8_a_person_steps_up_at_a_real_provider_while_the_other_api_goes_on() {
    let provider = RealProvider::start(10).await;
    let audiences = [(QUOTE, QUOTES.0), (MINE, ACCOUNTS.0)];
    let verifier = Verifier::start(&provider.registration.issuer, &audiences).await;
    let nginx = Nginx::start(verifier.address).await;
    let gateway = Gateway::start(Place::new(&provider.registration), &routes(&nginx)).await;
    let browser = Browser::open().await;
    let cookie = sign_in(&browser, &gateway, "grace").await;
    let other = Caller::start(gateway.url(QUOTE), &cookie);
    refused(&gateway, &cookie).await;

    let mine = gateway.url(MINE);
    browser.client.goto(&mine).await.unwrap();
    let page = browser.client.current_url().await.unwrap();
    assert!(page.path() == "/auth/mfa", "{page}");
    browser.show("mfa-redirect").await;
    browser.press("a.go").await;
    browser.press("#confirm").await;
    browser.arrives(&mine).await;
    assert_eq!(browser.session_cookie().await, cookie, "it is the same session");
    assert_eq!(status(&gateway, &cookie).await, 200);

    // The family that the confirmation brought is renewed for both APIs, without the person.
    let renewed = async || {
        assert_eq!(status(&gateway, &cookie).await, 200);
        let ledger = provider.ledger().await;
        let refreshes = &ledger["refreshes_by_resource"];
        let both = [QUOTES.0, ACCOUNTS.0].map(|audience| refreshes[audience].as_u64());
        (both.iter().all(|times| *times >= Some(2))).then_some(ledger)
    };
    let ledger = eventually("both are renewed", PATIENCE, renewed).await;
    let seen = ["logins", "confirmations", "code_grants", "reuse_detected", "errors"];
    assert_eq!(seen.map(|what| ledger[what].as_u64()), [1, 1, 2, 0, 0].map(Some), "{ledger}");
    let (calls, failures) = other.stop().await;
    assert!(calls > 100 && failures.is_empty(), "of {calls} calls: {failures:?}");
    browser.close().await;
}

/// A program is told what the operator asks for, and where its person can go.
async fn refused(gateway: &Gateway, cookie: &str) {
    let call = http().get(gateway.url(MINE)).header("cookie", format!("tokenward={cookie}"));
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 403);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
    for part in ["insufficient_user_authentication", CLASS, "max_age=\"300\""] {
        assert!(challenge.contains(part), "{challenge}");
    }
    let told: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(told["error"], "mfa_required", "{told}");
    assert!(told["step_up_uri"].as_str().is_some_and(|uri| uri.contains("/auth/mfa")), "{told}");
}

async fn status(gateway: &Gateway, cookie: &str) -> u16 {
    let call = http().get(gateway.url(MINE)).header("cookie", format!("tokenward={cookie}"));
    call.send().await.unwrap().status().as_u16()
}

fn routes(nginx: &Nginx) -> String {
    let at = &nginx.address;
    let scopes = |api: (&str, &str)| format!("{:?}", api.1.split(' ').collect::<Vec<_>>());
    format!(
        "[[route]]\npath = \"/quotes/\"\nupstream = \"http://{at}\"\naudience = \"{}\"\n\
         scopes = {}\n\
         [[route]]\npath = \"/accounts/\"\nupstream = \"http://{at}\"\naudience = \"{}\"\n\
         scopes = {}\nmfa = {{ max_age = \"5m\", acr = \"{CLASS}\" }}\n\
         [[route]]\npath = \"/\"\nupstream = \"http://{at}\"\n",
        QUOTES.0,
        scopes(QUOTES),
        ACCOUNTS.0,
        scopes(ACCOUNTS),
    )
}

/// A client of the other API that never stops.
struct Caller {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(u64, Vec<String>)>,
}

impl Caller {
    fn start(url: String, cookie: &str) -> Self {
        let (stop, cookie) = (Arc::new(AtomicBool::new(false)), format!("tokenward={cookie}"));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let (http, mut calls, mut failures) = (http(), 0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                calls += 1;
                match http.get(&url).header("cookie", &cookie).send().await {
                    Ok(answer) if answer.status() == 200 => {}
                    Ok(answer) => failures.push(answer.status().to_string()),
                    Err(error) => failures.push(format!("{error:?}")),
                }
                tokio::time::sleep(GAP).await;
            }
            (calls, failures)
        });
        Self { stop, task }
    }

    /// Stops it; returns how many calls it made, and those that failed.
    async fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}
