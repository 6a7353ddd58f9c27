//! The words and pictures: pure functions from what is known to what is seen.
//!
//! The same model, glass and habits give the same picture, whichever machine draws it. What a
//! phase says is decided here; how it lies on glass of pixels is `oled`, on glass of characters
//! `lcd`.

pub mod frame;
pub mod sample;

mod code;
mod faces;
mod lcd;
mod letters;
mod oled;

use std::time::Duration;

use crate::model::{Age, Content, MfaRequired, Model, Phase, SignIn, WallTime};
use crate::power::Habits;
use crate::screen::faces::SMALL;
use crate::screen::frame::{Bits, Cells, Frame, Glass, Picture};

/// Minutes after which a demand for a second factor shares the glass with the text behind it.
const DEMAND_ALONE_MINUTES: u64 = 60;

/// Draws what is known onto a glass.
pub fn frame(model: &Model, glass: Glass, habits: &Habits) -> Frame {
    let care = habits.care(model);
    let says = says(model);
    let (picture, dropped) = match (glass.pixels(), glass.cells()) {
        (Some(size), _) => {
            let (bits, dropped) = oled::draw(&says, model, size.height, care);
            (Picture::Bits(Box::new(bits)), dropped)
        }
        (None, cells) => {
            let (columns, rows) = cells.unwrap_or_default();
            let (cells, dropped) = lcd::draw(&says, model, columns, rows);
            (Picture::Cells(cells), dropped)
        }
    };
    Frame { picture, lamp: care.lamp, minute: model.minute, dropped }
}

/// What is said, before it is known on what.
#[derive(Debug)]
enum Says<'a> {
    /// A text with its author, and a mark where something is not as it should be.
    Text { content: &'a Content, mark: Option<String> },
    /// A code to type or to scan.
    Code(&'a SignIn),
    /// A short message; the link is for a phone.
    Notice { title: &'static str, body: String, link: Option<&'a str> },
    /// Every pixel.
    Test,
}

/// Draws characters as pixels, about as they look on their glass: for pictures of them.
pub(crate) fn in_pixels(cells: &Cells) -> Bits {
    /// Columns and rows from one character to the next.
    const CELL: (i32, i32) = (6, 10);
    let rows = u32::try_from(cells.rows().len()).unwrap_or(0);
    let mut bits = Bits::dark(rows * CELL.1.unsigned_abs() + 2);
    let mut base = CELL.1;
    for row in cells.rows() {
        let mut left = 1;
        for &character in row {
            let character = char::from(character).to_string();
            SMALL.write(&mut bits, left, base, &character, true);
            left += CELL.0;
        }
        base += CELL.1;
    }
    bits
}

/// Decides what a model says.
fn says(model: &Model) -> Says<'_> {
    match (&model.phase, &model.content) {
        (
            Phase::Online | Phase::NoNetwork { .. } | Phase::WaitingForClock | Phase::Booting,
            Some(content),
        ) => Says::Text { content, mark: content.stale.map(stale_words) },
        (Phase::MfaRequired(required), Some(content))
            if model.unchanged_minutes >= DEMAND_ALONE_MINUTES
                && model.turn % 2 == 1
                && !required.pushing =>
        {
            Says::Text { content, mark: Some("MFA".to_owned()) }
        }
        (Phase::SignIn(sign_in), _) => Says::Code(sign_in),
        (Phase::PanelTest, _) => Says::Test,
        (phase, _) => notice(phase),
    }
}

