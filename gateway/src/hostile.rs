//! Fuzz targets: what callers, browsers and files bring. It is refused, or it means one thing.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use tokenward::clock::Clock;
use tokenward::core::name::{Audience, Epoch, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::AccessToken;
use tokenward::core::sign_in::{Callback, Pending, judge};
use tokenward::store::Memory;
use tokenward::store::seal::KeyRing;
use tokenward::{SessionHandle, Tokenward, Vault};
use tokenward_fuzz::fuzz;
use tokio::runtime::Runtime;
use tower_service::Service as _;
use url::Url;

use crate::assemble;
use crate::config::Config;
use crate::control::Visitor;
use crate::forward::Upstream;
use crate::front::Front;
use crate::identify::{Caller, identify, pairs};
use crate::inject::{Statement, inject};
use crate::path::{resembles, settle};
use crate::route::{Route, RouteTable, below};
use crate::serve::{Framing, Sight};
use crate::sign_in::{Returned, moved, own_path};
use crate::tokens::Ticket;
use crate::{judge as head, origin};

pub(crate) const COOKIE: &str = "tokenward";

/// What every secret of the corpora holds, and no text for people may.
pub(crate) const MARK: &str = "s3cret";

/// The endpoints of a gateway that knows no session.
pub(crate) struct Endpoints {
    pub(crate) front: Arc<Front>,
    router: Router,
    runtime: Runtime,
}

/// What an endpoint answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Endpoints {
    pub(crate) fn open() -> &'static Self {
        static OPEN: OnceLock<Endpoints> = OnceLock::new();
        OPEN.get_or_init(|| {
            let route = "upstream = \"http://localhost\"\naudience = \"https://api.example\"\n\
                         scopes = \"read:api\"\nmfa = { session = true, remember = \"30d\" }\n";
            let text = format!(
                "listen = \"127.0.0.1:0\"\nstate_dir = \"/nonexistent\"\n[provider]\n\
                 issuer = \"http://localhost:9/\"\nclient_id = \"c\"\nauth = \"none\"\n\
                 [device]\n[[route]]\npath = \"/api/\"\n{route}"
            );
            let config = Config::parse(Path::new("t.toml"), &text).unwrap();
            let clock = Clock::system();
            let provider = assemble::provider(&config, &clock, None).unwrap();
            let ring = Arc::new(KeyRing::ephemeral().unwrap());
            let vault = Vault::new(Arc::new(Memory::new(clock.clone())), ring, clock);
            let builder = Tokenward::builder().provider(provider).vault(vault);
            let runtime = Runtime::new().unwrap();
            let tokenward = runtime.block_on(builder.policies(config.policies()).build()).unwrap();
            let front = runtime.block_on(async { Front::new(Arc::new(config), tokenward) });
            let router = front.router();
            Self { front, router, runtime }
        })
    }

    /// Asks the endpoint at `path`, as a page of ours would.
    pub(crate) fn ask(&self, mut request: Request<Body>) -> Answer {
        let (origin, peer) = ("http://localhost".to_owned(), [192, 0, 2, 1].into());
        request.extensions_mut().insert(Visitor { peer, origin, https: false });
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        self.wait(async {
            let Ok(reply) = self.router.clone().call(request).await;
            let (head, body) = reply.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let body = String::from_utf8(body.to_vec()).expect("what we write is text");
            Answer { status: head.status, headers: head.headers, body }
        })
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

impl Answer {
    /// Checks that no secret is repeated: programs are told nothing of what they sent, and pages
    /// have it at most in the fields that go with the next form and in addresses, which are ours.
    pub(crate) fn check(&self) {
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        let kind = self.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_page = kind.is_some_and(|kind| kind.starts_with(b"text/html"));
        if !is_page {
            let known = matches!(kind, Some(b"application/json" | b"application/problem+json"));
            assert!(known || self.body.is_empty(), "{self:?}");
            assert!(!self.body.contains(MARK), "{self:?}");
            return;
        }
        let mut before = "";
        for piece in self.body.split("=\"") {
            let (value, rest) = match piece.split_once('"') {
                Some(parted) if !before.is_empty() => parted,
                Some(_) | None => ("", piece),
            };
            assert!(!rest.contains(MARK), "{self:?}");
            assert!(
                before.ends_with(" value") || before.ends_with(" href") || !value.contains(MARK)
            );
            if before.ends_with(" href") {
                let place = value.replace("&#38;", "&").replace("&amp;", "&");
                let home = Url::parse("https://app.example/auth/mfa").unwrap();
                let landed = home.join(&place).expect("an address");
                assert_eq!(landed.origin(), home.origin(), "{place}");
            }
            before = piece;
        }
    }
}

fn table() -> &'static RouteTable {
    static TABLE: OnceLock<RouteTable> = OnceLock::new();
    TABLE.get_or_init(|| {
        let rows = [("/", ""), ("/pay/", "/base"), ("/pay/in", ""), ("/a.b", "/x/y")];
        let routes = rows.map(|(path, base)| {
            format!("[[route]]\npath = \"{path}\"\nupstream = \"http://localhost{base}\"\n")
        });
        let text = format!(
            "listen = \"127.0.0.1:0\"\nstate_dir = \"/nonexistent\"\n[provider]\n\
             issuer = \"http://localhost/\"\nclient_id = \"c\"\nauth = \"none\"\n{}",
            routes.concat()
        );
        let config = Config::parse(Path::new("t.toml"), &text).unwrap();
        let routes = config.routes.into_iter().enumerate().map(|(number, config)| {
            let upstream = Arc::new(Upstream::new(config.upstream.clone()).unwrap());
            Arc::new(Route { number, config, upstream })
        });
        RouteTable::new(routes.collect())
    })
}

