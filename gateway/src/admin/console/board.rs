//! What the console shows of the last hour, part by part.

use askama::Template;
use tokenward::metrics::catalogue::LATENCY;
use tokenward::provider::Breaker;
use tokenward::{LifecycleEvent, Waiting};

use super::chart::{self, Series};
use super::facts::Told;
use super::reading::{BUCKETS, Number};
use super::ring::{Of, Ring};
use super::words;

/// Everything that is looked at to draw the board once.
pub(super) struct Look<'a> {
    pub(super) ring: &'a Ring,
    /// What keeps the gateway from serving.
    pub(super) reasons: &'a [String],
    /// The living sessions; `None` where the store did not say.
    pub(super) total: Option<u64>,
    pub(super) resident: usize,
    pub(super) breaker: Breaker,
    pub(super) issuer: &'a str,
    /// The oldest holds, and how many are known.
    pub(super) waiting: (Vec<Waiting>, usize),
    pub(super) facts: Vec<LifecycleEvent>,
}

/// A part of the page: its id, and what stands in it.
pub(super) type Part = (&'static str, String);

/// Draws every part.
pub(super) fn parts(look: &Look<'_>) -> Vec<Part> {
    // Writing to a text fails only where a value's Display does; these are texts and numbers.
    let drawn = |part: &dyn askama::DynTemplate| part.dyn_render().unwrap_or_default();
    vec![
        ("status", drawn(&Status { reasons: look.reasons })),
        ("sum", drawn(&Sum { tiles: tiles(look) })),
        ("mfa", drawn(&mfa(look.ring))),
        ("held", drawn(&held(look))),
        ("refresh", drawn(&refresh(look.ring))),
        ("traffic", drawn(&traffic(look.ring))),
        ("provider", drawn(&provider(look))),
        ("states", drawn(&states(look))),
        ("facts", drawn(&Facts { facts: look.facts.iter().map(Told::of).collect() })),
    ]
}

#[derive(Template)]
#[template(path = "console/status.html")]
struct Status<'a> {
    reasons: &'a [String],
}

#[derive(Template)]
#[template(path = "console/sum.html")]
struct Sum {
    tiles: Vec<Tile>,
}

struct Tile {
    name: &'static str,
    value: String,
    note: String,
    /// `good`, `warn` or `bad` where somebody should look.
    mood: &'static str,
}

