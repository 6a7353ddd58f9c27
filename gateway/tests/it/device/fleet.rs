//! Several gateways on one Redis, and a balancer that leads each request to any of them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokenward_sandbox::{Authenticate, Sandbox};

use super::super::redis::RedisServer;
use super::held::{ACCOUNTS, hold, link, send};
use super::*;

/// How long a test waits before it calls something stuck.
const PATIENCE: Duration = Duration::from_secs(20);

struct Fleet {
    here: Desk,
    there: Desk,
    server: RedisServer,
}

/// Opens two gateways whose configuration `amend` has changed.
async fn fleet(amend: impl Fn(String) -> String) -> Fleet {
    let server = RedisServer::start();
    let sandbox = Sandbox::start(tokenward_sandbox::Config::default()).await.unwrap();
    let sandbox = Arc::new(sandbox);
    let amend = |text| {
        let (text, store) = (amend(text), server.table());
        format!("public_url = \"http://localhost:9\"\n{text}[device]\n{store}")
    };
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let state = dirs[1].path().join("state");
    let [first, second] = dirs;
    let here = Desk::before(Arc::clone(&sandbox), first, amend).await;
    std::fs::create_dir_all(&state).unwrap();
    let keys = here.directory.path().join("state/keys.json");
    std::fs::copy(keys, state.join("keys.json")).unwrap();
    let there = Desk::before(sandbox, second, amend).await;
    for name in ["ada", "eve"] {
        let user = serde_json::from_value::<User>(json!({ "name": name }));
        here.sandbox.put_user(user.unwrap());
    }
    Fleet { here, there, server }
}

