//! Where requests go, as the operator describes it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokenward::core::name::Audience;
use tokenward::core::policy::{KeepFresh, Margins};
use tokenward::core::scope::ScopeSet;
use url::Host;

use super::units::{Size, Span};
use super::upstream::{self, UpstreamConfig};
use super::{Fault, file};

/// One rule: which requests, to which upstream, with whose access token.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// The route's name in logs and metrics: host and path as the operator wrote them.
    pub name: Arc<str>,
    /// The hosts it serves; `None` for every host.
    pub host: Option<HostPattern>,
    /// The path it serves with everything below it, without a slash at its end.
    pub path: String,
    /// Where its requests go.
    pub upstream: UpstreamConfig,
    /// The API its access tokens are for; `None` passes requests on without a session.
    pub audience: Option<Audience>,
    /// The scopes a request needs.
    pub scopes: ScopeSet,
    /// Whether the route's own path is taken off before forwarding.
    pub strip_prefix: bool,
    /// When a person must show a factor.
    pub mfa: StepUp,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How many body bytes are kept for a second try after a 401.
    pub replay_body: usize,
    /// How many body bytes a request may have; `None` without bound, since bodies are streamed.
    pub max_body: Option<u64>,
    /// When the audience's access token is exchanged and until when it is served.
    pub margins: Margins,
    /// Whether the audience's access token is refreshed without traffic.
    pub keep_fresh: KeepFresh,
}

/// The hosts that a route serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host, in lower case, without a port.
    Exact(String),
    /// Every host below this domain (kept with its leading dot).
    Below(String),
}

/// When a person must show a factor for an audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepUp {
    /// When a factor is wanted for every request's session anew.
    Always {
        /// The authentication class to ask for.
        acr: Option<String>,
    },
    /// When the last factor is older than this.
    MaxAge {
        /// The oldest factor that will do.
        age: Duration,
        /// The authentication class to ask for.
        acr: Option<String>,
    },
    /// When the provider demands it.
    Provider,
    /// When no factor was shown in this session.
    Session {
        /// How long one that was shown in the same browser counts for later sessions, too.
        remember: Option<Duration>,
    },
}

/// How long each step of a forwarded request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name lookup, connection and TLS handshake together.
    pub connect: Duration,
    /// From the sent request head to the response head.
    pub response: Duration,
    /// Silence in a body or a tunnel before it is cut.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: CONNECT_DEFAULT, response: RESPONSE_DEFAULT, idle: IDLE_DEFAULT }
    }
}

/// How long a connection to an upstream may take where nobody says: a host that answers at all
/// answers within one retransmission of its SYN.
const CONNECT_DEFAULT: Duration = Duration::from_secs(3);

/// How long an upstream may think where nobody says: what nginx and most load balancers give it.
const RESPONSE_DEFAULT: Duration = Duration::from_secs(60);

/// How long a body or a tunnel may be silent where nobody says: event streams and WebSockets are
/// kept alive by pings well below five minutes.
const IDLE_DEFAULT: Duration = Duration::from_secs(300);

/// The body bytes kept for a second try: form posts and JSON calls fit, uploads do not.
const REPLAY_BODY_DEFAULT: u64 = 64 * 1024;

/// The most body bytes that may be kept for a second try; each request in flight holds as many.
const REPLAY_BODY_MAX: u64 = 16 * 1024 * 1024;

/// The bounds of `remember`: below, nobody signs in anew; above, nobody knows any more which devices
/// they have trusted.
const REMEMBER: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(90 * 86_400);

