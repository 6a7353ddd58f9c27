//! The displays on the wall, as they told of themselves last.

use askama::Template;

use super::words;
use crate::device::Listed;

#[derive(Template)]
#[template(path = "console/displays.html")]
pub(super) struct Displays {
    rows: Vec<Row>,
}

struct Row {
    session: String,
    kind: String,
    state: &'static str,
    colour: &'static str,
    shows: String,
    panel: String,
    heard: String,
}

impl Displays {
    pub(super) fn of(listed: &[Listed]) -> Self {
        Self { rows: listed.iter().map(row).collect() }
    }
}

fn row(listed: &Listed) -> Row {
    let view = &listed.view;
    let panel = view.panel.clone().unwrap_or_else(|| "unknown".to_owned());
    let state = view.state.unwrap_or("unknown");
    Row {
        session: listed.session.clone(),
        kind: listed.kind.clone(),
        state,
        colour: match state {
            "online" => "good",
            "stale" => "warn",
            "mfa" | "sign-in" => "blue",
            "ended" => "bad",
            _ => "soft",
        },
        shows: match view.stale {
            Some(age) => format!("{} old", words::span(age)),
            None => "nothing".to_owned(),
        },
        panel: if view.up { panel } else { format!("{panel}, does not answer") },
        heard: format!("{} ago", words::span(listed.seen_ago_s)),
    }
}