/// Decides what a phase says that has no picture of its own.
fn notice(phase: &Phase) -> Says<'_> {
    let (title, body) = match phase {
        Phase::Booting => ("Tokenward", "Starting".to_owned()),
        Phase::WaitingForClock => {
            ("Waiting for time", "The clock is not set yet. The network will set it.".to_owned())
        }
        Phase::NoNetwork { why } => ("No network", format!("{why}. I keep trying.")),
        Phase::AskPerson { button: true } => {
            ("Not signed in", "Press the button for a new code.".to_owned())
        }
        Phase::AskPerson { button: false } => {
            ("Not signed in", "For a new code, unplug me and plug me in again.".to_owned())
        }
        Phase::Online => ("Signed in", "The first text is on its way.".to_owned()),
        Phase::MfaRequired(required) => return demand(required),
        Phase::Ended { reason } => ("Session ended", sentence(reason)),
        Phase::Trouble { what, remedy } => {
            ("Needs attention", format!("{} {}", sentence(what), sentence(remedy)))
        }
        // Both have pictures of their own.
        Phase::SignIn(sign_in) => return Says::Code(sign_in),
        Phase::PanelTest => return Says::Test,
    };
    Says::Notice { title, body, link: None }
}

fn demand(required: &MfaRequired) -> Says<'_> {
    let link = required.uri.as_deref();
    let (title, body) = match (required.pushing, link) {
        (true, _) => ("Approve", "on your phone: a message is on its way to it.".to_owned()),
        (false, Some(_)) => ("MFA required", "Scan to approve".to_owned()),
        (false, None) => {
            let provider = required.provider.as_deref().unwrap_or("The provider");
            let words =
                format!("{provider} wants it. Mend its rule, or reset me and sign me in anew.");
            ("MFA required", words)
        }
    };
    Says::Notice { title, body, link: if required.pushing { None } else { link } }
}

/// Returns words as a sentence.
fn sentence(words: &str) -> String {
    let mut letters = words.trim().chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let rest = letters.as_str();
    let end = if rest.ends_with(['.', '!', '?']) || words.is_empty() { "" } else { "." };
    format!("{first}{rest}{end}")
}

fn stale_words(age: Age) -> String {
    match age {
        Age::Known(age) => format!("STALE {}", age_words(age)),
        Age::Unknown => "STALE ?".to_owned(),
    }
}

/// Returns an age in its largest whole unit, at least a minute.
fn age_words(age: Duration) -> String {
    let minutes = (age.as_secs() / 60).max(1);
    match (minutes / 60, minutes / 60 / 24) {
        (0, _) => format!("{minutes}m"),
        (hours, days) if days < 2 => format!("{hours}h"),
        (_, days) => format!("{days}d"),
    }
}

fn clock_words(wall: Option<WallTime>) -> String {
    match wall {
        Some(wall) => format!("{:02}:{:02}", wall.hour(), wall.minute()),
        None => "--:--".to_owned(),
    }
}

/// Returns a link as people read and type it.
fn readable(link: &str) -> &str {
    let after = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"));
    after.unwrap_or(link)
}

/// Parts lines into pages that hold nearly the same number, so that none holds a last word alone.
fn pages<T>(lines: &[T], per_page: usize) -> Vec<&[T]> {
    let per_page = per_page.max(1);
    let count = lines.len().div_ceil(per_page).max(1);
    let (each, more) = (lines.len() / count, lines.len() % count);
    let start = |page: usize| page * each + page.min(more);
    (0..count).map(|page| &lines[start(page)..start(page + 1)]).collect()
}

/// Returns which of so many pages a turn shows.
fn page_of(turn: u64, count: usize) -> usize {
    usize::try_from(turn % u64::try_from(count.max(1)).unwrap_or(1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_nearly_the_same_number_of_lines() {
        for (lines, per_page, sizes) in
            [(0, 3, &[0][..]), (3, 3, &[3]), (4, 3, &[2, 2]), (7, 3, &[3, 2, 2]), (2, 0, &[1, 1])]
        {
            let numbered: Vec<_> = (0..lines).collect();
            let pages = pages(&numbered, per_page);
            assert_eq!(pages.iter().map(|page| page.len()).collect::<Vec<_>>(), sizes);
            assert_eq!(pages.concat(), numbered);
        }
    }

    #[test]
    fn ages_are_said_in_their_largest_unit() {
        for (minutes, words) in
            [(0, "1m"), (59, "59m"), (60, "1h"), (47 * 60, "47h"), (48 * 60, "2d")]
        {
            assert_eq!(age_words(Duration::from_secs(minutes * 60)), words);
        }
    }
}
