//! Law L13 of the whole program: a life in which everything happens, and no secret of it in logs
//! (at their most talkative, in both formats), metrics, streams, pages, problem documents,
//! arguments, environment, or in clear in the state directory.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, Response};
use serde_json::json;
use tokenward_sandbox::secrecy::{self, Kind, Secrets, Watch};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, Authenticate, Mint, QUOTES_AUDIENCE, Sandbox};

use super::gateway::{Gateway, Place};
use super::program::{PATIENCE, free_port, http};
use super::provider::sandbox;

/// The life of a gateway, and what is said in it.
struct Life {
    sandbox: Sandbox,
    watch: Arc<Watch>,
    gateway: Gateway,
    http: Client,
    /// The cookies of the one browser.
    cookies: Vec<String>,
}

impl Life {
    async fn begin(json: bool) -> Self {
        let port = free_port();
        let (sandbox, registration) = sandbox(port).await;
        let watch = Arc::new(Watch::over(sandbox.secrets()));
        let place = Place::at(port, &registration);
        let route = |path: &str, audience: &str, scopes: &str| {
            format!(
                "[[route]]\npath = \"/{path}/\"\nupstream = \"{}\"\nstrip_prefix = true\n\
                 audience = \"{audience}\"\nscopes = \"{scopes}\"\n",
                sandbox.addresses().apis[path]
            )
        };
        let tables = format!(
            "[log]\nfilter = \"trace\"\njson = {json}\nrequests = true\n{}{}",
            route("quotes", QUOTES_AUDIENCE, "read:quotes"),
            route("accounts", ACCOUNTS_AUDIENCE, "read:accounts"),
        );
        let gateway = Gateway::start(place, &tables).await;
        Self { sandbox, watch, gateway, http: http(), cookies: Vec::new() }
    }

    /// Asks the gateway something; all of the answer is noted but what must carry a secret.
    async fn ask(&mut self, method: Method, url: &str, accept: &str) -> Response {
        let request = self.http.request(method.clone(), url).header(ACCEPT, accept);
        let request = request.header(COOKIE, self.cookies.join("; "));
        let answer = request.send().await.unwrap();
        for line in answer.headers().get_all(SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap().to_owned();
            let (name, value) = pair.split_once('=').unwrap();
            self.watch.secrets().learn(Kind::Cookie, value);
            self.cookies.retain(|kept| !kept.starts_with(&format!("{name}=")));
            self.cookies.push(pair);
        }
        let mut headers = answer.headers().clone();
        headers.remove(SET_COOKIE);
        // Logging out takes the ID token to the provider (OpenID Connect RP-Initiated Logout §2).
        let place = headers.remove(LOCATION);
        let place = place.as_ref().map_or("", |place| place.to_str().unwrap());
        let place = place.split('&').filter(|pair| !pair.contains("id_token_hint="));
        let place = place.collect::<Vec<_>>().join("&");
        self.watch.note(&format!("the header of {method} {url}"), format!("{headers:?} {place}"));
        answer
    }

    async fn tell(&mut self, method: Method, url: &str, accept: &str) -> u16 {
        let answer = self.ask(method.clone(), url, accept).await;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        self.watch.note(&format!("the answer to {method} {url}"), body);
        status
    }

    async fn get(&mut self, path: &str) -> u16 {
        let url = self.gateway.url(path);
        self.tell(Method::GET, &url, "application/json").await
    }

    async fn sign_in(&mut self, user: &str) {
        let url = self.gateway.url("/auth/login");
        let answer = self.ask(Method::GET, &url, "text/html").await;
        let wanted = Authenticate {
            authorize_url: Some(answer.headers()[LOCATION].to_str().unwrap().to_owned()),
            user: Some(user.to_owned()),
            ..Authenticate::default()
        };
        let back = self.sandbox.authenticate(&wanted).unwrap().unwrap();
        assert_eq!(self.tell(Method::GET, &back, "text/html").await, 303);
    }

