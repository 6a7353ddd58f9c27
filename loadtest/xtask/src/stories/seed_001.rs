//! Step-up in three steps: an API needs another factor, the caller is told all it needs, and a
//! person answers by one factor or another.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use super::Story;
use super::stage::{ACCOUNTS_AUDIENCE, Stage, shown, word};
use crate::stage::{ACCOUNTS, QUOTES, Who};

/// The life of an access token that nothing is to happen to, in seconds.
const LONG: u32 = 3_600;
/// The life of a context that is to end, as the gateway's file has it: the shortest it takes.
const SHORT_CONTEXT: &str = "\n[mfa]\ncontext_ttl = \"30s\"\n";
/// Longer than that.
const AFTER_SHORT_CONTEXT: Duration = Duration::from_secs(31);
/// People do not press a button twice; scripts and two tabs do.
const TABS: usize = 6;
/// A push is polled for so long at most.
const PUSH_PATIENCE: Duration = Duration::from_secs(30);
/// Between two polls for a push.
const POLL_GAP: Duration = Duration::from_millis(500);

pub(super) const STORIES: &[Story] = &[
    Story::usual(
        "001.1",
        "one API demands a one-time password: told in full, mistyped, given, and good for one use",
        LONG,
        otp,
    ),
    Story {
        name: "001.2",
        words: "a forged, a late and a used mfa_token are three different errors",
        life: LONG,
        file: |_| SHORT_CONTEXT.to_owned(),
        play: three_errors,
    },
    Story::usual("001.3", "a code by text message completes the demand", LONG, sms),
    Story::usual("001.4", "a push is refused on the phone, and another approved", LONG, push),
    Story::usual("001.5", "a recovery code completes the demand and is replaced", LONG, recovery),
    Story::usual("001.6", "a person without factors enrols one and goes on", LONG, enrolment),
    Story::usual("001.7", "a second factor is demanded after the first", LONG, chained),
    Story::usual(
        "001.8",
        "six tabs give the same code at once: one wins, the provider verifies once",
        LONG,
        tabs,
    ),
    Story {
        name: "001.9",
        words: "the provider's answer to the code is lost: the session lives, and the factor counts",
        life: LONG,
        file: |_| SHORT_CONTEXT.to_owned(),
        play: lost_answer,
    },
];

/// Signs Ada in and lets the accounts API demand a factor; returns her and what was said.
fn demanded(stage: &mut Stage, factors: Value) -> Result<(Who, Value), Failure> {
    let ada = Who::with(&stage.person(factors)?);
    let only = json!({ "audiences": [ACCOUNTS_AUDIENCE], "mfa_done": false });
    stage.rules(json!([{ "when": only, "then": "challenge" }]))?;
    stage.control.delete("ledger")?;
    let said = stage.held(&ada, ACCOUNTS, "the first call");
    stage.sum_is("mfa_challenges", 1, "after the first call");
    Ok((ada, said))
}

/// Posts to one of the endpoints, with the handle.
fn ask(
    stage: &Stage,
    ada: &Who,
    endpoint: &str,
    said: &Value,
    more: Value,
) -> tokenward_programs::http::Answer {
    let mut body = json!({ "mfa_token": word(said, "mfa_token") });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    stage.post(ada, &format!("/auth/mfa/{endpoint}"), &body)
}

/// Expects that everything is served again, and that one exchange was enough for it.
fn released(stage: &mut Stage, ada: &Who) {
    let when = "after the factor was given";
    stage.served(ada, ACCOUNTS, when);
    stage.served(ada, QUOTES, when);
    stage.sum_is("mfa_verified", 1, when);
    stage.sum_is("refreshes_refused", 0, when);
}

fn otp(stage: &mut Stage) -> Result<(), Failure> {
    let (ada, said) = demanded(stage, json!([{ "kind": "otp" }]))?;
    let answer = stage.get(&ada, ACCOUNTS);
    let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
    stage.expect(challenge.contains("insufficient_user_authentication"), || challenge.clone());
    let (handle, place) = (word(&said, "mfa_token"), word(&said, "step_up_uri"));
    stage.expect(place.contains("/auth/mfa"), || format!("step_up_uri is {place:?}"));
    stage.expect(!handle.is_empty() && !place.contains(&handle), || {
        "the mfa_token is missing, or in an address".to_owned()
    });
    let kinds = said["mfa_requirements"]["challenge"].to_string();
    stage.expect(kinds.contains("\"otp\""), || format!("the factors are told as {kinds}"));
    let listed = stage.get(&ada, &format!("/auth/mfa/authenticators?audience={ACCOUNTS_AUDIENCE}"));
    stage.answered(&listed, 200, "otp", "the authenticators");
    let wrong = ask(stage, &ada, "verify", &said, json!({ "otp": "000000" }));
    stage.answered(&wrong, 400, "mfa_code_invalid", "a mistyped code");
    stage.served(&ada, QUOTES, "another API, while one is held");
    let otp = stage.otp()?;
    let right = ask(stage, &ada, "verify", &said, json!({ "otp": otp }));
    stage.answered(&right, 200, ACCOUNTS_AUDIENCE, "the code");
    released(stage, &ada);
    let again = ask(stage, &ada, "verify", &said, json!({ "otp": otp }));
    stage.answered(&again, 404, "mfa_token_not_found", "the mfa_token a second time");
    stage.sum_is("mfa_wrong_codes", 1, "at the end");
    let log = fs::read_to_string(stage.world.folder().join("gateway.log")).unwrap_or_default();
    for secret in [handle.as_str(), "Fe26.", otp.as_str()] {
        stage.expect(!log.contains(secret), || "a secret stands in the gateway's log".to_owned());
    }
    Ok(())
}