/// Checks the `[[route]]` tables, alone and against each other.
pub(super) fn check(
    path: &Path,
    raw: Vec<file::Route>,
    prefix: &str,
    default_scopes: &ScopeSet,
    faults: &mut Vec<Fault>,
) -> Vec<RouteConfig> {
    if raw.is_empty() {
        let wrong = "there is none; write at least one [[route]] with path and upstream";
        faults.push(Fault::new(path, "route", wrong));
    }
    let mut routes: Vec<RouteConfig> = Vec::with_capacity(raw.len());
    let mut margins: BTreeMap<Audience, Margins> = BTreeMap::new();
    let mut factors: BTreeMap<Audience, StepUp> = BTreeMap::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let key = format!("route[{index}]");
        let Some(route) = check_one(path, &key, raw, faults) else {
            continue;
        };
        // An empty prefix is a fault of its own.
        if !prefix.is_empty() && crate::route::below(prefix, &route.path) {
            let wrong = format!(
                "{}/ belongs to the gateway's own prefix {prefix}; choose another path, or another \
                 prefix",
                route.path
            );
            faults.push(Fault::new(path, &format!("{key}.path"), wrong));
        }
        if let Some(twin) = routes.iter().find(|r| r.host == route.host && r.path == route.path) {
            let wrong = format!(
                "it overlaps with the route {:?}, which serves the same host and path; remove one",
                twin.name
            );
            faults.push(Fault::new(path, &format!("{key}.path"), wrong));
        }
        if let Some(audience) = &route.audience {
            let known = margins.entry(audience.clone()).or_insert(route.margins);
            if *known != route.margins {
                let wrong = format!(
                    "another route of {audience} has other margins; give all of them the same"
                );
                faults.push(Fault::new(path, &format!("{key}.refresh_ahead"), wrong));
            }
            let known = factors.entry(audience.clone()).or_insert_with(|| route.mfa.clone());
            if *known != route.mfa {
                let wrong = format!(
                    "another route of {audience} asks for factors in another way; give all of \
                     them the same"
                );
                faults.push(Fault::new(path, &format!("{key}.mfa"), wrong));
            }
        }
        routes.push(route);
    }
    inherit_scopes(&mut routes, default_scopes);
    routes
}

/// Gives a route without scopes those of its audience's first route, which are the policy's: the
/// published access tokens are looked up by exactly what was asked for. The first route without
/// any takes the provider's default ones.
fn inherit_scopes(routes: &mut [RouteConfig], default_scopes: &ScopeSet) {
    for index in 0..routes.len() {
        if !routes[index].scopes.is_empty() || routes[index].audience.is_none() {
            continue;
        }
        let first = routes.iter().find(|route| route.audience == routes[index].audience);
        let inherited = first.map(|route| &route.scopes).filter(|scopes| !scopes.is_empty());
        routes[index].scopes = inherited.unwrap_or(default_scopes).clone();
    }
}

fn check_one(
    path: &Path,
    key: &str,
    raw: file::Route,
    faults: &mut Vec<Fault>,
) -> Option<RouteConfig> {
    let before = faults.len();
    let mut fault = |name: &str, wrong: String| {
        faults.push(Fault::new(path, &format!("{key}.{name}"), wrong));
    };
    let base = path.parent().unwrap_or(Path::new("."));

    let target = upstream::check(&raw, base).map_err(|wrong| fault("upstream", wrong)).ok();
    let route_path = check_path(&raw.path).map_err(|wrong| fault("path", wrong)).ok();
    let host = raw.host.as_deref().map(check_host).transpose();
    let host = host.map_err(|wrong| fault("host", wrong)).ok().flatten();
    let audience = raw.audience.as_deref().map(Audience::parse).transpose();
    let audience =
        audience.map_err(|wrong| fault("audience", format!("{wrong}; fix it"))).ok().flatten();
    if audience.is_none() && (raw.scopes.is_some() || raw.mfa.is_some()) {
        let wrong =
            "it is missing, and scopes or mfa without it mean nothing; add it, or remove them";
        fault("audience", wrong.to_owned());
    }
    let margins = check_margins(raw.refresh_ahead, raw.serve_margin);
    let margins = margins.map_err(|wrong| fault("serve_margin", wrong)).ok();
    let timeouts = timeouts(&raw.timeouts);
    let Size(replay_body) = raw.replay_body.unwrap_or(Size(REPLAY_BODY_DEFAULT));
    check_bounds(&timeouts, replay_body, &mut fault);
    let mfa = step_up(raw.mfa).map_err(|wrong| fault("mfa", wrong)).ok();
    if faults.len() > before {
        return None;
    }
    Some(RouteConfig {
        name: Arc::from(format!("{}{}", raw.host.as_deref().unwrap_or_default(), raw.path)),
        host,
        path: route_path?,
        upstream: target?,
        audience,
        scopes: raw.scopes.map_or_else(ScopeSet::default, |list| list.scopes()),
        strip_prefix: raw.strip_prefix,
        mfa: mfa?,
        timeouts,
        replay_body: usize::try_from(replay_body).unwrap_or(usize::MAX),
        max_body: raw.max_body.map(|size| size.0),
        margins: margins?,
        keep_fresh: match raw.keep_fresh {
            Some(file::KeepFresh::Always) => KeepFresh::Always,
            Some(file::KeepFresh::WhileUsed) | None => KeepFresh::WhileUsed,
        },
    })
}