    /// Arms a fault of the token endpoint; `{}` in it stands for the newest refresh token.
    fn arm(&self, fault: serde_json::Value) {
        let newest = newest(self.sandbox.secrets(), Kind::RefreshToken);
        let text = fault.to_string().replace("{}", &newest);
        self.sandbox.faults().arm(serde_json::from_str(&text).unwrap()).unwrap();
    }

    /// Runs a command of the program; what it prints is noted.
    async fn run(&self, arguments: &[&str]) -> String {
        let output = self.gateway.place.run(arguments, "").await;
        let text = [output.stdout, output.stderr].concat();
        self.watch.note(&format!("tokenward {arguments:?}"), text.clone());
        String::from_utf8(text).unwrap()
    }

    /// Listens to a stream for as long as it lives.
    fn listen(&self, url: String) -> tokio::task::JoinHandle<()> {
        let request = self.http.get(&url).header(COOKIE, self.cookies.join("; "));
        let watch = Arc::clone(&self.watch);
        tokio::spawn(async move {
            let mut answer = request.header(ACCEPT, "text/event-stream").send().await.unwrap();
            assert_eq!(answer.status(), 200, "{url}");
            let mut heard = Vec::new();
            while let Ok(Some(chunk)) = answer.chunk().await {
                heard.extend_from_slice(&chunk);
            }
            assert!(!heard.is_empty(), "{url} says nothing");
            watch.note(&format!("the stream {url}"), heard);
        })
    }
}

