//! The whole gateway before a sandbox, and browsers that use it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::HeaderMap;
use reqwest::{Client, Method, redirect};
use serde_json::Value;
use tokenward::Tokenward;
use tokenward_gateway::assemble::{assemble, rooms};
use tokenward_gateway::config::Config;
use tokenward_gateway::front::Front;
use tokenward_gateway::serve::{self, Running};
use tokenward_sandbox::secrecy::{Kind, Watch};
use tokenward_sandbox::{Authenticate, Sandbox};

use super::heard;

pub(super) const CLIENT: &str = "demo-web";
const CLIENT_SECRET: &str = "demo-web-secret";

/// How long a test waits before it calls something stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway with everything behind it.
pub(super) struct Desk {
    /// Every story is a story of secrecy too (law L13). Goes first: it looks at what the others keep.
    watch: Arc<Watch>,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) front: Arc<Front>,
    pub(super) tokenward: Tokenward,
    /// Where it is reached.
    pub(super) origin: String,
    /// What browsers call it: another name where it is one of several.
    pub(super) known_as: String,
    pub(super) admin: String,
    pub(super) directory: tempfile::TempDir,
    _running: Running,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// A browser, or a program, with cookies of its own.
#[derive(Clone, Debug)]
pub(super) struct Browser {
    http: Client,
    origin: String,
    pub(super) cookies: BTreeMap<String, String>,
    /// Hears what comes back, as long as there is a desk.
    watch: Weak<Watch>,
}

impl Desk {
    pub(super) async fn open() -> Self {
        Self::with(|text| text).await
    }

    /// Opens a gateway whose configuration `amend` has changed.
    pub(super) async fn with(amend: impl FnOnce(String) -> String) -> Self {
        let sandbox = Sandbox::start(tokenward_sandbox::Config::default()).await.unwrap();
        Self::before(Arc::new(sandbox), tempfile::tempdir().unwrap(), amend).await
    }

    /// Opens a gateway before a provider that is there, with its files in `directory`.
    pub(super) async fn before(
        sandbox: Arc<Sandbox>,
        directory: tempfile::TempDir,
        amend: impl FnOnce(String) -> String,
    ) -> Self {
        let watch = Arc::new(Watch::over(sandbox.secrets()));
        watch.secrets().learn(Kind::ClientSecret, CLIENT_SECRET);
        watch.folder(&directory.path().join("state"));
        let text = amend(configuration(&sandbox, directory.path(), "127.0.0.1:0"));
        let path = directory.path().join("gateway.toml");
        std::fs::write(&path, &text).unwrap();
        let config = Config::load(&path).unwrap();
        let tokenward = assemble(&config).await.unwrap();
        let (front, rooms) = rooms(&config, &tokenward);
        let public_url = config.public_url.clone();
        let running = serve::start(config, rooms).await.unwrap();
        let origin = format!("http://{}", running.addresses()[0]);
        let known_as = public_url.map_or(origin.clone(), |url| url.origin().ascii_serialization());
        register(&sandbox, &known_as);
        let admin = format!("http://{}", running.admin_address());
        let _running = running;
        Self { watch, sandbox, front, tokenward, origin, known_as, admin, directory, _running }
    }

    pub(super) fn browser(&self) -> Browser {
        self.browser_at(&self.origin)
    }

    /// A browser that has signed in as `user`.
    pub(super) async fn signed_in(&self, user: &str) -> Browser {
        let mut browser = self.browser();
        let reply = self.sign_in(&mut browser, user).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        browser
    }

    pub(super) async fn sign_in(&self, browser: &mut Browser, user: &str) -> Reply {
        let place = browser.leave("/auth/login").await;
        let back = self.approve(&place, user);
        browser.get(&back).await
    }

    /// Signs in at the provider; returns where it sends the browser, which is led to this gateway.
    pub(super) fn approve(&self, place: &str, user: &str) -> String {
        let wanted = Authenticate {
            authorize_url: Some(place.to_owned()),
            user: Some(user.to_owned()),
            ..Authenticate::default()
        };
        self.led_here(&self.sandbox.authenticate(&wanted).unwrap().unwrap())
    }

    /// Leads an address to this gateway, as a balancer would.
    pub(super) fn led_here(&self, place: &str) -> String {
        place.replacen(&self.known_as, &self.origin, 1)
    }

    /// Asks the operator's listener.
    pub(super) async fn operator(&self, method: Method, path: &str) -> Reply {
        self.at_admin().send(method, path, &[], None).await
    }

    /// A program at the operator's listener.
    pub(super) fn at_admin(&self) -> Browser {
        self.browser_at(&self.admin)
    }

    fn browser_at(&self, origin: &str) -> Browser {
        Browser { watch: Arc::downgrade(&self.watch), ..Browser::at(origin) }
    }

