//! A provider that is ill for a while.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::failure::Failure;

use super::Row;
use crate::faults::outcome::Outcome;
use crate::faults::stage::{LONG, Stage};
use crate::stage::{ACCOUNTS, ECHO, QUOTES};
use crate::tree::Tree;

/// How soon a session must be served after a short illness: the pause after the third failure is two
/// seconds at most, and a busy machine may take as long again.
const SOON: Duration = Duration::from_secs(5);
/// The most requests that an illness of ten seconds may see: without backoff and breaker there would
/// be hundreds.
const PATIENT_REQUESTS_MAX: u64 = 20;

pub(super) const ROWS: &[Row] = &[
    Row::measured(
        "503 for 1 s, then healthy",
        5,
        [
            "usable 1.03 s after it began",
            "usable after 1.02 s (the expired token served meanwhile)",
            "usable after 30.2 s",
        ],
        |tree, row| ill(tree, row, Duration::from_secs(1)),
    ),
    Row::ours("503 for 10 s, then healthy", 25, |tree, row| {
        ill(tree, row, Duration::from_secs(10))
    }),
    Row::measured(
        "early refresh gets 503, the token is still valid",
        22,
        ["no early refresh", "no early refresh", "502, and 502 again 2 s after recovery"],
        early,
    ),
    Row::ours("429 that names its end, five sessions", 8, limited),
    Row::ours("no network for 4 s", 10, unplugged),
];

fn ill(tree: &Tree, row: &Row, time: Duration) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let who = stage.sessions(1)?.remove(0);
    stage.warm_up(&who)?;
    stage.arm(&json!({
        "endpoint": "token", "kind": "status", "status": 503, "rate": 1.0, "only": "refresh_token",
    }))?;
    let (cured, served) = thread::scope(|scope| {
        let cure = scope.spawn(|| {
            thread::sleep(time);
            stage.control.delete("faults")
        });
        let served = stage.until_served(&who, QUOTES);
        (cure.join(), served)
    });
    cured.map_err(|_| Failure::Ours("a thread panicked".to_owned()))??;
    let beyond = served?.saturating_sub(time);
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    let short = time < SOON;
    let requests = outcome.ledger.token_requests;
    Ok(outcome
        .must(!short || beyond < SOON, |_| format!("served only after {} ms", beyond.as_millis()))
        .must(requests <= PATIENT_REQUESTS_MAX, |_| format!("{requests} token requests"))
        .remark(format!("usable {} ms after the provider was well", beyond.as_millis())))
}

/// Sixteen-second tokens are refreshed from their eighth second on and served until their thirteenth:
/// what a longer token goes through in its last minute.
fn early(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), 16)?;
    let who = stage.sessions(1)?.remove(0);
    stage.until_served(&who, QUOTES)?;
    stage.arm(&json!({
        "endpoint": "token", "kind": "status", "status": 503, "rate": 1.0, "only": "refresh_token",
    }))?;
    stage.call_for(Duration::from_millis(11_500), &who, QUOTES);
    stage.control.delete("faults")?;
    stage.call_for(Duration::from_secs(7), &who, QUOTES);
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    let (tried, renewed) = (outcome.ledger.faults_played, outcome.ledger.refreshes);
    Ok(outcome
        .nobody_postponed()
        .must(tried > 0, |_| "the early refresh was never tried".to_owned())
        .must(renewed >= 2, |_| "the token was never renewed".to_owned())
        .remark(format!("{tried} early refreshes got 503 while each call got its token")))
}

fn limited(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let sessions = stage.sessions(5)?;
    let [first, others @ ..] = sessions.as_slice() else {
        return Err(Failure::Ours("five sessions were wanted".to_owned()));
    };
    stage.arm(&json!({
        "endpoint": "token", "kind": "rate_limited", "reset_s": 3, "only": "refresh_token",
    }))?;
    let waited = thread::scope(|scope| {
        scope.spawn(|| stage.call(first, QUOTES));
        let waited = stage.until("the limit was told", |ledger| ledger.faults_played == 1);
        let others: Vec<_> = others.iter().collect();
        stage.at_once(&others, QUOTES, others.len());
        waited
    });
    waited?;
    let entries = stage.entries()?;
    let at =
        |kind: &str| entries.iter().find(|entry| entry.kind == kind).map_or(0, |entry| entry.at_ms);
    let pause = at("refreshed").saturating_sub(at("fault_played"));
    let living: Vec<_> = sessions.iter().collect();
    let outcome = stage.outcome(&living, ECHO)?;
    stage.world.stop()?;
    // The reset is told in whole seconds: three of them are between two and three.
    Ok(outcome
        .token_requests(6)
        .nobody_postponed()
        .must(pause >= 2_000, |_| format!("asked again after {pause} ms, before the limit's end"))
        .remark(format!("the next request came {pause} ms after the 429, for all sessions")))
}

fn unplugged(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let who = stage.sessions(1)?.remove(0);
    stage.until_served(&who, QUOTES)?;
    stage.network(false)?;
    let (plugged, served) = thread::scope(|scope| {
        let plug = scope.spawn(|| {
            stage.call_for(Duration::from_secs(4), &who, QUOTES);
            stage.network(true)
        });
        let served = stage.until_served(&who, ACCOUNTS);
        (plug.join(), served)
    });
    plugged.map_err(|_| Failure::Ours("a thread panicked".to_owned()))??;
    let beyond = served?.saturating_sub(Duration::from_secs(4));
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    let forks = outcome.ledger.forks;
    Ok(outcome
        .token_requests(2)
        .must(forks == 0, |_| format!("{forks} tokens were sent twice though none was lost"))
        .remark(format!(
            "calls with a valid token went on; the other API was usable {} ms after",
            beyond.as_millis()
        )))
}
