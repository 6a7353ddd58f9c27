//! The gateway's event stream as sentences, through every restart of the gateway.

use std::io::BufRead;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use crate::http::Caller;

/// Sentences that wait for the screen; beyond it the reader waits, and the gateway drops for it.
const WAITING_MAX: usize = 1024;
/// How long to wait before the stream is opened again: the gateway may be restarting.
const REOPEN_GAP: Duration = Duration::from_millis(250);

/// One event of `GET /api/events`.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(default)]
    session: String,
    text: String,
}

/// Follows the stream on a thread that ends with the program or when nobody listens.
pub(super) fn follow(events: String) -> Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
    thread::spawn(move || {
        let caller = Caller::new();
        while read_once(&caller, &events, &sender).is_ok() {
            thread::sleep(REOPEN_GAP);
        }
    });
    receiver
}

/// Reads until the stream breaks; fails only when nobody listens any more.
fn read_once(caller: &Caller, events: &str, sender: &SyncSender<String>) -> Result<(), Deaf> {
    let Ok(stream) = caller.stream(events) else {
        return Ok(());
    };
    for line in stream.lines().map_while(Result::ok) {
        if let Some(sentence) = sentence(&line) {
            sender.send(sentence).map_err(|_| Deaf)?;
        }
    }
    Ok(())
}

/// Nobody listens any more.
#[derive(Debug)]
struct Deaf;

/// Returns the sentence of a stream's line, or nothing where it holds no event.
fn sentence(line: &str) -> Option<String> {
    let event: Event = serde_json::from_str(line.strip_prefix("data:")?.trim()).ok()?;
    Some(match event.session.as_str() {
        "" => event.text,
        session => format!("{session}  {}", event.text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_with_an_event_become_sentences() {
        for (line, expected) in [
            (
                r#"data: {"at_ms":1,"session":"s-1","event":"refreshed","audience":"a","text":"Fresh."}"#,
                Some("s-1  Fresh."),
            ),
            (r#"data:{"text":"Ready."}"#, Some("Ready.")),
            (": keep-alive", None),
            ("data: no json", None),
            ("", None),
        ] {
            assert_eq!(sentence(line).as_deref(), expected, "{line}");
        }
    }
}
