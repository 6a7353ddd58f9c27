//! A house with a provider, a gateway and a person: real ones, but for the person.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenward_gateway::assemble::{assemble, rooms};
use tokenward_gateway::config::Config;
use tokenward_gateway::serve::{self, Running};
use tokenward_sandbox::{Authenticate, Sandbox};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::program::PATIENCE;

const SECRET: &str = "house-secret";

/// Between two looks at the list of displays.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The API that the display shows.
const QUOTES: &str = "https://quotes.sandbox.example";

/// A provider, a gateway, and the network between it and everybody.
pub(super) struct House {
    pub(super) sandbox: Sandbox,
    _folder: TempDir,
    port: u16,
    gateway: Running,
    network: watch::Sender<bool>,
    http: Client,
}

impl House {
    /// Opens a house whose network is up.
    pub(super) async fn open() -> Self {
        let house = Self::dark().await;
        house.connect();
        house
    }

    /// Opens a house whose network is down.
    pub(super) async fn dark() -> Self {
        let sandbox = Sandbox::start(tokenward_sandbox::Config::default()).await.unwrap();
        let http = Client::builder().redirect(redirect::Policy::none()).no_proxy();
        let http = http.timeout(PATIENCE).build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let gateway = start(&sandbox, folder.path()).await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = watch::Sender::new(false);
        tokio::spawn(relay(listener, gateway.addresses()[0], network.subscribe()));
        let house = Self { sandbox, _folder: folder, port, gateway, network, http };
        house.sandbox.put_client(tokenward_sandbox::Client {
            client_id: "house".to_owned(),
            client_secret: Some(SECRET.to_owned()),
            redirect_uris: vec![format!("{}/auth/callback", house.origin())],
            ..tokenward_sandbox::Client::default()
        });
        let ada =
            json!({"name": "ada", "email": "a@sandbox.example", "factors": [{"kind": "otp"}]});
        house.sandbox.put_user(serde_json::from_value(ada).unwrap());
        house
    }

    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn connect(&self) {
        self.network.send_replace(true);
    }

    /// Cuts every connection, and lets no other be made.
    pub(super) fn cut(&self) {
        self.network.send_replace(false);
    }

