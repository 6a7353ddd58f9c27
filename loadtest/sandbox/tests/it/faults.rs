//! Every kind of fault, as a caller meets it, and whether the refresh token was spent.

use serde_json::{Value, json};
use tokenward_sandbox::Mint;

use crate::world::{World, text, told};

/// Meets one fault and returns what the caller saw and how many exchanges the ledger has.
async fn meet(fault: Value) -> (Result<(u16, Value), reqwest::Error>, u64) {
    let world = World::start().await;
    let minted = world.sandbox.mint(&Mint::default()).unwrap();
    world.arm(fault);
    let met = world.refresh(&minted[0].refresh_token, &[]).await;
    let exchanges = world.sum("refreshes").await;
    assert_eq!(world.sum("faults_played").await, 1);
    let (status, _) = world.refresh(&minted[0].refresh_token, &[]).await.unwrap();
    assert_eq!(status, 200, "a fault strikes once, and the window forgives what was lost");
    (met, exchanges)
}

#[tokio::test]
async fn connections_are_cut_before_or_after_the_commit() {
    for (kind, spent) in [("cut_before_commit", 0), ("cut_after_commit", 1), ("half_body", 1)] {
        let (met, exchanges) = meet(json!({"endpoint": "token", "kind": kind})).await;
        assert!(met.is_err(), "{kind}: {met:?}");
        assert_eq!(exchanges, spent, "{kind}");
    }
}

#[tokio::test]
async fn answers_that_are_no_answers() {
    let rows = [
        (json!({"kind": "status"}), 503, 0),
        (json!({"kind": "status", "status": 500}), 500, 0),
        (json!({"kind": "status", "status": 502, "when": "after"}), 502, 1),
        (json!({"kind": "garbage_200"}), 200, 1),
        (json!({"kind": "empty_400"}), 400, 0),
        (json!({"kind": "oauth_error", "error": "invalid_client", "status": 401}), 401, 0),
    ];
    for (mut fault, expected, spent) in rows {
        fault["endpoint"] = json!("token");
        let (met, exchanges) = meet(fault.clone()).await;
        let (status, body) = met.unwrap();
        assert_eq!((status, exchanges), (expected, spent), "{fault}");
        assert!(body.get("access_token").is_none(), "{fault}");
        assert_eq!(body.get("error"), fault.get("error"), "{fault}");
    }
}

#[tokio::test]
async fn a_malformed_200_carries_the_new_refresh_token() {
    let fault = json!({"endpoint": "token", "kind": "malformed_200_with_refresh_token"});
    let (met, exchanges) = meet(fault).await;
    let (status, body) = met.unwrap();
    assert_eq!((status, exchanges, text(&body, "access_token")), (200, 1, ""));
    assert!(text(&body, "refresh_token").starts_with("v1."));
}

#[tokio::test]
async fn slow_answers_are_right_answers() {
    for when in ["before", "after"] {
        let fault = json!({"endpoint": "token", "kind": "slow", "ms": 20, "when": when});
        let (met, exchanges) = meet(fault).await;
        let (status, body) = met.unwrap();
        assert_eq!((status, exchanges), (200, 1), "{when}");
        text(&body, "access_token");
    }
}

#[tokio::test]
async fn a_rate_limit_says_until_when() {
    let world = World::start().await;
    let fault =
        json!({"endpoint": "token", "kind": "rate_limited", "reset_s": 7, "retry_after_s": 9});
    let arm = world.http.post(world.control("/faults")).json(&fault);
    assert_eq!(told(arm).await.unwrap().0, 200);
    let ask =
        world.http.post(world.provider("oauth/token")).form(&[("grant_type", "refresh_token")]);
    let answer = ask.send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().parse::<u64>().unwrap();
    assert_eq!((answer.status().as_u16(), header("x-ratelimit-remaining")), (429, 0));
    assert_eq!(header("retry-after"), 9);
    let date = answer.headers()["date"].to_str().unwrap();
    assert!(!date.is_empty() && header("x-ratelimit-reset") > 1_700_000_000, "a Unix time");
}

#[tokio::test]
async fn faults_strike_every_endpoint_and_only_what_they_name() {
    let world = World::start().await;
    let status = |path: &str| {
        let ask = world.http.get(world.provider(path));
        async move { ask.send().await.unwrap().status().as_u16() }
    };
    for (endpoint, path) in [
        ("jwks", ".well-known/jwks.json"),
        ("discovery", ".well-known/openid-configuration"),
        ("authorize", "authorize"),
    ] {
        let sound = status(path).await;
        world.arm(json!({"endpoint": endpoint, "kind": "status", "status": 599}));
        assert_eq!((status(path).await, status(path).await), (599, sound), "{endpoint}");
    }
    world.arm(json!({"endpoint": "token", "kind": "empty_400", "only": "refresh_token"}));
    let minted = world.sandbox.mint(&Mint::default()).unwrap();
    world.sign_in(&[]).await;
    let refresh = || world.refresh(&minted[0].refresh_token, &[]);
    assert_eq!(refresh().await.unwrap(), (400, Value::Null), "the code exchange was spared");
    world.arm(json!({"endpoint": "token", "kind": "status", "rate": 1.0}));
    assert_eq!(refresh().await.unwrap().0, 503);
    let disarm = world.http.delete(world.control("/faults"));
    assert_eq!(told(disarm).await.unwrap().0, 204);
    assert_eq!(refresh().await.unwrap().0, 200);
}

#[tokio::test]
async fn without_a_network_nobody_is_reached_and_what_was_begun_goes_on() {
    let world = World::start().await;
    let network = |up: bool| {
        let ask = world.http.post(world.control("/network")).json(&json!({ "up": up }));
        async { told(ask).await.unwrap().0 }
    };
    let minted = world.sandbox.mint(&Mint::default()).unwrap();
    world.set(json!({"token_latency_ms": 400}));
    let refresh_token = minted[0].refresh_token.clone();
    let asking = tokio::spawn({
        let world = world.clone();
        async move { world.refresh(&refresh_token, &[]).await.is_err() }
    });
    while world.sandbox.ledger().summary().token_requests == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(network(false).await, 200);
    assert!(asking.await.unwrap(), "its connection is cut");
    let refused = world.http.get(world.provider(".well-known/jwks.json")).send().await.unwrap_err();
    assert!(refused.is_connect(), "{refused}");
    assert_eq!(network(true).await, 200);
    while world.sandbox.ledger().summary().refreshes == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    while world.http.get(world.provider(".well-known/jwks.json")).send().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_control_port_refuses_what_it_does_not_know() {
    let world = World::start().await;
    for (path, body) in [
        ("/faults", json!({"endpoint": "token", "kind": "explode"})),
        ("/faults", json!({"endpoint": "token", "kind": "slow"})),
        ("/tenant", json!({"leeway": 3})),
        ("/users", json!({"nick": "ada"})),
        ("/sessions", json!({"count": 1, "client_id": "nobody"})),
        ("/authenticate", json!({})),
        ("/authenticate", json!({"user": "nobody", "user_code": "X"})),
        ("/backchannel-logout", json!({"client_id": "demo-web", "subject": "x"})),
    ] {
        let (status, answer) =
            told(world.http.post(world.control(path)).json(&body)).await.unwrap();
        assert_eq!(status, 400, "{path} {body}");
        assert!(!text(&answer, "error").is_empty());
    }
}
