//! What only the operator can mend.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

use super::Row;
use crate::faults::outcome::Outcome;
use crate::faults::stage::{LONG, Stage};
use crate::stage::{ECHO, QUOTES};
use crate::tree::Tree;
use crate::world::{CLIENT_ID, CLIENT_SECRET};

/// By this series the operator's alert goes.
const SERIES: &str = "tokenward_refresh_total{";
/// What its series of refused clients says.
const OUTCOME: &str = "outcome=\"invalid_client\"";
/// How the gateway's log begins to tell it.
const LOGGED: &str = "the provider refuses this client";

pub(super) const ROWS: &[Row] =
    &[Row::ours("wrong client secret for a while (invalid_client)", 70, refused_client)];

fn refused_client(tree: &Tree, row: &Row) -> Result<Outcome, Failure> {
    let mut stage = Stage::open(tree, &row.folder(), LONG)?;
    let sessions = stage.sessions(3)?;
    let everybody: Vec<_> = sessions.iter().collect();
    let secret = |secret: &str| {
        let client = json!({ "client_id": CLIENT_ID, "client_secret": secret });
        stage.control.post("clients", &client).map(drop)
    };
    secret("another")?;
    for _ in 0..10 {
        stage.at_once(&everybody, QUOTES, everybody.len());
        thread::sleep(Duration::from_millis(100));
    }
    let asked = stage.ledger()?.token_requests;
    let alarmed = alarms(&stage)?;
    secret(CLIENT_SECRET)?;
    let [first, others @ ..] = sessions.as_slice() else {
        return Err(Failure::Ours("three sessions were wanted".to_owned()));
    };
    let retry = format!("/api/sessions/{}/retry", first.id.as_deref().unwrap_or_default());
    Caller::new().post_form(&stage.world.admin(&retry), &[], &[]).map_err(Failure::Ours)?;
    let at_once = stage.until_served(first, QUOTES)?;
    let stage_of_all = &stage;
    let by_itself = thread::scope(|scope| {
        let served = |who| scope.spawn(move || stage_of_all.until_served_late(who, QUOTES));
        let waiting: Vec<_> = others.iter().map(served).collect();
        waiting
            .into_iter()
            .map(|one| one.join().map_err(|_| Failure::Ours("a thread panicked".to_owned()))?)
            .collect::<Result<Vec<Duration>, Failure>>()
    })?;
    let outcome = stage.outcome(&everybody, ECHO)?;
    stage.world.stop()?;
    let slowest = by_itself.iter().max().map_or(0, Duration::as_secs);
    Ok(outcome
        .must(asked == 3, |_| format!("{asked} token requests of three sessions in a second"))
        .must(alarmed.is_empty(), |_| alarmed.join("; "))
        .remark(format!(
            "told in /metrics and the log; served {} ms after the operator asked to try again, \
             and by itself after {slowest} s",
            at_once.as_millis()
        )))
}

/// Returns what the operator was not told.
fn alarms(stage: &Stage) -> Result<Vec<String>, Failure> {
    let metrics =
        Caller::new().fetch(&stage.world.admin("/metrics"), &[]).map_err(Failure::Ours)?;
    let counted = metrics
        .body
        .lines()
        .any(|line| line.starts_with(SERIES) && line.contains(OUTCOME) && !line.ends_with(" 0"));
    let log = std::fs::read_to_string(stage.world.folder().join("gateway.log"))
        .map_err(|error| Failure::io("read the gateway's log", &error))?;
    let mut lacking = Vec::new();
    if !counted {
        lacking.push(format!("no series of {SERIES}{OUTCOME} counts it"));
    }
    if !log.contains(LOGGED) {
        lacking.push("the log does not tell it".to_owned());
    }
    Ok(lacking)
}
