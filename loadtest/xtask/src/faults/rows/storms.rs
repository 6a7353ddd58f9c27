//! Many callers at once on a session whose access token has run out.

use std::time::Duration;

use serde_json::json;
use tokenward_programs::failure::Failure;

use super::Row;
use crate::faults::outcome::Outcome;
use crate::faults::stage::{LONG, Stage};
use crate::stage::{ECHO, QUOTES};
use crate::tree::Tree;

pub(super) const ROWS: &[Row] = &[
    Row::measured(
        "20 callers at once",
        2,
        [
            "12-19 refreshes, 11-18 x 502, family revoked",
            "20 refreshes, family revoked (the expired token served, 200)",
            "1 refresh, 20 x 200",
        ],
        |tree, row| storm(tree, row, 20, 0),
    ),
    Row::measured(
        "100 callers at once, provider at once",
        2,
        [
            "45 refreshes, 44 x 502, family revoked",
            "3 refreshes, family revoked",
            "1 refresh; callers wait 660 ms (p50: it polls every 500 ms)",
        ],
        |tree, row| storm(tree, row, 100, 0),
    ),
    Row::measured(
        "100 callers at once, provider takes 1 s",
        4,
        [
            "100 refreshes, 99 x 502, family revoked",
            "100 refreshes, family revoked",
            "1 refresh; callers wait 1.69 s (p50)",
        ],
        |tree, row| storm(tree, row, 100, 1_000),
    ),
    Row::measured(
        "100 callers at once, provider takes 6 s",
        14,
        [
            "100 refreshes, 100 x 502",
            "100 refreshes, family revoked",
            "3 refreshes, 99 x 502, family revoked",
        ],
        |tree, row| storm(tree, row, 100, 6_000),
    ),
    Row::ours("100 callers, provider commits and answers 30 s late", 25, |tree, row| {
        half_a_minute(tree, row, "after")
    }),
    Row::ours("100 callers, provider takes 30 s to commit", 40, |tree, row| {
        half_a_minute(tree, row, "before")
    }),
];

fn storm(tree: &Tree, row: &Row, callers: usize, provider_ms: u64) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    stage.tenant(&json!({ "token_latency_ms": provider_ms }))?;
    let who = stage.sessions(1)?.remove(0);
    stage.at_once(&[&who], QUOTES, callers);
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    let beyond = outcome.calls.waited().map(|[median, _]| {
        let beyond = median.saturating_sub(Duration::from_millis(provider_ms));
        format!("half of the callers wait less than {} ms beyond the provider", beyond.as_millis())
    });
    Ok(outcome.token_requests(1).nobody_postponed().remark(beyond.unwrap_or_default()))
}

/// A caller waits for 8 s and a call for 13 s: whoever comes meanwhile is told to come back, and the
/// lost call is repeated once, inside the reuse window.
fn half_a_minute(tree: &Tree, row: &Row, when: &str) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let who = stage.sessions(1)?.remove(0);
    stage.arm(&json!({
        "endpoint": "token", "kind": "slow", "ms": 30_000, "only": "refresh_token", "when": when,
    }))?;
    stage.at_once(&[&who], QUOTES, 100);
    let again = stage.until_served(&who, QUOTES)?;
    stage.until("the late call was carried out, too", |ledger| ledger.refreshes == 2)?;
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    let forked = outcome.ledger.forks == 1;
    Ok(outcome
        .token_requests(2)
        .must(forked, |_| "the repetition did not fall inside the reuse window".to_owned())
        .remark(format!(
            "served {} ms after the first callers were told to come back",
            again.as_millis()
        )))
}
