//! What is seen at a glance: six numbers, and which of them somebody should look at.

use askama::Template;
use tokenward::provider::Breaker;

use super::board::Look;
use super::factors::LONG_WAIT_S;
use super::reading::Number;
use super::ring::Of;
use super::words;

#[derive(Template)]
#[template(path = "console/sum.html")]
pub(super) struct Sum {
    tiles: Vec<Tile>,
}

struct Tile {
    name: &'static str,
    value: String,
    note: String,
    /// `good`, `warn` or `bad` where somebody should look.
    mood: &'static str,
}

/// Below which share of tries that pass somebody should look.
const FEW_PASS: f64 = 0.8;

/// Below which share of refreshes that work somebody should look: the objective of the alerts.
const FEW_REFRESHED: f64 = 0.995;

impl Sum {
    pub(super) fn of(look: &Look<'_>) -> Self {
        Self { tiles: tiles(look) }
    }
}

fn tiles(look: &Look<'_>) -> Vec<Tile> {
    let ring = look.ring;
    let all = |number| ring.sum(Of::Audiences, number);
    let (passed, failed) = (all(Number::MfaPassed), all(Number::MfaFailed));
    let refreshed = all(Number::RefreshOk);
    let broken =
        all(Number::RefreshProvider) + all(Number::RefreshRefused) + all(Number::RefreshStore);
    let whole = |number| ring.rate(Of::Whole, number);
    let rate = whole(Number::RequestsServed)
        + whole(Number::RequestsRefused)
        + whole(Number::RequestsUpstream)
        + whole(Number::RequestsOurs);
    let ours = ring.sum(Of::Whole, Number::RequestsOurs);
    let (waiting, known) = (&look.waiting.0, look.waiting.1 as u64);
    let oldest = waiting.first().map_or(0, |waiting| waiting.since_s);
    let tile = |name, value, note, mood| Tile { name, value, note, mood };
    let share = |part, whole| words::percent(part, whole).unwrap_or_else(|| "–".to_owned());
    vec![
        tile(
            "Factors that pass",
            share(passed, passed + failed),
            format!("{} of {} tries", words::count(passed), words::count(passed + failed)),
            mood(passed, passed + failed, FEW_PASS),
        ),
        tile(
            "Waiting for a person",
            words::count(known),
            match known {
                0 => "nobody is held up".to_owned(),
                _ => format!("the first for {}", words::span(oldest)),
            },
            if oldest >= LONG_WAIT_S { "warn" } else { "" },
        ),
        tile(
            "Refreshes that work",
            share(refreshed, refreshed + broken),
            format!("{} this hour", words::count(refreshed)),
            mood(refreshed, refreshed + broken, FEW_REFRESHED),
        ),
        tile(
            "Living sessions",
            look.total.map_or_else(|| "?".to_owned(), words::count),
            format!("{} in memory", words::count(look.resident as u64)),
            "",
        ),
        tile(
            "Requests",
            words::rate(rate),
            match ours {
                0 => "none failed here this hour".to_owned(),
                ours => format!("{} failed here this hour", words::count(ours)),
            },
            if ours == 0 { "" } else { "warn" },
        ),
        provider_tile(look),
    ]
}

fn provider_tile(look: &Look<'_>) -> Tile {
    let (value, mood) = match look.breaker {
        Breaker::Closed => ("answers", ""),
        Breaker::HalfOpen => ("being tried", "warn"),
        Breaker::Open => ("away", "bad"),
    };
    let failed = look.ring.sum(Of::Whole, Number::ProviderFailed);
    let note = match failed {
        0 => "no failed call this hour".to_owned(),
        1 => "1 failed call this hour".to_owned(),
        many => format!("{} failed calls this hour", words::count(many)),
    };
    Tile { name: "Provider", value: value.to_owned(), note, mood }
}

/// How many cases a share needs to be bad: one wrong code at night is no news.
const CASES_MIN: u64 = 5;

/// Says whether a share is as it should be.
fn mood(part: u64, whole: u64, least: f64) -> &'static str {
    match whole {
        0 => "",
        whole if part as f64 >= whole as f64 * least => "good",
        CASES_MIN.. => "bad",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_bad_below_its_least_and_nothing_without_a_whole() {
        assert_eq!(
            [mood(0, 0, 0.8), mood(0, 4, 0.8), mood(79, 100, 0.8), mood(80, 100, 0.8)],
            ["", "", "bad", "good"]
        );
    }
}
