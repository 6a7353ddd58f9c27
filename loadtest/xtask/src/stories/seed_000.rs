//! A display on the wall stops one day: a rule asks everybody for a second factor, on refreshes too,
//! and the display asks again and again for ever.

use std::time::Duration;

use serde_json::{Value, json};
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use super::Story;
use super::stage::{ACCOUNTS_AUDIENCE, QUOTES_AUDIENCE, Stage, shown, word};
use crate::stage::{ACCOUNTS, ECHO, QUOTES, Who};
use crate::visitor::Visitor;

/// The life of an access token, in seconds.
const LIFE: u32 = 4;
/// Longer than two lives.
const WHILE: Duration = Duration::from_secs(9);
/// Callers that come while the API is held.
const CROWD: usize = 60;
/// The pause between two questions of a device for its code, as the stories' gateway announces it.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a device asks after its code was approved.
const ASKING: Duration = Duration::from_secs(20);
/// What asks for a device's session (RFC 8628 §3.4).
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

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
    Story {
        name: "000.4",
        words: "a display signs in by its code, is held, and a person releases it by the short link, \
                after kill -9 too",
        life: LIFE,
        file: |_| format!("[device]\ninterval = \"{}s\"\n", INTERVAL.as_secs()),
        play: by_telephone,
    },
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

fn by_telephone(stage: &mut Stage) -> Result<(), Failure> {
    stage.ada(json!([{ "kind": "otp" }]))?;
    let wall = signed_in(stage)?;
    for path in [QUOTES, ECHO] {
        stage.served(&wall, path, "after the sign-in");
    }
    stage.control.delete("ledger")?;
    stage.rules(json!([
        { "when": { "mfa_done": true }, "then": "return" },
        { "when": { "audiences": [ACCOUNTS_AUDIENCE] }, "then": "challenge" },
    ]))?;
    let old = link(stage, &wall, "when the rule strikes");
    let calls = [(ACCOUNTS, 403), (QUOTES, 200), (ECHO, 200)];
    stage.call_for(WHILE, &wall, &calls, "while the display waits for its person");
    let same = link(stage, &wall, "after two lives") == old;
    stage.expect(same, || "the link on the wall was replaced".to_owned());
    stage.sum_is("mfa_challenges", 1, "while it waits");

    stage.world.gateway.kill();
    stage.world.restart_gateway()?;
    stage.until(&wall, ACCOUNTS, 403)?;
    let link = link(stage, &wall, "after kill -9");
    let mut phone = Visitor::new(&stage.world.origin());
    let otp = stage.otp()?;
    phone.walk_to("/d/confirmed", &link, &otp).map_err(Failure::Missed)?;
    stage.until(&wall, ACCOUNTS, 200)?;
    stage.call_for(WHILE, &wall, &[(ACCOUNTS, 200), (QUOTES, 200)], "after the factor");
    let answer = stage.get(&Who::with(&phone), QUOTES);
    stage.answered(&answer, 401, "login_required", "the telephone, which has no session");
    stage.sum_is("mfa_verified", 1, "at the end");
    stage.sum_is("refreshes_refused", 0, "at the end");
    Ok(())
}

/// Lets a display ask for a code and a person approve it on a telephone; returns the display's
/// session.
fn signed_in(stage: &mut Stage) -> Result<Who, Failure> {
    let answer = stage.send("/auth/device/code", &[("client_id", "wall")]);
    let told = stage.answered(&answer, 200, "verification_uri", "the display asks for a code");
    let device_code = word(&told, "device_code");
    let fields =
        [("grant_type", DEVICE_GRANT), ("device_code", &device_code), ("client_id", "wall")];
    let answer = stage.send("/auth/device/token", &fields);
    stage.answered(&answer, 400, "authorization_pending", "before anybody said yes");
    let mut phone = Visitor::new(&stage.world.origin());
    let page = format!("/d/{}", word(&told, "user_code"));
    phone.walk_to("/d/signed-in", &page, "ada").map_err(Failure::Missed)?;
    let mut last = String::new();
    let handle = clock::poll(ASKING, INTERVAL, || {
        let answer = stage.send("/auth/device/token", &fields);
        last = shown(&answer);
        let told: Value = serde_json::from_str(&answer.body).ok()?;
        Some(word(&told, "access_token")).filter(|handle| !handle.is_empty())
    });
    let never = || Failure::Missed(format!("the display never got its session: {last}"));
    Ok(Who::holding(&handle.ok_or_else(never)?))
}

/// Expects that a display is held, and returns the path of the link that it shows.
fn link(stage: &mut Stage, wall: &Who, when: &str) -> String {
    let told = stage.held(wall, ACCOUNTS, when);
    let link = word(&told, "step_up_uri");
    let path = link.strip_prefix(&stage.world.origin()).unwrap_or_default().to_owned();
    stage.expect(path.starts_with("/d/") && path.len() == "/d/WDJB-MJHT".len(), || {
        format!("{when}: the display is to show {path:?} of the gateway")
    });
    path
}
