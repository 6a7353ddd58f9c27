//! The framework as an embedder meets it: real HTTP to a provider, a real store on disk.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::time::Duration;

use serde_json::json;
use tokenward::AccessError;
use tokenward::core::event::{EndReason, LogoutKind};
use tokenward::core::policy::{KeepFresh, Policies};
use tokenward_sandbox::Fault;

use crate::world::{AUDIENCES, World, hear, until, wish, within};

const LONG_TOKENS: u64 = 3_600;

/// The callers that one session lets wait, and some for whom there is no room.
const WAITERS_MAX: usize = 16_384;
const TOO_MANY: usize = 1_000;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn fault(fault: serde_json::Value) -> Fault {
    serde_json::from_value(fault).expect("a fault the sandbox knows")
}

/// What became of ten thousand callers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Crowd {
    served: usize,
    sent_away: usize,
}

async fn crowd(world: &World, callers: usize) -> Crowd {
    let key = world.adopt().await;
    let calls: Vec<_> = (0..callers)
        .map(|caller| {
            let tokenward = world.tokenward.clone();
            tokio::spawn(
                async move { tokenward.access(&key, &wish(caller % AUDIENCES.len())).await },
            )
        })
        .collect();
    let mut crowd = Crowd::default();
    for call in calls {
        match within(call).await.expect("no caller panics") {
            Ok(_) => crowd.served += 1,
            Err(AccessError::NotNow { retry_after, .. }) => {
                assert!(retry_after >= seconds(1));
                crowd.sent_away += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    crowd
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_ten_thousand_callers_make_one_exchange_for_each_audience() {
    for latency_ms in [0, 1_000, 7_000] {
        let tenant = json!({
            "token_latency_ms": latency_ms, "access_token_lifetime_s": LONG_TOKENS, "leeway_s": 0,
        });
        let world = World::start(tenant).await;
        let crowd = crowd(&world, 10_000).await;
        assert_eq!(crowd, Crowd { served: 10_000, sent_away: 0 }, "{latency_ms} ms");
        let ledger = world.summary();
        assert_eq!((ledger.refreshes, ledger.max_concurrent_per_family), (3, 1), "{latency_ms} ms");
        assert_eq!((ledger.reuse_detected, ledger.families_revoked), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_a_full_queue_of_waiters_turns_the_next_away_at_once_and_holds_nobody_else_up() {
    // Longer than anybody waits: nobody's answer makes room for another while they come.
    let tenant = json!({ "token_latency_ms": 60_000, "access_token_lifetime_s": LONG_TOKENS });
    let world = World::start(tenant).await;
    let other = world.adopt().await;
    world.sandbox.tenant(&json!({ "token_latency_ms": 0 })).expect("known");
    world.access(&other, 0).await.expect("a token");
    world.sandbox.tenant(&json!({ "token_latency_ms": 60_000 })).expect("known");
    let key = world.adopt().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..WAITERS_MAX + TOO_MANY {
        let tokenward = world.tokenward.clone();
        calls.spawn(async move { tokenward.access(&key, &wish(0)).await });
    }
    let mut sent_away = 0;
    while sent_away < TOO_MANY {
        match within(calls.join_next()).await.expect("some are left").expect("no panic") {
            Err(AccessError::NotNow { why: "busy", retry_after }) if !retry_after.is_zero() => {
                sent_away += 1;
            }
            answer => panic!("{sent_away} were sent away, then {answer:?}"),
        }
        if sent_away % 100 == 0 {
            world.access(&other, 0).await.expect("the others go on");
        }
    }
    assert_eq!(calls.len(), WAITERS_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_callers_past_their_deadline_come_back_to_a_finished_exchange() {
    let tenant = json!({
        "token_latency_ms": 10_000, "access_token_lifetime_s": LONG_TOKENS, "leeway_s": 0,
    });
    let world = World::start(tenant).await;
    let mut events = world.tokenward.events();
    let key = world.adopt().await;
    let refused = world.access(&key, 0).await.expect_err("ten seconds are too long to wait");
    assert!(matches!(refused, AccessError::NotNow { why: "exchanging", .. }), "{refused}");
    hear(&mut events, "refreshed").await;
    world.access(&key, 0).await.expect("the one exchange serves whoever comes next");
    assert_eq!(world.summary().refreshes, 1);
}

#[tokio::test]
async fn l4_a_caller_who_goes_away_cancels_nothing() {
    let world = World::start(json!({ "token_latency_ms": 500, "leeway_s": 0 })).await;
    let mut events = world.tokenward.events();
    let key = world.adopt().await;
    let (tokenward, wanted) = (world.tokenward.clone(), wish(0));
    let call = tokio::spawn(async move { tokenward.access(&key, &wanted).await.is_ok() });
    hear(&mut events, "exchange_started").await;
    call.abort();
    hear(&mut events, "refreshed").await;
    assert!(world.tokenward.offer(&key, &wish(0).audience, &wish(0).scopes).is_some());
    assert_eq!(world.summary().refreshes, 1);
}

#[tokio::test]
async fn l15_a_published_token_is_read_without_asking_anybody() {
    let world = World::start(json!({ "access_token_lifetime_s": LONG_TOKENS })).await;
    let key = world.adopt().await;
    assert!(world.tokenward.offer(&key, &wish(0).audience, &wish(0).scopes).is_none());
    let first = world.access(&key, 0).await.expect("a token");
    let again = world.tokenward.offer(&key, &wish(0).audience, &wish(0).scopes).expect("published");
    assert_eq!(again.serial(), first.serial());
    assert!(again.authorization().is_sensitive());
    assert!(world.tokenward.offer(&key, &wish(1).audience, &wish(1).scopes).is_none());
}

#[tokio::test]
async fn l3_a_reply_cut_off_after_the_rotation_costs_nothing() {
    let world = World::start(json!({ "leeway_s": 60 })).await;
    let key = world.adopt().await;
    // One exchange first, so that the provider's settling time has been seen.
    world.access(&key, 1).await.expect("a token");
    let cut = fault(json!({ "endpoint": "token", "kind": "cut_after_commit", "times": 1 }));
    world.sandbox.faults().arm(cut).expect("armed");
    world.access(&key, 0).await.expect("the doubt is cleared while the caller waits");
    let ledger = world.summary();
    assert_eq!((ledger.forks, ledger.reuse_detected, ledger.families_revoked), (1, 0, 0));
}

#[tokio::test]
async fn l7_a_sick_provider_logs_nobody_out() {
    let world = World::start(json!({ "access_token_lifetime_s": LONG_TOKENS })).await;
    let key = world.adopt().await;
    for sickness in [
        json!({ "endpoint": "token", "kind": "status", "status": 503, "times": 2 }),
        json!({ "endpoint": "token", "kind": "rate_limited", "reset_s": 1, "times": 1 }),
        json!({ "endpoint": "token", "kind": "garbage_200", "when": "before", "times": 1 }),
        json!({ "endpoint": "token", "kind": "malformed_200_with_refresh_token", "times": 1 }),
        json!({ "endpoint": "token", "kind": "half_body", "times": 1 }),
    ] {
        world.sandbox.faults().arm(fault(sickness.clone())).expect("armed");
        // Each round forces an exchange; what it replaces is what the round before brought.
        let refused = world.tokenward.offer(&key, &wish(0).audience, &wish(0).scopes);
        let wanted = match refused {
            Some(offer) => wish(0).instead_of(offer.serial()),
            None => wish(0),
        };
        let offer = loop {
            match within(world.tokenward.access(&key, &wanted)).await {
                Ok(offer) => break offer,
                Err(AccessError::NotNow { .. } | AccessError::Unchanged) => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => panic!("{sickness}: {error}"),
            }
        };
        assert!(offer.serial() > wanted.replaces.unwrap_or_default(), "{sickness}");
    }
    let ledger = world.summary();
    assert_eq!((ledger.reuse_detected, ledger.families_revoked), (0, 0));
    assert_eq!(ledger.max_concurrent_per_family, 1);
}

#[tokio::test]
async fn l7_a_revoked_refresh_token_ends_the_session_and_says_why() {
    let world = World::start(json!({})).await;
    let key = world.adopt().await;
    let session = world.tokenward.describe(&key).await.expect("readable").expect("there");
    let _ended = world.sandbox.revoke(&session.subject, "demo-web");
    let refused = world.access(&key, 0).await.expect_err("the family is gone");
    let AccessError::SignInRequired { reason: Some(reason) } = refused else {
        panic!("{refused}");
    };
    assert_eq!(reason.code(), "invalid_grant");
    let again = world.access(&key, 1).await.expect_err("for every audience");
    assert!(matches!(again, AccessError::SignInRequired { reason: Some(_) }), "{again}");
}

#[tokio::test]
async fn l10_logout_beats_an_exchange_in_flight() {
    let world = World::start(json!({ "token_latency_ms": 800 })).await;
    let mut events = world.tokenward.events();
    let key = world.adopt().await;
    let (tokenward, wanted) = (world.tokenward.clone(), wish(0));
    let call = tokio::spawn(async move { tokenward.access(&key, &wanted).await });
    hear(&mut events, "exchange_started").await;
    within(world.tokenward.end(&key, LogoutKind::User)).await.expect("durable").expect("ended");
    let refused = within(call).await.expect("no panic").expect_err("the session is over");
    let user = EndReason::LoggedOut(LogoutKind::User);
    assert!(matches!(refused, AccessError::SignInRequired { reason: Some(r) } if r == user));
    until("the family is revoked", || world.summary().revocations >= 1).await;
    let world = world.restart().await;
    let zombie = world.access(&key, 0).await.expect_err("it stays over after a restart");
    assert!(matches!(zombie, AccessError::SignInRequired { reason: Some(r) } if r == user));
}

#[tokio::test]
async fn a_session_survives_a_restart_with_its_tokens() {
    let world = World::start(json!({ "access_token_lifetime_s": LONG_TOKENS })).await;
    let key = world.adopt().await;
    let before = world.access(&key, 0).await.expect("a token");
    let world = world.restart().await;
    let after = world.access(&key, 0).await.expect("the same boot: its age is known");
    assert_eq!(after.serial(), before.serial());
    assert_eq!(world.summary().refreshes, 1);
}

#[tokio::test]
async fn l14_an_idle_session_leaves_memory_and_comes_back() {
    let tenant = json!({ "access_token_lifetime_s": LONG_TOKENS });
    let world = World::by_hand(tenant, KeepFresh::WhileUsed).await;
    let key = world.adopt().await;
    world.access(&key, 0).await.expect("a token");
    assert_eq!(world.tokenward.resident(), 1);
    until("the session has left", || {
        // More than one idle time may pass: the access above counts as use when the first is over.
        world.advance(seconds(61));
        world.tokenward.resident() == 0
    })
    .await;
    world.access(&key, 0).await.expect("it is read back");
    assert_eq!((world.summary().refreshes, world.tokenward.resident()), (1, 1));
}

#[tokio::test]
async fn l6_a_session_is_kept_fresh_without_traffic() {
    let world = World::by_hand(json!({ "access_token_lifetime_s": 600 }), KeepFresh::Always).await;
    let mut events = world.tokenward.events();
    let key = world.adopt().await;
    world.access(&key, 0).await.expect("a token");
    hear(&mut events, "refreshed").await;
    for round in 2..5 {
        // Past the refresh-ahead margin of a ten-minute token, and past leaving memory.
        world.advance(seconds(550));
        assert_eq!(hear(&mut events, "refreshed").await.session, key.id());
        assert_eq!(world.summary().refreshes, round);
    }
}

#[tokio::test]
async fn l8_a_held_session_that_nobody_calls_is_probed_out_of_the_store() {
    let asks = json!({"mfa": {"rules": [
        {"when": {"protocol": "oauth2-refresh-token"}, "then": "challenge"},
    ]}});
    let world = World::by_hand(asks, KeepFresh::Always).await;
    let mut events = world.tokenward.events();
    let key = world.adopt().await;
    assert!(matches!(world.access(&key, 0).await, Err(AccessError::MfaRequired(_))));
    until("the session has left", || {
        world.advance(seconds(61));
        world.tokenward.resident() == 0
    })
    .await;
    let asked = world.summary().mfa_challenges;
    world.sandbox.tenant(&json!({"mfa": {"rules": []}})).expect("the rule is gone");
    // Past the longest that the slow probe is put off: six hours, and a tenth of them.
    world.advance(seconds(7 * 3_600));
    assert_eq!(hear(&mut events, "refreshed").await.session, key.id());
    assert_eq!(world.summary().mfa_challenges, asked);
}

#[tokio::test]
async fn l6_a_reader_near_the_end_sets_off_a_refresh_and_does_not_wait_for_it() {
    let tenant = json!({ "access_token_lifetime_s": 600 });
    let world = World::by_hand(tenant, KeepFresh::WhileUsed).await;
    let mut events = world.tokenward.events();
    let key = world.adopt().await;
    let first = world.access(&key, 0).await.expect("a token");
    hear(&mut events, "refreshed").await;
    world.advance(seconds(545));
    let still = world.access(&key, 0).await.expect("the old one is still good");
    hear(&mut events, "refreshed").await;
    let next = world.access(&key, 0).await.expect("the new one");
    assert_eq!(still.serial(), first.serial());
    assert!(next.serial() > first.serial());
}

#[tokio::test]
async fn l7_a_failed_early_refresh_keeps_serving_the_token_that_is_still_valid() {
    let tenant = json!({ "access_token_lifetime_s": 600 });
    let world = World::by_hand(tenant, KeepFresh::WhileUsed).await;
    let mut events = world.tokenward.events();
    let key = world.adopt().await;
    let first = world.access(&key, 0).await.expect("a token");
    world.advance(seconds(545));
    let sick = json!({ "endpoint": "token", "kind": "status", "status": 503, "times": 1 });
    world.sandbox.faults().arm(fault(sick)).expect("armed");
    world.access(&key, 0).await.expect("sets off the refresh");
    hear(&mut events, "postponed").await;
    let still = world.access(&key, 0).await.expect("still valid");
    assert_eq!(still.serial(), first.serial());
}

#[tokio::test]
async fn an_unknown_session_is_told_to_sign_in() {
    let world = World::start(json!({})).await;
    let nobody = tokenward::SessionHandle::random().key();
    let refused = world.access(&nobody, 0).await.expect_err("there is no such session");
    assert!(matches!(refused, AccessError::SignInRequired { reason: None }), "{refused}");
    assert_eq!(
        within(world.tokenward.end(&nobody, LogoutKind::User)).await.map(|f| f.is_none()),
        Ok(true)
    );
}

#[tokio::test]
async fn l16_the_timeline_tells_the_story_in_plain_words() {
    let world = World::start(json!({})).await;
    let key = world.adopt().await;
    world.access(&key, 0).await.expect("a token");
    let codes: Vec<_> = world.tokenward.timeline(&key).into_iter().map(|fact| fact.event).collect();
    assert_eq!(codes, ["signed_in", "restored", "exchange_started", "refreshed"]);
    assert_eq!(world.tokenward.find_by_id(&key.id()).await, Ok(Some(key)));
    let view = world.tokenward.describe(&key).await.expect("readable").expect("there");
    assert_eq!((view.state, view.generation, view.audiences.len()), ("fresh", 1, 1));
}

#[tokio::test]
async fn a_session_ends_when_its_longest_time_is_over() {
    let world =
        World::by_hand(json!({ "access_token_lifetime_s": LONG_TOKENS }), KeepFresh::WhileUsed)
            .await;
    let lifetime = Some(seconds(86_400));
    world.tokenward.reload(Policies { lifetime, ..Policies::default() });
    let key = world.adopt().await;
    world.access(&key, 0).await.expect("a token");
    world.advance(seconds(86_400));
    let refused = world.access(&key, 0).await.expect_err("a day is over");
    let AccessError::SignInRequired { reason: Some(reason) } = refused else { panic!("{refused}") };
    assert_eq!(reason, EndReason::Ceiling);
}