fn three_errors(stage: &mut Stage) -> Result<(), Failure> {
    let (ada, said) = demanded(stage, json!([{ "kind": "otp" }]))?;
    let mut forged = word(&said, "mfa_token");
    let last = if forged.ends_with('A') { 'B' } else { 'A' };
    forged.pop();
    forged.push(last);
    let any = json!({ "otp": "000000" });
    let answer = ask(stage, &ada, "verify", &json!({ "mfa_token": forged }), any.clone());
    stage.answered(&answer, 400, "mfa_token_invalid", "a forged mfa_token");
    thread::sleep(AFTER_SHORT_CONTEXT);
    let late = ask(stage, &ada, "verify", &said, any);
    stage.answered(&late, 401, "mfa_token_expired", "a late mfa_token");
    // A person who is there is worth one more question to the provider.
    let place = format!("/auth/mfa/authenticators?audience={ACCOUNTS_AUDIENCE}");
    let renewed = stage.until(&ada, &place, 200)?;
    stage.answered(&renewed, 200, "otp", "the authenticators of a new context");
    let said = stage.held(&ada, ACCOUNTS, "with a new context");
    let otp = json!({ "otp": stage.otp()? });
    let given = ask(stage, &ada, "verify", &said, otp.clone());
    stage.answered(&given, 200, "", "the code in time");
    let used = ask(stage, &ada, "verify", &said, otp);
    stage.answered(&used, 404, "mfa_token_not_found", "a used mfa_token");
    released(stage, &ada);
    Ok(())
}

fn sms(stage: &mut Stage) -> Result<(), Failure> {
    let (ada, said) = demanded(stage, json!([{ "kind": "sms", "name": "+49301234567" }]))?;
    let sent = ask(stage, &ada, "challenge", &said, json!({ "factor": "sms" }));
    let sent = stage.answered(&sent, 200, "prompt", "the text message");
    let oob = |code: &str| json!({ "oob_code": word(&sent, "oob_code"), "binding_code": code });
    let wrong = ask(stage, &ada, "verify", &said, oob("000000"));
    stage.answered(&wrong, 400, "mfa_code_invalid", "a mistyped code");
    let right = ask(stage, &ada, "verify", &said, oob(&stage.message()?));
    stage.answered(&right, 200, "", "the code of the message");
    released(stage, &ada);
    Ok(())
}

fn push(stage: &mut Stage) -> Result<(), Failure> {
    let (ada, said) = demanded(stage, json!([{ "kind": "push" }]))?;
    stage.tenant(&json!({ "mfa": { "push_interval_s": 1 } }))?;
    for (deny, status, expected) in [(true, 403, "mfa_rejected"), (false, 200, ACCOUNTS_AUDIENCE)] {
        let sent = ask(stage, &ada, "challenge", &said, json!({ "factor": "push" }));
        let sent = stage.answered(&sent, 200, "oob_code", "the push");
        let oob = json!({ "oob_code": word(&sent, "oob_code") });
        let waiting = ask(stage, &ada, "verify", &said, oob.clone());
        stage.answered(&waiting, 400, "authorization_pending", "before the person looks");
        stage
            .control
            .post("authenticate", &json!({ "push": true, "user": "ada", "deny": deny }))?;
        let decided = clock::poll(PUSH_PATIENCE, POLL_GAP, || {
            let answer = ask(stage, &ada, "verify", &said, oob.clone());
            let waits = ["authorization_pending", "slow_down"];
            (!waits.iter().any(|word| answer.body.contains(word))).then_some(answer)
        });
        match decided {
            Some(answer) => {
                stage.answered(&answer, status, expected, "when the person has decided");
            }
            None => stage.expect(false, || "the push was never decided".to_owned()),
        }
    }
    released(stage, &ada);
    Ok(())
}