#[derive(Template)]
#[template(path = "console/mfa.html")]
struct Mfa {
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
struct Held {
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

/// A chart with its legend.
#[derive(Template)]
#[template(path = "console/charted.html")]
struct Charted {
    title: &'static str,
    said: String,
    chart: String,
    legend: Vec<Legend>,
}

struct Legend {
    colour: &'static str,
    name: &'static str,
    means: &'static str,
    count: String,
    /// Whether there is anything to look at.
    some: bool,
}

#[derive(Template)]
#[template(path = "console/states.html")]
struct States {
    total: String,
    states: Vec<StateRow>,
}

struct StateRow {
    colour: &'static str,
    name: &'static str,
    means: &'static str,
    count: String,
    some: bool,
    left: f64,
    width: f64,
}

#[derive(Template)]
#[template(path = "console/facts.html")]
struct Facts {
    facts: Vec<Told>,
}

/// After how long a wait is long: who wanted to show a factor has done so by then.
const LONG_WAIT_S: u64 = 300;

/// Below which share of tries that pass somebody should look.
const FEW_PASS: f64 = 0.8;

/// Below which share of refreshes that work somebody should look: the objective of the alerts.
const FEW_REFRESHED: f64 = 0.995;

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

fn mfa(ring: &Ring) -> Mfa {
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

fn held(look: &Look<'_>) -> Held {
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

fn refresh(ring: &Ring) -> Charted {
    let of = Of::Audiences;
    let rows: [(Number, &str, &str, &str); 6] = [
        (Number::RefreshOk, "good", "refreshed", "Done, and stored."),
        (Number::RefreshHeld, "blue", "factor wanted", "A person must show a factor first."),
        (Number::RefreshEnded, "soft", "signed out", "The provider ended the session."),
        (Number::RefreshProvider, "warn", "provider busy or away", "Tried again by itself."),
        (Number::RefreshRefused, "bad", "client refused", "Run tokenward check."),
        (Number::RefreshStore, "dark", "not stored", "The store failed: see the log."),
    ];
    charted(ring, of, "Refreshes", &rows, String::new())
}

fn traffic(ring: &Ring) -> Charted {
    let rows: [(Number, &str, &str, &str); 4] = [
        (Number::RequestsServed, "blue", "served", "Answered with 2xx or 3xx."),
        (Number::RequestsRefused, "soft", "refused", "Answered with 4xx."),
        (Number::RequestsUpstream, "warn", "failed at an API", "The upstream answered 5xx."),
        (Number::RequestsOurs, "bad", "failed here", "The gateway answered 5xx."),
    ];
    let all = |number| ring.sum(Of::Audiences, number);
    let asked = all(Number::TokensAtHand)
        + all(Number::TokensWaited)
        + all(Number::TokensHeld)
        + all(Number::TokensFailed);
    let said = words::percent(all(Number::TokensAtHand), asked)
        .map(|share| format!("{share} found their access token at hand."))
        .unwrap_or_default();
    charted(ring, Of::Whole, "Requests", &rows, said)
}

fn charted(
    ring: &Ring,
    of: Of,
    title: &'static str,
    rows: &[(Number, &'static str, &'static str, &'static str)],
    said: String,
) -> Charted {
    let series: Vec<_> = rows
        .iter()
        .map(|&(number, colour, name, _)| Series {
            name,
            colour,
            minutes: ring.minutes(of, number),
        })
        .collect();
    let legend = rows.iter().map(|&(number, colour, name, means)| {
        let sum = ring.sum(of, number);
        Legend { colour, name, means, count: words::count(sum), some: sum != 0 }
    });
    Charted { title, said, chart: chart::columns(title, &series), legend: legend.collect() }
}

fn provider(look: &Look<'_>) -> Charted {
    let ring = look.ring;
    let latency = ring.latency();
    let at = |share| latency.map(|buckets| quantile(&buckets, share));
    let rows = [("soft", at(0.5)), ("blue", at(0.95))];
    let chart = chart::lines("The provider's answering times", &rows, seconds);
    let whole = latency.iter().fold([0; BUCKETS], |mut sum, minute| {
        sum.iter_mut().zip(minute).for_each(|(sum, count)| *sum += count);
        sum
    });
    let hour = |share| quantile(&whole, share).map_or_else(|| "–".to_owned(), seconds);
    let sum = |number| ring.sum(Of::Whole, number);
    let legend = |colour, name, means, count, some| Legend { colour, name, means, count, some };
    let refused = sum(Number::ProviderRefused);
    let failed = sum(Number::ProviderFailed);
    let said = match look.breaker {
        Breaker::Closed => format!("Calls to {} go through.", look.issuer),
        Breaker::HalfOpen => format!("Calls to {} are tried again, one at a time.", look.issuer),
        Breaker::Open => format!("Calls to {} are held back: it does not answer.", look.issuer),
    };
    Charted {
        title: "Provider",
        said,
        chart,
        legend: vec![
            legend("soft", "half answer within", "The median of the hour.", hour(0.5), true),
            legend("blue", "95 % answer within", "The slow ones of the hour.", hour(0.95), true),
            legend("", "answered", "", words::count(sum(Number::ProviderOk)), true),
            legend(
                "",
                "refused",
                "OAuth errors, of factors too.",
                words::count(refused),
                refused != 0,
            ),
            legend("", "failed", "5xx, 429, broken or lost.", words::count(failed), failed != 0),
        ],
    }
}

fn states(look: &Look<'_>) -> States {
    let stands = |number| u64::from(look.ring.stands(Of::Audiences, number));
    let shown = [
        ("good", "fresh", "Nothing to do.", stands(Number::SessionsFresh)),
        ("teal", "refreshing", "An exchange is under way.", stands(Number::SessionsRefreshing)),
        ("blue", "waiting for a person", "A factor is wanted.", stands(Number::SessionsHeld)),
        ("warn", "waiting", "The provider is busy or away.", stands(Number::SessionsWaiting)),
        ("bad", "must sign in again", "Over, and soon forgotten.", stands(Number::SessionsOver)),
    ];
    let awake: u64 = shown.iter().map(|(.., count)| count).sum();
    let total = look.total.unwrap_or(awake).max(awake);
    let resting = ("rest", "at rest", "Kept in the store, not in use.", total - awake);
    let mut left = 0.0;
    let rows = shown.into_iter().chain([resting]).map(|(colour, name, means, count)| {
        let width = count as f64 / total.max(1) as f64 * 100.0;
        left += width;
        let (count, some) = (words::count(count), count != 0);
        StateRow { colour, name, means, count, some, left: left - width, width }
    });
    States { states: rows.collect(), total: words::count(total) }
}

/// Estimates below which time this share of the calls was answered, as Prometheus does: evenly
/// spread within a bucket. `None` without a call.
fn quantile(buckets: &[u32; BUCKETS], share: f64) -> Option<f64> {
    let all = f64::from(buckets[BUCKETS - 1]);
    if all == 0.0 {
        return None;
    }
    let wanted = all * share;
    let (mut below, mut from) = (0.0, 0.0);
    for (bound, count) in LATENCY.iter().zip(buckets) {
        let count = f64::from(*count);
        if count >= wanted {
            let part = if count > below { (wanted - below) / (count - below) } else { 1.0 };
            return Some(from + (bound - from) * part);
        }
        (below, from) = (count, *bound);
    }
    Some(from)
}

fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 0.995 => format!("{:.0}\u{a0}ms", short * 1_000.0),
        long => format!("{long:.1}\u{a0}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let mut buckets = [0; BUCKETS];
        assert_eq!(quantile(&buckets, 0.5), None);
        // Ten calls between 50 and 100 ms, ten beyond the last bound.
        for (at, bucket) in buckets.iter_mut().enumerate() {
            *bucket = if at >= 4 { 10 } else { 0 };
        }
        buckets[BUCKETS - 1] = 20;
        let told = quantile(&buckets, 0.25).unwrap();
        assert!((told - 0.075).abs() < 1e-9, "{told}");
        assert_eq!(quantile(&buckets, 0.95), Some(30.0), "no more is known of the slowest");
        assert_eq!((seconds(0.0754), seconds(1.25)), ("75\u{a0}ms".into(), "1.2\u{a0}s".into()));
    }

    #[test]
    fn a_share_is_bad_below_its_least_and_nothing_without_a_whole() {
        assert_eq!(
            [mood(0, 0, 0.8), mood(0, 4, 0.8), mood(79, 100, 0.8), mood(80, 100, 0.8)],
            ["", "", "bad", "good"]
        );
    }
}
