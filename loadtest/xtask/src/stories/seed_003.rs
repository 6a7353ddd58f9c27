//! What a review found in a peer: parallel calls race, an empty reply counts as success, what was
//! not saved is lost, and more is believed than was granted.

use std::time::Duration;

use serde_json::json;
use tokenward_programs::failure::Failure;

use super::Story;
use super::stage::{ACCOUNTS_AUDIENCE, Stage};
use crate::stage::{ACCOUNTS, ECHO, QUOTES};
use crate::world::Addresses;

/// The life of an access token, in seconds.
const LIFE: u32 = 3;
/// The life of an access token that nothing is to happen to, in seconds.
const LONG: u32 = 3_600;
/// Longer than two lives.
const WHILE: Duration = Duration::from_secs(7);
/// Callers of a page that calls several APIs at once.
const CALLERS: usize = 45;
/// How often they come.
const ROUNDS: u32 = 3;

pub(super) const STORIES: &[Story] = &[
    Story::usual(
        "003.1",
        "45 calls of three APIs meet on a session without tokens: one exchange at a time, all served",
        LIFE,
        race,
    ),
    Story::usual(
        "003.2",
        "a 200 without an access token is no success, and its refresh token is kept",
        LIFE,
        empty_reply,
    ),
    Story::usual("003.3", "what was exchanged survives kill -9", LIFE, killed),
    Story {
        name: "003.4",
        words: "less was granted than asked for: told as such, and not asked again and again",
        life: LONG,
        file: greedy_route,
        play: downscoped,
    },
];

fn greedy_route(addresses: &Addresses) -> String {
    format!(
        "\n[[route]]\npath = \"/accounts/\"\nupstream = \"{}\"\naudience = \"{ACCOUNTS_AUDIENCE}\"\n\
         scopes = [\"read:accounts\", \"close:accounts\"]\nstrip_prefix = true\n",
        addresses.apis.accounts
    )
}

fn race(stage: &mut Stage) -> Result<(), Failure> {
    let who = stage.programs(1)?;
    for round in 0..ROUNDS {
        for answer in stage.at_once(&who, &[QUOTES, ACCOUNTS, ECHO], CALLERS) {
            stage.answered(&answer, 200, "", &format!("round {round}"));
        }
        std::thread::sleep(Duration::from_secs(LIFE.into()));
    }
    let refreshes = stage.sum("refreshes");
    stage.expect(refreshes >= 3, || format!("only {refreshes} refreshes"));
    Ok(())
}

fn empty_reply(stage: &mut Stage) -> Result<(), Failure> {
    let who = stage.programs(1)?.remove(0);
    stage.served(&who, QUOTES, "before");
    let fault = json!({ "endpoint": "token", "kind": "malformed_200_with_refresh_token" });
    stage.control.post("faults", &fault)?;
    stage.until(&who, QUOTES, 200)?;
    let played = stage.control.sum("faults_played");
    let served_until = stage.sum("refreshes");
    stage.call_for(Duration::from_secs(1), &who, &[(QUOTES, 200)], "while the token lives");
    // Once the fault has struck, the next exchange must be made with the token it brought.
    let struck = || stage.control.sum("faults_played").filter(|played| *played > 0);
    let struck =
        tokenward_programs::clock::poll(Duration::from_secs(20), Duration::from_millis(50), || {
            stage.get(&who, QUOTES);
            struck()
        });
    stage.expect(struck.is_some(), || format!("the fault never struck ({played:?})"));
    stage.until(&who, QUOTES, 200)?;
    let refreshes = stage.sum("refreshes");
    stage.expect(refreshes > served_until, || "no exchange followed the empty reply".to_owned());
    stage.sum_is("forks", 0, "at the end: the reply's refresh token was used");
    stage.sum_is("refreshes_refused", 0, "at the end");
    Ok(())
}

fn killed(stage: &mut Stage) -> Result<(), Failure> {
    let who = stage.programs(3)?;
    for one in &who {
        stage.served(one, QUOTES, "before");
    }
    stage.world.gateway.kill();
    stage.world.restart_gateway()?;
    for one in &who {
        stage.until(one, QUOTES, 200)?;
    }
    let one = &who[0];
    stage.call_for(WHILE, one, &[(QUOTES, 200), (ECHO, 200)], "after the restart");
    stage.sum_is("refreshes_refused", 0, "at the end");
    Ok(())
}

fn downscoped(stage: &mut Stage) -> Result<(), Failure> {
    let who = stage.programs(1)?.remove(0);
    stage.served(&who, QUOTES, "another API");
    let told = stage.get(&who, ACCOUNTS);
    let said = stage.answered(&told, 403, "insufficient_scope", "the first call");
    let missing = said["missing"].to_string();
    stage.expect(missing.contains("close:accounts"), || format!("missing is {missing}"));
    let requests = stage.sum("token_requests");
    for _ in 0..20 {
        let again = stage.get(&who, ACCOUNTS);
        stage.answered(&again, 403, "insufficient_scope", "again");
    }
    stage.sum_is("token_requests", requests, "after twenty more calls");
    Ok(())
}
