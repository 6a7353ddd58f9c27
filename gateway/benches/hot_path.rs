//! The hot path without the network: settle the path, route, identify, look up, inject.
//!
//! Everything is real but the sockets: the sessions live in an embedded store, their access tokens
//! are published by their actors, and nothing is exchanged, because each lives for a day.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has failed")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, header};
use tokenward::core::grant::Grant;
use tokenward::core::name::Audience;
use tokenward::core::secret::{AccessToken, RefreshToken};
use tokenward::core::snapshot::Authentication;
use tokenward::metrics::Labels;
use tokenward::metrics::label::{AnsweredBy, HttpOutcome};
use tokenward::provider::{Identity, Provider, ProviderSettings, SignedIn};
use tokenward::{Clock, SessionHandle, Tokenward, Vault, Wish};
use tokenward_gateway::config::Config;
use tokenward_gateway::forward::Upstream;
use tokenward_gateway::identify::{Caller, identify};
use tokenward_gateway::inject::{Statement, inject};
use tokenward_gateway::path::settle;
use tokenward_gateway::route::{Route, RouteTable};
use tokenward_gateway::tokens::{Tokens as _, Want};

/// How many sessions are in memory: enough that the directory does not fit the first cache.
const SESSIONS: usize = 1000;

/// How many requests' observations are moved into their buckets at once: what waits is bounded, and
/// its share of the cost is measured, as in a gateway that does so each second.
const BETWEEN_UPKEEP: u32 = 1024;

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

struct Bench {
    config: Config,
    table: RouteTable,
    tokenward: Tokenward,
    requests: Vec<HeaderMap>,
    peer: HeaderValue,
    via: HeaderValue,
}

impl Bench {
    /// One request, from its head to the head that goes upstream.
    fn request(&self, number: usize, path: &str) -> HeaderMap {
        let mut headers = self.requests[number % SESSIONS].clone();
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

fn hot_path(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("there is a place for the store");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("there is a runtime");
    let bench = runtime.block_on(set_up(directory.path()));
    let mut number = 0;
    criterion.bench_function("hot_path/whole", |bencher| {
        bencher.iter(|| {
            number += 1;
            black_box(bench.request(number, black_box("/api/v1/accounts/4711")))
        });
    });
    criterion.bench_function("hot_path/copy_of_head", |bencher| {
        bencher.iter(|| black_box(bench.requests[0].clone()));
    });
    criterion.bench_function("hot_path/settle_and_route", |bencher| {
        bencher.iter(|| {
            let settled = settle(black_box("/api/v1/accounts/4711")).expect("the path is plain");
            black_box(bench.table.find("app.example.com", &settled).map(|route| route.number))
        });
    });
    counting(criterion, &bench);
    criterion.bench_function("hot_path/identify", |bencher| {
        bencher.iter(|| black_box(identify(&bench.requests[0], &bench.config.session.cookie)));
    });
}

/// What the numbers of one request cost: the look-up that counts beside the one that does not, and
/// what is counted from a request's beginning to its end.
fn counting(criterion: &mut Criterion, bench: &Bench) {
    let route = &bench.config.routes[0];
    let audience = route.audience.as_ref().expect("the route has an audience");
    let caller = identify(&bench.requests[0], &bench.config.session.cookie);
    let (Caller::Browser(session) | Caller::Program(session)) = caller else { return };
    criterion.bench_function("hot_path/look_up_uncounted", |bencher| {
        bencher.iter(|| black_box(bench.tokenward.offer(&session, audience, &route.scopes)));
    });
    criterion.bench_function("hot_path/look_up_counted", |bencher| {
        bencher.iter(|| black_box(bench.tokenward.take(&session, audience, &route.scopes)));
    });
    let metrics = bench.tokenward.metrics();
    metrics.learn(&Labels { routes: vec![route.name.to_string()], ..Labels::default() });
    let place = metrics.route(&route.name);
    let took = Duration::from_micros(700);
    let mut counted = 0;
    criterion.bench_function("hot_path/numbers_of_a_request", |bencher| {
        bencher.iter(|| {
            metrics.in_flight(place, 1);
            metrics.upstream_response(place, took);
            metrics.overhead(place, took);
            metrics.http_request(
                place,
                &http::Method::GET,
                http::StatusCode::OK,
                AnsweredBy::Upstream,
            );
            metrics.http_duration(place, HttpOutcome::Ok, took, None);
            metrics.request_bytes(place, 0);
            metrics.response_bytes(place, 200);
            metrics.in_flight(place, -1);
            counted += 1;
            if counted % BETWEEN_UPKEEP == 0 {
                metrics.upkeep();
            }
        });
    });
}

async fn set_up(directory: &Path) -> Bench {
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
    let mut requests = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
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

criterion_group!(benches, hot_path);
criterion_main!(benches);
