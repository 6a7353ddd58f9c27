//! The displays on the wall, as they told of themselves last.

use askama::Template;

use super::words;
use crate::device::Listed;

/// After how many seconds of silence a display counts as silent: three of its usual looks for news.
const SILENT_AFTER_S: u64 = 1_800;

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
    let (state, colour) = match view.state {
        _ if listed.seen_ago_s >= SILENT_AFTER_S => ("silent", "bad"),
        Some("booting") => ("starting", "soft"),
        Some("clock") => ("waits for its clock", "soft"),
        Some("ended") => ("signed out", "bad"),
        Some("mfa") => ("wants another factor", "blue"),
        Some("network") => ("without network", "soft"),
        Some("online") => ("shows its content", "good"),
        Some("sign-in") => ("waits for a sign-in", "blue"),
        Some("stale") => ("shows old content", "warn"),
        Some(_) | None => ("unknown", "soft"),
    };
    Row {
        session: listed.session.clone(),
        kind: listed.kind.clone(),
        state,
        colour,
        shows: match view.stale {
            // As old as it was when the display told of it, and what has gone by since.
            Some(age) => format!("{} old", words::span(age.saturating_add(listed.seen_ago_s))),
            None => "nothing".to_owned(),
        },
        panel: if view.up { panel } else { format!("{panel}, does not answer") },
        heard: format!("{} ago", words::span(listed.seen_ago_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_that_fell_silent_is_not_called_well() {
        let row = |state, seen_ago_s| {
            let mut listed = Listed {
                session: "s".to_owned(),
                kind: "kitchen".to_owned(),
                view: Default::default(),
                seen_ago_s,
            };
            (listed.view.state, listed.view.stale) = (Some(state), Some(60));
            let row = super::row(&listed);
            (row.state, row.colour, row.shows)
        };
        assert_eq!(row("online", 60), ("shows its content", "good", "2 min old".to_owned()));
        assert_eq!(row("mfa", 60).0, "wants another factor");
        assert_eq!((row("online", 7_200).0, row("online", 7_200).1), ("silent", "bad"));
    }
}
