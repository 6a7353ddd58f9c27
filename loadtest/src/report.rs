//! Tells a verdict: in a few lines for the terminal, and as one page for people.
//!
//! The page is one file without scripts; its pictures are SVG that takes its colours from the page,
//! light or dark, and says more where a pointer rests.

use askama::Template;
use tokenward_programs::failure::Failure;

use self::words::{bytes, figure, percent, us};
use crate::compare::{self, Change, Row};
use crate::verdict::{Law, Picture, StageFigures, State, Verdict};

pub use self::words::count;

mod axis;
mod curve;
mod flow;
mod heat;
mod words;

/// From which factor on the gap between both clocks is pointed out.
const GAP_FACTOR: f64 = 1.5;
/// Below this it is not worth a reader's attention, in microseconds.
const GAP_FLOOR_US: u64 = 1_000;
/// How late the pacer may be, in microseconds, before its own lateness colours what is measured.
const LATE_US: u64 = 2_000;

/// From which share of its one core on the generator itself is what limits.
const BUSY: f64 = 0.85;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    verdict: &'a Verdict,
    lead: String,
    tiles: Vec<Tile>,
    heat: String,
    curve: String,
    flow: String,
    has_baseline: bool,
    marks: Vec<String>,
    gap: Option<String>,
    doubts: Vec<String>,
    laws: Vec<LawRow<'a>>,
    comparison: Vec<[String; 5]>,
    stages: Vec<StageRow>,
    knee: String,
    failures: Vec<(&'a str, String)>,
    footer: Vec<String>,
}

/// A figure that stands out.
struct Tile {
    figure: String,
    words: String,
    change: Option<(&'static str, String)>,
}

struct LawRow<'a> {
    class: &'static str,
    mark: &'static str,
    law: &'a Law,
    why: &'a str,
}

struct StageRow {
    class: &'static str,
    offered: String,
    answered: String,
    p99: String,
}

/// Draws the page.
///
/// # Errors
/// `Ours` when the template fails.
pub fn page(
    verdict: &Verdict,
    picture: &Picture,
    baseline: Option<&Verdict>,
) -> Result<String, Failure> {
    let rows = baseline.map(|before| compare::compare(verdict, before)).unwrap_or_default();
    let detail = &verdict.detail;
    let marks = picture.played.iter().enumerate().map(|(number, act)| {
        let [from, to] = act.at.map(|at| at.as_secs_f64().round());
        let until = if to > from { format!(" to {to} s") } else { String::new() };
        format!("{} at {from} s{until}: {}", number + 1, act.words)
    });
    let page = Page {
        verdict,
        lead: lead(verdict),
        tiles: tiles(verdict, &rows),
        heat: heat::draw(picture),
        curve: curve::draw(verdict, baseline),
        flow: flow::draw(picture),
        has_baseline: baseline.is_some(),
        marks: marks.collect(),
        gap: gap(verdict),
        doubts: doubts(verdict),
        laws: detail.laws.iter().map(law_row).collect(),
        comparison: rows.iter().map(compared).collect(),
        stages: detail.stages.iter().map(|stage| stage_row(stage, detail.knee_rps)).collect(),
        knee: knee(verdict),
        failures: detail.failures.iter().map(|(why, n)| (why.as_str(), count(*n))).collect(),
        footer: footer(verdict),
    };
    page.render().map_err(|error| Failure::Ours(format!("the page cannot be drawn: {error}")))
}

/// Returns what the terminal shows at the end.
#[must_use]
pub fn summary(verdict: &Verdict) -> String {
    let mut lines = vec![format!("\n{}", lead(verdict))];
    let service = verdict.detail.service_us;
    let all = verdict.latency_us;
    let row = |name: &str, times: crate::verdict::Latency| {
        let [half, nine, hundred, thousand, most] =
            [times.p50, times.p90, times.p99, times.p999, times.max].map(us);
        format!(
            "  {name:22} half {half:>8}   90 % {nine:>8}   99 % {hundred:>8}   99.9 % {thousand:>8}   \
             slowest {most:>8}"
        )
    };
    lines.push(row("from when it was due", all));
    lines.push(row("from when it was sent", service));
    lines.push(format!(
        "  {:.1} µs of processor time for each answer, {} of memory at most",
        verdict.cpu_us_per_request,
        bytes(verdict.rss_bytes)
    ));
    if !verdict.detail.stages.is_empty() {
        lines.push(format!("  {}", knee(verdict)));
    }
    for (why, number) in &verdict.detail.failures {
        lines.push(format!("  {number} failed: {why}"));
    }
    for law in &verdict.detail.laws {
        let LawRow { mark, law, why, .. } = law_row(law);
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        lines.push(format!("  {mark} {} ({}){why}", law.words, law.figure));
    }
    lines.extend(doubts(verdict).into_iter().map(|doubt| format!("  {doubt}")));
    lines.push(format!("{} {}", verdict.plan, verdict.verdict));
    lines.join("\n")
}

fn lead(verdict: &Verdict) -> String {
    let Verdict { requests, latency_us, exchanges, .. } = verdict;
    if requests.sent == 0 {
        return "No request was sent: there is nothing to tell.".to_owned();
    }
    let answered = match requests.failed {
        0 => "every one was answered as it should be".to_owned(),
        failed => format!("{} of them failed ({})", count(failed), percent(failed, requests.sent)),
    };
    let early = if verdict.detail.interrupted { " The run was ended early." } else { "" };
    let ends = match exchanges.expiries {
        0 => String::new(),
        1 => " One access token was needed or came to its end meanwhile.".to_owned(),
        ends => {
            format!(" {} access tokens were needed or came to their end meanwhile.", count(ends))
        }
    };
    format!(
        "{} requests in {:.0} s, and {answered}. Half were answered within {}, 99 of 100 within {}, the \
         slowest within {}.{ends}{early}",
        count(requests.sent),
        verdict.duration_s,
        us(latency_us.p50),
        us(latency_us.p99),
        us(latency_us.max),
    )
}

