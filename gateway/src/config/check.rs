//! Turns what was written into what holds together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::units::{OneOrMany, Size, Span};
use super::{
    AdminConfig, Config, Fault, Faults, Limits, LogConfig, SessionConfig, TlsFiles, device, file,
    mfa, provider, routes, store, trace, webhook,
};

/// Where metrics and the console are looked for: beside Prometheus' own range.
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// The bytes of a request's head where nobody says: what the provider's longest tokens need twice.
const HEADER_BYTES_DEFAULT: u64 = 64 * 1024;

/// The connections of a listener where nobody says: each idle one holds about 10 KB, so that as many
/// fit any machine that runs a gateway.
const CONNECTIONS_DEFAULT: usize = 10_000;

/// How long a caller may take for a request head where nobody says: a phone on a bad line needs
/// seconds, and who trickles bytes wants only the connection.
const HEADER_READ_DEFAULT: Duration = Duration::from_secs(15);

/// How long a connection may idle where nobody says: above the 60 s of common load balancers, so
/// that they close first.
const KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(75);

/// How long requests in flight are given after SIGTERM where nobody says: what orchestrators wait
/// before they kill.
const DRAIN_DEFAULT: Duration = Duration::from_secs(30);

/// The streams of one HTTP/2 connection where nobody says: what RFC 9113 §6.5.2 recommends as the
/// least, and browsers open at most.
const STREAMS_DEFAULT: u32 = 100;

/// How long a session may live where nobody says: people sign in once a month.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(30 * 86_400);

/// The bounds of `limits.header_bytes`: below, browsers' own cookies do not fit; above, hyper's
/// own bound would answer first.
const HEADER_BYTES: std::ops::RangeInclusive<u64> = 4 * 1024..=256 * 1024;

/// Checks a whole file.
pub(super) fn check(path: &Path, raw: file::File) -> Result<Config, Faults> {
    let mut faults = Vec::new();
    let base = path.parent().unwrap_or(Path::new("."));

    let listen = check_listen(path, &raw.listen, &mut faults);
    let prefix = check_prefix(path, raw.prefix.as_deref(), &mut faults);
    let tls = raw.tls.map(|tls| TlsFiles { cert: base.join(tls.cert), key: base.join(tls.key) });
    let public_url = check_public_url(path, raw.public_url.as_deref(), &listen, &mut faults);
    let provider = provider::check(path, raw.provider, &mut faults);
    let routes = routes::check(path, raw.routes, &prefix, &provider.default_scopes, &mut faults);
    let admin = check_admin(path, base, &raw.admin, &mut faults);
    let limits = check_limits(path, &raw.limits, &mut faults);
    let trusted_proxies = check_networks(path, raw.trusted_proxies, &mut faults);
    let https = tls.is_some() || public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let session = check_session(path, raw.session, https, &mut faults);
    let state_dir = check_state_dir(path, base, raw.state_dir, &mut faults);
    let mfa = mfa::check(path, &raw.mfa, &mut faults);
    let trace = trace::check(path, raw.trace, &mut faults);
    let webhooks = webhook::check(path, raw.webhooks, &mut faults);
    let device = device::check(path, raw.device, &routes, &mut faults);
    let store = store::check(path, raw.store, &mut faults);

    Faults::check(faults)?;
    Ok(Config {
        path: path.to_owned(),
        listen,
        state_dir,
        public_url,
        prefix,
        tls,
        provider,
        routes,
        admin,
        limits,
        trusted_proxies,
        session,
        mfa,
        trace,
        webhooks,
        device,
        store,
        log: LogConfig {
            filter: raw.log.filter.unwrap_or_else(|| "info".to_owned()),
            json: raw.log.json,
            requests: raw.log.requests,
        },
    })
}

