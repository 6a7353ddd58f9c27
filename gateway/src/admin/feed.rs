//! What happens to all sessions, as server-sent events for operators and their tools.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokenward::{EventStream, Heard};
use tokio::sync::OwnedSemaphorePermit;

use super::Admin;
use crate::events::{HEARTBEAT, full, missed, opening, written};

/// GET /api/events.
pub(super) async fn events(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    match Arc::clone(&admin.streams).try_acquire_owned() {
        Ok(place) if !admin.front.is_draining() => {
            let facts = admin.front.tokenward().events();
            Sse::new(Feed { admin, facts, begun: false, _place: place }.stream()).into_response()
        }
        Ok(_) | Err(_) => full().reply(&headers),
    }
}

struct Feed {
    admin: Arc<Admin>,
    facts: EventStream,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(
            self,
            |mut feed| async move { feed.next().await.map(|event| (Ok(event), feed)) },
        )
    }

    async fn next(&mut self) -> Option<Event> {
        if !self.begun {
            self.begun = true;
            return Some(opening());
        }
        if self.admin.front.is_draining() {
            return None;
        }
        tokio::select! {
            () = self.admin.front.drained() => None,
            heard = tokio::time::timeout(HEARTBEAT, self.facts.next()) => match heard {
                Ok(Some(Heard::Event(fact))) => Some(written(&fact)),
                Ok(Some(Heard::Missed(_))) => Some(missed()),
                Ok(None) => None,
                Err(_) => Some(Event::default().comment("still here")),
            },
        }
    }
}
