//! Whatever is asked of them, in whatever order: all stores give the same answers.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use tokenward::clock::{Clock, ManualHand};
use tokenward::core::lease::{Begin, Commit, Head, Intent};
use tokenward::core::name::{Epoch, Generation, Owner};
use tokenward::core::time::Instant;
#[cfg(feature = "redis")]
use tokenward::store::redis::{Redis, RedisSettings};
use tokenward::store::{Body, Embedded, Loaded, Memory, Row, Store, Tombstone};

#[cfg(feature = "redis")]
use crate::redis_server::RedisServer;
use crate::stores_bench::{ENDED, ask, body, key, rotated, row};

#[derive(Clone, Debug)]
enum Step {
    Create(u64, Head),
    Begin(u64, Begin),
    Commit(u64, Commit, Option<u64>),
    End(u64),
    Inter(u64, Option<u64>),
    Wait(u64),
    Purge,
}

fn steps() -> impl Strategy<Value = Step> {
    let session = || 0..3_u64;
    let takes_over = prop_oneof![Just(None), (0..6_u64).prop_map(|epoch| Some(Epoch(epoch)))];
    let begin = (0..4_u64, takes_over)
        .prop_map(|(consumes, takes_over)| Begin { takes_over, ..ask(consumes) });
    // Epochs are drawn from those that were given: see `drawn`.
    let commit = (0..4_u64, 0..7_u64, any::<bool>()).prop_map(|(consumed, epoch, rotates)| {
        Commit { rotated: rotates, ..rotated(consumed, Epoch(epoch)) }
    });
    prop_oneof![
        2 => (session(), head()).prop_map(|(key, head)| Step::Create(key, head)),
        6 => (session(), begin).prop_map(|(key, ask)| Step::Begin(key, ask)),
        6 => (session(), commit, proptest::option::of(0..90_u64))
            .prop_map(|(key, commit, due)| Step::Commit(key, commit, due)),
        1 => session().prop_map(Step::End),
        1 => (session(), proptest::option::of(0..90_000_u64))
            .prop_map(|(key, at)| Step::Inter(key, at)),
        2 => (0..50_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Purge),
    ]
}

/// Any head, those too that no rule leads to.
fn head() -> impl Strategy<Value = Head> {
    let small = || 0..4_u64;
    let intent = (small(), small(), any::<bool>()).prop_map(|(epoch, consumes, again)| Intent {
        epoch: Epoch(epoch),
        owner: Owner(9),
        consumes: Generation(consumes),
        since: None,
        until: None,
        settle: Duration::from_secs(1),
        again,
    });
    let numbers = (small(), proptest::option::of(small()), small(), small());
    (numbers, proptest::option::of(intent)).prop_map(|((now, parent, born_in, epoch), intent)| {
        Head {
            generation: Generation(now),
            parent: parent.map(Generation),
            born_in: Epoch(born_in),
            epoch: Epoch(epoch),
            intent,
            tombstone: false,
        }
    })
}

/// Does one step and tells everything that can be seen afterwards.
async fn told(store: &dyn Store, clock: &Clock, (number, step): (usize, &Step)) -> String {
    // No two records are sealed alike.
    let text = format!("{number}: {step:?}");
    let answer = match step {
        Step::Create(number, head) => {
            let row = Row { head: *head, ..row(&text) };
            format!("{:?}", store.create(key(*number), row).await)
        }
        Step::Begin(number, ask) => format!("{:?}", store.begin(key(*number), *ask).await),
        Step::Commit(number, commit, due) => {
            let due = due.map(|seconds| clock.now() + Duration::from_secs(seconds));
            let body = Body { due, ..body(&text) };
            format!("{:?}", store.commit(key(*number), *commit, body).await)
        }
        Step::End(number) => format!("{:?}", store.end(key(*number), ENDED).await),
        Step::Inter(number, at) => {
            let at = at.map(|seconds| Instant::ZERO + Duration::from_secs(seconds));
            let words = text.into_bytes();
            let stone = Tombstone { key: key(*number), reason: ENDED, at, words };
            format!("{:?}", store.inter(stone).await)
        }
        Step::Wait(_) => String::new(),
        // All at once: tombstones of the same moment have no order of their own.
        Step::Purge => format!("{:?}", store.purge(9).await),
    };
    let mut due = store.due(Instant::from_nanos(u64::MAX), None, 9).await.expect("readable");
    // Sessions due at the same moment have no order of their own.
    due.sessions.sort_by_key(|(key, at)| (*at, *key));
    let doubt = store.in_doubt(None, 9).await;
    let tombs = store.tombstones(None, 9).await;
    let mut seen = format!("{answer} due {:?} doubt {doubt:?} tombs {tombs:?}", due.sessions);
    for number in 0..3 {
        seen += &format!(" {:?}", store.load(key(number)).await);
    }
    seen
}

proptest! {
    #![proptest_config(Config { cases: 48, ..Config::default() })]
    #[test]
    fn l11_all_stores_answer_alike(steps in proptest::collection::vec(steps(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (clock, hand) = Clock::manual();
            let dir = tempfile::tempdir().expect("a directory");
            let embedded = Embedded::open(dir.path(), clock.clone()).expect("opens");
            alike(&embedded, &steps, &(clock, hand)).await;
        });
    }
}

#[cfg(feature = "redis")]
proptest! {
    #![proptest_config(Config { cases: 96, ..Config::default() })]
    #[test]
    fn l11_the_scripts_of_redis_follow_the_rules(steps in proptest::collection::vec(steps(), 1..60)) {
        static SERVER: std::sync::OnceLock<RedisServer> = std::sync::OnceLock::new();
        let server = SERVER.get_or_init(RedisServer::start);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (clock, hand) = Clock::manual();
            server.empty();
            let settings = RedisSettings { buckets: 2, ..server.settings() };
            let redis = Redis::connect(&settings, clock.clone()).await.expect("connects");
            alike(&redis, &steps, &(clock, hand)).await;
        });
    }
}

/// Puts an epoch that was given in place of its number, counted from the latest; what was not given
/// stays as it is.
async fn drawn(step: &Step, memory: &Memory, given: &mut Vec<Epoch>) -> Step {
    for number in 0..3 {
        if let Ok(Loaded::Living(row)) = memory.load(key(number)).await
            && !given.contains(&row.head.epoch)
        {
            given.push(row.head.epoch);
        }
    }
    let draw = |epoch: Epoch| given.iter().rev().nth(epoch.0 as usize).copied().unwrap_or(epoch);
    match step.clone() {
        Step::Begin(number, ask) => {
            Step::Begin(number, Begin { takes_over: ask.takes_over.map(draw), ..ask })
        }
        Step::Commit(number, commit, due) => {
            Step::Commit(number, Commit { epoch: draw(commit.epoch), ..commit }, due)
        }
        other @ (Step::Create(..)
        | Step::End(_)
        | Step::Inter(..)
        | Step::Wait(_)
        | Step::Purge) => other,
    }
}

async fn alike(store: &dyn Store, steps: &[Step], (clock, hand): &(Clock, ManualHand)) {
    let memory = Memory::new(clock.clone());
    let mut given = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let step = &drawn(step, &memory, &mut given).await;
        if let Step::Wait(seconds) = step {
            hand.advance(Duration::from_secs(*seconds));
        }
        let expected = told(&memory, clock, (number, step)).await;
        assert_eq!(told(store, clock, (number, step)).await, expected, "{step:?}");
    }
}
