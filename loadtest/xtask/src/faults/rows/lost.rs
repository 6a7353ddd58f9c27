//! Replies that are no use, and replies that never come.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::failure::Failure;

use super::Row;
use crate::faults::outcome::Outcome;
use crate::faults::stage::{LONG, Stage};
use crate::stage::{ECHO, QUOTES};
use crate::tree::Tree;

pub(super) const ROWS: &[Row] = &[
    Row::ours("garbage for an answer, after the commit", 4, |tree, row| {
        spoiled(tree, row, "garbage_200", 1)
    }),
    Row::ours("half an answer, after the commit", 4, |tree, row| {
        spoiled(tree, row, "half_body", 1)
    }),
    Row::ours("no access token in the answer, yet a new refresh token", 4, |tree, row| {
        spoiled(tree, row, "malformed_200_with_refresh_token", 0)
    }),
    Row::ours("connection cut after the commit", 4, |tree, row| {
        spoiled(tree, row, "cut_after_commit", 1)
    }),
    Row::ours("connection cut before the commit", 4, |tree, row| {
        spoiled(tree, row, "cut_before_commit", 0)
    }),
    Row::ours("the network goes while the provider works", 8, unplugged),
    Row::measured(
        "kill -9 between rotation and save, restart",
        20,
        ["not measured", "not measured", "502 for good; token replayed each 30 s, family revoked"],
        killed,
    ),
];

/// Five callers at once on an exchange whose answer is spoiled, in a session that is in use.
fn spoiled(tree: &Tree, row: &Row, kind: &str, forks: u64) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let who = stage.sessions(1)?.remove(0);
    stage.warm_up(&who)?;
    stage.arm(&json!({ "endpoint": "token", "kind": kind, "only": "refresh_token" }))?;
    stage.at_once(&[&who], QUOTES, 5);
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    let forked = outcome.ledger.forks;
    Ok(outcome
        .token_requests(2)
        .nobody_postponed()
        .must(forked == forks, |_| format!("{forked} tokens were sent twice instead of {forks}"))
        .remark("the repetition is one request, while the callers wait"))
}

fn unplugged(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let who = stage.sessions(1)?.remove(0);
    stage.warm_up(&who)?;
    stage.tenant(&json!({ "token_latency_ms": 600 }))?;
    let waited = thread::scope(|scope| {
        scope.spawn(|| stage.call(&who, QUOTES));
        stage.until("the request was there", |ledger| ledger.token_requests == 1)?;
        stage.network(false)?;
        stage.until("the provider committed all the same", |ledger| ledger.refreshes == 1)?;
        thread::sleep(Duration::from_secs(2));
        stage.network(true)
    });
    waited?;
    stage.until_served(&who, QUOTES)?;
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    let forked = outcome.ledger.forks;
    Ok(outcome
        .token_requests(2)
        .must(forked == 1, |_| format!("{forked} repetitions inside the reuse window")))
}

fn killed(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let who = stage.sessions(1)?.remove(0);
    stage.warm_up(&who)?;
    stage.arm(&json!({
        "endpoint": "token", "kind": "slow", "ms": 2_000, "only": "refresh_token", "when": "after",
    }))?;
    let cut = stage.line(&who, QUOTES)?;
    stage.until("the provider rotated", |ledger| ledger.refreshes == 1)?;
    stage.world.gateway.kill();
    drop(cut);
    stage.world.restart_gateway()?;
    // Nobody calls: the session is resumed by itself.
    stage.until("the session was resumed", |ledger| ledger.refreshes == 2)?;
    let back = stage.until_served(&who, QUOTES)?;
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    let forked = outcome.ledger.forks;
    Ok(outcome
        .token_requests(2)
        .nobody_postponed()
        .must(forked == 1, |_| format!("{forked} repetitions inside the reuse window"))
        .remark(format!(
            "resumed without a caller; the next one was served in {} ms",
            back.as_millis()
        )))
}
