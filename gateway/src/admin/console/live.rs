//! Newer parts of an open page, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{LIVE_EVERY, Part, people};
use crate::admin::Admin;
use crate::events::{HEARTBEAT, Listening, full, opening};

/// Which page is open.
#[derive(Debug, Deserialize)]
pub(in crate::admin) struct Open {
    session: Option<String>,
}

/// GET /api/console/live.
pub(in crate::admin) async fn live(
    State(admin): State<Arc<Admin>>,
    Query(open): Query<Open>,
    headers: HeaderMap,
) -> Response {
    let Ok(place) = Arc::clone(&admin.streams).try_acquire_owned() else {
        return full().reply(&headers);
    };
    if admin.front.is_draining() {
        return full().reply(&headers);
    }
    let source = match open.session {
        None => {
            let frames = admin.console.frame.subscribe();
            admin.console.come.notify_one();
            Source::Board(frames)
        }
        Some(id) => {
            let known = admin.front.tokenward().find_by_id(&id).await.ok().flatten();
            let Some(Ok(listening)) = known.map(|key| admin.front.hub().listen(&key)) else {
                // Tells a browser not to ask again: nothing more will happen to it.
                return StatusCode::NO_CONTENT.into_response();
            };
            Source::Session { id, listening, over: false }
        }
    };
    let viewer = Viewer { admin, source, seen: Vec::new(), begun: false, _place: place };
    let events = stream::unfold(viewer, |mut viewer| async move {
        viewer.next().await.map(|event| (Ok::<_, Infallible>(event), viewer))
    });
    Sse::new(events).into_response()
}

/// One open page.
struct Viewer {
    admin: Arc<Admin>,
    source: Source,
    /// The parts as the page has them.
    seen: Vec<Part>,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

enum Source {
    Board(watch::Receiver<Arc<Vec<Part>>>),
    Session { id: String, listening: Listening, over: bool },
}

impl Viewer {
    async fn next(&mut self) -> Option<Event> {
        if !self.begun {
            self.begun = true;
            return Some(opening());
        }
        loop {
            let admin = Arc::clone(&self.admin);
            let parts = tokio::select! {
                () = admin.front.drained() => return None,
                parts = self.source.next(&admin) => parts?,
            };
            let Some(parts) = parts else {
                return Some(Event::default().comment("still here"));
            };
            if let Some(news) = self.news(&parts) {
                return Some(news);
            }
        }
    }

    /// Writes the parts that differ from what the page has.
    fn news(&mut self, parts: &[Part]) -> Option<Event> {
        let mut news = Map::new();
        for (id, html) in parts {
            match self.seen.iter_mut().find(|(known, _)| known == id) {
                Some((_, seen)) if seen == html => {}
                Some((_, seen)) => {
                    seen.clone_from(html);
                    news.insert((*id).to_owned(), Value::from(html.as_str()));
                }
                None => {
                    self.seen.push((id, html.clone()));
                    news.insert((*id).to_owned(), Value::from(html.as_str()));
                }
            }
        }
        // Texts always have a JSON form.
        (!news.is_empty()).then(|| Event::default().json_data(news).unwrap_or_default())
    }
}

impl Source {
    /// Waits for the parts as they are by then: `Some(None)` where nothing came for long, `None`
    /// where nothing will.
    async fn next(&mut self, admin: &Admin) -> Option<Option<Arc<Vec<Part>>>> {
        match self {
            Source::Board(frames) => {
                match tokio::time::timeout(HEARTBEAT, frames.changed()).await {
                    Ok(Ok(())) => Some(Some(Arc::clone(&frames.borrow_and_update()))),
                    Ok(Err(_)) => None,
                    Err(_) => Some(None),
                }
            }
            Source::Session { over: true, .. } => None,
            Source::Session { id, listening, over } => {
                // What it waits for counts down without any fact.
                if let Ok(None) = tokio::time::timeout(LIVE_EVERY, listening.next()).await {
                    *over = true;
                }
                Some(Some(Arc::new(people::parts(admin, id).await)))
            }
        }
    }
}