fn tiles(verdict: &Verdict, rows: &[Row]) -> Vec<Tile> {
    let change = |name: &str| {
        let row = rows.iter().find(|row| row.figure.name() == name)?;
        Some((class_of(row), format!("{:+.0} %", row.change * 100.0)))
    };
    let tile =
        |figure: String, words: String, name: &str| Tile { figure, words, change: change(name) };
    let Verdict { requests, latency_us, .. } = verdict;
    let answered = match requests.failed {
        0 => "requests, all answered".to_owned(),
        failed => format!("of {} answered, {} failed", count(requests.sent), count(failed)),
    };
    vec![
        tile(count(requests.ok), answered, ""),
        tile(us(latency_us.p50), "or faster: half of the answers".to_owned(), "p50"),
        tile(us(latency_us.p99), "or faster: 99 of 100 answers".to_owned(), "p99"),
        tile(
            format!("{:.0} µs", verdict.cpu_us_per_request),
            "of processor time for each answer".to_owned(),
            "cpu",
        ),
        tile(bytes(verdict.rss_bytes), "of memory at most".to_owned(), "rss"),
    ]
}

/// Points out where waiting in front of the gateway is most of the time.
fn gap(verdict: &Verdict) -> Option<String> {
    let (response, service) = (verdict.latency_us.p99, verdict.detail.service_us.p99);
    let wide = response as f64 > GAP_FACTOR * service as f64;
    (wide && response.saturating_sub(service) > GAP_FLOOR_US).then(|| {
        format!(
            "Mind the gap: 99 of 100 answers came within {} of being sent, but within {} of being due. \
             Requests waited for a free connection; a generator that sends the next request only after \
             the last answer would have told the smaller figure.",
            us(service),
            us(response)
        )
    })
}

/// Says what weakens the figures.
fn doubts(verdict: &Verdict) -> Vec<String> {
    let detail = &verdict.detail;
    let mut doubts = Vec::new();
    if detail.lateness_us.p99 > LATE_US {
        doubts.push(format!(
            "One in 100 requests left the generator {} late or later: the machine was busy, and the \
             times include that.",
            us(detail.lateness_us.p99)
        ));
    }
    if detail.busy.generator > BUSY {
        doubts.push(format!(
            "The generator kept {:.2} of its one core busy: what it could not send in time is \
             counted against the gateway.",
            detail.busy.generator
        ));
    }
    if detail.environment.gateway.contains("not optimised") {
        doubts.push(
            "The programs are not optimised: times and processor time mean little.".to_owned(),
        );
    }
    doubts
}

fn law_row(law: &Law) -> LawRow<'_> {
    let (class, mark, why) = match &law.state {
        State::Kept => ("kept", "✓", ""),
        State::Broken(why) => ("broken", "✗", why.as_str()),
        State::NotJudged(why) => ("open", "–", why.as_str()),
    };
    LawRow { class, mark, law, why }
}

fn compared(row: &Row) -> [String; 5] {
    let meaning = match row.verdict() {
        Change::Better => "better",
        Change::Worse => "worse",
        Change::Noise => "no larger than chance",
    };
    [
        figure::words(row.figure).to_owned(),
        figure::spoken(row.figure, row.now),
        figure::spoken(row.figure, row.before),
        row.spoken(),
        meaning.to_owned(),
    ]
}

fn class_of(row: &Row) -> &'static str {
    match row.verdict() {
        Change::Better => "better",
        Change::Worse => "worse",
        Change::Noise => "same",
    }
}

fn stage_row(stage: &StageFigures, knee: Option<f64>) -> StageRow {
    let carried = knee.is_some_and(|knee| stage.offered <= knee);
    StageRow {
        class: if carried { "kept" } else { "broken" },
        offered: format!("{:.0}", stage.offered),
        answered: format!("{:.0}", stage.answered),
        p99: us(stage.p99),
    }
}

fn knee(verdict: &Verdict) -> String {
    match verdict.detail.knee_rps {
        Some(rate) => format!("Up to {rate:.0} requests per second were carried."),
        None => "None of the rates was carried.".to_owned(),
    }
}

fn footer(verdict: &Verdict) -> Vec<String> {
    let detail = &verdict.detail;
    let place = &detail.environment;
    let cores = match place.apart {
        true => "The gateways had a core of their own.",
        false => "Generator, provider and gateways shared these cores.",
    };
    let commit = place.commit.as_ref().map(|commit| format!(", commit {commit}"));
    let commit = commit.unwrap_or_default();
    vec![
        format!("{}.", detail.load),
        format!(
            "{}, {} cores, {}, Linux {}. {cores}",
            place.machine.processor,
            place.machine.cores,
            bytes(place.machine.memory_bytes),
            place.machine.kernel
        ),
        format!(
            "{}{commit}, load test {}. Started {}; seed {}.",
            place.gateway, place.loadtest, verdict.started, detail.seed
        ),
        format!(
            "Cores busy: {:.2} with the gateways, {:.2} with the provider and the APIs, {:.2} with \
             the generator.",
            detail.busy.gateways, detail.busy.sandbox, detail.busy.generator
        ),
        format!(
            "Requests left the generator {} late in the half, {} in 99 of 100 cases.",
            us(detail.lateness_us.p50),
            us(detail.lateness_us.p99)
        ),
    ]
}

#[cfg(test)]
mod tests;
