//! What becomes of sessions in Redis when something breaks: masters that die, slots that move, servers
//! that forget, machines that die with what only they know.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokenward::clock::Clock;
use tokenward::core::event::{EndReason, LogoutKind};
use tokenward::core::lease::{Begin, Begun, Commit, Head, Verdict};
use tokenward::core::name::{Audience, Generation};
use tokenward::core::secret::RefreshToken;
use tokenward::core::snapshot::Snapshot;
use tokenward::store::redis::{Password, Place, Redis, RedisSettings};
use tokenward::store::seal::KeyRing;
use tokenward::store::{
    Board as _, Embedded, Loaded, MoveFault, Moved, NoteKey, Restored, Store, Wrote,
};
use tokenward::{SessionHandle, Vault};

use crate::redis_server::{RULES, RedisServer};
use crate::stores_bench::{ask, body, leased, living, rotated, row};
use crate::stores_redis::{Fleet, assert_listed_in_order, scattered, under_load};
use crate::world::{wish, within};

/// How long it may take until what was lost is there again.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a server that may have forgotten something gives no lease.
const OTHERS_TELL: Duration = Duration::from_secs(2);

pub(crate) async fn connected(settings: &RedisSettings) -> Redis {
    Redis::connect(settings, Clock::system()).await.expect("connects")
}

