//! Sessions that are ended in the middle of an exchange, by the person and by the provider.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use super::Row;
use crate::faults::outcome::Outcome;
use crate::faults::stage::{LONG, PATIENCE, Stage};
use crate::stage::{ACCOUNTS, ECHO, QUOTES, Who};
use crate::tree::Tree;
use crate::world::CLIENT_ID;

/// How often a cookie of an ended session is tried, before and after a restart.
const TRIES: u32 = 10;
/// Between two tries.
const GAP: Duration = Duration::from_millis(50);

pub(super) const ROWS: &[Row] = &[
    Row::measured(
        "logout during an exchange, the old cookie reused",
        8,
        ["200: zombie"; 3],
        logout,
    ),
    Row::ours("back-channel logout by sid, during an exchange", 8, by_sid),
    Row::ours("back-channel logout by sub, two sessions", 8, by_sub),
];

/// Where browsers sign out.
const LOGOUT: &str = "/auth/logout";

fn logout(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let ada = stage.browser("ada")?;
    during_an_exchange(&stage, &ada, || {
        let signed_out = stage.post(&ada, LOGOUT).map_err(Failure::Missed)?;
        if signed_out.status == 200 {
            return Ok(());
        }
        Err(Failure::Missed(format!("signing out answered {}", signed_out.status)))
    })?;
    the_late_pair_is_revoked(&stage)?;
    finish(&mut stage, &[&ada], &[])
}

fn by_sid(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let (elsewhere, ada) = (stage.browser("ada")?, stage.browser("ada")?);
    let mut stream = stage.line(&ada, "/auth/events")?;
    stream.begins()?;
    during_an_exchange(&stage, &ada, || announce(&stage, "sid"))?;
    if !stream.closes() {
        return Err(Failure::Missed("the session's event stream stayed open".to_owned()));
    }
    the_late_pair_is_revoked(&stage)?;
    finish(&mut stage, &[&ada], &[&elsewhere])
}

fn by_sub(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let hers = [stage.browser("ada")?, stage.browser("ada")?];
    let his = stage.sessions(1)?.remove(0);
    announce(&stage, "sub")?;
    let both = || {
        let entries = stage.entries().ok()?;
        (entries.iter().filter(|entry| entry.kind == "revoked").count() == 2).then_some(())
    };
    clock::poll(PATIENCE, GAP, both)
        .ok_or_else(|| Failure::Missed("not both refresh tokens were revoked".to_owned()))?;
    finish(&mut stage, &hers.each_ref(), &[&his])
}

/// Does something while the provider has committed an exchange of the session and not answered.
fn during_an_exchange(
    stage: &Stage,
    who: &Who,
    act: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    stage.control.delete("ledger")?;
    stage.arm(&json!({
        "endpoint": "token", "kind": "slow", "ms": 1_500, "only": "refresh_token", "when": "after",
    }))?;
    thread::scope(|scope| {
        // The answer of the exchange is on its way; whoever waited for it must not get it.
        scope.spawn(|| stage.refused(who, ACCOUNTS, 401, "login_required"));
        stage.until("the provider committed", |ledger| ledger.refreshes == 1)?;
        act()
    })
}

/// Sends a logout token for the newest login of ada.
fn announce(stage: &Stage, by: &str) -> Result<(), Failure> {
    let whose = json!({ "client_id": CLIENT_ID, "subject": "auth0|ada", "by": by });
    let told = stage.control.post("backchannel-logout", &whose)?;
    if told["status"] == 200 {
        return Ok(());
    }
    Err(Failure::Missed(format!("the logout token was answered with {}", told["status"])))
}

/// Waits until the provider was given back the refresh token of the late answer.
fn the_late_pair_is_revoked(stage: &Stage) -> Result<(), Failure> {
    let late = || {
        let entries = stage.entries().ok()?;
        let mut revoked = entries.iter().filter(|entry| entry.kind == "revoked");
        revoked.any(|entry| entry.generation == Some(2)).then_some(())
    };
    clock::poll(PATIENCE, GAP, late).ok_or_else(|| {
        Failure::Missed("the refresh token of the late answer was not revoked".to_owned())
    })
}

/// Tries the cookies of those who are gone, before and after a restart, and proves that the others
/// live.
fn finish(stage: &mut Stage, gone: &[&Who], living: &[&Who]) -> Result<Outcome, Failure> {
    for round in 0..2 {
        for _ in 0..TRIES {
            for who in gone {
                for path in [QUOTES, ACCOUNTS, "/auth/session"] {
                    stage.refused(who, path, 401, "login_required");
                }
            }
            thread::sleep(GAP);
        }
        if round == 0 {
            stage.world.gateway.kill();
            stage.world.restart_gateway()?;
        }
    }
    let outcome = stage.outcome(living, ECHO)?;
    stage.world.stop()?;
    let exchanged = outcome.ledger.refreshes_refused;
    Ok(outcome
        .must(exchanged == 0, |_| {
            format!("{exchanged} refresh tokens of ended sessions were sent to the provider")
        })
        .lived("ended")
        .remark(format!(
            "the old cookie got {} x 401, half of them after a restart; nothing was left to use at \
             the provider",
            TRIES * 2 * 3 * u32::try_from(gone.len()).unwrap_or(u32::MAX)
        )))
}