fn newest(secrets: &Secrets, kind: Kind) -> String {
    let (all, _) = secrets.all();
    all.iter().rfind(|secret| secret.kind == kind).unwrap().text.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_a_whole_life_gives_no_secret_away() {
    let (text, json) = tokio::join!(Life::begin(false), Life::begin(true));
    tokio::join!(live(text), live(json));
}

async fn live(mut life: Life) {
    refused_callers(&mut life).await;
    life.sign_in("ada").await;
    let streams = [
        life.listen(life.gateway.url("/auth/events")),
        life.listen(life.gateway.place.admin("/api/events")),
    ];
    assert_eq!(life.get("/quotes/quote").await, 200);
    life.get("/auth/session").await;
    failures(&mut life).await;
    operator(&mut life).await;

    let number = life.gateway.program.number();
    let leaks = secrecy::process(&life.watch.secrets().search(), number).unwrap();
    assert!(leaks.is_empty(), "{leaks:?}");

    life.watch.note("the log before the crash", life.gateway.program.log());
    life.gateway.kill().await;
    for stream in streams {
        stream.await.unwrap();
    }
    life.gateway.restart().await;
    // Nobody was signed out by any of it; a doubt may have to settle first.
    let healed = async {
        while life.get("/accounts/accounts").await != 200 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, healed).await.unwrap();

    let url = life.gateway.url("/auth/logout");
    life.tell(Method::POST, &url, "text/html").await;
    assert_eq!(life.get("/quotes/quote").await, 401);
    life.sign_in("ada").await;
    let subject = "auth0|ada";
    assert_eq!(life.sandbox.backchannel_logout("e2e", subject, None).await, Ok(200));
    life.run(&["sessions", "list"]).await;
    life.watch.note("the log", life.gateway.program.log());
    life.watch.folder(&life.gateway.place.state());
    let leaks = life.watch.leaks();
    assert!(leaks.is_empty(), "secrets were found where none may be:\n{leaks:#?}");
}

/// Callers whose credentials are none, and callbacks that nobody waits for.
async fn refused_callers(life: &mut Life) {
    let strange = "bm90LWEtcmVhbC1oYW5kbGUtYnV0LXNoYXBlZC1hcy1vbmU";
    life.watch.secrets().learn(Kind::SessionHandle, strange);
    life.cookies.push(format!("tokenward={strange}"));
    assert_eq!(life.get("/quotes/quote").await, 401);
    let code = "aW50ZXJjZXB0ZWQtYXV0aG9yaXphdGlvbi1jb2Rl";
    life.watch.secrets().learn(Kind::AuthorizationCode, code);
    for accept in ["text/html", "application/json"] {
        let url = life.gateway.url(&format!("/auth/callback?code={code}&state=c3RhdGU"));
        assert_eq!(life.tell(Method::GET, &url, accept).await, 400);
    }
    life.cookies.clear();
}

/// What goes wrong between the gateway and a provider that repeats what it was sent.
async fn failures(life: &mut Life) {
    let said = "Unknown or invalid refresh token: {} (sent by e2e with only-for-this-test)";
    for fault in [
        json!({ "kind": "oauth_error", "error": "access_denied", "error_description": said }),
        json!({ "kind": "oauth_error", "error": "{}", "error_description": said, "status": 400 }),
        json!({ "kind": "half_body" }),
        json!({ "kind": "garbage_200", "when": "before" }),
        json!({ "kind": "malformed_200_with_refresh_token" }),
        json!({ "kind": "status", "status": 503 }),
    ] {
        let mut fault = fault;
        fault["endpoint"] = json!("token");
        fault["only"] = json!("refresh_token");
        life.arm(fault);
        let url = life.gateway.url("/accounts/accounts");
        for accept in ["application/json", "text/html"] {
            life.tell(Method::GET, &url, accept).await;
        }
    }
    // A code that is repeated where the sign-in fails.
    life.arm(json!({
        "endpoint": "token", "only": "authorization_code", "kind": "oauth_error", "when": "after",
        "error": "server_error", "error_description": "only-for-this-test is no secret",
    }));
    let kept = std::mem::take(&mut life.cookies);
    let url = life.gateway.url("/auth/login");
    let answer = life.ask(Method::GET, &url, "text/html").await;
    let wanted = Authenticate {
        authorize_url: Some(answer.headers()[LOCATION].to_str().unwrap().to_owned()),
        ..Authenticate::default()
    };
    let back = life.sandbox.authenticate(&wanted).unwrap().unwrap();
    life.tell(Method::GET, &back, "text/html").await;
    life.cookies = kept;
    life.sandbox.faults().clear();
}

/// Everything an operator looks at.
async fn operator(life: &mut Life) {
    let wanted = Mint {
        count: 1,
        client_id: "e2e".to_owned(),
        user: Some("ada".to_owned()),
        ..Mint::default()
    };
    let minted = life.sandbox.mint(&wanted).unwrap().remove(0);
    let gateway = &life.gateway;
    let handle = gateway.adopt(QUOTES_AUDIENCE, &minted.subject, &minted.refresh_token).await;
    life.watch.secrets().learn(Kind::SessionHandle, &handle);
    assert!(life.run(&["check"]).await.contains(&life.sandbox.addresses().issuer));
    let url = life.gateway.place.admin("/api/sessions");
    let listed: serde_json::Value =
        serde_json::from_slice(&life.ask(Method::GET, &url, "*/*").await.bytes().await.unwrap())
            .unwrap();
    let ids: Vec<String> = ids(&listed);
    assert_eq!(ids.len(), 2, "{listed}");
    for id in ids {
        for command in ["show", "explain"] {
            assert!(!life.run(&["sessions", command, &id]).await.is_empty());
        }
        for path in [format!("/api/sessions/{id}"), format!("/api/sessions/{id}/timeline")] {
            let url = life.gateway.place.admin(&path);
            assert_eq!(life.tell(Method::GET, &url, "*/*").await, 200);
        }
    }
    for path in ["/", "/metrics", "/healthz", "/readyz", "/api/sessions", "/api/nothing"] {
        let url = life.gateway.place.admin(path);
        life.tell(Method::GET, &url, "*/*").await;
    }
}

/// Returns the public ids in a listing, wherever it has them.
fn ids(listed: &serde_json::Value) -> Vec<String> {
    let sessions = listed["sessions"].as_array().unwrap();
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}
