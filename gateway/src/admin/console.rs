//! The console: what an operator without dashboards looks at.
//!
//! It has no numbers of its own. Every few seconds it reads what Prometheus would be given, keeps
//! the last hour of it, and draws the page on the server: it works without a script, and the one
//! script only puts newer parts in place of older ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokenward::core::time::Instant;
use tokio::sync::{Notify, watch};

use self::board::{Look, Part};
use self::facts::Latest;
use self::reading::Reading;
use self::ring::{Ring, SAMPLE_MS};
use super::Admin;
use crate::pages::{Allowed, dress, nonce};

mod board;
mod chart;
mod displays;
mod factors;
mod facts;
mod glance;
mod live;
mod people;
mod reading;
mod ring;
mod words;

pub(super) use live::live;
pub(super) use people::{end, retry, session, sessions};

/// How often the page of a viewer is renewed.
const LIVE_EVERY: Duration = Duration::from_secs(2);

/// How much longer than a look takes the next one waits: whatever the number of series, looking
/// costs at most a twentieth of a core.
const REST: u32 = 20;

/// For how long a count of the living sessions is good: the store goes through an index for it.
const TOTAL_FRESH: Duration = Duration::from_secs(10);

/// The holds that the page lists.
const HOLDS_SHOWN: usize = 20;

/// The displays that the page lists: each is asked whether it lives.
const DISPLAYS_SHOWN: usize = 20;

/// What the console keeps.
pub(super) struct Console {
    ring: Mutex<Ring>,
    latest: Arc<Latest>,
    /// The page's parts as they were last drawn for viewers.
    frame: watch::Sender<Arc<Vec<Part>>>,
    /// Rung when a viewer comes.
    come: Notify,
    total: Mutex<Option<(Instant, Option<u64>)>>,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            ring: Mutex::default(),
            latest: Arc::default(),
            frame: watch::Sender::new(Arc::default()),
            come: Notify::new(),
            total: Mutex::default(),
        }
    }
}

/// Starts to keep the last hour; ends when the operator's endpoints are gone.
pub(super) fn start(admin: &Arc<Admin>) {
    let facts = admin.front.tokenward().events();
    tokio::spawn(facts::follow(Arc::clone(&admin.console.latest), facts));
    tokio::spawn(keep(Arc::downgrade(admin)));
}

async fn keep(admin: Weak<Admin>) {
    while let Some(here) = admin.upgrade() {
        let clock = here.front.tokenward().clock().clone();
        let before = clock.now();
        look(&here).await;
        let watched = here.console.frame.receiver_count() != 0;
        if watched {
            let parts = Arc::new(draw(&here).await);
            here.console.frame.send_replace(parts);
        }
        let rest = clock.now().since(before) * REST;
        let every = if watched { LIVE_EVERY } else { Duration::from_millis(SAMPLE_MS) };
        let pause = tokio::time::sleep(every.max(rest));
        // Held weakly while it waits: the endpoints may go meanwhile.
        let console = Arc::downgrade(&here);
        drop(here);
        pause_unless_someone_comes(&console, pause, watched).await;
    }
}

/// Waits, unless the first viewer comes, who is not to wait as long.
async fn pause_unless_someone_comes(admin: &Weak<Admin>, pause: tokio::time::Sleep, watched: bool) {
    match admin.upgrade().filter(|_| !watched) {
        None => pause.await,
        Some(here) => tokio::select! {
            () = pause => {}
            () = here.console.come.notified() => {}
        },
    }
}

/// Takes in what the metrics say.
async fn look(admin: &Admin) {
    let tokenward = admin.front.tokenward();
    let metrics = Arc::clone(tokenward.metrics());
    // A third of a second at the catalogue's caps: too long for the threads that serve.
    let read = tokio::task::spawn_blocking(move || Reading::of(&metrics.render())).await;
    // An error means that the runtime is ending.
    if let Ok(reading) = read {
        admin.console.ring().look(tokenward.clock().unix_millis(), reading);
    }
}

/// Draws the page's parts.
async fn draw(admin: &Admin) -> Vec<Part> {
    let tokenward = admin.front.tokenward();
    let reasons = admin.health.reasons(&admin.front).await;
    let total = total(admin).await;
    let displays = crate::device::listed(&admin.front, DISPLAYS_SHOWN).await;
    let ring = admin.console.ring();
    board::parts(&Look {
        ring: &ring,
        reasons: &reasons,
        total,
        resident: tokenward.resident(),
        breaker: tokenward.provider().breaker(),
        issuer: tokenward.provider().issuer(),
        waiting: tokenward.waiting(HOLDS_SHOWN),
        facts: admin.console.latest.facts(),
        displays: &displays,
    })
}

async fn total(admin: &Admin) -> Option<u64> {
    let tokenward = admin.front.tokenward();
    let now = tokenward.clock().now();
    let known = *admin.console.total();
    if let Some((at, total)) = known
        && now.since(at) < TOTAL_FRESH
    {
        return total;
    }
    let total = tokenward.vault().count().await.ok();
    *admin.console.total() = Some((now, total));
    total
}

impl Console {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        // No holder stops half way; so with the total.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn total(&self) -> MutexGuard<'_, Option<(Instant, Option<u64>)>> {
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Template)]
#[template(path = "console/board.html")]
struct BoardPage<'a> {
    nonce: &'a str,
    version: &'static str,
    at: &'static str,
    parts: Parts<'a>,
    routes: Vec<(String, String, String)>,
}

/// The parts by their id.
struct Parts<'a>(&'a [Part]);

impl Parts<'_> {
    fn of(&self, id: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == id).map_or("", |(_, html)| html)
    }
}

/// GET /.
pub(super) async fn page(State(admin): State<Arc<Admin>>) -> Response {
    look(&admin).await;
    let parts = draw(&admin).await;
    let config = admin.front.config();
    let routes = config.routes.iter().map(|route| {
        let audience = route.audience.as_ref().map_or("public", |audience| audience.as_str());
        let upstream = format!("{}{}", route.upstream.authority, route.upstream.base);
        (route.name.to_string(), audience.to_owned(), upstream)
    });
    let routes = routes.collect();
    dressed(|nonce| {
        let parts = Parts(&parts);
        BoardPage { nonce, version: env!("CARGO_PKG_VERSION"), at: "board", parts, routes }.render()
    })
}

/// Makes a reply of a page of the console.
fn dressed(render: impl FnOnce(&str) -> askama::Result<String>) -> Response {
    let Some(nonce) = nonce() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Writing to a text fails only where a value's Display does; these are texts and numbers.
    let mut reply = Response::new(Body::from(render(&nonce).unwrap_or_default()));
    dress(&mut reply, &nonce, Allowed::FormsAndScript);
    reply
}
