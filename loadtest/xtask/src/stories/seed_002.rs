//! Two APIs: the one wants a factor once in a session, the other each time; stepping up for one must
//! not touch the other.

use std::time::Duration;

use serde_json::json;
use tokenward_programs::failure::Failure;

use super::Story;
use super::stage::{ACCOUNTS_AUDIENCE, MFA_ACR, QUOTES_AUDIENCE, Stage, word};
use crate::stage::{ACCOUNTS, QUOTES, Who};
use crate::world::Addresses;

/// The life of an access token, in seconds.
const LIFE: u32 = 4;
/// The life of an access token that nothing is to happen to, in seconds.
const LONG: u32 = 3_600;
/// Longer than a life.
const WHILE: Duration = Duration::from_secs(5);
/// How often the one API asks.
const ROUNDS: u64 = 2;

pub(super) const STORIES: &[Story] = &[
    Story::usual(
        "002.1",
        "account asks each time, console once: neither disturbs the other, round after round",
        LIFE,
        account_and_console,
    ),
    Story {
        name: "002.2",
        words: "our own policy asks for a recent factor by redirect; other tokens stay as they are",
        life: LONG,
        file: policy_route,
        play: by_redirect,
    },
    Story::usual(
        "002.3",
        "an API answers with a challenge of RFC 9470, and is content after a redirect",
        LONG,
        upstream_challenge,
    ),
];

fn policy_route(addresses: &Addresses) -> String {
    format!(
        "\n[[route]]\npath = \"/accounts/\"\nupstream = \"{}\"\naudience = \"{ACCOUNTS_AUDIENCE}\"\n\
         scopes = [\"read:accounts\"]\nstrip_prefix = true\n\
         mfa = {{ max_age = \"5m\", acr = \"{MFA_ACR}\" }}\n",
        addresses.apis.accounts
    )
}

fn account_and_console(stage: &mut Stage) -> Result<(), Failure> {
    let ada = Who::with(&stage.person(json!([{ "kind": "otp" }]))?);
    let once = json!({ "audiences": [QUOTES_AUDIENCE], "mfa_done": false });
    stage.rules(json!([
        { "when": { "audiences": [ACCOUNTS_AUDIENCE] }, "then": "challenge" },
        { "when": once, "then": "challenge" },
    ]))?;
    stage.control.delete("ledger")?;
    stage.until(&ada, QUOTES, 403)?;
    verify(stage, &ada, QUOTES)?;
    for round in 1..=ROUNDS {
        let when = format!("round {round}");
        stage.until(&ada, ACCOUNTS, 403)?;
        let calls = [(QUOTES, 200), (ACCOUNTS, 403)];
        stage.call_for(WHILE, &ada, &calls, &format!("{when}, while account asks"));
        verify(stage, &ada, ACCOUNTS)?;
        stage.served(&ada, QUOTES, &when);
    }
    stage.sum_is("mfa_challenges", 1 + ROUNDS, "at the end");
    stage.sum_is("mfa_verified", 1 + ROUNDS, "at the end");
    Ok(())
}

fn verify(stage: &mut Stage, ada: &Who, path: &str) -> Result<(), Failure> {
    let said = stage.held(ada, path, "before the factor");
    let body = json!({ "mfa_token": word(&said, "mfa_token"), "otp": stage.otp()? });
    let answer = stage.post(ada, "/auth/mfa/verify", &body);
    stage.answered(&answer, 200, "", "the factor");
    stage.served(ada, path, "after the factor");
    Ok(())
}

fn by_redirect(stage: &mut Stage) -> Result<(), Failure> {
    let mut ada = stage.person(json!([{ "kind": "otp" }]))?;
    let before = stage.served(&Who::with(&ada), QUOTES, "before");
    let said = stage.held(&Who::with(&ada), ACCOUNTS, "by our own policy");
    stage.expect(said["acr_values"].to_string().contains(MFA_ACR), || {
        format!("acr_values is {}", said["acr_values"])
    });
    step_up(stage, &mut ada)?;
    let after = stage.served(&Who::with(&ada), ACCOUNTS, "after the redirect");
    stage.expect(after["acr"] == MFA_ACR, || format!("the API saw the class {}", after["acr"]));
    let kept = stage.served(&Who::with(&ada), QUOTES, "after the redirect");
    let same = before["jti_prefix"] == kept["jti_prefix"];
    stage.expect(same, || "the other API's token was replaced".to_owned());
    stage.sum_is("refreshes_refused", 0, "at the end");
    Ok(())
}

fn upstream_challenge(stage: &mut Stage) -> Result<(), Failure> {
    let mut ada = stage.person(json!([{ "kind": "otp" }]))?;
    stage.served(&Who::with(&ada), ACCOUNTS, "before the API asks");
    stage.tenant(&json!({
        "mfa": { "otp_single_use": false },
        "api_step_up": [{ "api": "accounts", "path": "/accounts", "acr_values": MFA_ACR }],
    }))?;
    let said = stage.held(&Who::with(&ada), ACCOUNTS, "when the API asks");
    stage.expect(word(&said, "by") == "upstream", || format!("it is held by {}", said["by"]));
    step_up(stage, &mut ada)?;
    let after = stage.served(&Who::with(&ada), ACCOUNTS, "after the redirect");
    stage.expect(after["acr"] == MFA_ACR, || format!("the API saw the class {}", after["acr"]));
    Ok(())
}

/// Goes to the provider and back, giving a one-time password there.
fn step_up(stage: &mut Stage, ada: &mut crate::visitor::Visitor) -> Result<(), Failure> {
    let otp = stage.otp()?;
    let path = format!("/auth/mfa/redirect?audience={ACCOUNTS_AUDIENCE}&return_to=/");
    ada.walk(&path, &otp).map_err(Failure::Missed)
}