fn check_listen(path: &Path, raw: &OneOrMany, faults: &mut Vec<Fault>) -> Vec<SocketAddr> {
    let mut listen: Vec<SocketAddr> = Vec::new();
    for text in &raw.0 {
        match text.parse() {
            Ok(address) if listen.contains(&address) && address.port() != 0 => {
                faults.push(Fault::new(
                    path,
                    "listen",
                    format!("{text} is there twice; remove one"),
                ));
            }
            Ok(address) => listen.push(address),
            Err(_) => faults.push(Fault::new(
                path,
                "listen",
                format!("{text:?} is no address with a port; write one such as \"127.0.0.1:8080\""),
            )),
        }
    }
    if raw.0.is_empty() {
        faults.push(Fault::new(path, "listen", "the list is empty; write \"127.0.0.1:8080\""));
    }
    listen
}

fn check_prefix(path: &Path, raw: Option<&str>, faults: &mut Vec<Fault>) -> Arc<str> {
    let written = raw.unwrap_or("/auth");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    let prefix = written.trim_end_matches('/');
    let dots = prefix.split('/').any(|segment| segment == "." || segment == "..");
    if !prefix.starts_with('/') || prefix.contains("//") || dots || !prefix.chars().all(plain) {
        let wrong =
            format!("{written:?} is no plain path below \"/\"; write one such as \"/auth\"");
        faults.push(Fault::new(path, "prefix", wrong));
    }
    Arc::from(prefix)
}

fn check_public_url(
    path: &Path,
    raw: Option<&str>,
    listen: &[SocketAddr],
    faults: &mut Vec<Fault>,
) -> Option<Url> {
    let Some(text) = raw else {
        if listen.iter().any(|address| !address.ip().is_loopback()) {
            let wrong = "it is missing, and callers of other machines are let in; write the address \
                         that browsers use, such as \"https://app.example.com\"";
            faults.push(Fault::new(path, "public_url", wrong));
        }
        return None;
    };
    let wrong = match Url::parse(text) {
        Err(error) => format!("{text:?} is no URL ({error}); write \"https://app.example.com\""),
        Ok(url) if url.path() != "/" || url.query().is_some() || url.fragment().is_some() => {
            format!("{text:?} has more than scheme, host and port; leave the rest out")
        }
        Ok(url) if url.scheme() == "https" => return Some(url),
        Ok(url) if url.scheme() == "http" && provider::is_loopback(&url) => return Some(url),
        Ok(_) => format!("{text:?} is not https, so that cookies would travel openly; use https"),
    };
    faults.push(Fault::new(path, "public_url", wrong));
    None
}

fn check_admin(
    path: &Path,
    base: &Path,
    raw: &file::Admin,
    faults: &mut Vec<Fault>,
) -> AdminConfig {
    let mut listen = ADMIN_LISTEN;
    if let Some(text) = &raw.listen {
        match text.parse() {
            Ok(address) => listen = address,
            Err(_) => faults.push(Fault::new(
                path,
                "admin.listen",
                format!("{text:?} is no address with a port; write \"127.0.0.1:9464\""),
            )),
        }
    }
    let bearer = match raw.token.as_ref().map(|source| source.read(base)).transpose() {
        Ok(bearer) => bearer,
        Err(wrong) => {
            faults.push(Fault::new(path, "admin.token", wrong));
            return AdminConfig { listen, bearer: None };
        }
    };
    if bearer.is_none() && !listen.ip().is_loopback() {
        let wrong = "it is missing, and admin.listen is open to other machines; write token = \
                     { env = \"NAME\" }, or listen on 127.0.0.1";
        faults.push(Fault::new(path, "admin.token", wrong));
    }
    AdminConfig { listen, bearer }
}