    /// A person scans the code, says yes, and signs in as ada.
    pub(super) async fn approve(&self, code: &str) {
        let mut phone = Phone::default();
        let page = phone.send(self.request(Method::GET, &format!("/d/{code}"))).await;
        let page = page.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"proof\" value=\"").unwrap();
        let proof = rest.split('"').next().unwrap();
        let yes = self.request(Method::POST, &format!("/d/{code}"));
        let yes = yes.header("content-type", "application/x-www-form-urlencoded");
        let leave = phone.send(yes.body(format!("answer=yes&proof={proof}"))).await;
        let wanted = Authenticate {
            authorize_url: Some(leave.headers()["location"].to_str().unwrap().to_owned()),
            user: Some("ada".to_owned()),
            ..Authenticate::default()
        };
        let back = self.sandbox.authenticate(&wanted).unwrap().unwrap();
        let done = phone.send(self.http.get(back)).await;
        assert_eq!(done.headers()["location"], "/d/signed-in");
    }

    /// The owner has every refresh challenged, but those of families that have met a factor.
    pub(super) fn demand_a_factor(&self) {
        let done = json!({"when": {"mfa_done": true}, "then": "return"});
        let rules = json!({"mfa": {"rules": [done, {"then": "challenge"}]}});
        self.sandbox.tenant(&rules).unwrap();
    }

    /// A person scans the link that the held display shows, and types a code from an app.
    pub(super) async fn confirm(&self, handle: &str) {
        let seen = self.as_display(Method::GET, "/auth/session", handle).send().await.unwrap();
        let seen: Value = seen.json().await.unwrap();
        let link = seen["holds"][0]["step_up_uri"].as_str().unwrap();
        let path = link.strip_prefix(&self.origin()).unwrap();
        assert!(path.starts_with("/d/"), "{link}");
        let mut phone = Phone::default();
        let reply = phone.send(self.request(Method::GET, path)).await;
        let place = reply.headers()["location"].to_str().unwrap().to_owned();
        let page = phone.send(self.request(Method::GET, &place)).await.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"mfa_token\" value=\"").unwrap();
        let mfa_token = rest.split('"').next().unwrap();
        let proof = json!({"mfa_token": mfa_token, "otp": self.sandbox.otp("ada").unwrap()});
        let request = self.request(Method::POST, "/d/mfa/verify");
        let request = request.header("sec-fetch-site", "same-origin").json(&proof);
        let verified = phone.send(request).await;
        assert_eq!(verified.status(), 200, "{:?}", verified.text().await);
    }

    /// Waits until the gateway lists the one display as told, for whoever looks after it.
    pub(super) async fn lists(&self, state: &str) -> Value {
        let url = format!("http://{}/api/devices", self.gateway.admin_address());
        let seen = async {
            loop {
                let listed = self.http.get(&url).send().await.unwrap();
                let listed: Value = listed.json().await.unwrap();
                assert_eq!(listed["broken_reports"], 0, "{listed}");
                let displays = listed["devices"].as_array().unwrap();
                assert!(displays.len() <= 1, "{listed}");
                if let Some(display) = displays.first().filter(|one| one["state"] == state) {
                    return display.clone();
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap()
    }

    /// Ends the display's session, as an operator does.
    pub(super) async fn sign_out(&self, handle: &str) {
        let seen = self.as_display(Method::GET, "/auth/session", handle).send().await.unwrap();
        let seen: Value = seen.json().await.unwrap();
        let id = seen["id"].as_str().or(seen["session"]["id"].as_str()).unwrap();
        let url = format!("http://{}/api/sessions/{id}", self.gateway.admin_address());
        let ended = self.http.delete(url).send().await.unwrap();
        assert!(ended.status().is_success(), "{ended:?}");
    }

    fn as_display(&self, method: Method, path: &str, handle: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(handle)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.origin()))
    }
}

async fn start(sandbox: &Sandbox, folder: &Path) -> Running {
    std::fs::write(folder.join("secret"), SECRET).unwrap();
    let addresses = sandbox.addresses();
    let text = format!(
        "listen = \"127.0.0.1:0\"\nstate_dir = \"{}\"\n[provider]\nissuer = \"{}\"\n\
         client_id = \"house\"\nclient_secret = {{ file = \"{}\" }}\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n[limits]\nthreads = 1\n[device]\ninterval = \"1s\"\n\
         [[route]]\npath = \"/api/quotes/\"\nupstream = \"{}\"\nstrip_prefix = true\n\
         audience = \"{QUOTES}\"\nscopes = \"read:quotes\"\n",
        folder.join("state").display(),
        addresses.issuer,
        folder.join("secret").display(),
        addresses.apis["quotes"],
    );
    let path = folder.join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path).unwrap();
    let tokenward = assemble(&config).await.unwrap();
    let (_front, rooms) = rooms(&config, &tokenward);
    serve::start(config, rooms).await.unwrap()
}

/// Carries bytes to the gateway while the network is up, and resets whoever comes while it is down.
async fn relay(listener: TcpListener, gateway: SocketAddr, network: watch::Receiver<bool>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let mut network = network.clone();
        tokio::spawn(async move {
            if !*network.borrow_and_update() {
                return;
            }
            let mut far = TcpStream::connect(gateway).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                _ = network.wait_for(|is_up| !is_up) => {}
            }
        });
    }
}

/// A browser with cookies.
#[derive(Default)]
struct Phone(BTreeMap<String, String>);

impl Phone {
    async fn send(&mut self, request: RequestBuilder) -> Response {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reply = request.header("cookie", pairs.join("; ")).send().await.unwrap();
        for line in reply.headers().get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.0.insert(name.to_owned(), value.to_owned());
        }
        reply
    }
}
