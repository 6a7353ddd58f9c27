//! Refreshing: rotation, the reuse window, law L1's gauge, multi-resource refresh tokens.

use std::sync::Arc;

use serde_json::{Value, json};
use tokenward_sandbox::ledger::{Entry, Kind};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, ECHO_AUDIENCE, Mint, QUOTES_AUDIENCE};

use crate::world::{World, claims, refused, text, told};

#[tokio::test]
async fn a_fork_lives_and_a_reuse_ends_the_family() {
    let world = World::start().await;
    fork_and_reuse(&world).await;
    let told: Vec<_> = world
        .sandbox
        .ledger()
        .since(0)
        .into_iter()
        .filter(|event| event.kind != Kind::Login)
        .map(|event| {
            let Entry { generation, latest, fork, .. } = event.entry;
            (event.code, generation, latest, fork)
        })
        .collect();
    let expected = [
        ("seacft", None, Some(1), false),
        ("sertft", Some(1), Some(2), false),
        ("sertft", Some(1), Some(2), true),
        ("sertft", Some(2), Some(3), false),
        ("ferrt", Some(2), None, false),
        ("", None, None, false),
        ("fertft", Some(3), None, false),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn the_ledger_adds_up() {
    let world = World::start().await;
    fork_and_reuse(&world).await;
    for (sum, expected) in [
        ("token_requests", 6),
        ("refreshes", 3),
        ("rotations", 3),
        ("forks", 1),
        ("code_exchanges", 1),
        ("reuse_detected", 1),
        ("families_revoked", 1),
        ("refreshes_refused", 2),
        ("max_concurrent_per_family", 1),
        ("mfa_challenges", 0),
        ("overlapping_refreshes_per_family", 0),
    ] {
        assert_eq!(world.sum(sum).await, expected, "{sum}");
    }
}

/// One code exchange, three refreshes of which one forks, a reuse, and a token of the dead family.
async fn fork_and_reuse(world: &World) {
    let refresh = async |tokens: &Value| {
        let refresh_token = text(tokens, "refresh_token");
        world.refresh(refresh_token, &[]).await.unwrap()
    };
    let first = world.sign_in(&[]).await;
    let (_, second) = refresh(&first).await;
    let (status, fork) = refresh(&first).await;
    assert_eq!(status, 200, "the previous token is inside the window of 60 s");
    assert_ne!(fork["refresh_token"], second["refresh_token"]);
    world.set(json!({"leeway_s": 0}));
    let (status, third) = refresh(&second).await;
    assert_eq!(status, 200);
    assert_eq!(refresh(&fork).await, refused());
    assert_eq!(refresh(&third).await, refused());
}

#[tokio::test]
async fn without_rotation_the_token_stays_and_none_is_returned() {
    let world = World::start().await;
    world.set(json!({"rotation": false, "id_token_on_refresh": false}));
    let first = world.sign_in(&[]).await;
    for _ in 0..2 {
        let (status, body) = world.refresh(text(&first, "refresh_token"), &[]).await.unwrap();
        assert_eq!((status, body.get("refresh_token"), body.get("id_token")), (200, None, None));
    }
    assert_eq!(world.sum("rotations").await, 0);
}

#[tokio::test]
async fn two_refreshes_at_once_are_seen() {
    let world = World::start().await;
    world.set(json!({"token_latency_ms": 400}));
    let minted = world.sandbox.mint(&Mint { count: 2, ..Mint::default() }).unwrap();
    let [one, other] = &minted[..] else { panic!("two were asked for") };
    let (apart, _) = tokio::join!(
        world.refresh(&one.refresh_token, &[]),
        world.refresh(&other.refresh_token, &[]),
    );
    assert_eq!(world.sum("max_concurrent_per_family").await, 1, "two families do not meet");
    let current = apart.unwrap().1;
    let current = text(&current, "refresh_token");
    let _both = tokio::join!(world.refresh(current, &[]), world.refresh(current, &[]));
    assert_eq!(world.sum("max_concurrent_per_family").await, 2);
    assert_eq!(world.sum("overlapping_refreshes_per_family").await, 1);
}

#[tokio::test]
async fn the_work_goes_on_when_the_caller_vanishes() {
    let world = World::start().await;
    world.set(json!({"token_latency_ms": 300}));
    let minted = world.sandbox.mint(&Mint::default()).unwrap();
    let refresh_token = minted[0].refresh_token.clone();
    let (caller, asked) = (Arc::clone(&world), refresh_token.clone());
    let call = tokio::spawn(async move { caller.refresh(&asked, &[]).await });
    let sums = || world.sandbox.ledger().summary();
    while sums().token_requests == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sums().refreshes, 0, "the caller leaves before the commit");
    call.abort();
    while sums().refreshes == 0 {
        tokio::task::yield_now().await;
    }
    let (status, _) = world.refresh(&refresh_token, &[]).await.unwrap();
    assert_eq!((status, sums().forks), (200, 1));
}

#[tokio::test]
async fn one_refresh_token_serves_several_audiences() {
    let world = World::start().await;
    let mut current = world.sign_in(&[]).await;
    let accounts = "openid profile offline_access read:accounts write:accounts";
    let rows = [
        (vec![("audience", ACCOUNTS_AUDIENCE)], ACCOUNTS_AUDIENCE, accounts),
        (vec![("resource", ECHO_AUDIENCE), ("scope", "use:echo admin")], ECHO_AUDIENCE, "use:echo"),
        (vec![], QUOTES_AUDIENCE, "openid profile offline_access read:quotes"),
        (
            vec![("audience", "https://nowhere"), ("scope", "read:quotes")],
            QUOTES_AUDIENCE,
            "read:quotes",
        ),
    ];
    for (more, audience, scope) in rows {
        let (status, body) = world.refresh(text(&current, "refresh_token"), &more).await.unwrap();
        let access = claims(text(&body, "access_token"));
        assert_eq!((status, text(&access, "aud"), text(&body, "scope")), (200, audience, scope));
        assert_eq!(text(&access, "scope"), scope);
        current = body;
    }
    world.set(json!({"unknown_audience": "reject"}));
    let more = [("audience", "https://nowhere")];
    let (status, body) = world.refresh(text(&current, "refresh_token"), &more).await.unwrap();
    assert_eq!((status, text(&body, "error")), (403, "invalid_request"));
    let (status, _) = world.refresh(text(&current, "refresh_token"), &[]).await.unwrap();
    assert_eq!(status, 200, "the refused request spent nothing");
}

#[tokio::test]
async fn revocation_answers_200_and_ends_the_family() {
    let world = World::start().await;
    let tokens = world.sign_in(&[]).await;
    let refresh_token = text(&tokens, "refresh_token");
    for revoked in ["unknown", refresh_token, refresh_token] {
        let ask = world.http.post(world.provider("oauth/revoke"));
        let form =
            [("token", revoked), ("client_id", "demo-web"), ("client_secret", "demo-web-secret")];
        assert_eq!(told(ask.form(&form)).await.unwrap().0, 200);
    }
    world.set(json!({"statuses": "rfc"}));
    let (status, body) = world.refresh(refresh_token, &[]).await.unwrap();
    assert_eq!((status, body), (400, refused().1), "RFC statuses by tenant option");
    assert_eq!(world.sum("revocations").await, 3);
}

#[tokio::test]
async fn a_load_test_gets_its_sessions_over_http() {
    let world = World::start().await;
    let ask = world.http.post(world.control("/sessions"));
    let (_, body) = told(ask.json(&json!({"count": 20_000}))).await.unwrap();
    let minted = body["sessions"].as_array().unwrap();
    assert_eq!(minted.len(), 20_000);
    for session in [&minted[0], &minted[19_999]] {
        let (status, tokens) = world.refresh(text(session, "refresh_token"), &[]).await.unwrap();
        assert_eq!(status, 200);
        assert_eq!(claims(text(&tokens, "access_token"))["sub"], session["subject"]);
    }
    assert_eq!(world.sum("families_evicted").await, 0);
}
