//! What the console shows of the last hour, part by part.

use askama::Template;
use tokenward::metrics::catalogue::LATENCY;
use tokenward::provider::Breaker;
use tokenward::{LifecycleEvent, Waiting};

use super::chart::{self, Series};
use super::displays::Displays;
use super::factors;
use super::facts::Told;
use super::glance::Sum;
use super::reading::{BUCKETS, Number};
use super::ring::{Of, Ring};
use super::words;
use crate::device::Listed;

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
    /// The displays that were heard of last.
    pub(super) displays: &'a [Listed],
}

/// A part of the page: its id, and what stands in it.
pub(super) type Part = (&'static str, String);

/// Draws every part.
pub(super) fn parts(look: &Look<'_>) -> Vec<Part> {
    // Writing to a text fails only where a value's Display does; these are texts and numbers.
    let drawn = |part: &dyn askama::DynTemplate| part.dyn_render().unwrap_or_default();
    vec![
        ("status", drawn(&Status { reasons: look.reasons })),
        ("sum", drawn(&Sum::of(look))),
        ("mfa", drawn(&factors::mfa(look.ring))),
        ("held", drawn(&factors::held(look))),
        ("refresh", drawn(&refresh(look.ring))),
        ("traffic", drawn(&traffic(look.ring))),
        ("provider", drawn(&provider(look))),
        ("states", drawn(&states(look))),
        ("displays", drawn(&Displays::of(look.displays))),
        ("facts", drawn(&Facts { facts: look.facts.iter().map(Told::of).collect() })),
    ]
}

#[derive(Template)]
#[template(path = "console/status.html")]
struct Status<'a> {
    reasons: &'a [String],
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
}
