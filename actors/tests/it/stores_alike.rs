//! Whatever is asked of them, in whatever order: all stores give the same answers.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use tokenward::clock::Clock;
use tokenward::core::lease::{Begin, Commit};
use tokenward::core::name::Epoch;
use tokenward::core::time::Instant;
use tokenward::store::{Body, Embedded, Memory, Store};

use crate::stores_bench::{ENDED, ask, body, key, rotated, row};

#[derive(Clone, Debug)]
enum Step {
    Create(u64),
    Begin(u64, Begin),
    Commit(u64, Commit, Option<u64>),
    End(u64),
    Wait(u64),
    Purge,
}

fn steps() -> impl Strategy<Value = Step> {
    let session = || 0..3_u64;
    let takes_over = prop_oneof![Just(None), (0..6_u64).prop_map(|epoch| Some(Epoch(epoch)))];
    let begin = (0..4_u64, takes_over)
        .prop_map(|(consumes, takes_over)| Begin { takes_over, ..ask(consumes) });
    let commit = (0..4_u64, 0..7_u64, any::<bool>()).prop_map(|(consumed, epoch, rotates)| {
        Commit { rotated: rotates, ..rotated(consumed, Epoch(epoch)) }
    });
    prop_oneof![
        2 => session().prop_map(Step::Create),
        6 => (session(), begin).prop_map(|(key, ask)| Step::Begin(key, ask)),
        6 => (session(), commit, proptest::option::of(0..90_u64))
            .prop_map(|(key, commit, due)| Step::Commit(key, commit, due)),
        1 => session().prop_map(Step::End),
        2 => (0..50_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Purge),
    ]
}

/// Does one step and tells everything that can be seen afterwards.
async fn told(store: &dyn Store, clock: &Clock, step: &Step) -> String {
    let answer = match step {
        Step::Create(number) => format!("{:?}", store.create(key(*number), row("r")).await),
        Step::Begin(number, ask) => format!("{:?}", store.begin(key(*number), *ask).await),
        Step::Commit(number, commit, due) => {
            let due = due.map(|seconds| clock.now() + Duration::from_secs(seconds));
            let body = Body { due, ..body(&format!("{commit:?}")) };
            format!("{:?}", store.commit(key(*number), *commit, body).await)
        }
        Step::End(number) => format!("{:?}", store.end(key(*number), ENDED).await),
        Step::Wait(_) => String::new(),
        // All at once: tombstones of the same moment have no order of their own.
        Step::Purge => format!("{:?}", store.purge(9).await),
    };
    let mut due = store.due(Instant::from_nanos(u64::MAX), None, 9).await.expect("readable");
    // Sessions due at the same moment have no order of their own.
    due.sessions.sort_by_key(|(key, at)| (*at, *key));
    let doubt = store.in_doubt(None, 9).await;
    let mut seen = format!("{answer} due {:?} doubt {doubt:?}", due.sessions);
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
            let memory = Memory::new(clock.clone());
            for step in &steps {
                if let Step::Wait(seconds) = step {
                    hand.advance(Duration::from_secs(*seconds));
                }
                let expected = told(&memory, &clock, step).await;
                assert_eq!(told(&embedded, &clock, step).await, expected, "{step:?}");
            }
        });
    }
}
