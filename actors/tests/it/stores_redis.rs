//! What only the shared store promises: several machines on one Redis, and a Redis that dies.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokenward::clock::Clock;
use tokenward::core::event::LogoutKind;
use tokenward::core::lease::{Begun, Head, Verdict};
use tokenward::core::name::{Generation, SessionKey};
use tokenward::core::policy::KeepFresh;
use tokenward::core::time::Instant;
use tokenward::store::redis::{Password, Redis, RedisSettings};
use tokenward::store::seal::KeyRing;
use tokenward::store::{Body, Row, Store, StoreError};
use tokenward::{AccessError, Tokenward, Vault};
use tokenward_sandbox::{Config, Sandbox};

use crate::redis_server::RedisServer;
use crate::stores_bench::{ask, body, leased, living, rotated, row};
use crate::world::{adoption, parts, until, wish, within};

/// Keys that lie in all buckets, as hashes do.
pub(crate) fn scattered(number: u64) -> SessionKey {
    let mut key = [0; 32];
    for (at, part) in key.chunks_exact_mut(8).enumerate() {
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(at as u32 * 7);
        part.copy_from_slice(&(mixed ^ (mixed >> 29)).to_be_bytes());
    }
    SessionKey(key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l14_listings_go_through_all_buckets_in_order() {
    let server = RedisServer::start();
    let (clock, _hand) = Clock::manual();
    let store = Redis::connect(&server.settings(), clock.clone()).await.expect("connects");
    assert_listed_in_order(&store, &clock).await;
}

/// Fills a store and goes through it in every way.
pub(crate) async fn assert_listed_in_order(store: &dyn Store, clock: &Clock) {
    const SESSIONS: u64 = 300;
    let at = |number: u64| clock.now() + Duration::from_millis(number * 37 % 101);
    let mut keys: Vec<SessionKey> = (0..SESSIONS).map(scattered).collect();
    for (number, key) in keys.iter().enumerate() {
        let due = Some(at(number as u64));
        let row = Row { head: Head::new(), body: Body { due, ..body("r0") } };
        store.create(*key, row).await.expect("created");
        leased(store, *key, ask(0)).await;
    }
    let due: Vec<_> = (0..SESSIONS).map(|number| (at(number), scattered(number))).collect();
    keys.sort_unstable();
    assert_eq!(store.count().await, Ok(SESSIONS));
    assert_eq!(store.find(body("").by_subject).await, Ok(keys.clone()));

    let (mut listed, mut doubted) = (Vec::new(), Vec::new());
    while listed.len() < keys.len() {
        let page = store.list(listed.last().copied(), 70).await.expect("listed");
        assert!(!page.is_empty());
        listed.extend(page);
    }
    while doubted.len() < keys.len() {
        let page = store.in_doubt(doubted.last().copied(), 100).await.expect("listed");
        assert!(!page.is_empty());
        doubted.extend(page);
    }
    assert_eq!((&listed, &doubted), (&keys, &keys));

    let (mut seen, mut mark) = (Vec::new(), None);
    loop {
        let page = store.due(Instant::FAR, mark, 64).await.expect("listed");
        seen.extend(page.sessions.into_iter().map(|(key, at)| (at.expect("known"), key)));
        mark = page.next;
        if mark.is_none() {
            break;
        }
    }
    assert!(seen.is_sorted_by_key(|(at, _)| *at), "the earliest first");
    let sorted = |mut all: Vec<(Instant, SessionKey)>| {
        all.sort_unstable();
        all
    };
    assert_eq!(sorted(seen), sorted(due));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_what_was_answered_survives_the_death_of_the_server_and_is_never_done_twice() {
    const WRITERS: u64 = 16;
    let mut server = RedisServer::start();
    let store = Redis::connect(&server.settings(), Clock::system()).await.expect("connects");
    let store = Arc::new(store);
    for number in 0..WRITERS {
        store.create(scattered(number), row("r0")).await.expect("created");
    }
    under_load(&store, WRITERS, async {
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            server.kill();
            server.run();
        }
    })
    .await;
}

/// Rotates sessions while something `happens`; each is where it was answered to be.
pub(crate) async fn under_load(
    store: &Arc<Redis>,
    writers: u64,
    happens: impl Future<Output = ()>,
) {
    let stop = Arc::new(AtomicBool::new(false));
    let writing: Vec<_> = (0..writers)
        .map(|number| {
            let (store, stop) = (Arc::clone(store), Arc::clone(&stop));
            tokio::spawn(async move {
                rotate_until(&*store, scattered(number), || stop.load(Ordering::Relaxed)).await
            })
        })
        .collect();
    happens.await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    stop.store(true, Ordering::Relaxed);
    for (number, writer) in writing.into_iter().enumerate() {
        let (answered, rotations) = writer.await.expect("no writer has met a wrong answer");
        let row = living(&**store, scattered(number as u64)).await;
        assert_eq!(row.head.generation, answered, "nothing is missing, nothing is there twice");
        assert!(rotations > 5, "{rotations}");
    }
}

/// Rotates one session again and again; what is not answered is asked for again, as the session's
/// owner does. Returns the generation that was answered last, and how many there were.
pub(crate) async fn rotate_until(
    store: &dyn Store,
    key: SessionKey,
    enough: impl Fn() -> bool,
) -> (Generation, u64) {
    let (mut now, mut rotations) = (Generation(0), 0_u64);
    while !enough() {
        let Ok(begun) = store.begin(key, ask(now.0)).await else { continue };
        let intent = match begun {
            Begun::Leased { intent, .. }
            // Taken by an asking of ours that was given up.
            | Begun::Busy(intent) => intent,
            other @ (Begun::Moved
            | Begun::Ended) => panic!("{other:?} at {now:?}"),
        };
        let text = format!("{key:?} {rotations} {}", intent.epoch.0);
        let head = loop {
            match store.commit(key, rotated(now.0, intent.epoch), body(&text)).await {
                Ok(Verdict::Accept(head)) => break head,
                Ok(other @ (Verdict::Superseded | Verdict::Ended)) => {
                    panic!("{other:?} at {now:?}")
                }
                Err(_) => {}
            }
        };
        assert_eq!(head.generation, now.next(), "each rotation is one");
        (now, rotations) = (head.generation, rotations + 1);
    }
    (now, rotations)
}

/// Two machines, each with a state directory of its own and the same keys.
pub(crate) struct Fleet {
    pub(crate) sandbox: Sandbox,
    pub(crate) server: RedisServer,
    pub(crate) machines: Vec<Tokenward>,
    _dirs: Vec<TempDir>,
}

impl Fleet {
    async fn start(tenant: serde_json::Value) -> Self {
        Self::start_on(RedisServer::start(), |settings| settings, tenant).await
    }

    /// Starts one whose second machine enters as `second` says.
    pub(crate) async fn start_on(
        server: RedisServer,
        second: fn(RedisSettings) -> RedisSettings,
        tenant: serde_json::Value,
    ) -> Self {
        let sandbox = Sandbox::start(Config::default()).await.expect("the sandbox starts");
        sandbox.tenant(&tenant).expect("the tenant's settings are known");
        let (mut machines, mut dirs) = (Vec::new(), Vec::<TempDir>::new());
        for _ in 0..2 {
            let dir = tempfile::tempdir().expect("a directory");
            if let Some(first) = dirs.first() {
                let keys = first.path().join("keys.json");
                std::fs::copy(keys, dir.path().join("keys.json")).expect("copied");
            }
            let clock = Clock::system();
            let settings = server.settings();
            let settings = if dirs.is_empty() { settings } else { second(settings) };
            let vault = Vault::redis(&settings, dir.path(), clock.clone()).await;
            let vault = vault.expect("opens");
            let parts = parts(&sandbox, vault, &clock, KeepFresh::WhileUsed);
            machines.push(parts.build().await.expect("built"));
            dirs.push(dir);
        }
        Self { sandbox, server, machines, _dirs: dirs }
    }

    pub(crate) async fn adopt(&self) -> SessionKey {
        self.machines[0].adopt(adoption(&self.sandbox)).await.expect("it is stored").key()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l1_machines_on_one_store_share_each_exchange_and_each_logout() {
    let fleet = Fleet::start(json!({ "access_token_lifetime_s": 3_600, "leeway_s": 60 })).await;
    let key = fleet.adopt().await;
    let [here, there] = &fleet.machines[..] else { panic!("two machines") };
    let exchanges = || fleet.sandbox.ledger().summary().refreshes;

    // Both at once: one exchanges, the other is answered by what it hears.
    let want = wish(0);
    let (mine, theirs) = tokio::join!(here.access(&key, &want), there.access(&key, &want));
    let (mine, theirs) = (mine.expect("a token"), theirs.expect("a token"));
    assert_eq!(mine.authorization(), theirs.authorization());
    assert_eq!(exchanges(), 1);

    // The other audience is asked for here, and published there without anybody asking.
    within(here.access(&key, &wish(1))).await.expect("a token");
    let other = wish(1);
    let published = || there.offer(&key, &other.audience, &other.scopes).is_some();
    until("the other machine has heard of it", published).await;
    assert_eq!(exchanges(), 2);

    let mut ends = there.ends();
    here.end(&key, LogoutKind::User).await.expect("ended");
    within(ends.next()).await.expect("it hears of the end");
    let refused = within(there.access(&key, &wish(1))).await.expect_err("it is over");
    assert!(matches!(refused, AccessError::SignInRequired { .. }), "{refused}");
    assert_eq!(fleet.sandbox.ledger().summary().reuse_detected, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_without_redis_what_is_valid_is_served_and_nothing_is_spent() {
    let mut fleet = Fleet::start(json!({ "access_token_lifetime_s": 3_600 })).await;
    let key = fleet.adopt().await;
    for machine in &fleet.machines {
        within(machine.access(&key, &wish(0))).await.expect("a token");
    }
    let before = fleet.sandbox.ledger().summary().token_requests;
    fleet.server.kill();
    for machine in &fleet.machines {
        within(machine.access(&key, &wish(0))).await.expect("served from what is known");
        let refused = within(machine.access(&key, &wish(1))).await.expect_err("no lease");
        assert!(matches!(refused, AccessError::NotNow { .. }), "{refused}");
        assert!(machine.ready().await.is_err(), "readiness says so");
    }
    assert_eq!(fleet.sandbox.ledger().summary().token_requests, before);

    fleet.server.run();
    for machine in &fleet.machines {
        let mut answer = within(machine.access(&key, &wish(1))).await;
        while answer.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer = within(machine.access(&key, &wish(1))).await;
        }
        machine.ready().await.expect("back by itself");
    }
    assert_eq!(fleet.sandbox.ledger().summary().token_requests, before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l13_a_machine_with_other_keys_or_a_wrong_password_does_not_start() {
    let server = RedisServer::start_with(&["--requirepass", "right-s3cret"]);
    let open = async |password: &str, dir: &TempDir| {
        let password = Some(Password::new(password));
        let settings = RedisSettings { password, ..server.settings() };
        Vault::redis(&settings, dir.path(), Clock::system()).await.map(drop)
    };
    let dirs = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
    let refused = open("wrong-s3cret", &dirs[0]).await.expect_err("refused");
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    assert!(!refused.to_string().contains("s3cret"), "{refused}");

    open("right-s3cret", &dirs[0]).await.expect("makes the first key ring");
    let refused = open("right-s3cret", &dirs[1]).await.expect_err("it has none");
    assert!(refused.to_string().contains("copy the key ring"), "{refused}");
    let keys = |dir: &TempDir| dir.path().join("keys.json");
    assert!(!keys(&dirs[1]).exists(), "none is made that could not open anything");
    KeyRing::open_or_create(&keys(&dirs[2])).expect("one of its own");
    open("right-s3cret", &dirs[2]).await.expect_err("it has another");
    std::fs::copy(keys(&dirs[0]), keys(&dirs[1])).expect("copied");
    open("right-s3cret", &dirs[1]).await.expect("the same one");

    // Whoever has a newer key too leads; who lacks that one is refused from then on.
    let ring = KeyRing::open(&keys(&dirs[1])).expect("readable");
    ring.rotate().expect("rotated");
    open("right-s3cret", &dirs[1]).await.expect("the newest");
    open("right-s3cret", &dirs[0]).await.expect_err("it cannot open what that seals");
}
