//! What happens to all sessions, as server-sent events for operators and their tools.
//!
//! A stream that broke goes on where it was, by `Last-Event-ID`; where that is too long ago, or of
//! another run, it begins with an event that says so.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::Admin;
use crate::events::{HEARTBEAT, full, missed, opening};

/// GET /api/events.
pub(super) async fn events(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    match Arc::clone(&admin.streams).try_acquire_owned() {
        Ok(place) if !admin.front.is_draining() => {
            let news = admin.past.listen();
            let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
            let resumed = last.map(|id| admin.past.after(id));
            let next = resumed.flatten().unwrap_or(*news.borrow());
            let (begun, lost) = (false, resumed == Some(None));
            Sse::new(Feed { admin, news, next, begun, lost, _place: place }.stream())
                .into_response()
        }
        Ok(_) | Err(_) => full().reply(&headers),
    }
}

struct Feed {
    admin: Arc<Admin>,
    news: watch::Receiver<u64>,
    /// The number of the fact that comes next.
    next: u64,
    begun: bool,
    /// Whether facts before that are lost to this listener, which is to be told.
    lost: bool,
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
        loop {
            if self.admin.front.is_draining() {
                return None;
            }
            if std::mem::take(&mut self.lost) {
                return Some(missed());
            }
            if let Some((number, fact)) = self.admin.past.from(self.next) {
                self.lost = number > self.next;
                self.next = number;
                if self.lost {
                    continue;
                }
                self.next += 1;
                let event = Event::default().id(self.admin.past.id(number));
                // Texts and numbers always have a JSON form.
                return Some(event.json_data(&fact).unwrap_or_default());
            }
            tokio::select! {
                () = self.admin.front.drained() => return None,
                changed = tokio::time::timeout(HEARTBEAT, self.news.changed()) => match changed {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return None,
                    Err(_) => return Some(Event::default().comment("still here")),
                },
            }
        }
    }
}
