//! What durable rotations cost: through the whole framework and in the bare store, in a file and in a
//! Redis that flushes always or each second, in one run.
//!
//! `cargo xtask bench store` runs it. A rotation is two durable writes, the intent and what came
//! back; the bare store makes the same two. The last line on stdout is `store ratio R1 R16 R256`:
//! rotations of the framework on the embedded store divided by those of the bare one, with 1, 16
//! and 256 at once. The lines before it, on stderr, say the rest: the same for Redis, what a
//! waiter on another machine waits longer, what Redis is asked for each rotation and for each
//! request that a snapshot answers, and what a session takes of its memory.
//!
//! The provider runs in this process and takes its share of the cores: the ratios are floors. What
//! it and the framework leave to any store is the first line: rotations on a store in memory.
#![expect(clippy::expect_used, reason = "a benchmark that cannot run says why and stops")]
#![expect(clippy::disallowed_methods, reason = "it measures by the clock on the wall")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

#[path = "store/crowd.rs"]
mod crowd;
#[path = "store/medium.rs"]
mod medium;

use std::time::{Duration, Instant};

use crowd::{AUDIENCES, Crowd};
use medium::Medium;
use tokenward_sandbox::{Config, Sandbox};

/// How many rotations are under way at once, and how many are measured then.
const WIDTHS: [(usize, usize); 3] = [(1, 240), (16, 1_200), (256, 2_400)];

/// Rounds, of which the middle one counts.
const ROUNDS: usize = 3;

/// The provider's latency while a waiter waits on another machine: long enough to arrive meanwhile.
const LATENCY_MS: u64 = 150;

/// How many waiters on another machine are timed.
const WAITERS: usize = 60;

/// Requests that snapshots answer while Redis is watched.
const HITS: usize = 20_000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cells: Vec<_> = WIDTHS
        .iter()
        .map(|&(width, rotations)| {
            let mut rounds: Vec<f64> = (0..ROUNDS)
                .map(|_| runtime.block_on(whole(Medium::Memory, width, rotations)))
                .collect();
            rounds.sort_by(f64::total_cmp);
            format!("{:.0}", rounds[ROUNDS / 2])
        })
        .collect();
    eprintln!("{}: rotations a second, framework, {}", Medium::Memory.name(), cells.join(", "));
    let mut embedded = Vec::new();
    for medium in Medium::DURABLE {
        let mut cells = Vec::new();
        for (width, rotations) in WIDTHS {
            let mut rounds: Vec<(f64, f64)> =
                (0..ROUNDS).map(|_| runtime.block_on(compare(medium, width, rotations))).collect();
            rounds.sort_by(|one, other| (one.0 / one.1).total_cmp(&(other.0 / other.1)));
            let (whole, bare) = rounds[ROUNDS / 2];
            if medium == Medium::Embedded {
                embedded.push(whole / bare);
            }
            cells.push(format!("{whole:.0}/{bare:.0} = {:.2}", whole / bare));
        }
        eprintln!("{}: rotations a second, framework/bare, {}", medium.name(), cells.join(", "));
    }
    for medium in [Medium::RedisAlways, Medium::RedisEverysec] {
        runtime.block_on(share(medium));
    }
    let ratios: Vec<String> = embedded.iter().map(|ratio| format!("{ratio:.2}")).collect();
    println!("store ratio {}", ratios.join(" "));
}

/// Rotations a second through the framework and in the bare store.
async fn compare(medium: Medium, width: usize, rotations: usize) -> (f64, f64) {
    let whole = whole(medium, width, rotations).await;
    let bare = medium.open().await;
    (whole, bare.rotate_bare(width, rotations).await)
}

/// Rotations a second through the framework.
async fn whole(medium: Medium, width: usize, rotations: usize) -> f64 {
    let sandbox = Sandbox::start(Config::default()).await.expect("the sandbox starts");
    let place = medium.open().await;
    let crowd = Crowd::gather(&sandbox, &place, rotations / AUDIENCES.len()).await;
    let start = Instant::now();
    crowd.rotate_all(width).await;
    rotations as f64 / start.elapsed().as_secs_f64()
}

/// What sharing costs: waiters elsewhere, questions to Redis, its memory.
async fn share(medium: Medium) {
    let sandbox = Sandbox::start(Config::default()).await.expect("the sandbox starts");
    let place = medium.open().await;
    let before = place.used_bytes();
    let here = Crowd::gather(&sandbox, &place, WAITERS).await;
    let created = place.used_bytes();
    let there = here.on_another_machine(&sandbox, &place).await;
    let asked = place.scripts();
    here.rotate_all(16).await;
    let rotations = (WAITERS * AUDIENCES.len()) as f64;
    let for_rotation = (place.scripts() - asked) as f64 / rotations;
    let full = place.used_bytes();
    let asked = place.scripts();
    let hits = here.hit(HITS);
    let for_hit = (place.scripts() - asked) as f64 / hits as f64;

    sandbox.tenant(&serde_json::json!({ "token_latency_ms": LATENCY_MS })).expect("known");
    let crowd = Crowd::gather(&sandbox, &place, WAITERS).await;
    let elsewhere = crowd.on_another_machine(&sandbox, &place).await;
    let mut later = Vec::new();
    for session in 0..WAITERS {
        later.push(crowd.later_elsewhere(&elsewhere, session).await);
    }
    later.sort();
    let ms = |at: usize| later[at].as_secs_f64() * 1e3;
    eprintln!(
        "{}: a waiter on another machine is answered {:.1} ms later (median; most {:.1} ms); \
         {for_rotation:.2} scripts a rotation, {for_hit:.4} a request that a snapshot answers; \
         {:.0} bytes a session when it is new, {:.0} with tokens of {} audiences",
        medium.name(),
        ms(WAITERS / 2),
        ms(WAITERS - 1),
        (created - before) / WAITERS as f64,
        (full - before) / WAITERS as f64,
        AUDIENCES.len(),
    );
    drop(there);
}

/// The time between two moments, whichever was first, as long as it is not negative.
fn between(first: Instant, second: Instant) -> Duration {
    second.saturating_duration_since(first)
}
