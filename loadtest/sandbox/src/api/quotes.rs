//! The quotes API: the quote of the day, and a stream of it.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, body::Body};
use serde_json::json;

use super::Gate;

const SCOPE: &str = "read:quotes";

/// Between two events of the stream.
const BEAT: Duration = Duration::from_secs(1);

const DAY_S: u64 = 86_400;

/// Sayings older than any copyright, one for each day of the week.
const QUOTES: [(&str, &str); 7] = [
    ("Well begun is half done.", "Aristotle"),
    ("It is not length of life, but depth of life.", "Ralph Waldo Emerson"),
    ("The only constant in life is change.", "Heraclitus"),
    ("If I have seen further, it is by standing on the shoulders of giants.", "Isaac Newton"),
    ("That brain of mine is something more than merely mortal.", "Ada Lovelace"),
    ("Simplicity is the ultimate sophistication.", "a proverb of engineers"),
    ("Time brings all things to pass.", "Aeschylus"),
];

pub(super) fn router(gate: Gate) -> Router {
    Router::new().route("/quote", get(quote)).route("/stream", get(stream)).with_state(gate)
}

/// The ETag is weak: the quote stays the same all day, what is shown of the token does not.
async fn quote(State(gate): State<Gate>, headers: HeaderMap) -> Response {
    let claims = match gate.admit(&headers, Some(SCOPE)).await {
        Ok(claims) => claims,
        Err(refusal) => return refusal,
    };
    let (day, text, author) = quote_of_the_day(&gate);
    let tag = format!("W/\"quote-{day}\"");
    let cached = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let caching = [(ETAG, tag), (CACHE_CONTROL, "private, no-cache".to_owned())];
    if cached {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let seen = gate.seen(&claims);
    let body = json!({ "quote": text, "author": author, "access_token_seen": seen });
    (caching, Json(body)).into_response()
}

/// Goes on after the token has expired: it was good when the stream was opened.
async fn stream(State(gate): State<Gate>, headers: HeaderMap) -> Response {
    let claims = match gate.admit(&headers, Some(SCOPE)).await {
        Ok(claims) => claims,
        Err(refusal) => return refusal,
    };
    let events = futures_util::stream::unfold(0_u64, move |beat| {
        let (gate, claims) = (gate.clone(), claims.clone());
        async move {
            if beat > 0 {
                tokio::time::sleep(BEAT).await;
            }
            let (_, text, author) = quote_of_the_day(&gate);
            let seen = gate.seen(&claims);
            let fact = json!({ "quote": text, "author": author, "access_token_seen": seen });
            let event = format!("id: {beat}\nevent: quote\ndata: {fact}\n\n");
            Some((Ok::<_, Infallible>(event), beat + 1))
        }
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(events)).into_response()
}

fn quote_of_the_day(gate: &Gate) -> (u64, &'static str, &'static str) {
    let clock = &gate.provider.clock;
    let day = clock.unix_s(clock.now_ms()) / DAY_S;
    let place = usize::try_from(day % 7).unwrap_or_default();
    let (text, author) = QUOTES.get(place).copied().unwrap_or_default();
    (day, text, author)
}
