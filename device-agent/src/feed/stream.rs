//! The gateway's stream of the session's events, read line by line within bounds.

use std::time::Duration;

use http::StatusCode;
use http::header::ACCEPT;
use serde::Deserialize;
use tokenward::SessionHandle;

use super::answer::Problem;
use super::gateway::{Gateway, read_whole, signed};
use crate::agent::Told;

/// The silence that is asked for: each sign of life wakes the machine, and between two of them the
/// kernel alone watches the connection. The gateway allows none that is longer.
const CALM: Duration = Duration::from_secs(10 * 60);

/// The silence that is asked for behind a proxy that cuts what is silent for a minute.
const BRISK: Duration = Duration::from_secs(55);

/// How many streams in a row must end in silence before a proxy is blamed: one cut is a network
/// that went away.
const CUTS_MAX: u8 = 2;

/// How much later than asked for a sign of life may come.
const LATE_MAX: Duration = Duration::from_secs(95);

/// How long the gateway may take to open the stream.
const OPEN_MAX: Duration = Duration::from_secs(30);

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

/// How often signs of life are asked for, by how the streams before ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Streams in a row that ended in silence, before the first sign of life that was asked for.
    cuts: u8,
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
    factor: Option<String>,
    #[serde(default)]
    text: String,
}

impl Gateway {
    pub(super) async fn listen(
        &self,
        handle: &SessionHandle,
        last_id: &mut Option<String>,
        pace: &mut Pace,
        mut tell: impl FnMut(Heard),
    ) {
        let mut url = self.own("/events");
        let silence = pace.silence();
        url.query_pairs_mut().append_pair("heartbeat", &silence.as_secs().to_string());
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
        let mut heard = 0;
        let limit = silence + LATE_MAX;
        while let Ok(Ok(Some(chunk))) = tokio::time::timeout(limit, response.chunk()).await {
            heard += 1;
            lines.feed(&chunk, |data| {
                if let Some(told) = read_event(data) {
                    tell(Heard::Told(told));
                }
            });
            if lines.last_id.is_some() {
                last_id.clone_from(&lines.last_id);
            }
        }
        // The gateway's first words open the stream and are no sign of life.
        pace.over(heard > 1);
    }
}

impl Pace {
    fn silence(self) -> Duration {
        if self.cuts < CUTS_MAX { CALM } else { BRISK }
    }

    /// Learns of the end of a stream; one with signs of life gets through as it is.
    fn over(&mut self, has_lived: bool) {
        if self.silence() == CALM {
            self.cuts = if has_lived { 0 } else { self.cuts + 1 };
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
    told(&event.event, event.factor.as_deref(), &event.text)
}

/// Reduces a fact of the session's to what decides.
pub(super) fn told(event: &str, factor: Option<&str>, text: &str) -> Option<Told> {
    match event {
        "ended" => Some(Told::Ended(Some(text.chars().take(REASON_CHARS_MAX).collect()))),
        "held" => Some(Told::Held),
        "mfa_challenged" if factor == Some("push") => Some(Told::Pushing),
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
    fn a_question_on_the_phone_is_told_by_its_factor_and_by_no_word_of_the_sentence() {
        for (data, wanted) in [
            (r#"{"event":"mfa_challenged","factor":"push","text":"t"}"#, Some(Told::Pushing)),
            (r#"{"event":"mfa_challenged","factor":"otp","text":"for https://push"}"#, None),
            (r#"{"event":"mfa_challenged","text":"for https://push"}"#, None),
        ] {
            assert_eq!(read_event(data), wanted, "{data}");
        }
    }

    #[test]
    fn a_proxy_that_cuts_silence_is_met_with_more_signs_of_life() {
        let mut pace = Pace::default();
        for (has_lived, silence) in
            [(false, CALM), (true, CALM), (false, CALM), (false, BRISK), (true, BRISK)]
        {
            pace.over(has_lived);
            assert_eq!(pace.silence(), silence);
        }
        assert!(BRISK < Duration::from_secs(60));
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
