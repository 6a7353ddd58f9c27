//! Callers that go away, and a machine that stands still.

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
    Row::measured("the client aborts mid-refresh", 4, ["survives"; 3], aborted),
    Row::ours("the gateway stands still for 3 s mid-refresh", 6, frozen),
];

fn aborted(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let who = stage.sessions(1)?.remove(0);
    stage.tenant(&json!({ "token_latency_ms": 800 }))?;
    let impatient = stage.line(&who, QUOTES)?;
    stage.until("the exchange had begun", |ledger| ledger.token_requests == 1)?;
    drop(impatient);
    stage.until_served(&who, QUOTES)?;
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    Ok(outcome.token_requests(1).nobody_postponed().remark("the next caller takes what it brought"))
}

/// SIGSTOP, as a suspended machine or a starved container.
fn frozen(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let who = stage.sessions(1)?.remove(0);
    stage.tenant(&json!({ "token_latency_ms": 600 }))?;
    thread::scope(|scope| {
        scope.spawn(|| stage.call(&who, QUOTES));
        let begun = stage.until("the exchange had begun", |ledger| ledger.token_requests == 1);
        stage.world.gateway.freeze();
        thread::sleep(Duration::from_secs(3));
        stage.world.gateway.thaw();
        begun
    })?;
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    Ok(outcome.token_requests(1).nobody_postponed())
}
