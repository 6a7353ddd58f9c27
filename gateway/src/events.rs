//! The event stream of the caller's own session, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokenward::core::name::SessionKey;
use tokenward::{LifecycleEvent, SessionView};

use crate::front::Front;
use crate::pages::Trouble;
use crate::session::living;
use crate::{device, origin};

mod hub;

pub use hub::{Full, Hub, Listening, Told};

/// How often a silent stream shows that it lives: well below the idle limits of proxies (60 s), and
/// often enough to notice soon that another machine has ended the session.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a browser waits before it opens a broken stream anew.
const REOPEN_AFTER: Duration = Duration::from_secs(2);

/// The longest pause that may be asked for: by then a stream must notice that another machine has
/// ended its session.
const HEARTBEAT_MAX: Duration = Duration::from_secs(10 * 60);

/// GET /auth/events. A small machine asks for `?heartbeat=600`, because each sign of life wakes it.
pub(crate) async fn events(
    State(front): State<Arc<Front>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let seconds = uri.query().and_then(|query| query.strip_prefix("heartbeat=")?.parse().ok());
    let heartbeat = seconds.map_or(HEARTBEAT, Duration::from_secs).clamp(HEARTBEAT, HEARTBEAT_MAX);
    let (key, view) = match living(&front, &headers).await {
        Ok(known) => known,
        Err(trouble) => return trouble.reply(&headers),
    };
    match front.hub().listen(&key) {
        Ok(listening) => {
            let after = last_event_id(&headers);
            let own = origin::of(&front.config(), &headers, &uri).unwrap_or_default();
            let mut course = Course::begin(front, (key, own), &view, listening, after);
            course.heartbeat = heartbeat;
            Sse::new(course.stream()).into_response()
        }
        Err(Full) => full().reply(&headers),
    }
}

/// Writes one fact as an event; its id is its time, by which a browser resumes.
pub(crate) fn written(fact: &LifecycleEvent) -> Event {
    let event = Event::default().id(fact.at_ms.to_string());
    // Texts and numbers always have a JSON form.
    event.json_data(fact).unwrap_or_default()
}

/// Says that some facts did not reach this listener.
pub(crate) fn missed() -> Event {
    Event::default().data(r#"{"event":"missed","text":"some events were missed; ask anew"}"#)
}

/// Returns what a stream begins with: bytes that open it through proxies.
pub(crate) fn opening() -> Event {
    Event::default().retry(REOPEN_AFTER).comment("open")
}

/// Says that there are as many streams as there may be.
pub(crate) fn full() -> Trouble {
    Trouble::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_streams",
        "Too many event streams",
        "There are as many open event streams as there may be. Close some, and open one anew.",
    )
    .retry_after(REOPEN_AFTER)
}

/// Returns the time of the last event a browser has, where it resumes.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// One open stream.
struct Course {
    front: Arc<Front>,
    key: SessionKey,
    /// The origin under which the listener knows us.
    own: String,
    /// Whether it is a display, which is told where its person goes.
    is_display: bool,
    listening: Listening,
    /// What is sent before anything new.
    first: std::collections::VecDeque<Event>,
    /// What was replayed; the same fact may also come as news.
    replayed: Vec<LifecycleEvent>,
    over: bool,
    heartbeat: Duration,
}

impl Course {
    fn begin(
        front: Arc<Front>,
        (key, own): (SessionKey, String),
        view: &SessionView,
        listening: Listening,
        after: Option<u64>,
    ) -> Self {
        // The listener is there already: a fact between the two is seen twice rather than never.
        let replayed: Vec<LifecycleEvent> = match after {
            Some(after) => {
                let timeline = front.tokenward().timeline(&key).into_iter();
                timeline.filter(|fact| fact.at_ms > after && fact.session == view.id).collect()
            }
            None => Vec::new(),
        };
        let first = [opening()].into_iter().chain(replayed.iter().map(written)).collect();
        let is_display = view.device.is_some();
        let over = false;
        Self { front, key, own, is_display, listening, first, replayed, over, heartbeat: HEARTBEAT }
    }

    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut course| async move {
            course.next().await.map(|event| (Ok(event), course))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        while !self.over {
            match tokio::time::timeout(self.heartbeat, self.listening.next()).await {
                Ok(Some(Told::Fact(fact))) if self.is_replayed(&fact) => {}
                Ok(Some(Told::Fact(fact))) => {
                    self.over = fact.event == "ended";
                    return Some(self.written(&fact).await);
                }
                Ok(Some(Told::Missed)) => return Some(missed()),
                Ok(None) => return None,
                // The fact of its end may have been missed, or told on another machine.
                Err(_) if self.has_ended().await => return None,
                Err(_) => return Some(Event::default().comment("still here")),
            }
        }
        None
    }

    /// Writes a fact; a hold of a display with the link that it shows.
    async fn written(&self, fact: &LifecycleEvent) -> Event {
        if !self.is_display || fact.event != "held" {
            return written(fact);
        }
        let holds = self.front.tokenward().holds(&self.key).await.unwrap_or_default();
        let held = holds.iter().find(|view| Some(&view.audience) == fact.audience.as_ref());
        let Some(held) = held else { return written(fact) };
        let told = device::with_link(&self.front, (&self.key, true), &self.own, held).await;
        let mut fact_told = serde_json::to_value(fact).unwrap_or_default();
        fact_told["step_up_uri"] = told["step_up_uri"].clone();
        let event = Event::default().id(fact.at_ms.to_string());
        event.json_data(fact_told).unwrap_or_default()
    }

    fn is_replayed(&self, fact: &LifecycleEvent) -> bool {
        self.replayed.iter().any(|old| {
            old.at_ms == fact.at_ms
                && old.event == fact.event
                && old.audience == fact.audience
                && old.text == fact.text
        })
    }

    async fn has_ended(&self) -> bool {
        // A store that does not answer ends no stream.
        let told = self.front.tokenward().describe(&self.key).await;
        told.is_ok_and(|view| view.is_none_or(|view| view.state == "ended"))
    }
}
