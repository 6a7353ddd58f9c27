//! A display on the wall stops one day: a rule asks everybody for a second factor, on refreshes too,
//! and the display asks again and again for ever.

use std::time::Duration;

use serde_json::json;

use super::Story;
use super::stage::{QUOTES_AUDIENCE, Stage};
use crate::failure::Failure;
use crate::stage::{ACCOUNTS, ECHO, QUOTES};

/// The life of an access token, in seconds.
const LIFE: u32 = 4;
/// Longer than two lives.
const WHILE: Duration = Duration::from_secs(9);
/// Callers that come while the API is held.
const CROWD: usize = 60;

pub(super) const STORIES: &[Story] = &[
    Story::usual(
        "000.1",
        "a rule challenges a wall display: one refused refresh, no loop, released when the rule \
         exempts displays",
        LIFE,
        display,
    ),
    Story::usual(
        "000.2",
        "a rule challenges one API: that one is held, the other two go on exchanging",
        LIFE,
        one_api,
    ),
    Story::usual("000.3", "a policy instead of a rule leaves refreshes alone", LIFE, policy),
];

fn display(stage: &mut Stage) -> Result<(), Failure> {
    stage.be_a_display()?;
    let wall = stage.programs(1)?.remove(0);
    stage.served(&wall, QUOTES, "before the rule");
    stage.control.delete("ledger")?;
    stage.rules(json!([{ "then": "challenge" }]))?;
    stage.until(&wall, QUOTES, 403)?;
    stage.sum_is("mfa_challenges", 1, "when the display is first told");
    let requests = stage.sum("token_requests");
    stage.call_for(WHILE, &wall, &[(QUOTES, 403)], "while it is held");
    for answer in stage.at_once(std::slice::from_ref(&wall), &[QUOTES], CROWD) {
        stage.answered(&answer, 403, "mfa_required", "one of a crowd");
    }
    stage.sum_is("token_requests", requests, "after two lives of calls: nothing is retried");
    stage.rules(json!([
        {
            "when": { "metadata": { "device_type": "display" }, "protocol": "oauth2-refresh-token" },
            "then": "return",
        },
        { "then": "challenge" },
    ]))?;
    stage.held(&wall, QUOTES, "before anybody tries again");
    stage.retry(&wall);
    stage.until(&wall, QUOTES, 200)?;
    stage.call_for(WHILE, &wall, &[(QUOTES, 200)], "when the rule exempts displays");
    stage.sum_is("mfa_challenges", 1, "at the end");
    stage.sum_is("refreshes_refused", 0, "at the end");
    Ok(())
}

fn one_api(stage: &mut Stage) -> Result<(), Failure> {
    let wall = stage.programs(1)?.remove(0);
    for path in [QUOTES, ACCOUNTS, ECHO] {
        stage.served(&wall, path, "before the rule");
    }
    stage.control.delete("ledger")?;
    stage.rules(json!([{ "when": { "audiences": [QUOTES_AUDIENCE] }, "then": "challenge" }]))?;
    stage.until(&wall, QUOTES, 403)?;
    stage.call_for(
        WHILE,
        &wall,
        &[(QUOTES, 403), (ACCOUNTS, 200), (ECHO, 200)],
        "while one is held",
    );
    stage.sum_is("mfa_challenges", 1, "at the end");
    let refreshes = stage.sum("refreshes");
    stage.expect(refreshes >= 4, || format!("only {refreshes} refreshes for the others"));
    Ok(())
}

fn policy(stage: &mut Stage) -> Result<(), Failure> {
    let wall = stage.programs(1)?.remove(0);
    stage.tenant(&json!({ "mfa": { "policy": "always" } }))?;
    stage.control.delete("ledger")?;
    stage.call_for(WHILE, &wall, &[(QUOTES, 200)], "under the policy");
    stage.sum_is("mfa_challenges", 0, "at the end");
    Ok(())
}
