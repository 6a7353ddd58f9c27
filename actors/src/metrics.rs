//! The numbers that operators look at.
//!
//! [`catalogue`] lists every metric there is, and everything else follows from it. [`Metrics`]
//! holds one handle for each series, registered once and found by index: counting costs a few
//! nanoseconds, allocates nothing and compares no text. There is no global recorder, so that
//! several gateways fit in one process and tests do not disturb each other.
//!
//! Who counts what:
//! - facts of sessions: [`Metrics::record`] what an event says by itself, [`SessionMeter`] what
//!   takes the session's course to know;
//! - access tokens, store, actors, providers, challenges: the methods of [`Metrics`];
//! - requests: the methods of [`Metrics`] that take a [`RouteIndex`].
//!
//! Histograms are for looking at: the exporter may lose an observation under contention, so that
//! nothing is ever derived from their counts.
//!
//! ```
//! use std::time::Duration;
//! use tokenward::metrics::label::{AnsweredBy, TokenResult};
//! use tokenward::metrics::{Labels, Metrics};
//!
//! let metrics = Metrics::new(Labels {
//!     audiences: vec!["https://api.example".into()],
//!     routes: vec!["/api/".into()],
//!     version: "0.1.0".into(),
//!     ..Labels::default()
//! });
//! // Found once, when the configuration is read …
//! let route = metrics.route("/api/");
//! let audience = metrics.audience("https://api.example");
//! // … and used for each request.
//! metrics.token_request(audience, TokenResult::Hit, None);
//! metrics.token_remaining(audience, Duration::from_secs(1800));
//! metrics.http_request(route, &http::Method::GET, http::StatusCode::OK, AnsweredBy::Upstream);
//!
//! let text = metrics.render();
//! let line = r#"tokenward_token_requests_total{audience="https://api.example",result="hit"} 1"#;
//! assert!(text.lines().any(|written| written == line));
//! ```

use std::sync::Arc;

pub mod catalogue;
pub mod label;

mod count;
mod device;
mod exemplar;
mod exposition;
mod family;
mod http;
mod meter;
mod mfa;
mod observe;
mod registry;
mod row;
mod table;

use self::catalogue::{AUDIENCES_MAX, Home, PROVIDERS_MAX, ROUTES_MAX};
pub use self::exemplar::Exemplar;
use self::exemplar::Notes;
pub use self::exposition::{CONTENT_TYPE, OPENMETRICS_TYPE};
use self::family::Family;
use self::label::{Backend, ConfiguredLabel};
pub use self::meter::SessionMeter;
pub use self::observe::ProviderMeter;
use self::registry::Registry;
use self::row::{AudienceRow, ProviderRow, RouteRow, SingleRow, StoreRow};

/// The handles of every series of one gateway, or of one framework in somebody's program.
pub struct Metrics {
    registry: Registry,
    routes: Family<RouteRow>,
    audiences: Family<AudienceRow>,
    providers: Family<ProviderRow>,
    store: StoreRow,
    single: SingleRow,
}

/// What the configuration gives to labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The audiences that are configured.
    pub audiences: Vec<String>,
    /// The routes that are configured.
    pub routes: Vec<String>,
    /// The providers that are configured.
    pub providers: Vec<String>,
    /// The version of this build.
    pub version: String,
    /// The commit of this build.
    pub commit: String,
    /// Where sessions are stored.
    pub backend: Backend,
}

/// The place of a route; found once with [`Metrics::route`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteIndex(u8);

/// The place of an audience; found once with [`Metrics::audience`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudienceIndex(u8);

/// The place of a provider; found once with [`Metrics::provider`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderIndex(u8);

impl Default for Labels {
    fn default() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            audiences: Vec::new(),
            routes: Vec::new(),
            providers: Vec::new(),
            version: unknown(),
            commit: unknown(),
            backend: Backend::Embedded,
        }
    }
}

