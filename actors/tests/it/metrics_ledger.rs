//! The numbers against the provider's own ledger: what is told to operators is what happened.

use serde_json::json;
use tokenward::AccessError;
use tokenward::core::event::LogoutKind;

use crate::world::{AUDIENCES, World, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn l16_the_numbers_agree_with_the_providers_ledger() {
    let challenged = json!([{ "when": { "audiences": [AUDIENCES[1].0] }, "then": "challenge" }]);
    let tenant = json!({ "access_token_lifetime_s": 3_600, "mfa": { "rules": challenged } });
    let world = World::start(tenant).await;
    let (one, other) = (world.adopt().await, world.adopt().await);
    for key in [&one, &other] {
        world.access(key, 0).await.expect("a token");
        let held = world.access(key, 1).await.expect_err("a factor is demanded");
        assert!(matches!(held, AccessError::MfaRequired(_)), "{held}");
        world.access(key, 2).await.expect("the others go on");
        // From the snapshot: no exchange, and a hit.
        world.access(key, 0).await.expect("a token");
    }
    let ended = within(world.tokenward.end(&other, LogoutKind::Admin)).await;
    ended.expect("the store is well").expect("there was a session");

    let ledger = world.summary();
    until("the ended session has left", || sum(&world, "sessions", "login_required") == 0).await;
    let number = |name, label| sum(&world, name, label);
    assert_eq!(number("rotation_total", "outcome=\"rotated\""), ledger.rotations);
    assert_eq!(number("refresh_total", "outcome=\"success\""), ledger.refreshes);
    assert_eq!(number("refresh_total", "outcome=\"mfa_required\""), ledger.mfa_challenges);
    assert_eq!(number("token_requests_total", "result=\"hit\""), 2);
    assert_eq!(number("token_remaining_seconds_count", ""), 6);
    // Each request that spends a refresh token has its lease, and each grant its write.
    assert_eq!(
        number("store_operations_total", "op=\"lease\",outcome=\"ok\""),
        ledger.token_requests
    );
    assert!(
        number("store_operations_total", "op=\"compare_and_swap\",outcome=\"ok\"")
            >= ledger.rotations
    );
    assert_eq!(number("rotation_persist_seconds_count", ""), ledger.rotations);

    let (opened, closed) =
        (number("mfa_challenges_total", ""), number("mfa_challenges_closed_total", ""));
    assert_eq!((opened, closed), (2, 1));
    assert_eq!(opened - closed, number("mfa_challenges_pending", ""));
    until("every letter has been read", || sum(&world, "actor_mailbox_messages", "") == 0).await;
    world.tokenward.metrics().look_at_process();
    assert!(world.tokenward.metrics().render().contains("\nprocess_resident_memory_bytes "));
}

/// Sums the samples of a metric that say `label`.
fn sum(world: &World, name: &str, label: &str) -> u64 {
    let start = format!("tokenward_{name}");
    let text = world.tokenward.metrics().render();
    let ours = text.lines().filter(|line| {
        line.strip_prefix(start.as_str()).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && line.contains(label)
    });
    ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
