//! Tokens that are short, or that can do less than was asked for.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::failure::Failure;

use super::Row;
use crate::faults::outcome::Outcome;
use crate::faults::stage::{LONG, Stage};
use crate::stage::{ACCOUNTS, ECHO, QUOTES};
use crate::tree::Tree;

/// How long ten-second tokens are watched.
const WATCHED: Duration = Duration::from_secs(22);
/// The most exchanges of one audience meanwhile: one at the start, and then one each half life.
const EXCHANGES_MAX: u64 = 6;

pub(super) const ROWS: &[Row] = &[
    Row::ours("10-second tokens for three APIs, 22 s", 25, short_lived),
    Row::ours("the provider grants less than was asked", 4, downscoped),
];

fn short_lived(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), 10)?;
    let who = stage.sessions(1)?.remove(0);
    thread::scope(|scope| {
        for path in [QUOTES, ACCOUNTS, ECHO, QUOTES, ACCOUNTS, ECHO] {
            scope.spawn(|| stage.call_for(WATCHED, &who, path));
        }
    });
    let outcome = stage.outcome(&[], ECHO)?;
    stage.world.stop()?;
    let exchanges = outcome.ledger.token_requests;
    Ok(outcome
        .nobody_postponed()
        .must((6..=3 * EXCHANGES_MAX).contains(&exchanges), |_| {
            format!("{exchanges} exchanges for three APIs")
        })
        .remark(format!("{exchanges} exchanges for three APIs, each at about half time")))
}

fn downscoped(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let policy = |name: &str, scope: &str| json!({ "audience": format!("https://{name}.sandbox.example"), "scope": [scope] });
    let policies = [
        policy("quotes", "read:quotes"),
        policy("accounts", "read:accounts"),
        policy("echo", "use:echo"),
    ];
    stage.tenant(&json!({ "mrrt": policies }))?;
    let who = stage.sessions(1)?.remove(0);
    for _ in 0..40 {
        stage.refused(&who, ACCOUNTS, 403, "insufficient_scope");
    }
    let outcome = stage.outcome(&[&who], ECHO)?;
    stage.world.stop()?;
    Ok(outcome.token_requests(1).remark("40 calls were told which scope is lacking (403)"))
}
