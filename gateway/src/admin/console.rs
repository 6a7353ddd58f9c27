//! The overview at `/`: how many sessions are in which state, and where to look further.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use tokenward::provider::Breaker;

use super::Admin;
use super::sessions::{self, Listed, told};
use crate::pages::{Allowed, dress, nonce};

/// The sessions that are looked at to count states: each is asked for.
const LOOKED_AT_MAX: usize = 200;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    nonce: &'a str,
    total: u64,
    resident: usize,
    looked_at: usize,
    more: bool,
    states: Vec<Counted>,
    issuer: &'a str,
    provider: &'static str,
    ready: &'a [String],
    routes: Vec<(String, String, String)>,
    version: &'static str,
}

/// GET /.
pub(super) async fn page(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let tokenward = admin.front.tokenward();
    let answer = async {
        let total = tokenward.vault().count().await?;
        Ok((total, tokenward.list(None, LOOKED_AT_MAX).await?))
    };
    let (total, keys) = match answer.await {
        Ok(known) => known,
        Err(error) => return sessions::store(&error).reply(&headers),
    };
    let looked_at = keys.len();
    let listed = told(tokenward, keys).await;
    let reasons = admin.health.reasons(&admin.front).await;
    let config = admin.front.config();
    let routes = config.routes.iter().map(|route| {
        let audience = route.audience.as_ref().map_or("public", |audience| audience.as_str());
        let upstream = format!("{}{}", route.upstream.authority, route.upstream.base);
        (route.name.to_string(), audience.to_owned(), upstream)
    });
    let Some(nonce) = nonce() else {
        return axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let overview = Overview {
        nonce: &nonce,
        total,
        resident: tokenward.resident(),
        looked_at,
        more: u64::try_from(looked_at).is_ok_and(|looked_at| looked_at < total),
        states: counted(&listed),
        issuer: tokenward.provider().issuer(),
        provider: breaker(tokenward.provider().breaker()),
        ready: &reasons,
        routes: routes.collect(),
        version: env!("CARGO_PKG_VERSION"),
    };
    // Writing to a text fails only where a value's Display does; these are texts and numbers.
    let mut reply = Response::new(Body::from(overview.render().unwrap_or_default()));
    dress(&mut reply, &nonce, Allowed::Nothing);
    reply
}

/// How many of the sessions that were looked at are in one state.
struct Counted {
    name: &'static str,
    means: &'static str,
    /// Whether an operator must act on such sessions.
    act: bool,
    count: usize,
}

/// Counts sessions by state.
fn counted(listed: &[Listed]) -> Vec<Counted> {
    let state = |listed: &Listed| match listed {
        Listed::View(view) => view.state,
        Listed::Unreadable { state, .. } => *state,
    };
    let count = |code| listed.iter().filter(|listed| state(listed) == code).count();
    STATES
        .iter()
        .map(|&(code, name, means, act)| Counted { name, means, act, count: count(code) })
        .collect()
}

/// The states with their names, what they mean, and whether an operator must act.
const STATES: [(&str, &str, &str, bool); 6] = [
    ("fresh", "fresh", "Nothing to do.", false),
    ("refreshing", "refreshing", "An exchange is under way.", false),
    ("in_doubt", "in doubt", "A reply was lost; it is asked again soon.", false),
    ("backoff", "waiting", "The provider is busy or away.", false),
    ("operator_fault", "refused", "The provider refuses this client: run tokenward check.", true),
    ("unreadable", "unreadable", "The record cannot be opened: see the log.", true),
];

const fn breaker(breaker: Breaker) -> &'static str {
    match breaker {
        Breaker::Closed => "go through",
        Breaker::HalfOpen => "are tried again, one at a time",
        Breaker::Open => "are held back: it does not answer",
    }
}