async fn filled(store: Redis, sessions: u64) -> Arc<Redis> {
    for number in 0..sessions {
        store.create(scattered(number), row("r0")).await.expect("created");
    }
    Arc::new(store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l11_a_cluster_serves_as_one_server_does_while_its_slots_move() {
    let nodes = RedisServer::cluster();
    let place = nodes[0].settings().place;
    let Place::Node(first, _) = place else { panic!("{place:?}") };
    let admitted = nodes.each_ref().map(|node| node.admit("gateway", RULES));
    let [settings, ..] = admitted;
    let settings = RedisSettings { place: Place::Cluster(vec![first]), ..settings };
    let (clock, _hand) = Clock::manual();
    let by_hand = RedisSettings { prefix: "tw:by-hand".to_owned(), ..settings.clone() };
    let store = Redis::connect(&by_hand, clock.clone()).await.expect("connects");
    assert_listed_in_order(&store, &clock).await;
    store.ping().await.expect("written");
    for number in 0..32 {
        let key = NoteKey(scattered(number).0);
        let wrote = store.write(key, None, vec![7], PATIENCE).await;
        assert!(matches!(wrote, Ok(Wrote::Done(_))), "{wrote:?}");
        let read = store.read(key).await.expect("read");
        assert_eq!(read.map(|note| note.text), Some(vec![7]));
    }

    let store = filled(connected(&settings).await, 16).await;
    let elsewhere = connected(&settings).await;
    let mut news = elsewhere.news().expect("it is shared");
    under_load(&store, 16, async {
        let moving = tokio::task::spawn_blocking(move || {
            nodes[0].move_slots(&nodes[1], 1_000);
            nodes
        });
        moving.await.map(std::mem::forget).expect("moved");
    })
    .await;
    assert!(within(news.next()).await.is_some(), "changes at one node are heard at another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l11_a_replica_that_is_promoted_is_found_and_gets_what_it_lacks() {
    let mut master = RedisServer::start();
    let replica = RedisServer::replica_of(&master);
    let sentinel = RedisServer::sentinel_of(&master);
    for _ in 0..500 {
        let knows = sentinel.say("SENTINEL REPLICAS main").contains(&replica.port().to_string());
        let follows = replica.say("INFO replication").contains("master_link_status:up");
        if knows && follows {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let at = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let [greeting, _] = [&master, &replica].map(|server| server.admit("gateway", RULES));
    let place = RedisSettings::parse(&at).expect("a place").place;
    let settings = RedisSettings { place, ..greeting };
    let store = filled(connected(&settings).await, 8).await;
    let store = Arc::try_unwrap(store).ok().expect("nobody else has it").started();
    under_load(&store, 8, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        master.kill();
        let promoted = || replica.say("ROLE").contains("master");
        for _ in 0..600 {
            if promoted() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(promoted());
        while store.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_l10_a_server_that_forgets_is_told_again_by_whoever_has_seen_more() {
    let mut server = RedisServer::start_with(&["--appendonly", "no"]);
    let store = filled(connected(&server.settings()).await, 4).await;
    let store = Arc::try_unwrap(store).ok().expect("nobody else has it").started();
    assert!(server.say("SAVE").starts_with("+OK"));
    let reader = connected(&server.settings()).await.started();
    let mut given = Vec::new();
    // The third is written by a machine that dies, and read by one that lives.
    let dying = connected(&server.settings()).await;
    for (number, store) in [(0, &*store), (1, &store), (2, &dying)] {
        let intent = leased(store, scattered(number), ask(0)).await;
        let verdict = store.commit(scattered(number), rotated(0, intent.epoch), body("r1")).await;
        assert!(matches!(verdict, Ok(Verdict::Accept(_))), "{verdict:?}");
        given.push(intent.epoch);
    }
    living(&*reader, scattered(2)).await;
    drop(dying);
    store.end(scattered(3), EndReason::Ceiling).await.expect("ended");
    store.create(scattered(4), row("new")).await.expect("created");
    server.kill();
    let ran_at = Clock::system().now();
    server.run();
    // Asked for at once, before anything was told again: nothing is spent until all have told.
    let mut begun = store.begin(scattered(0), ask(1)).await;
    while begun.is_err() {
        begun = store.begin(scattered(0), ask(1)).await;
    }
    let Ok(Begun::Leased { intent, .. }) = begun else { panic!("{begun:?}") };
    assert!(given.iter().all(|epoch| intent.epoch > *epoch), "no epoch is given twice");
    // All of it is left to send in: it does not count from where it was asked for.
    assert!(intent.since >= Some(ran_at + OTHERS_TELL / 2), "{ran_at:?} {intent:?}");
    let newcomer = connected(&server.settings()).await;
    within_patience("nobody who comes new to it finds anything of the old", async || {
        // A gateway that listens for news looks as soon as it hears nothing any more.
        let _ = reader.ping().await;
        let mut there = true;
        for number in 0..3 {
            let row = living(&newcomer, scattered(number)).await;
            there &= (row.head.generation, &*row.body.sealed) == (Generation(1), b"r1");
        }
        there
    })
    .await;
    assert_eq!(newcomer.load(scattered(3)).await, Ok(Loaded::Ended(EndReason::Ceiling)));
    assert_eq!(living(&newcomer, scattered(4)).await.body, body("new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_who_starts_while_others_have_more_to_tell_spends_nothing_before_they_have() {
    let mut server = RedisServer::start_with(&["--appendonly", "no"]);
    let dir = tempfile::tempdir().expect("a directory");
    let store = connected(&server.settings()).await.spooling(dir.path()).expect("opens");
    let store = filled(store, 5).await;
    let store = Arc::try_unwrap(store).ok().expect("nobody else has it").started();
    leased(&*store, scattered(1), ask(0)).await;
    assert!(server.say("SAVE").starts_with("+OK"));
    let intent = leased(&*store, scattered(0), ask(0)).await;
    let verdict = store.commit(scattered(0), rotated(0, intent.epoch), body("r1")).await;
    assert!(matches!(verdict, Ok(Verdict::Accept(_))), "{verdict:?}");
    let in_flight = leased(&*store, scattered(2), ask(0)).await;
    // What the fourth spends was written by a machine that dies.
    let dying = connected(&server.settings()).await;
    let lost = leased(&dying, scattered(3), ask(0)).await;
    let verdict = dying.commit(scattered(3), rotated(0, lost.epoch), body("r1")).await;
    assert!(matches!(verdict, Ok(Verdict::Accept(_))), "{verdict:?}");
    drop(dying);
    let ahead = leased(&*store, scattered(3), ask(1)).await;
    let unanswered = leased(&*store, scattered(4), ask(0)).await;
    server.kill();
    let commit = rotated(0, unanswered.epoch);
    store.commit(scattered(4), commit, body("r1")).await.expect_err("down");
    server.run();
    let newcomer = connected(&server.settings()).await.started();
    let others = async {
        // As long as it may take until they look.
        tokio::time::sleep(Duration::from_millis(300)).await;
        while store.ping().await.is_err() {}
    };
    let (begun, ()) = tokio::join!(newcomer.begin(scattered(0), ask(0)), others);
    assert_eq!(begun, Ok(Begun::Moved), "the token was spent");
    // Law L1: what is being spent is not spent beside it.
    let begun = newcomer.begin(scattered(2), ask(0)).await;
    let Ok(Begun::Busy(held)) = begun else { panic!("{begun:?}") };
    assert_eq!((held.epoch, held.owner), (in_flight.epoch, in_flight.owner));
    let begun = newcomer.begin(scattered(3), ask(0)).await;
    assert!(matches!(begun, Ok(Begun::Busy(held)) if held.epoch == ahead.epoch), "{begun:?}");
    let begun = newcomer.begin(scattered(4), ask(0)).await;
    assert_eq!(begun, Ok(Begun::Moved), "what was never answered is told first");
    assert_eq!(newcomer.in_doubt(None, 9).await.map(|all| all.len()), Ok(3));
    let commit = rotated(0, in_flight.epoch);
    let verdict = store.commit(scattered(2), commit, body("r1")).await;
    assert!(matches!(verdict, Ok(Verdict::Accept(Head { intent: None, .. }))), "{verdict:?}");
    let verdict = store.commit(scattered(3), rotated(1, ahead.epoch), body("r2")).await;
    assert!(matches!(verdict, Ok(Verdict::Accept(Head { intent: None, .. }))), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_what_an_exchange_brought_outlives_both_the_server_and_its_owner() {
    let mut server = RedisServer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let open = async |settings: RedisSettings| {
        connected(&settings).await.spooling(dir.path()).expect("opens").started()
    };
    let store = open(server.settings()).await;
    store.create(scattered(0), row("r0")).await.expect("created");
    let intent = leased(&*store, scattered(0), ask(0)).await;
    server.kill();
    store.commit(scattered(0), rotated(0, intent.epoch), body("r1")).await.expect_err("down");
    drop(store);

    server.run();
    let store = open(server.settings()).await;
    within_patience("whoever comes next commits it", async || {
        let row = living(&*store, scattered(0)).await;
        row.head.generation == Generation(1) && row.body.sealed == b"r1" && row.body.due.is_some()
    })
    .await;
    let spool = dir.path().join("spool");
    within_patience("nothing is left to do", async || {
        spool.read_dir().expect("there").next().is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_logout_elsewhere_is_known_to_a_machine_that_hears_nothing() {
    let server = RedisServer::start();
    let deaf = server.say("ACL SETUSER deaf on >pass ~* &* +@all -subscribe");
    assert_eq!(deaf, "+OK\r\n");
    let second = |settings| RedisSettings {
        username: Some("deaf".to_owned()),
        password: Some(Password::new("pass")),
        ..settings
    };
    let fleet = Fleet::start_on(server, second, json!({ "access_token_lifetime_s": 3_600 })).await;
    let key = fleet.adopt().await;
    let [here, there] = &fleet.machines[..] else { panic!("two machines") };
    within(here.access(&key, &wish(0))).await.expect("a token");
    within(there.access(&key, &wish(0))).await.expect("the same");
    let mut ends = there.ends();
    here.end(&key, LogoutKind::User).await.expect("ended");
    within(ends.next()).await.expect("it looks");
    within(there.access(&key, &wish(0))).await.expect_err("it is over");
    assert_eq!(fleet.sandbox.ledger().summary().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_move_into_redis_and_back_sealed_as_they_are() {
    let server = RedisServer::start();
    let clock = Clock::system();
    let dir = tempfile::tempdir().expect("a directory");
    let embedded = Vault::embedded(dir.path(), clock.clone()).expect("opens");
    let audience = Audience::parse("urn:api").expect("an audience");
    let keys: Vec<_> = (0..40).map(|_| SessionHandle::random().key()).collect();
    for (number, key) in keys.iter().enumerate() {
        let refresh_token = Some(RefreshToken::new(&format!("r{number}")));
        let (issuer, person) = ("urn:p".into(), format!("person {number}").into());
        let snapshot = Snapshot::new(issuer, person, audience.clone(), refresh_token);
        embedded.create(*key, &snapshot, None).await.expect("created");
    }
    let redis = Vault::redis(&server.settings(), dir.path(), clock.clone()).await.expect("opens");

    let lease = ask(0);
    embedded.begin(keys[0], lease).await.expect("leased");
    let refused = embedded.move_to(&redis, |_| {}).await.expect_err("somebody may spend it");
    assert!(matches!(refused, MoveFault::Leased { wait, .. } if wait <= lease.lease), "{refused}");
    embedded.end(keys[0], EndReason::Ceiling).await.expect("ended");

    let moved = embedded.move_to(&redis, |_| {}).await.expect("moved");
    assert_eq!(moved, Moved { copied: 39, ended: 1, ..Moved::default() });
    assert_eq!(redis.count().await, Ok(39));
    // Law L10: what was ended here meanwhile, in an attempt that was cut short, ends over there.
    embedded.end(keys[2], EndReason::Ceiling).await.expect("ended");
    redis.begin(keys[1], lease).await.expect("leased over there");
    let again = embedded.move_to(&redis, |_| {}).await.expect("moved again");
    assert_eq!(again, Moved { there: 37, newer: 1, ended: 1, ..Moved::default() });
    for (number, key) in keys.iter().enumerate().skip(3) {
        let Ok(Restored::Living(snapshot)) = redis.load(*key).await else { panic!("{number}") };
        let refresh_token = snapshot.refresh_token.as_ref().map(RefreshToken::seal);
        assert_eq!(refresh_token, Some(&*format!("r{number}")));
    }
    assert_eq!(redis.of_subject("urn:p", "person 7").await, Ok(vec![keys[7]]));

    redis.end(keys[1], EndReason::Ceiling).await.expect("ended");
    let back = tempfile::tempdir().expect("a directory");
    std::fs::copy(dir.path().join("keys.json"), back.path().join("keys.json")).expect("copied");
    let home = Vault::embedded(back.path(), clock.clone()).expect("opens");
    let moved = redis.move_to(&home, |_| {}).await.expect("moved back");
    assert_eq!(moved, Moved { copied: 37, ended: 3, ..Moved::default() });
    for (vault, ended) in [(&redis, 1), (&home, 0), (&home, 1), (&home, 2)] {
        let there = vault.load(keys[ended]).await;
        assert!(matches!(there, Ok(Restored::Ended(EndReason::Ceiling))), "{ended}: {there:?}");
    }
    let again = redis.move_to(&home, |_| {}).await.expect("moved again");
    assert_eq!(again, Moved { there: 37, ..Moved::default() });
    let other = tempfile::tempdir().expect("a directory");
    KeyRing::open_or_create(&other.path().join("keys.json")).expect("a ring of its own");
    let other = Vault::embedded(other.path(), clock).expect("opens");
    assert_eq!(redis.move_to(&other, |_| {}).await, Err(MoveFault::Ring));
}

/// Who moves back into the store that the sessions came from brings everything that has gone on since:
/// rotations, access tokens, and doubts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l11_a_move_back_replaces_what_had_stayed_behind() {
    let server = RedisServer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Clock::system();
    let embedded = Embedded::open(dir.path(), clock.clone()).expect("opens");
    let redis = connected(&server.settings()).await;
    let ring = KeyRing::open_or_create(&dir.path().join("keys.json")).expect("made");
    let (embedded, redis, ring) = (Arc::new(embedded), Arc::new(redis), Arc::new(ring));
    let vault = |store| Vault::new(store, Arc::clone(&ring), clock.clone());
    let [home, away] = [vault(embedded.clone() as Arc<dyn Store>), vault(redis.clone())];
    let keys = [0, 1, 2, 3].map(scattered);
    for key in keys {
        embedded.create(key, row("r0")).await.expect("created");
    }
    let moved = home.move_to(&away, |_| {}).await.expect("moved");
    assert_eq!(moved, Moved { copied: 4, ..Moved::default() });

    let [_, spent, doubtful, served] = keys;
    let over = Begin { lease: Duration::ZERO, ..ask(0) };
    for key in [spent, served] {
        let intent = leased(&*redis, key, over).await;
        let commit = Commit { rotated: key == spent, ..rotated(0, intent.epoch) };
        redis.commit(key, commit, body("r1")).await.expect("written");
    }
    redis.begin(doubtful, over).await.expect("begun");
    let back = away.move_to(&home, |_| {}).await.expect("moved back");
    assert_eq!(back, Moved { renewed: 3, there: 1, ..Moved::default() });
    for (key, kept) in keys.into_iter().zip(["r0", "r1", "r0", "r1"]) {
        let row = living(&*embedded, key).await;
        assert_eq!(row.body.sealed, body(kept).sealed);
        assert_eq!(row.head.intent.is_some(), key == doubtful);
    }
    let forth = home.move_to(&away, |_| {}).await.expect("moved again");
    assert_eq!(forth.copied + forth.newer, 0, "nothing is older here: {forth:?}");
}

pub(crate) async fn within_patience(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let looked = tokio::time::timeout(PATIENCE, async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    looked.await.unwrap_or_else(|_| panic!("it did not come to pass: {what}"));
}
