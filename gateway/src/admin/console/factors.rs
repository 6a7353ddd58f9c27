//! The flagship: whether people get through their second factors, and who is held up by one.

use askama::Template;

use super::board::Look;
use super::chart::{self, Series};
use super::reading::Number;
use super::ring::{Of, Ring};
use super::words;

/// After how long a wait is long: who wanted to show a factor has done so by then.
pub(super) const LONG_WAIT_S: u64 = 300;

#[derive(Template)]
#[template(path = "console/mfa.html")]
pub(super) struct Mfa {
    rows: Vec<MfaRow>,
    chart: String,
    quiet: bool,
}

struct MfaRow {
    audience: String,
    asked: String,
    passed: String,
    failed: String,
    given_up: String,
    waiting: String,
    waits: bool,
    rate: Option<String>,
    /// The parts of a bar that is 100 wide.
    bar: [f64; 3],
}

#[derive(Template)]
#[template(path = "console/held.html")]
pub(super) struct Held {
    waiting: Vec<HeldRow>,
    more: usize,
}

struct HeldRow {
    session: String,
    subject: String,
    audience: String,
    by: &'static str,
    age: String,
    /// Whether the person has waited for longer than a coffee takes.
    long: bool,
}

pub(super) fn mfa(ring: &Ring) -> Mfa {
    let names = ring.names().iter().enumerate();
    let mut rows: Vec<_> = names.map(|(place, name)| mfa_row(ring, place, name)).collect();
    // Where people are asked comes first.
    rows.sort_by_key(|(asked, _)| std::cmp::Reverse(*asked));
    let quiet = rows.iter().all(|(asked, row)| *asked == 0 && !row.waits);
    let series = |name, colour, number| Series {
        name,
        colour,
        minutes: ring.minutes(Of::Audiences, number),
    };
    let chart = chart::columns(
        "Second factors",
        &[
            series("passed", "good", Number::MfaPassed),
            series("failed", "bad", Number::MfaFailed),
            series("gave up", "warn", Number::MfaGivenUp),
        ],
    );
    Mfa { rows: rows.into_iter().map(|(_, row)| row).collect(), chart, quiet }
}

fn mfa_row(ring: &Ring, place: usize, name: &str) -> (u64, MfaRow) {
    let sum = |number| ring.sum(Of::Audience(place), number);
    let asked = sum(Number::MfaAsked);
    let (passed, failed) = (sum(Number::MfaPassed), sum(Number::MfaFailed));
    let given_up = sum(Number::MfaGivenUp);
    let held = u64::from(ring.stands(Of::Audience(place), Number::MfaHeld));
    let whole = (passed + failed + given_up).max(1) as f64 / 100.0;
    let row = MfaRow {
        audience: name.to_owned(),
        asked: words::count(asked),
        passed: words::count(passed),
        failed: words::count(failed),
        given_up: words::count(given_up),
        waiting: words::count(held),
        waits: held != 0,
        rate: words::percent(passed, passed + failed),
        bar: [passed as f64 / whole, failed as f64 / whole, given_up as f64 / whole],
    };
    (asked + passed + failed + given_up, row)
}

pub(super) fn held(look: &Look<'_>) -> Held {
    let (waiting, known) = &look.waiting;
    let rows = waiting.iter().map(|waiting| HeldRow {
        session: waiting.session.clone(),
        subject: waiting.subject.clone(),
        audience: waiting.audience.clone(),
        by: match waiting.by {
            "policy" => "its policy here",
            "upstream" => "the API",
            _ => "the provider",
        },
        age: words::span(waiting.since_s),
        long: waiting.since_s >= LONG_WAIT_S,
    });
    Held { waiting: rows.collect(), more: known.saturating_sub(waiting.len()) }
}
