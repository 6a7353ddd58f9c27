//! Many people, many calls at once, and a provider that ends a grant at the first reuse.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fantoccini::Locator;
use serde_json::Value;
use tokio::task::JoinSet;

use super::browser::Browser;
use super::gateway::{Gateway, Place};
use super::nginx::Nginx;
use super::program::{PATIENCE, eventually, http};
use super::provider::{ACCOUNTS, QUOTES, RealProvider};
use super::upstream::Verifier;

/// Everybody who signs in; each session is called by all clients.
const PEOPLE: [&str; 5] = ["ada", "alan", "barbara", "edsger", "grace"];
/// How many clients call at once.
const CLIENTS: usize = 20;
/// How many rotations the provider must have seen.
const ROTATIONS: u64 = 50;
/// A session rotates twice in five seconds or so (once per audience, from half of its token's life
/// on), five sessions fifty times in half a minute.
const ROTATION_LIMIT: Duration = Duration::from_secs(80);
/// Between two rounds of a client: the checks of all signatures share the machine with all else.
const ROUND_GAP: Duration = Duration::from_millis(100);
const PATHS: [&str; 2] = ["/quotes/today", "/accounts/mine"];

/// Twenty clients call two APIs at once in each of five sessions, through fifty rotations of
/// ten-second tokens. Five sessions rather than one, because one would take three minutes; every
/// client uses every session, so that each rotation happens under twenty callers.
#[tokio::test(flavor = "multi_thread")]
async fn l1_fifty_rotations_of_ten_second_tokens_disturb_no_call() {
    let provider = RealProvider::start(10).await;
    let issuer = &provider.registration.issuer;
    let audiences = [(PATHS[0], QUOTES.0), (PATHS[1], ACCOUNTS.0)];
    let verifier = Verifier::start(issuer, &audiences).await;
    let nginx = Nginx::start(verifier.address).await;
    let gateway = Gateway::start(Place::new(&provider.registration), &routes(&nginx)).await;
    let browser = Browser::open().await;
    let mut cookies = Vec::new();
    for person in PEOPLE {
        cookies.push(sign_in(&browser, &gateway, person).await);
    }

    let score = Score::default();
    let callers = Callers::start(&gateway, &cookies, &score);
    let rotated = async || {
        let ledger = provider.ledger().await;
        (ledger["refreshes"].as_u64() >= Some(ROTATIONS)).then_some(ledger)
    };
    let ledger = eventually("fifty rotations", ROTATION_LIMIT, rotated).await;
    callers.stop().await;

    assert_eq!(score.failures(), 0, "{:?}", score.first.lock().unwrap());
    assert!(score.answered() > CLIENTS as u64 * ROTATIONS, "{} calls only", score.answered());
    undisturbed(&ledger);
    for (path, audience) in audiences {
        let rotations = ledger["refreshes_by_resource"][audience].as_u64();
        assert!(rotations >= Some(ROTATIONS / 4), "{audience}: {ledger}");
        // Each session's last replacement may not have been called with yet.
        let unseen = PEOPLE.len() as u64;
        let seen = verifier.tokens_seen(path) as u64;
        assert!(Some(seen + unseen) >= rotations, "{path}: {seen} tokens, {ledger}");
    }
    sign_out(&browser, &gateway, &provider, &cookies).await;
    browser.close().await;
}

fn routes(nginx: &Nginx) -> String {
    let at = &nginx.address;
    let protected = [("/quotes/", QUOTES), ("/accounts/", ACCOUNTS)].map(|(path, api)| {
        let scopes: Vec<&str> = api.1.split(' ').collect();
        format!(
            "[[route]]\npath = \"{path}\"\nupstream = \"http://{at}\"\naudience = \"{}\"\n\
             scopes = {scopes:?}\n",
            api.0
        )
    });
    format!("{}[[route]]\npath = \"/\"\nupstream = \"http://{at}\"\n", protected.concat())
}

