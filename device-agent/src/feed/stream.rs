//! The gateway's stream of the session's events, read line by line within bounds.

use std::time::Duration;

use http::StatusCode;
use http::header::ACCEPT;
use serde::Deserialize;
use tokenward::SessionHandle;

use super::answer::Problem;
use super::{Feed, read_whole, signed};
use crate::agent::Told;

/// How long a stream may be silent: the gateway shows every minute at least that it lives.
const SILENCE_MAX: Duration = Duration::from_secs(150);

/// How long the gateway may take to open the stream.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// The seconds of silence that are asked for: each sign of life wakes the machine, and proxies cut
/// what is silent for a minute.
const HEARTBEAT: &str = "55";

/// The longest line: an event is a name, a sentence and a link.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// The longest part of a sentence that is kept.
const REASON_CHARS_MAX: usize = 120;

/// What happens on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is open.
    Opened,
    /// An event.
    Told(Told),
}

/// Takes a stream apart.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    is_too_long: bool,
    data: String,
    last_id: Option<String>,
}

/// One event, as `gateway/src/events.rs` writes it.
#[derive(Deserialize)]
struct Event {
    event: String,
    #[serde(default)]
    text: String,
}

impl Feed {
    /// Reads the stream until it is over, and tells what is heard; `last_id` is where the last one
    /// ended, and is moved on.
    ///
    /// # Cancel safety
    /// What was told stays told; the connection is closed.
    pub async fn listen(
        &self,
        handle: &SessionHandle,
        last_id: &mut Option<String>,
        mut tell: impl FnMut(Heard),
    ) {
        let mut url = self.own("/events");
        url.query_pairs_mut().append_pair("heartbeat", HEARTBEAT);
        let mut request = self.client.get(url).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id.as_str());
        }
        let opening = tokio::time::timeout(OPEN_MAX, signed(request, handle).send());
        let Ok(Ok(mut response)) = opening.await else { return };
        if response.status() != StatusCode::OK {
            if response.status() == StatusCode::UNAUTHORIZED && says_signed_out(response).await {
                tell(Heard::Told(Told::Ended(None)));
            }
            return;
        }
        tell(Heard::Opened);
        let mut lines = Lines::default();
        while let Ok(Ok(Some(chunk))) = tokio::time::timeout(SILENCE_MAX, response.chunk()).await {
            lines.feed(&chunk, |data| {
                if let Some(told) = read_event(data) {
                    tell(Heard::Told(told));
                }
            });
            if lines.last_id.is_some() {
                last_id.clone_from(&lines.last_id);
            }
        }
    }
}

async fn says_signed_out(response: reqwest::Response) -> bool {
    let answer = tokio::time::timeout(OPEN_MAX, read_whole(response)).await;
    let problem = answer.ok().and_then(Result::ok).map(|answer| Problem::read(&answer.body));
    problem.is_some_and(|problem| problem.error.as_deref() == Some("login_required"))
}

fn read_event(data: &str) -> Option<Told> {
    let event: Event = serde_json::from_str(data).ok()?;
    match event.event.as_str() {
        "ended" => Some(Told::Ended(Some(event.text.chars().take(REASON_CHARS_MAX).collect()))),
        "held" => Some(Told::Held),
        "mfa_challenged" if event.text.contains("push") => Some(Told::Pushing),
        "missed" => Some(Told::Missed),
        "released" => Some(Told::Released),
        _ => None,
    }
}

impl Lines {
    /// Takes what arrived (WHATWG HTML §9.2.6), and gives out the data of each whole event.
    fn feed(&mut self, chunk: &[u8], mut event: impl FnMut(&str)) {
        for byte in chunk {
            match byte {
                b'\n' => self.line_ends(&mut event),
                b'\r' => {}
                _ if self.line.len() < LINE_BYTES_MAX => self.line.push(*byte),
                _ => self.is_too_long = true,
            }
        }
    }

    fn line_ends(&mut self, event: &mut impl FnMut(&str)) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_too_long) {
            return;
        }
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            if !data.is_empty() {
                event(&data);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" if self.data.len() + value.len() <= LINE_BYTES_MAX => self.data.push_str(value),
            "id" if value.bytes().all(|byte| byte.is_ascii_graphic()) => {
                self.last_id = Some(value.to_owned());
            }
            // Comments, and fields that nobody here reads.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_alike_however_it_is_cut() {
        let text = b"retry: 2000\n: open\n\nid: 7\ndata: {\"event\":\"held\",\"text\":\"t\"}\n\n\
                     : still here\n\ndata: {\"event\":\"refreshed\"}\r\n\r\nid: 9\n\
                     data: {\"event\":\"ended\",\"text\":\"session ended: signed out\"}\n\n";
        let ended = Told::Ended(Some("session ended: signed out".to_owned()));
        for size in [1, 2, 7, text.len()] {
            let (mut lines, mut heard) = (Lines::default(), Vec::new());
            for chunk in text.chunks(size) {
                lines.feed(chunk, |data| heard.extend(read_event(data)));
            }
            assert_eq!(heard, [Told::Held, ended.clone()], "{size}");
            assert_eq!(lines.last_id.as_deref(), Some("9"));
        }
    }

    #[test]
    fn l14_a_stream_without_an_end_of_line_is_not_kept() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.feed(&[b'x'; 1_000], |_| panic!("no event"));
        }
        assert_eq!(lines.line.len(), LINE_BYTES_MAX);
        lines.feed(b"\ndata: {\"event\":\"released\"}\n\n", |data| {
            assert_eq!(read_event(data), Some(Told::Released));
        });
    }
}
