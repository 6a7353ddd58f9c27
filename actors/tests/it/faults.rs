//! What goes wrong outside: with the provider, the network, the operator's set-up and the clock.
//!
//! The same and more is played against the gateway's program by `cargo xtask faults`.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::time::Duration;

use serde_json::json;
use tokenward::AccessError;
use tokenward::core::policy::KeepFresh;
use tokenward_sandbox::{Client, Fault};

use crate::world::{AUDIENCES, World, hear, until, wish, within};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn arm(world: &World, fault: serde_json::Value) {
    let fault: Fault = serde_json::from_value(fault).expect("a fault the sandbox knows");
    world.sandbox.faults().arm(fault).expect("armed");
}

/// Registers the framework's client with another secret, or with the right one again.
fn register(world: &World, secret: &str) {
    world.sandbox.put_client(Client {
        client_id: "demo-web".to_owned(),
        client_secret: Some(secret.to_owned()),
        ..Client::default()
    });
}

#[tokio::test]
async fn l12_a_wall_clock_that_jumps_by_hours_changes_nothing() {
    let mut world =
        World::by_hand(json!({ "access_token_lifetime_s": 600 }), KeepFresh::WhileUsed).await;
    let key = world.adopt().await;
    let mut serial = world.access(&key, 0).await.expect("a token").serial();
    for (round, hours) in [6, -6, 48, -48, 0].into_iter().enumerate() {
        let mut events = world.tokenward.events();
        let hand = world.hand.as_ref().expect("a clock that is moved by hand");
        hand.set_wall_off(hours * 3_600);
        let same = world.access(&key, 0).await.expect("it has not aged");
        assert_eq!(same.serial(), serial, "{hours} h");
        // The provider names a date; it is the answer's own clock that counts.
        arm(&world, json!({ "endpoint": "token", "kind": "rate_limited", "reset_s": 30 }));
        world.advance(seconds(545));
        world.access(&key, 0).await.expect("still good, and refreshed in the background");
        hear(&mut events, "postponed").await;
        world.advance(seconds(28));
        world.access(&key, 0).await.expect("still good");
        let refreshes = 1 + round as u64;
        assert_eq!(world.summary().refreshes, refreshes, "{hours} h: nobody hurries");
        world.advance(seconds(4));
        world.access(&key, 0).await.expect("still good, and refreshed in the background");
        hear(&mut events, "refreshed").await;
        assert_eq!(world.summary().refreshes, refreshes + 1, "{hours} h: nobody is late");
        drop(events);
        world = world.restart().await;
        let newer = world.access(&key, 0).await.expect("its age is known after a restart");
        assert!(newer.serial() > serial, "{hours} h");
        serial = newer.serial();
    }
    let ledger = world.summary();
    assert_eq!((ledger.refreshes, ledger.reuse_detected, ledger.families_revoked), (6, 0, 0));
}

#[tokio::test]
async fn l7_a_wrong_client_secret_logs_nobody_out_and_is_tried_again() {
    let tenant = json!({ "access_token_lifetime_s": 3_600 });
    let world = World::by_hand(tenant, KeepFresh::WhileUsed).await;
    let sessions = [world.adopt().await, world.adopt().await];
    register(&world, "another");
    for _ in 0..5 {
        for key in &sessions {
            let refused = world.access(key, 0).await.expect_err("the provider knows us no more");
            let code = "invalid_client";
            assert!(
                matches!(refused, AccessError::OperatorFault { code: told } if told == code),
                "{refused}"
            );
        }
    }
    assert_eq!(world.summary().token_requests, 2, "once for each session");
    let told = world.tokenward.metrics().render();
    let counted = told.lines().find(|line| {
        line.contains("outcome=\"invalid_client\"")
            && line.starts_with("tokenward_refresh_total{")
            && line.ends_with(" 2")
    });
    assert!(counted.is_some(), "{told}");
    register(&world, "demo-web-secret");
    world.advance(seconds(61));
    for key in &sessions {
        world.access(key, 0).await.expect("the session has lived all the while");
    }
    assert_eq!(world.summary().refreshes, 2);
}

#[tokio::test]
async fn l3_without_a_network_nothing_is_lost_and_nothing_is_sent_twice() {
    let world = World::start(json!({ "access_token_lifetime_s": 3_600 })).await;
    let mut events = world.tokenward.events();
    let key = world.adopt().await;
    world.access(&key, 0).await.expect("a token");
    world.sandbox.network(false);
    let (tokenward, wanted) = (world.tokenward.clone(), wish(1));
    let call = tokio::spawn(async move { tokenward.access(&key, &wanted).await });
    hear(&mut events, "not_sent").await;
    world.access(&key, 0).await.expect("what is valid is served");
    world.sandbox.network(true);
    within(call).await.expect("no panic").expect("served as soon as the network is back");
    let ledger = world.summary();
    assert_eq!((ledger.refreshes, ledger.forks, ledger.reuse_detected), (2, 0, 0));
}

#[tokio::test]
async fn l3_a_provider_that_answers_half_a_minute_late_is_asked_once_more() {
    let tenant = json!({ "access_token_lifetime_s": 3_600 });
    let world = World::by_hand(tenant, KeepFresh::WhileUsed).await;
    let mut events = world.tokenward.events();
    let key = world.adopt().await;
    let late = json!({ "endpoint": "token", "kind": "slow", "ms": 30_000, "when": "after" });
    arm(&world, late);
    let (tokenward, wanted) = (world.tokenward.clone(), wish(0));
    let call = tokio::spawn(async move { tokenward.access(&key, &wanted).await });
    until("the provider has committed", || world.summary().refreshes == 1).await;
    world.advance(seconds(9));
    let refused = within(call).await.expect("no panic").expect_err("nobody waits for so long");
    assert!(matches!(refused, AccessError::NotNow { .. }), "{refused}");
    world.advance(seconds(5));
    hear(&mut events, "in_doubt").await;
    assert_eq!(world.summary().token_requests, 1, "the late call has its time");
    until("it is asked once more", || {
        let asked = world.summary().token_requests == 2;
        if !asked {
            world.advance(seconds(1));
        }
        asked
    })
    .await;
    hear(&mut events, "refreshed").await;
    world.access(&key, 0).await.expect("the repetition was answered");
    let ledger = world.summary();
    assert_eq!((ledger.token_requests, ledger.forks, ledger.families_revoked), (2, 1, 0));
}

#[tokio::test]
async fn l5_a_provider_that_grants_less_is_not_asked_again_and_again() {
    let tenant = json!({
        "access_token_lifetime_s": 3_600,
        "mrrt": [{ "audience": AUDIENCES[1].0, "scope": ["read:accounts"] }],
    });
    let world = World::start(tenant).await;
    let key = world.adopt().await;
    for _ in 0..20 {
        let refused = world.access(&key, 1).await.expect_err("a scope is lacking");
        let AccessError::Downscoped { missing } = refused else { panic!("{refused}") };
        assert_eq!(missing.to_string(), "write:accounts");
    }
    assert_eq!(world.summary().token_requests, 1);
}