    /// Waits until `told` is true of the provider's ledger.
    pub(super) async fn until(&self, told: impl Fn(&Sandbox) -> bool) {
        let wait = async {
            while !told(&self.sandbox) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }

    /// Searches what somebody was told for secrets, in the end.
    pub(super) fn overheard(&self, place: &str, bytes: &[u8]) {
        self.watch.note(place, bytes);
    }

    /// Waits until a line stands in the metrics.
    pub(super) async fn counts(&self, line: &str) {
        let wait = async {
            while !self.tokenward.metrics().render().lines().any(|written| written == line) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let told = tokio::time::timeout(PATIENCE, wait).await;
        assert!(told.is_ok(), "{line}\n{}", self.tokenward.metrics().render());
    }

    /// The configuration file of another process that means this gateway.
    pub(super) fn file_of_operator(&self) -> PathBuf {
        let admin = self.admin.trim_start_matches("http://");
        let text = configuration(&self.sandbox, self.directory.path(), admin);
        let path = self.directory.path().join("operator.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.watch.note("metrics", self.tokenward.metrics().render());
    }
}

/// Two protected APIs and an open page.
pub(super) fn configuration(sandbox: &Sandbox, directory: &Path, admin: &str) -> String {
    let addresses = sandbox.addresses();
    let (issuer, apis) = (&addresses.issuer, &addresses.apis);
    let secret = directory.join("secret");
    std::fs::write(&secret, CLIENT_SECRET).unwrap();
    let state = directory.join("state");
    let route = |name: &str, scopes: &str| {
        format!(
            "[[route]]\npath = \"/api/{name}/\"\nupstream = \"{}\"\nstrip_prefix = true\n\
             audience = \"https://{name}.sandbox.example\"\nscopes = \"{scopes}\"\n",
            apis[name]
        )
    };
    format!(
        "listen = \"127.0.0.1:0\"\nstate_dir = \"{}\"\n\
         [provider]\nissuer = \"{issuer}\"\nclient_id = \"{CLIENT}\"\n\
         client_secret = {{ file = \"{}\" }}\n[admin]\nlisten = \"{admin}\"\n\
         [limits]\nthreads = 1\n{}{}",
        state.display(),
        secret.display(),
        route("quotes", "read:quotes"),
        route("accounts", "read:accounts"),
    )
}

fn register(sandbox: &Sandbox, origin: &str) {
    sandbox.put_client(tokenward_sandbox::Client {
        client_id: CLIENT.to_owned(),
        client_secret: Some(CLIENT_SECRET.to_owned()),
        redirect_uris: vec![format!("{origin}/auth/callback")],
        post_logout_redirect_uris: vec![format!("{origin}/")],
        backchannel_logout_uri: Some(format!("{origin}/auth/backchannel-logout")),
        ..tokenward_sandbox::Client::default()
    });
}

impl Browser {
    pub(super) fn at(origin: &str) -> Self {
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .no_proxy()
            .build()
            .unwrap();
        let (origin, cookies) = (origin.to_owned(), BTreeMap::new());
        Self { http, origin, cookies, watch: Weak::new() }
    }

    /// Leads the browser with all its cookies to another gateway.
    pub(super) fn led_to(&self, desk: &Desk) -> Self {
        Self { cookies: self.cookies.clone(), ..desk.browser() }
    }

    pub(super) async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], None).await
    }

    /// Starts a sign-in; returns the address at the provider.
    pub(super) async fn leave(&mut self, path: &str) -> String {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        reply.header("location").to_owned()
    }

    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Reply {
        let place = format!("{method} {path}");
        let answer = self.request(method, path, headers, body).send().await;
        let answer = answer.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.text().await.unwrap();
        let reply = Reply { status, headers, body };
        self.keep(&reply);
        if let Some(watch) = self.watch.upgrade() {
            heard::note(&watch, &place, &reply);
        }
        reply
    }

    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.origin)
        };
        let mut request = self.http.request(method, url);
        if !self.cookies.is_empty() {
            let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
            request = request.header("cookie", pairs.collect::<Vec<_>>().join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    /// The names of the cookies of sign-ins under way.
    pub(super) fn pending(&self) -> Vec<&str> {
        let names = self.cookies.keys().map(String::as_str);
        names.filter(|name| name.contains("-in-")).collect()
    }

    fn keep(&mut self, reply: &Reply) {
        for line in reply.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The lines that set cookies whose name begins so.
    pub(super) fn set_cookies(&self, beginning: &str) -> Vec<&str> {
        let lines = self.headers.get_all("set-cookie").into_iter();
        let lines = lines.map(|line| line.to_str().unwrap());
        lines.filter(|line| line.starts_with(beginning)).collect()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The status, and the code of a problem document.
    pub(super) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status);
        assert!(body["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{body}");
        (self.status, body["error"].as_str().unwrap().to_owned())
    }
}

/// Returns a parameter of an address.
pub(super) fn query(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    let mut pairs = url.query_pairs();
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Returns an address with one parameter replaced, or without it.
pub(super) fn with_query(url: &str, name: &str, value: Option<&str>) -> String {
    let mut url = url::Url::parse(url).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let kept = pairs.iter().filter(|(key, _)| key != name);
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    url.into()
}