fuzz!(paths, |bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(settled) = settle(text) else { return };
    assert_eq!(settle(&settled).as_deref(), Ok(&*settled), "settled once is settled");
    let uri: Uri = PathAndQuery::try_from(&*settled).expect("a path").into();
    // Read as the most forgiving server would.
    let mut read: Vec<u8> = settled.as_bytes().to_vec();
    for _ in 0..2 {
        read = percent_encoding::percent_decode(&read).collect();
        let segments: Vec<_> = read.split(|byte| matches!(byte, b'/' | b'\\')).collect();
        let [_, inner @ .., _] = &segments[..] else { continue };
        assert!(inner.iter().all(|name| !name.is_empty()), "{settled}: an empty segment");
        let climbs = |name: &&[u8]| matches!(name.trim_ascii(), b"." | b"..");
        assert!(!segments.iter().any(climbs), "{settled}: a dot segment");
        assert!(!read.contains(&0), "{settled}: an end before the end");
    }
    let Ok(route) = table().find("x", &settled) else { return };
    let longer = |other: &&Arc<Route>| other.config.path.len() > route.config.path.len();
    let mut others = table().routes().iter().filter(longer);
    assert!(!others.any(|other| resembles(&other.config.path, &settled)), "{settled}");
    let target = route.target(&uri, &settled).expect("a target");
    assert!(below(&route.upstream.config.base, target.path()), "{settled} as {target}");
    assert!(target.path().ends_with(&*settled), "{settled} as {target}");
});

fuzz!(hosts, |bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if head::is_host(text) {
        let authority: Authority = text.parse().expect("a host is an authority");
        assert_eq!(
            authority.host().len() + authority.port().map_or(0, |p| p.as_str().len() + 1),
            text.len()
        );
        assert!(!text.contains('@'));
    }
    if origin::is_loopback(text) && head::is_host(text) {
        let url = Url::parse(&format!("http://{text}/")).expect("a host makes an address");
        let host = url.host_str().unwrap_or_default();
        assert!(
            host.ends_with("localhost") || host.starts_with("127.") || host == "[::1]",
            "{url}"
        );
    }
    // What no host pattern of ours fits goes to the routes without one, and panics nowhere.
    assert!(table().find(text, "/x").is_ok());
});

/// Reads lines of `name: value`.
fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// Reports whether the handle of `key` stands in the bytes.
fn holds(bytes: &[u8], key: SessionKey) -> bool {
    let texts = bytes.windows(43).filter_map(|window| std::str::from_utf8(window).ok());
    texts.filter_map(|text| SessionHandle::parse(text).ok()).any(|handle| handle.key() == key)
}

fuzz!(request_headers, |bytes| {
    let mut headers = headers(bytes);
    match identify(&headers, COOKIE) {
        Caller::Browser(key) => assert!(headers.contains_key(header::COOKIE) && holds(bytes, key)),
        Caller::Program(key) => {
            assert!(headers.contains_key(header::AUTHORIZATION) && holds(bytes, key));
        }
        Caller::Nobody | Caller::Stranger | Caller::Two => {}
    }
    let (host, peer) = (HeaderValue::from_static("up"), HeaderValue::from_static("192.0.2.1"));
    let via = HeaderValue::from_static("1.1 own");
    let authorization = HeaderValue::from_static("Bearer injected");
    let ticket = Ticket { authorization, serial: Epoch(1) };
    let statement = Statement {
        ticket: Some(&ticket),
        host: &host,
        asked_host: None,
        peer: &peer,
        https: true,
        trusted: false,
        via: &via,
        cookie: COOKIE,
        trailers: false,
    };
    inject(&mut headers, &statement);
    for (name, expected) in [
        ("authorization", "Bearer injected"),
        ("host", "up"),
        ("via", "1.1 own"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
    ] {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(values, [expected], "{name}");
    }
    for name in headers.keys() {
        let plain = name.as_str().replace('_', "-");
        let ours = ["authorization", "x-forwarded-for", "x-forwarded-proto", "via"];
        assert!(!plain.starts_with("x-forwarded-") || ours.contains(&name.as_str()), "{name}");
        let hop = ["connection", "upgrade", "te", "keep-alive", "forwarded"];
        let framing = ["transfer-encoding", "proxy-connection", "proxy-authorization"];
        assert!(!hop.contains(&name.as_str()) && !framing.contains(&&*plain), "{name}");
    }
    for cookie in headers.get_all(header::COOKIE) {
        for pair in pairs(cookie.as_bytes()) {
            assert!(!pair.starts_with(b"tokenward=") && !pair.starts_with(b"tokenward-"));
        }
    }
});

fuzz!(return_paths, |bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let reply = moved(StatusCode::SEE_OTHER, own_path("/auth", text));
    let place = reply.headers()[header::LOCATION].to_str().expect("plain text");
    let home = Url::parse("https://app.example/auth/callback?code=s3cret").unwrap();
    let landed = home.join(place).expect("an address");
    assert_eq!(landed.origin(), home.origin(), "{text:?} leads to {landed}");
    assert!(!below("/auth", landed.path()), "{text:?} leads back to {landed}");
    assert!(landed.username().is_empty() && !landed.as_str().contains(MARK) || text.contains(MARK));
});