/// Asks until the answer is good: what one gateway has done is told to the others by a message.
async fn until_served(ask: impl AsyncFn() -> Reply) {
    let served = async {
        while ask().await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("it is served in the end");
}

/// Has a policy of the gateways demand a factor for the accounts.
fn by_policy(text: String) -> String {
    let accounts = format!("audience = \"{ACCOUNTS}\"\n");
    let mfa = "mfa = { max_age = \"5m\", acr = \"urn:tokenward:sandbox:mfa\" }\n";
    text.replace(&accounts, &format!("{accounts}{mfa}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_one_gateway_is_approved_at_another_and_its_session_fetched_at_any() {
    let Fleet { here, there, server: _server } = fleet(|text| text).await;
    let code = ask(&here, "").await;
    for desk in [&there, &here] {
        assert_eq!(poll(desk, &code.device).await, Err("authorization_pending".to_owned()));
    }
    // The page of one, the answer to another, back to the first.
    let mut person = here.browser();
    let page = person.get(&format!("/d/{}", code.user)).await;
    let mut person = person.led_to(&there);
    let yes = format!("answer=yes&proof={}", proof(&page));
    let reply = post(&mut person, &format!("/d/{}", code.user), &yes).await;
    let back = here.approve(reply.header("location"), "ada");
    let reply = person.led_to(&here).get(&back).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/d/signed-in"), "{reply:?}");

    let handle = poll(&there, &code.device).await.unwrap();
    assert_eq!(poll(&here, &code.device).await.as_ref(), Ok(&handle), "its reply was lost");
    for desk in [&here, &there] {
        assert_eq!(call(desk, &handle, "/api/quotes/quote").await.status, 200);
        let page = desk.browser().get(&format!("/d/{}", code.user)).await;
        assert_eq!(page.problem(), (410, "used_code".to_owned()));
    }
    let refused = ask(&there, "").await;
    answer(&mut here.browser(), &refused.user, "no").await;
    assert_eq!(poll(&there, &refused.device).await, Err("access_denied".to_owned()));
    // What people see opens nothing for another device.
    let (_, user) = code.device.split_once('.').unwrap();
    let forged = format!("{}.{user}", "A".repeat(43));
    assert_eq!(poll(&here, &forged).await, Err("invalid_grant".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_who_approve_one_code_at_two_gateways_one_wins() {
    let Fleet { here, there, server: _server } = fleet(|text| text).await;
    for round in 0..4 {
        let code = ask(&here, "").await;
        let (mut ada, mut eve) = (here.browser(), there.browser());
        let places = [
            answer(&mut ada, &code.user, "yes").await.header("location").to_owned(),
            answer(&mut eve, &code.user, "yes").await.header("location").to_owned(),
        ];
        let (first, second) = (here.approve(&places[0], "ada"), there.approve(&places[1], "eve"));
        let exchanges = here.sandbox.ledger().summary().token_requests;
        let (first, second) = tokio::join!(ada.get(&first), eve.get(&second));
        let mut outcomes = [first.status, second.status];
        outcomes.sort_unstable();
        let one_won = outcomes[0] == 303 && matches!(outcomes[1], 409 | 410);
        assert!(one_won, "round {round}: {first:?} {second:?}");
        assert_eq!(here.sandbox.ledger().summary().token_requests, exchanges + 1);
        // The device asks both at once, as one does whose reply was lost.
        let (mine, theirs) = tokio::join!(poll(&here, &code.device), poll(&there, &code.device));
        assert!(mine.is_ok() && mine == theirs, "{mine:?} {theirs:?}");
        let subject = if first.status == 303 { "auth0|ada" } else { "auth0|eve" };
        let seen = call(&there, &mine.unwrap(), "/auth/session").await.json();
        assert_eq!(seen["subject"], subject);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_a_link_that_one_gateway_shows_is_opened_and_confirmed_at_another() {
    let Fleet { here, there, server: _server } = fleet(|text| text).await;
    let handle = hold(&here).await;
    let (path, _) = link(&here, &handle).await;
    assert_eq!(link(&there, &handle).await.0, path, "one link for one hold");

    let mut phone = there.browser();
    let reply = phone.get(&path).await;
    let place = reply.header("location").to_owned();
    assert!(reply.status == 303 && place.starts_with("/d/mfa?audience="), "{reply:?}");
    let mut phone = phone.led_to(&here);
    let page = phone.get(&place).await;
    let (_, rest) = page.body.split_once("name=\"mfa_token\" value=\"").expect("what is held");
    let otp = here.sandbox.otp("ada").unwrap();
    let right = json!({ "mfa_token": rest.split('"').next().unwrap(), "otp": otp });
    let mut phone = phone.led_to(&there);
    let reply = send(&mut phone, "/d/mfa/verify", right).await;
    assert_eq!(reply.json()["return_to"], "/d/confirmed", "{reply:?}");
    for desk in [&there, &here] {
        until_served(async || call(desk, &handle, "/api/accounts/accounts").await).await;
        let over = desk.browser().get(&path).await;
        assert_eq!(over.problem(), (410, "nothing_held".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_whoever_guesses_at_two_gateways_in_turn_has_no_more_tries_than_at_one() {
    let Fleet { here, there, server: _server } = fleet(|text| text).await;
    let handle = hold(&here).await;
    let (path, told) = link(&here, &handle).await;
    let guess = async |desk: &Desk| {
        let mut stranger = desk.browser();
        stranger.get(&path).await;
        let guess = json!({ "mfa_token": told["mfa_token"], "otp": "000000" });
        send(&mut stranger, "/d/mfa/verify", guess).await.problem().1
    };
    for desk in [&here, &there, &here, &there, &here] {
        assert_eq!(guess(desk).await, "mfa_code_invalid");
    }
    for desk in [&there, &here, &there] {
        assert_eq!(guess(desk).await, "too_many_attempts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_up_that_leaves_from_one_gateway_comes_back_to_another() {
    let Fleet { here, there, server: _server } = fleet(by_policy).await;
    let handle = hold(&there).await;
    let (path, _) = link(&there, &handle).await;
    // Only one gateway was asked, and holds; each page may be another one's.
    let mut phone = here.browser();
    let place = phone.leave(&path).await;
    assert!(place.starts_with("/d/mfa?audience="), "{place}");
    let mut phone = phone.led_to(&there);
    let page = phone.get(&place).await;
    assert!(page.body.contains("/d/mfa/redirect"), "{page:?}");
    let mut phone = phone.led_to(&here);
    let place = phone.leave("/d/mfa/redirect").await;
    let wanted = json!({ "authorize_url": place, "user": "ada", "factor": "otp" });
    let wanted: Authenticate = serde_json::from_value(wanted).unwrap();
    let back = there.led_here(&here.sandbox.authenticate(&wanted).unwrap().unwrap());
    let reply = phone.led_to(&there).get(&back).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/d/confirmed"), "{reply:?}");
    for desk in [&here, &there] {
        until_served(async || call(desk, &handle, "/api/accounts/accounts").await).await;
        let over = desk.browser().get(&path).await;
        assert_eq!(over.problem(), (410, "nothing_held".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_leaves_one_gateway_comes_back_to_another_for_its_session_and_its_factor() {
    let Fleet { here, there, server: _server } = fleet(by_policy).await;
    let mut person = here.browser();
    let place = person.leave("/auth/login?return_to=/x").await;
    let mut person = person.led_to(&there);
    let reply = person.get(&there.approve(&place, "ada")).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/x"), "{reply:?}");

    let accounts = "/api/accounts/accounts";
    assert_eq!(person.get(accounts).await.problem().0, 403);
    let mut person = person.led_to(&here);
    let page = format!("/auth/mfa/redirect?audience={ACCOUNTS}&scope=read:accounts");
    let place = person.leave(&page).await;
    let wanted = json!({ "authorize_url": place, "user": "ada", "factor": "otp" });
    let wanted: Authenticate = serde_json::from_value(wanted).unwrap();
    let back = there.led_here(&here.sandbox.authenticate(&wanted).unwrap().unwrap());
    let reply = person.led_to(&there).get(&back).await;
    assert_eq!(reply.status, 303, "{reply:?}");
    // The one that the person left from hears of it.
    until_served(async || person.clone().get(accounts).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_display_is_told_to_ask_again_and_goes_on_where_it_was() {
    let Fleet { here, there, mut server } = fleet(|text| text).await;
    let code = ask(&here, "").await;
    let mut person = there.browser();
    let page = person.get(&format!("/d/{}", code.user)).await;
    server.kill();

    let token = format!("grant_type={GRANT}&device_code={}", code.device);
    let yes = format!("answer=no&proof={}", proof(&page));
    let asked = async |path: &str, body: &str| {
        let mut person = person.clone();
        let reply = match body {
            "" => person.get(path).await,
            body => post(&mut person, path, body).await,
        };
        assert_eq!(reply.problem(), (503, "temporarily_unavailable".to_owned()), "{path}");
        assert!(reply.header("retry-after").parse::<u64>().unwrap() > 0, "{path}");
    };
    let at_code = format!("/d/{}", code.user);
    tokio::join!(
        asked("/auth/device/code", "client_id=wall"),
        asked("/auth/device/token", &token),
        asked(&at_code, ""),
        asked(&at_code, &yes),
    );

    server.run();
    let back = async {
        loop {
            let reply = post(&mut here.browser(), "/auth/device/token", &token).await;
            if reply.status == 400 {
                break reply.json()["error"].clone();
            }
            assert_eq!(reply.status, 503, "{reply:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, back).await.unwrap();
    assert_eq!(told, "authorization_pending");
    approve(&there, &mut there.browser(), &code.user, "ada").await;
    let handle = poll(&here, &code.device).await.unwrap();
    assert_eq!(call(&here, &handle, "/api/quotes/quote").await.status, 200);
}
