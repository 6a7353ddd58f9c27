//! What the benches of the hot path share: sessions in memory, and a request's head.
//!
//! Everything is real but the sockets: the sessions live in an embedded store, their access tokens
//! are published by their actors, and nothing is exchanged, because each lives for a day.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use tokenward::core::grant::Grant;
use tokenward::core::name::Audience;
use tokenward::core::secret::{AccessToken, RefreshToken};
use tokenward::core::snapshot::Authentication;
use tokenward::provider::{Identity, Provider, ProviderSettings, SignedIn};
use tokenward::{Clock, SessionHandle, Tokenward, Vault, Wish};
use tokenward_gateway::config::Config;
use tokenward_gateway::forward::Upstream;
use tokenward_gateway::identify::{Caller, identify};
use tokenward_gateway::inject::{Statement, inject};
use tokenward_gateway::path::settle;
use tokenward_gateway::route::{Route, RouteTable};
use tokenward_gateway::tokens::{Tokens as _, Want};

/// What a browser sends with each call, the cookie left out.
const HEADERS: [(&str, &str); 10] = [
    ("host", "app.example.com"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://app.example.com/accounts"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
    ("connection", "keep-alive"),
];

/// A gateway's inside, ready to serve.
pub(crate) struct Bench {
    pub(crate) config: Config,
    pub(crate) table: RouteTable,
    pub(crate) tokenward: Tokenward,
    pub(crate) requests: Vec<HeaderMap>,
    pub(crate) peer: HeaderValue,
    pub(crate) via: HeaderValue,
}

impl Bench {
    /// One request, from its head to the head that goes upstream.
    pub(crate) fn request(&self, number: usize, path: &str) -> HeaderMap {
        let mut headers = self.requests[number % self.requests.len()].clone();
        let settled = settle(path).expect("the path is plain");
        let route = self.table.find("app.example.com", &settled).expect("there is a route");
        let caller = identify(&headers, &self.config.session.cookie);
        let (Caller::Browser(session) | Caller::Program(session)) = caller else {
            return headers;
        };
        let Some(audience) = &route.config.audience else { return headers };
        let want = Want { session: &session, audience, scopes: &route.config.scopes };
        let ticket = self.tokenward.at_hand(want);
        assert!(ticket.is_some(), "the access token is published");
        let statement = Statement {
            ticket: ticket.as_ref(),
            host: &self.via,
            asked_host: headers.get(header::HOST).cloned(),
            peer: &self.peer,
            https: true,
            trusted: false,
            via: &self.via,
            cookie: &self.config.session.cookie,
            trailers: false,
        };
        inject(&mut headers, &statement);
        headers
    }
}

/// Signs so many people in, over a store in `directory`.
pub(crate) async fn set_up(directory: &Path, sessions: usize) -> Bench {
    let config = Config::parse(Path::new("bench.toml"), &configuration()).expect("it is good");
    let clock = Clock::system();
    let settings = ProviderSettings::new("http://localhost:1/", "bench");
    let tokenward = Tokenward::builder()
        .provider(Provider::new(settings, clock.clone()).expect("the provider is good"))
        .vault(Vault::embedded(directory, clock).expect("the store opens"))
        .policies(config.policies())
        .build()
        .await
        .expect("the framework starts");
    let mut requests = Vec::with_capacity(sessions);
    for _ in 0..sessions {
        let handle = sign_in(&tokenward).await;
        requests.push(head(&handle, &config.session.cookie));
    }
    let routes = config.routes.iter().enumerate().map(|(number, route)| {
        let upstream = Upstream::new(route.upstream.clone()).expect("the upstream is good");
        Arc::new(Route { number, config: route.clone(), upstream: Arc::new(upstream) })
    });
    Bench {
        table: RouteTable::new(routes.collect()),
        config,
        tokenward,
        requests,
        peer: HeaderValue::from_static("192.0.2.17"),
        via: HeaderValue::from_static("1.1 tokenward-bench"),
    }
}

fn configuration() -> String {
    let mut text = "listen = \"127.0.0.1:0\"\nstate_dir = \"/nonexistent\"\n[provider]\n\
         issuer = \"http://localhost:1/\"\nclient_id = \"bench\"\nauth = \"none\"\n"
        .to_owned();
    for path in ["/", "/static", "/api/", "/api/v2/", "/payments/", "/reports/"] {
        text.push_str(&format!(
            "[[route]]\npath = \"{path}\"\nupstream = \"http://localhost:1\"\n\
             audience = \"https://api.example.com\"\n"
        ));
    }
    text
}

/// Signs a person in with an access token for a day, and has it published.
async fn sign_in(tokenward: &Tokenward) -> SessionHandle {
    let audience = Audience::parse("https://api.example.com").expect("it is an audience");
    let grant = Grant {
        access_token: AccessToken::new(&"a".repeat(900)),
        lifetime: Some(Duration::from_secs(86_400)),
        granted: None,
        refresh_token: Some(RefreshToken::new("r")),
        id_token: None,
        claims: None,
        ceiling: None,
        proof: None,
        recovery_code: None,
    };
    let identity = Identity {
        subject: "alice".to_owned(),
        provider_session: None,
        authentication: Authentication::default(),
        ceiling: None,
        email: None,
        name: None,
    };
    let scopes = tokenward::core::scope::ScopeSet::default();
    let signed_in = SignedIn { grant, identity };
    let handle =
        tokenward.sign_in(signed_in, audience.clone(), scopes.clone()).await.expect("it is kept");
    tokenward.access(&handle.key(), &Wish::new(audience, scopes)).await.expect("it is published");
    handle
}

fn head(handle: &SessionHandle, cookie: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let cookies = format!("theme=dark; {cookie}={}", *handle.expose());
    headers.insert(header::COOKIE, HeaderValue::try_from(cookies).expect("it is a header"));
    headers
}