fuzz!(callbacks, |bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(uri) = Uri::try_from(format!("/auth/callback?{text}")) else { return };
    let Ok(Query(returned)) = Query::<Returned>::try_from_uri(&uri) else { return };
    let callback = Callback::from(returned);
    let pending = Pending {
        state: "S".repeat(43),
        nonce: "n".to_owned(),
        code_verifier: AccessToken::new("v"),
        issuer: "https://idp.example/".to_owned(),
        return_to: "/".to_owned(),
        audience: Audience::parse("a").unwrap(),
        scopes: ScopeSet::default(),
    };
    for required in [false, true] {
        let Ok(code) = judge(&pending, &callback, required, Some(Duration::ZERO)) else { continue };
        assert_eq!(callback.state.as_ref(), Some(&pending.state));
        assert!(callback.error.is_none() && !code.is_empty());
        assert!(callback.issuer.as_ref().map_or(!required, |issuer| *issuer == pending.issuer));
        let query = uri.query().unwrap_or_default();
        let names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
        let once = |wanted: &str| names.clone().filter(|name| name == wanted).count() <= 1;
        assert!(["code", "state", "iss", "error"].into_iter().all(once), "{text}");
    }
});

fuzz!(request_heads, |bytes| {
    let whole = Framing::new().feed(bytes);
    for size in [1, 2, 7, 64] {
        let mut framing = Framing::new();
        let sights = bytes.chunks(size).map(|piece| framing.feed(piece));
        let found = sights.fold(Sight::Clear, |a, b| if a == Sight::Clear { b } else { a });
        assert_eq!(found, whole, "in pieces of {size}");
    }
    // The first head on its own: two framings in it are seen.
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return };
    if bytes[0] <= b' ' || bytes[..end].windows(2).any(|two| matches!(two, b"\n\n" | b"\n\r")) {
        return;
    }
    let mut lines = bytes[..end].split(|byte| *byte == b'\n').skip(1);
    let framings = lines.by_ref().filter(|line| {
        let name = line.split(|byte| *byte == b':').next().filter(|name| name.len() < line.len());
        name.is_some_and(|name| {
            name.eq_ignore_ascii_case(b"content-length")
                || name.eq_ignore_ascii_case(b"transfer-encoding")
        })
    });
    assert!(framings.count() < 2 || whole != Sight::Clear, "two framings are passed over");
});

fuzz!(configurations, |bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::parse(Path::new("t.toml"), text) {
        Ok(config) => {
            assert!(!config.routes.is_empty());
            assert!(!format!("{config:?}").contains(MARK) || !is_secret(text), "{text}");
            assert!(Config::parse(Path::new("t.toml"), text).is_ok(), "once is always");
        }
        Err(faults) => {
            assert!(faults.iter().count() > 0);
            for fault in faults.iter().map(ToString::to_string) {
                assert!(fault.starts_with("t.toml") && fault.ends_with('.'), "{fault}");
                assert!(!fault.contains(MARK) || !is_secret(text), "{fault}");
            }
        }
    }
});

/// Reports whether the mark stands only where secrets do: a change may have made it a key or a path.
fn is_secret(text: &str) -> bool {
    let places = [
        "client_secret = \"s3cret",
        "client_secret = { value = \"s3cret",
        "bearer = \"s3cret",
        "redis = \"redis://user:s3cret@",
        "issuer = \"https://user:s3cret@",
        "upstream = \"https://user:s3cret@",
    ];
    let marked = |line: &&str| line.contains(MARK);
    text.lines().filter(marked).all(|line| {
        line.matches(MARK).count() == 1 && places.iter().any(|place| line.starts_with(place))
    })
}
