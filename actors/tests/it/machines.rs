//! Several machines on one store: one dies, and the others live with what it leaves behind.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokenward::core::policy::{KeepFresh, Policies};
use tokenward::store::Memory;
use tokenward::store::seal::KeyRing;
use tokenward::{Clock, Tokenward, Vault};
use tokenward_sandbox::{Config, Fault, Sandbox};

use crate::world::{adoption, hear, parts, until, wish, within};

/// How far the clock is moved at a time.
const STEP: Duration = Duration::from_millis(250);

async fn machine(sandbox: Arc<Sandbox>, vault: Vault, clock: Clock) -> Tokenward {
    let parts = parts(&sandbox, vault, &clock, KeepFresh::WhileUsed).shared_store();
    parts.build().await.expect("the framework is built")
}

#[test]
fn l3_the_doubt_of_a_machine_that_died_is_resolved_by_another_in_time() {
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    // Whether the survivor has the session in memory, from before.
    for resident in [false, true] {
        let (survivors, doomed) = (runtime(), runtime());
        survivors.block_on(a_machine_dies(doomed, resident));
    }
}

async fn a_machine_dies(doomed: tokio::runtime::Runtime, resident: bool) {
    let sandbox = Sandbox::start(Config::default()).await.expect("the sandbox starts");
    let sandbox = Arc::new(sandbox);
    let tenant = json!({ "access_token_lifetime_s": 3_600, "leeway_s": 600 });
    sandbox.tenant(&tenant).expect("the tenant's settings are known");
    let (clock, hand) = Clock::manual();
    let ring = Arc::new(KeyRing::ephemeral().expect("a ring"));
    let vault = Vault::new(Arc::new(Memory::new(clock.clone())), ring, clock.clone());
    let survivor = machine(Arc::clone(&sandbox), vault.clone(), clock.clone()).await;
    let starting = doomed.spawn(machine(Arc::clone(&sandbox), vault, clock.clone()));
    let lost = within(starting).await.expect("it starts");
    let key = lost.adopt(adoption(&sandbox)).await.expect("it is stored").key();
    let before = if resident {
        within(survivor.access(&key, &wish(1))).await.expect("a token");
        2
    } else {
        1
    };

    let late = json!({ "endpoint": "token", "kind": "slow", "ms": 600_000, "when": "after" });
    let late: Fault = serde_json::from_value(late).expect("a fault the sandbox knows");
    sandbox.faults().arm(late).expect("armed");
    // It may have come across the other machine's exchange while it started; nothing tells it here that
    // this is over, so that it waits out the lease, and callers are told to come back meanwhile.
    let call = doomed.spawn(async move {
        while lost.access(&key, &wish(0)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let spent = || {
        hand.advance(STEP);
        sandbox.ledger().summary().refreshes == before
    };
    until("the provider has taken the refresh token", spent).await;
    doomed.shutdown_background();
    assert!(within(call).await.is_err(), "its machine is dead");

    let mut events = survivor.events();
    let (mut took, mut heard) = (Duration::ZERO, std::pin::pin!(hear(&mut events, "refreshed")));
    while tokio::time::timeout(Duration::from_millis(20), &mut heard).await.is_err() {
        hand.advance(STEP);
        took += STEP;
    }
    let window = Policies::default().deadlines.reuse_window;
    assert!(took < window, "{took:?}: nobody calls, and the window is closing");
    let ledger = sandbox.ledger().summary();
    assert_eq!((ledger.token_requests, ledger.forks), (before + 1, 1), "resident: {resident}");
    assert_eq!((ledger.reuse_detected, ledger.families_revoked), (0, 0));
}
