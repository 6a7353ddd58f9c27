//! The parts that every request or every exchange goes through, each to be counted in instructions.
//!
//! `cargo xtask bench parts` runs this under valgrind, a process for each part, and counts only what
//! happens inside of [`counted_from_here`]. A count does not depend on what else the machine does.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has failed")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod exchange;
mod stage;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use http::{Method, StatusCode};
use tokenward::Clock;
use tokenward::core::scope::ScopeSet;
use tokenward::metrics::Labels;
use tokenward::metrics::label::{AnsweredBy, HttpOutcome};
use tokenward::store::record::{decode, encode};
use tokenward::store::seal::{KeyRing, Purpose};
use tokenward_gateway::identify::{Caller, identify};
use tokenward_gateway::path::settle;

use crate::exchange::Exchanges;
use crate::stage::Bench;

/// How often a part is counted in one run; `cargo xtask bench parts` divides by it.
const COUNTED: u32 = 100;
/// How often it runs before, until what is made at first use is there.
const WARM_UP: u32 = 20;
/// How many sessions are in memory.
const SESSIONS: usize = 64;
const PATH: &str = "/api/v1/accounts/4711";
const HOST: &str = "app.example.com";

/// A part: its name, and what sets it up and then runs it through `turn`.
type Part = (&'static str, fn(turn: Turn));
type Turn = fn(&mut dyn FnMut());

const PARTS: [Part; 14] = [
    ("core_serve", core_serve),
    ("core_exchange", core_exchange),
    ("scope_check", scope_check),
    ("record_encode", record_encode),
    ("record_decode", record_decode),
    ("seal", seal),
    ("open", open),
    ("identify", identify_caller),
    ("route_match", route_match),
    ("snapshot_lookup", snapshot_lookup),
    ("numbers", numbers),
    ("copy_of_head", copy_of_head),
    ("head_to_head", head_to_head),
    ("refuse_path", refuse_path),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => {
            println!("{COUNTED}");
            PARTS.iter().for_each(|(name, _)| println!("{name}"));
            ExitCode::SUCCESS
        }
        ["run", wanted] => match PARTS.iter().find(|(name, _)| *name == wanted) {
            Some((_, part)) => {
                part(turn);
                ExitCode::SUCCESS
            }
            None => usage(),
        },
        [] | [_] | [_, _, ..] => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("tokenward-parts list | run PART; cargo xtask bench parts counts and compares");
    ExitCode::from(64)
}

fn turn(part: &mut dyn FnMut()) {
    (0..WARM_UP).for_each(|_| part());
    counted_from_here(part);
}

/// Valgrind is told to count in here, and on this thread, only.
#[inline(never)]
fn counted_from_here(part: &mut dyn FnMut()) {
    (0..COUNTED).for_each(|_| part());
    // A call in tail position would leave this function before the last turn.
    black_box(());
}

// === the parts ===

/// A wish that is met by what the session has.
fn core_serve(turn: Turn) {
    let mut exchanges = Exchanges::new();
    turn(&mut || exchanges.serve());
}

/// A wish that needs an exchange: journal, call, save, answer.
fn core_exchange(turn: Turn) {
    let mut exchanges = Exchanges::new();
    turn(&mut || exchanges.exchange());
}

fn scope_check(turn: Turn) {
    let granted = ScopeSet::parse("read:a write:a read:b write:b read:c write:c");
    let wanted = ScopeSet::parse("write:c read:a read:b");
    turn(&mut || assert!(black_box(&granted).covers(black_box(&wanted))));
}

fn record_encode(turn: Turn) {
    let clock = Clock::manual().0;
    let snapshot = exchange::snapshot(clock.now());
    turn(&mut || drop(black_box(encode(&snapshot, &clock, None).expect("it fits"))));
}

fn record_decode(turn: Turn) {
    let clock = Clock::manual().0;
    let snapshot = exchange::snapshot(clock.now());
    let record = encode(&snapshot, &clock, None).expect("it fits");
    turn(&mut || {
        let snapshot = decode(black_box(&record), snapshot.head, &clock, None);
        assert_eq!(snapshot.expect("it is a record").entries.len(), 3);
    });
}

fn seal(turn: Turn) {
    let (ring, record) = sealing();
    turn(&mut || {
        let sealed = ring.seal(Purpose::Record, b"key", black_box(&record));
        drop(black_box(sealed.expect("it is sealed")));
    });
}

fn open(turn: Turn) {
    let (ring, record) = sealing();
    let sealed = ring.seal(Purpose::Record, b"key", &record).expect("it is sealed");
    turn(&mut || {
        let opened = ring.open_sealed(Purpose::Record, b"key", black_box(&sealed));
        drop(black_box(opened.expect("it opens")));
    });
}

fn sealing() -> (KeyRing, Vec<u8>) {
    let clock = Clock::manual().0;
    let record = encode(&exchange::snapshot(clock.now()), &clock, None).expect("it fits");
    (KeyRing::ephemeral().expect("there is randomness"), record.to_vec())
}

fn identify_caller(turn: Turn) {
    with_bench(|bench| {
        let cookie = &bench.config.session.cookie;
        turn(&mut || {
            let caller = identify(black_box(&bench.requests[0]), cookie);
            assert!(matches!(caller, Caller::Browser(_)));
        });
    });
}

fn route_match(turn: Turn) {
    with_bench(|bench| {
        turn(&mut || {
            let settled = settle(black_box(PATH)).expect("the path is plain");
            let route = bench.table.find(HOST, &settled).expect("there is a route");
            assert_eq!(route.number, 2);
        });
    });
}

fn refuse_path(turn: Turn) {
    turn(&mut || assert!(settle(black_box("/api/v1/%2e%2e/accounts/4711")).is_err()));
}

fn snapshot_lookup(turn: Turn) {
    with_bench(|bench| {
        let route = &bench.config.routes[0];
        let audience = route.audience.as_ref().expect("the route has an audience");
        let Caller::Browser(session) = identify(&bench.requests[7], &bench.config.session.cookie)
        else {
            panic!("it is a browser's request");
        };
        turn(&mut || {
            let offer = bench.tokenward.take(black_box(&session), audience, &route.scopes);
            assert!(offer.is_some(), "the access token is published");
        });
    });
}

/// What is counted from a request's beginning to its end.
fn numbers(turn: Turn) {
    with_bench(|bench| {
        let (metrics, name) = (bench.tokenward.metrics(), &bench.config.routes[0].name);
        metrics.learn(&Labels { routes: vec![name.to_string()], ..Labels::default() });
        let place = metrics.route(name);
        let took = Duration::from_micros(700);
        turn(&mut || {
            metrics.in_flight(place, 1);
            metrics.upstream_response(place, took);
            metrics.overhead(place, took);
            metrics.http_request(place, &Method::GET, StatusCode::OK, AnsweredBy::Upstream);
            metrics.http_duration(place, HttpOutcome::Ok, took, None);
            metrics.request_bytes(place, 0);
            metrics.response_bytes(place, 200);
            metrics.in_flight(place, -1);
        });
    });
}

fn copy_of_head(turn: Turn) {
    with_bench(|bench| turn(&mut || drop(black_box(bench.requests[0].clone()))));
}

/// From the head of a request to the head that goes upstream; a copy of the first is made before.
fn head_to_head(turn: Turn) {
    with_bench(|bench| turn(&mut || drop(black_box(bench.request(7, black_box(PATH))))));
}

fn with_bench(act: impl FnOnce(&Bench)) {
    let directory = tempfile::tempdir().expect("there is a place for the store");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("there is a runtime");
    act(&runtime.block_on(stage::set_up(directory.path(), SESSIONS)));
}