fn check_bounds(timeouts: &Timeouts, replay_body: u64, fault: &mut impl FnMut(&str, String)) {
    if replay_body > REPLAY_BODY_MAX {
        fault("replay_body", "it is more than 16MiB; lower it".to_owned());
    }
    if timeouts.connect.is_zero() || timeouts.response.is_zero() || timeouts.idle.is_zero() {
        fault("timeouts", "one of them is zero; give each at least 1ms".to_owned());
    }
}

fn check_path(path: &str) -> Result<String, String> {
    if !path.starts_with('/') {
        return Err(format!("{path:?} does not start with a slash; write \"/{path}\""));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,=:@".contains(c);
    let dots = path.split('/').any(|segment| segment == "." || segment == "..");
    if dots || path.contains("//") || !path.chars().all(plain) {
        return Err(format!(
            "{path:?} holds \"//\", a dot segment, or a character that is compared only after \
             normalisation; write a plain path such as \"/api/\""
        ));
    }
    Ok(path.trim_end_matches('/').to_owned())
}

fn check_host(host: &str) -> Result<HostPattern, String> {
    let (name, below) = match host.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (host, false),
    };
    let wrong =
        |why: &str| format!("{host:?} {why}; write \"api.example.com\" or \"*.example.com\"");
    if name.contains(':') && !name.starts_with('[') {
        return Err(wrong("holds a port, and ports are not compared"));
    }
    match Host::parse(name) {
        Ok(parsed) if below => Ok(HostPattern::Below(format!(".{parsed}"))),
        Ok(parsed) => Ok(HostPattern::Exact(parsed.to_string())),
        Err(error) => Err(wrong(&format!("is no host ({error})"))),
    }
}

fn check_margins(ahead: Option<Span>, serve: Option<Span>) -> Result<Margins, String> {
    let default = Margins::default();
    let margins = Margins {
        refresh_ahead: ahead.map_or(default.refresh_ahead, |span| span.0),
        serve: serve.map_or(default.serve, |span| span.0),
    };
    if margins.serve >= margins.refresh_ahead {
        return Err(format!(
            "tokens would stop being served {:?} before their end, but be refreshed only {:?} before \
             it; make refresh_ahead the larger one",
            margins.serve, margins.refresh_ahead
        ));
    }
    Ok(margins)
}

fn timeouts(raw: &file::Timeouts) -> Timeouts {
    let default = Timeouts::default();
    Timeouts {
        connect: raw.connect.map_or(default.connect, |span| span.0),
        response: raw.response.map_or(default.response, |span| span.0),
        idle: raw.idle.map_or(default.idle, |span| span.0),
    }
}

fn step_up(raw: Option<file::Mfa>) -> Result<StepUp, String> {
    let step_up = match raw {
        Some(file::Mfa::Always(acr)) => StepUp::Always { acr },
        Some(file::Mfa::MaxAge(age, acr)) => StepUp::MaxAge { age: age.0, acr },
        Some(file::Mfa::Provider) | None => return Ok(StepUp::Provider),
        Some(file::Mfa::Session(remember)) => {
            StepUp::Session { remember: remember.map(|span| span.0) }
        }
    };
    match &step_up {
        // It is quoted in a header (RFC 9470 §3).
        StepUp::Always { acr: Some(acr) } | StepUp::MaxAge { acr: Some(acr), .. }
            if !acr.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') =>
        {
            Err(format!("its acr {acr:?} is no plain word; write the provider's class name"))
        }
        StepUp::Session { remember: Some(span) } if !REMEMBER.contains(span) => {
            let wrong = "its remember is not between 1m and 90d; write mfa = { session = true, \
                         remember = \"30d\" }";
            Err(wrong.to_owned())
        }
        StepUp::Always { .. }
        | StepUp::MaxAge { .. }
        | StepUp::Provider
        | StepUp::Session { .. } => Ok(step_up),
    }
}

impl Timeouts {
    /// Returns how long a request may stand still before one of its own bounds ends it.
    pub fn longest(&self) -> Duration {
        self.connect.saturating_add(self.response).max(self.idle)
    }
}