fn recovery(stage: &mut Stage) -> Result<(), Failure> {
    const CODE: &str = "ABCDEFGHIJKLMNOPQRSTUVWX";
    let factors = json!([{ "kind": "otp" }, { "kind": "recovery_code", "secret": CODE }]);
    let (ada, said) = demanded(stage, factors)?;
    let answer = ask(stage, &ada, "verify", &said, json!({ "recovery_code": CODE }));
    let told = stage.answered(&answer, 200, "recovery_code", "the recovery code");
    let new = word(&told, "recovery_code");
    stage.expect(!new.is_empty() && new != CODE, || "no new recovery code is shown".to_owned());
    released(stage, &ada);
    Ok(())
}

fn enrolment(stage: &mut Stage) -> Result<(), Failure> {
    let (ada, said) = demanded(stage, json!([]))?;
    let kinds = said["mfa_requirements"]["enroll"].to_string();
    stage.expect(kinds.contains("\"otp\""), || format!("enrolment is told as {kinds}"));
    let made = ask(stage, &ada, "associate", &said, json!({ "factor": "otp" }));
    let made = stage.answered(&made, 200, "otpauth://", "the enrolment");
    let codes = made["recovery_codes"].as_array().map_or(0, Vec::len);
    stage.expect(codes == 1, || format!("{codes} recovery codes are shown"));
    let otp = stage.otp()?;
    let answer = ask(stage, &ada, "verify", &said, json!({ "otp": otp }));
    stage.answered(&answer, 200, "", "the first code of the new factor");
    stage.sum_is("mfa_enrolled", 1, "at the end");
    released(stage, &ada);
    Ok(())
}

fn chained(stage: &mut Stage) -> Result<(), Failure> {
    stage.tenant(&json!({ "mfa": { "chain": 1 } }))?;
    let (ada, said) = demanded(stage, json!([{ "kind": "otp" }]))?;
    let otp = json!({ "otp": stage.otp()? });
    let first = ask(stage, &ada, "verify", &said, otp.clone());
    let next = stage.answered(&first, 403, "mfa_required", "the first factor");
    let changed = !word(&next, "mfa_token").is_empty() && next["mfa_token"] != said["mfa_token"];
    stage.expect(changed, || format!("the next demand brings no mfa_token: {}", shown(&first)));
    let stale = ask(stage, &ada, "verify", &said, otp.clone());
    stage.answered(&stale, 404, "mfa_token_not_found", "the replaced mfa_token");
    let second = ask(stage, &ada, "verify", &next, otp);
    stage.answered(&second, 200, "", "the second factor");
    let when = "after both factors";
    stage.served(&ada, ACCOUNTS, when);
    stage.sum_is("mfa_verified", 2, when);
    Ok(())
}

fn tabs(stage: &mut Stage) -> Result<(), Failure> {
    let (ada, said) = demanded(stage, json!([{ "kind": "otp" }]))?;
    let otp = json!({ "otp": stage.otp()? });
    stage.tenant(&json!({ "token_latency_ms": 500 }))?;
    let answers: Vec<_> = thread::scope(|scope| {
        let tab = || scope.spawn(|| ask(stage, &ada, "verify", &said, otp.clone()));
        let tabs: Vec<_> = (0..TABS).map(|_| tab()).collect();
        tabs.into_iter().filter_map(|tab| tab.join().ok()).collect()
    });
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    let told: Vec<String> = answers.iter().map(shown).collect();
    stage.expect(won >= 1, || format!("nobody won: {told:?}"));
    let clear =
        |answer: &tokenward_programs::http::Answer| [200, 404, 429, 503].contains(&answer.status);
    stage.expect(answers.iter().all(clear), || format!("the others were told {told:?}"));
    stage.sum_is("mfa_wrong_codes", 0, "at the end");
    stage.sum_is("mfa_tokens_refused", 0, "at the end");
    released(stage, &ada);
    Ok(())
}

fn lost_answer(stage: &mut Stage) -> Result<(), Failure> {
    let (ada, said) = demanded(stage, json!([{ "kind": "otp" }]))?;
    let otp = json!({ "otp": stage.otp()? });
    let fault = json!({
        "endpoint": "token",
        "kind": "cut_after_commit",
        // The sandbox knows a grant by what follows the last colon of its name.
        "only": "//auth0.com/oauth/grant-type/mfa-otp",
    });
    stage.control.post("faults", &fault)?;
    let answer = ask(stage, &ada, "verify", &said, otp);
    stage.expect(answer.status != 200, || "the code was told as good, unheard".to_owned());
    stage.sum_is("faults_played", 1, "after the code");
    stage.served(&ada, QUOTES, "another API, while the answer is lost");
    // Nobody knows whether the provider took it: one question after the doubt finds that it did.
    stage.until(&ada, ACCOUNTS, 200)?;
    released(stage, &ada);
    Ok(())
}
