//! The gateway's event stream as news, through every restart of the gateway.

use std::io::BufRead;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use tokenward_programs::http::Caller;

use super::calm::News;

/// News that wait for the screen; beyond it the reader waits, and the gateway drops for it.
const WAITING_MAX: usize = 1024;
/// How long to wait before the stream is opened again: the gateway may be restarting.
const REOPEN_GAP: Duration = Duration::from_millis(250);
/// How much of a session's public id is shown: enough to tell the visitors of a demo apart.
const SHOWN_ID: usize = 6;

/// One event of `GET /api/events`.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) session: String,
    #[serde(default)]
    pub(super) event: String,
    #[serde(default)]
    audience: String,
    text: String,
}

/// Follows the stream on a thread that ends with the program or when nobody listens.
pub(super) fn follow(events: String) -> Receiver<News> {
    follow_as(events, Event::news)
}

/// Follows the stream as [`follow`] does, and makes of each event what is wanted.
pub(super) fn follow_as<T: Send + 'static>(events: String, make: fn(Event) -> T) -> Receiver<T> {
    let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
    thread::spawn(move || {
        let caller = Caller::new();
        while read_once(&caller, &events, &sender, make).is_ok() {
            thread::sleep(REOPEN_GAP);
        }
    });
    receiver
}

/// Reads until the stream breaks; fails only when nobody listens any more.
fn read_once<T>(
    caller: &Caller,
    events: &str,
    sender: &SyncSender<T>,
    make: fn(Event) -> T,
) -> Result<(), Deaf> {
    let Ok(stream) = caller.stream(events) else {
        return Ok(());
    };
    for line in stream.lines().map_while(Result::ok) {
        if let Some(event) = event(&line) {
            sender.send(make(event)).map_err(|_| Deaf)?;
        }
    }
    Ok(())
}

/// Nobody listens any more.
#[derive(Debug)]
struct Deaf;

/// Returns the event of a stream's line, or nothing where it holds none.
fn event(line: &str) -> Option<Event> {
    serde_json::from_str(line.strip_prefix("data:")?.trim()).ok()
}

impl Event {
    /// Says it as news.
    pub(super) fn news(self) -> News {
        let topic = Some(format!("{} {}", self.session, self.audience));
        let text = match self.audience.as_str() {
            "" => self.text,
            audience => self.text.replace(audience, brief(audience)),
        };
        let text = match self.session.get(..SHOWN_ID) {
            Some(id) => format!("{id}  {text}"),
            None => text,
        };
        News {
            text,
            opens: topic.clone().filter(|_| self.event == "exchange_started"),
            closes: topic.filter(|_| self.event == "refreshed"),
        }
    }

    /// Returns as much of the session's public id as is shown.
    pub(super) fn shown_id(&self) -> Option<&str> {
        self.session.get(..SHOWN_ID)
    }
}

/// Shortens an audience of the sandbox to the name of its API.
fn brief(audience: &str) -> &str {
    let host = audience.strip_prefix("https://").unwrap_or(audience);
    host.strip_suffix(".sandbox.example").unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_with_an_event_become_news() {
        for (line, expected) in [
            (
                r#"data: {"at_ms":1,"session":"0123456789","event":"refreshed","audience":"https://quotes.sandbox.example","text":"https://quotes.sandbox.example refreshed"}"#,
                Some("012345  quotes refreshed"),
            ),
            (r#"data:{"text":"Ready."}"#, Some("Ready.")),
            (": keep-alive", None),
            ("data: no json", None),
            ("", None),
        ] {
            assert_eq!(event(line).map(|event| event.news().text).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn the_end_of_an_exchange_names_its_beginning() {
        let told = |name: &str| {
            let line =
                format!(r#"data: {{"session":"s","event":"{name}","audience":"a","text":""}}"#);
            event(&line).unwrap().news()
        };
        assert!(told("exchange_started").opens.is_some());
        assert_eq!(told("exchange_started").opens, told("refreshed").closes);
        assert_eq!((told("held").opens, told("held").closes), (None, None));
    }
}