fn check_limits(path: &Path, raw: &file::Limits, faults: &mut Vec<Fault>) -> Limits {
    let mut at_least_one = |key: &str, given: Option<usize>| {
        if given == Some(0) {
            faults.push(Fault::new(path, key, "it is zero; give at least 1"));
        }
    };
    at_least_one("limits.threads", raw.threads);
    at_least_one("limits.connections", raw.connections);
    at_least_one("limits.streams", raw.streams.map(|streams| streams as usize));
    let Size(header_bytes) = raw.header_bytes.unwrap_or(Size(HEADER_BYTES_DEFAULT));
    if !HEADER_BYTES.contains(&header_bytes) {
        let wrong = "it is not between 4KiB and 256KiB; leave it out for 64KiB";
        faults.push(Fault::new(path, "limits.header_bytes", wrong));
    }
    for (key, span) in
        [("limits.header_read", raw.header_read), ("limits.keep_alive", raw.keep_alive)]
    {
        if span.is_some_and(|span| span.0 < Duration::from_secs(1)) {
            faults.push(Fault::new(path, key, "it is below one second; give at least \"1s\""));
        }
    }
    let span = |given: Option<Span>, default| given.map_or(default, |s| s.0);
    Limits {
        threads: raw.threads.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        }),
        connections: raw.connections.unwrap_or(CONNECTIONS_DEFAULT),
        header_bytes: usize::try_from(header_bytes).unwrap_or(usize::MAX),
        header_read: span(raw.header_read, HEADER_READ_DEFAULT),
        keep_alive: span(raw.keep_alive, KEEP_ALIVE_DEFAULT),
        drain: span(raw.drain, DRAIN_DEFAULT),
        streams: raw.streams.unwrap_or(STREAMS_DEFAULT),
    }
}

fn check_networks(path: &Path, raw: Option<OneOrMany>, faults: &mut Vec<Fault>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in raw.map_or_else(Vec::new, |list| list.0) {
        match text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) => networks.push(network),
            Err(_) => faults.push(Fault::new(
                path,
                "trusted_proxies",
                format!("{text:?} is no network; write one such as \"10.0.0.0/8\""),
            )),
        }
    }
    networks
}

fn check_session(
    path: &Path,
    raw: file::Session,
    https: bool,
    faults: &mut Vec<Fault>,
) -> SessionConfig {
    let name = raw.cookie.unwrap_or_else(|| "tokenward".to_owned());
    let bare = name.strip_prefix("__Host-").unwrap_or(&name);
    if bare.is_empty() || !bare.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        let wrong = format!("{name:?} is no cookie name; use letters, digits, - and _");
        faults.push(Fault::new(path, "session.cookie", wrong));
    }
    let lifetime = raw.lifetime.map_or(LIFETIME_DEFAULT, |span| span.0);
    let mut trusted_origins = Vec::new();
    for text in raw.trusted_origins.map_or_else(Vec::new, |list| list.0) {
        match Url::parse(&text) {
            Ok(url) if url.origin().is_tuple() => {
                trusted_origins.push(url.origin().ascii_serialization());
            }
            Ok(_) | Err(_) => faults.push(Fault::new(
                path,
                "session.trusted_origins",
                format!("{text:?} is no origin; write one such as \"https://www.example.com\""),
            )),
        }
    }
    let cookie = if https { format!("__Host-{bare}") } else { bare.to_owned() };
    SessionConfig { cookie: Arc::from(cookie), lifetime, trusted_origins }
}

fn check_state_dir(
    path: &Path,
    base: &Path,
    raw: Option<String>,
    faults: &mut Vec<Fault>,
) -> PathBuf {
    if let Some(directory) = raw {
        return base.join(directory);
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    // systemd names several directories with colons between them; the first is ours.
    if let Some(list) = variable("STATE_DIRECTORY")
        && let Some(first) = std::env::split_paths(&list).next()
    {
        return first;
    }
    if let Some(home) = variable("XDG_STATE_HOME") {
        return PathBuf::from(home).join("tokenward");
    }
    if let Some(home) = variable("HOME") {
        return PathBuf::from(home).join(".local/state/tokenward");
    }
    let wrong = "there is no home directory to keep sessions in; write one such as \
                 \"/var/lib/tokenward\"";
    faults.push(Fault::new(path, "state_dir", wrong));
    PathBuf::new()
}