/// Signs somebody in through the pages; returns the session's cookie.
pub(super) async fn sign_in(browser: &Browser, gateway: &Gateway, person: &str) -> String {
    let client = &browser.client;
    client.goto(&gateway.url("/")).await.unwrap();
    // Cookies know no ports: this makes the provider forget the person before, too.
    client.delete_all_cookies().await.unwrap();
    browser.press("#in").await;
    let field = client.wait().at_most(PATIENCE).for_element(Locator::Css("#login")).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(person).await.unwrap();
    if person == PEOPLE[0] {
        browser.show("real-provider-sign-in").await;
    }
    browser.press("#sign-in").await;
    browser.arrives(&gateway.url("/")).await;
    browser.session_cookie().await
}

/// The last person signs out in the browser; everybody else stays.
async fn sign_out(
    browser: &Browser,
    gateway: &Gateway,
    provider: &RealProvider,
    cookies: &[String],
) {
    browser.show("real-provider-signed-in").await;
    browser.press("#out").await;
    let waiting = browser.client.wait().at_most(PATIENCE);
    waiting.for_element(Locator::Css("#sign-out")).await.unwrap();
    browser.show("real-provider-sign-out").await;
    browser.press("#sign-out").await;
    browser.arrives(&gateway.url("/")).await;
    let gone = browser.client.get_named_cookie("tokenward").await;
    assert!(gone.unwrap_err().is_no_such_cookie());

    // The gateway revokes the refresh token without letting the browser wait for it.
    let revoked = async || {
        let ledger = provider.ledger().await;
        (ledger["revocations"] == 1).then_some(ledger)
    };
    let ledger = eventually("the refresh token is revoked", PATIENCE, revoked).await;
    assert_eq!((&ledger["logouts"], &ledger["grants_revoked"]), (&1.into(), &1.into()), "{ledger}");
    undisturbed(&ledger);
    let (left, stayed) = cookies.split_last().unwrap();
    for path in PATHS {
        assert_eq!(status(gateway, left, path).await, 401, "{path}");
        for cookie in stayed {
            assert_eq!(status(gateway, cookie, path).await, 200, "{path}");
        }
    }
}

async fn status(gateway: &Gateway, cookie: &str, path: &str) -> u16 {
    let call = http().get(gateway.url(path)).header("cookie", format!("tokenward={cookie}"));
    call.send().await.unwrap().status().as_u16()
}

fn undisturbed(ledger: &Value) {
    assert_eq!((&ledger["reuse_detected"], &ledger["errors"]), (&0.into(), &0.into()), "{ledger}");
}

/// What became of the calls.
#[derive(Clone, Default)]
struct Score {
    answered: Arc<AtomicU64>,
    failures: Arc<AtomicU64>,
    /// What the first failure was.
    first: Arc<Mutex<Option<String>>>,
}

impl Score {
    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn note(&self, path: &str, outcome: Result<(u16, String), reqwest::Error>) {
        let failure = match outcome {
            Ok((200, _)) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Ok((status, text)) => format!("{path} answered {status}: {text}"),
            Err(error) => format!("{path}: {error:?}"),
        };
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.first.lock().unwrap().get_or_insert(failure);
    }
}

/// Clients that call both APIs at once, session after session, until they are stopped.
struct Callers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Callers {
    fn start(gateway: &Gateway, cookies: &[String], score: &Score) -> Self {
        let (stop, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        let (http, urls) = (http(), PATHS.map(|path| gateway.url(path)));
        for _ in 0..CLIENTS {
            let (http, urls, score) = (http.clone(), urls.clone(), score.clone());
            let (cookies, stop) = (cookies.to_vec(), Arc::clone(&stop));
            tasks.spawn(async move {
                for cookie in cookies.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let [one, two] = urls.each_ref().map(|url| call(&http, url, cookie));
                    let (one, two) = tokio::join!(one, two);
                    score.note(PATHS[0], one);
                    score.note(PATHS[1], two);
                    tokio::time::sleep(ROUND_GAP).await;
                }
            });
        }
        Self { stop, tasks }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
    }
}

async fn call(
    http: &reqwest::Client,
    url: &str,
    cookie: &str,
) -> Result<(u16, String), reqwest::Error> {
    let call = http.get(url).header("cookie", format!("tokenward={cookie}"));
    let answer = call.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}