impl Metrics {
    /// Registers every series that can be known from the start, each at zero.
    ///
    /// A counter that first appears with the value 1 does not count for Prometheus' `increase()`:
    /// the first failure would be the one that no alert sees. Only
    /// `tokenward_http_requests_total` comes to be as it is used.
    pub fn new(labels: Labels) -> Arc<Self> {
        let registry = Registry::new(Home::Gateway);
        let overflow = row::overflow(&registry);
        let folded = |label| overflow.of(label).clone();
        let metrics = Self {
            routes: Family::new(ROUTES_MAX, folded(ConfiguredLabel::Route)),
            audiences: Family::new(AUDIENCES_MAX, folded(ConfiguredLabel::Audience)),
            providers: Family::new(PROVIDERS_MAX, folded(ConfiguredLabel::Provider)),
            store: StoreRow::new(&registry, labels.backend),
            single: SingleRow::new(&registry, &labels.version, &labels.commit),
            registry,
        };
        metrics.learn(&labels);
        Arc::new(metrics)
    }

    /// Adds the names of a reloaded configuration.
    ///
    /// A name that is gone keeps its series, as Prometheus wants of counters. Names beyond a cap,
    /// and names that were never learned, are counted as [`catalogue::OTHER`] and in
    /// `tokenward_label_overflow_total`.
    pub fn learn(&self, labels: &Labels) {
        for name in &labels.audiences {
            self.audiences.learn(name, |name| AudienceRow::new(&self.registry, name));
        }
        for name in &labels.routes {
            self.routes.learn(name, |name| RouteRow::new(&self.registry, name));
        }
        for name in &labels.providers {
            self.providers.learn(name, |name| ProviderRow::new(&self.registry, name));
        }
    }

    /// Finds the place of a configured route.
    pub fn route(&self, name: &str) -> RouteIndex {
        RouteIndex(self.routes.find(name))
    }

    /// Finds the place of a configured audience.
    pub fn audience(&self, name: &str) -> AudienceIndex {
        AudienceIndex(self.audiences.find(name))
    }

    /// Finds the place of a configured provider.
    pub fn provider(&self, name: &str) -> ProviderIndex {
        ProviderIndex(self.providers.find(name))
    }

    /// Returns the exposition as Prometheus' text format ([`CONTENT_TYPE`]), sorted: two renders of
    /// the same state are the same text.
    pub fn render(&self) -> String {
        exposition::text(&self.registry.render())
    }

    /// Returns the exposition in the format that a scraper's `Accept` header asks for, and that
    /// format's media type: OpenMetrics where it is named, else Prometheus' text. Only the former
    /// has exemplars.
    pub fn exposition(&self, accept: &str) -> (&'static str, String) {
        if exposition::wants_openmetrics(accept) {
            let notes = self.exemplars();
            return (OPENMETRICS_TYPE, exposition::openmetrics(&self.registry.render(), &notes));
        }
        (CONTENT_TYPE, self.render())
    }

    /// Brings the numbers of the process itself (`process_*`: CPU, memory, files) up to date; to be
    /// called before a scrape is answered, as they are read from the kernel.
    pub fn look_at_process(&self) {
        self.registry.look_at_process();
    }

    /// Moves observations into their buckets; to be called every second.
    ///
    /// Each observation waits in memory with 16 bytes until then, so that without it a gateway
    /// which nobody scrapes would grow for ever.
    pub fn upkeep(&self) {
        self.registry.upkeep();
    }

    fn exemplars(&self) -> Notes {
        let mut notes = Notes::new();
        self.routes.each().for_each(|row| exemplar::note(&row.traces, &mut notes));
        self.audiences.each().for_each(|row| exemplar::note(&row.traces, &mut notes));
        notes
    }

    fn at_audience(&self, AudienceIndex(at): AudienceIndex) -> &AudienceRow {
        self.audiences.row(at, |other| AudienceRow::new(&self.registry, other))
    }

    fn at_route(&self, RouteIndex(at): RouteIndex) -> &RouteRow {
        self.routes.row(at, |other| RouteRow::new(&self.registry, other))
    }

    fn at_provider(&self, ProviderIndex(at): ProviderIndex) -> &ProviderRow {
        self.providers.row(at, |other| ProviderRow::new(&self.registry, other))
    }
}
