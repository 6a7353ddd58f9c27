//! What a session costs in memory: while it rests in the store, and while it is in use.
//!
//! `cargo xtask bench memory` runs it. The last line on stdout is `memory idle_bytes I
//! active_bytes A`; the lines before it, on stderr, say how each was found.
//!
//! Two processes do the same over stores of different sizes, and their resident memory is
//! compared: I is what each further session in the store adds to a process that has started, and
//! has then brought sessions to life and put them back, wave by wave, until each was in use once.
//! What the process needs anyway (threads, caches, bounded memories such as timelines) cancels
//! out. A is what each of two thousand further sessions adds to five thousand that are in use at
//! the same time, with the tokens of three audiences. The allocator is the gateway's.
#![expect(clippy::expect_used, reason = "a benchmark that cannot run says why and stops")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use mimalloc::MiMalloc;
use tokenward::clock::{Clock, ManualHand};
use tokenward::core::name::{Audience, Epoch, SessionKey};
use tokenward::core::policy::{AudiencePolicy, KeepFresh, Policies};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::{AccessToken, IdToken, RefreshToken};
use tokenward::core::snapshot::{Entry, Snapshot};
use tokenward::provider::{Provider, ProviderSettings};
use tokenward::{Tokenward, Vault, Wish};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// DESIGN §8: the most that a session may cost.
const IDLE_BYTES_MAX: f64 = 64.0;
const ACTIVE_BYTES_MAX: f64 = 16.0 * 1024.0;

/// The store that the large one is compared with: every bounded memory is full with it already.
const FEW: u64 = 10_000;

/// The sessions of the large store unless the caller says otherwise.
const MANY: u64 = 100_000;

/// Sessions that are in use at once while the store is walked through.
const WAVE: u64 = 1_000;

/// Sessions in use before it is measured what further ones add: more than timelines and event
/// streams remember, so that these bounded memories are full.
const USED_FIRST: u64 = 5_000;

/// The most sessions that are brought to life one wave after the other.
const VISITED_MAX: u64 = 100_000;

/// Writes that are under way at once: what the store puts into one transaction.
const WRITERS: u64 = 512;

/// The bytes of each token: JWTs with a dozen claims.
const TOKEN_BYTES: usize = 1_000;

/// A day in which nothing has to be refreshed: the clock runs fast here.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Longer than a session stays in memory without being used.
const IDLE: Duration = Duration::from_secs(61);

const AUDIENCES: [&str; 3] = ["https://a.example", "https://b.example", "https://c.example"];

/// Resident memory of one process, in bytes, at the stations of its way.
#[derive(Debug)]
struct Stations {
    started: f64,
    /// With [`USED_FIRST`] sessions in use.
    in_use: f64,
    /// With two [`WAVE`]s more.
    more_in_use: f64,
    /// After all have been put back.
    put_back: f64,
    /// After each session was in use once, a wave at a time.
    visited: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["walk", dir, sessions] => run(walk(Path::new(dir), number(sessions))),
        [] => compare(MANY),
        [sessions] => compare(number(sessions)),
        _ => {
            eprintln!("memory [SESSIONS]");
            ExitCode::from(64)
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number of sessions")
}

fn run(work: impl Future<Output = ()>) -> ExitCode {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work);
    ExitCode::SUCCESS
}

fn compare(many: u64) -> ExitCode {
    assert!(many > FEW, "at least {FEW} sessions are needed");
    let [few_bytes, many_bytes] = [FEW, many].map(|sessions| {
        let dir = tempfile::tempdir().expect("a directory");
        let stations = Stations::read(&child("walk", dir.path(), sessions));
        stations.tell(sessions);
        stations
    });
    let more = (many - FEW) as f64;
    let started = (many_bytes.started - few_bytes.started) / more;
    let idle = (many_bytes.visited - few_bytes.visited) / more;
    let active = (many_bytes.more_in_use - many_bytes.in_use) / (2 * WAVE) as f64;
    eprintln!("{many} sessions in the store, {} in use at once", USED_FIRST + 2 * WAVE);
    eprintln!("each further idle session: {started:.1} bytes after the start, {idle:.1} after use");
    eprintln!("each session in use: {active:.0} bytes");
    // A few pages more or less are noise, which may even come out below nothing.
    let idle = idle.max(started).max(0.0);
    println!("memory idle_bytes {idle:.0} active_bytes {active:.0}");
    if idle > IDLE_BYTES_MAX || active > ACTIVE_BYTES_MAX {
        eprintln!("the aim is {IDLE_BYTES_MAX} and {ACTIVE_BYTES_MAX}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs a part in a process of its own, so that nothing of it counts in another.
fn child(part: &str, dir: &Path, sessions: u64) -> String {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg(part).arg(dir).arg(sessions.to_string());
    let output = command.stderr(std::process::Stdio::inherit()).output().expect("a process");
    assert!(output.status.success(), "{part} failed");
    String::from_utf8(output.stdout).expect("text")
}

// === the parts ===

/// Fills the store by the clock of the process that reads it: moments of another boot are unknown.
/// What the writing leaves behind in memory is the same for each store.
async fn fill(dir: &Path, clock: &Clock, sessions: u64) {
    let vault = Vault::embedded(dir, clock.clone()).expect("the store opens");
    for first in (0..sessions).step_by(WRITERS as usize) {
        let writes: Vec<_> = (first..sessions.min(first + WRITERS))
            .map(|number| {
                let (vault, clock) = (vault.clone(), clock.clone());
                tokio::spawn(async move {
                    let due = clock.now() + LIFETIME + Duration::from_secs(number);
                    let session = session(number, &clock);
                    vault.create(key(number), &session, Some(due)).await.expect("stored");
                })
            })
            .collect();
        for write in writes {
            write.await.expect("written");
        }
    }
}

async fn walk(dir: &Path, sessions: u64) {
    let (clock, hand) = Clock::manual();
    fill(dir, &clock, sessions).await;
    let tokenward = framework(dir, clock).await;
    // The due index has been read once when a session of it could have been woken.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let started = resident_bytes();
    let in_use = use_all(&tokenward, 0..USED_FIRST).await;
    let more_in_use = use_all(&tokenward, USED_FIRST..USED_FIRST + 2 * WAVE).await;
    put_back(&tokenward, &hand).await;
    let put_back_bytes = resident_bytes();
    let visited = sessions.min(VISITED_MAX);
    for first in (0..visited).step_by(WAVE as usize) {
        use_all(&tokenward, first..visited.min(first + WAVE)).await;
        put_back(&tokenward, &hand).await;
    }
    let visited = resident_bytes();
    println!("{started} {in_use} {more_in_use} {put_back_bytes} {visited}");
}

/// Takes a token of each audience from each session, as callers do; returns the memory then.
async fn use_all(tokenward: &Tokenward, numbers: std::ops::Range<u64>) -> u64 {
    for number in numbers {
        for audience in AUDIENCES {
            let audience = Audience::parse(audience).expect("an audience");
            let wish = Wish::new(audience, ScopeSet::parse("read"));
            tokenward.access(&key(number), &wish).await.expect("a living token");
        }
    }
    resident_bytes()
}

/// Lets time pass until no session is in memory.
async fn put_back(tokenward: &Tokenward, hand: &ManualHand) {
    while tokenward.resident() > 0 {
        hand.advance(IDLE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn framework(dir: &Path, clock: Clock) -> Tokenward {
    // Nobody is there: no session has to ask.
    let settings = ProviderSettings::new("http://127.0.0.1:9/", "bench");
    let provider = Provider::new(settings, clock.clone()).expect("the settings are right");
    let vault = Vault::embedded(dir, clock).expect("the store opens");
    let mut policies = Policies::default();
    for audience in AUDIENCES {
        let policy = AudiencePolicy {
            scopes: ScopeSet::parse("read"),
            keep_fresh: KeepFresh::Always,
            ..AudiencePolicy::default()
        };
        policies.audiences.insert(Audience::parse(audience).expect("an audience"), policy);
    }
    let builder = Tokenward::builder().provider(provider).vault(vault);
    builder.policies(policies).build().await.expect("the framework is built")
}

fn session(number: u64, clock: &Clock) -> Snapshot {
    let text = |kind: &str| {
        let mut text = format!("{kind}.{number}.");
        text.extend(std::iter::repeat_n('x', TOKEN_BYTES - text.len()));
        text
    };
    let primary = Audience::parse(AUDIENCES[0]).expect("an audience");
    let refresh_token = Some(RefreshToken::new(&text("refresh")));
    let subject = format!("load|{number}");
    let issuer = "http://127.0.0.1:9/";
    let mut session = Snapshot::new(issuer.into(), subject.into(), primary, refresh_token);
    session.id_token = Some(IdToken::new(&text("id")));
    session.provider_session = Some(format!("sid {number}").into());
    for audience in AUDIENCES {
        session.entries.push(Entry {
            audience: Audience::parse(audience).expect("an audience"),
            access_token: AccessToken::new(&text(audience)),
            requested: ScopeSet::parse("read"),
            granted: ScopeSet::parse("read"),
            received_at: clock.now(),
            lifetime: LIFETIME,
            born_in: Epoch(0),
        });
    }
    session
}

/// A session's key: spread over the shards as hashes are.
fn key(number: u64) -> SessionKey {
    let mut key = [0; 32];
    let mut word = number;
    for chunk in key.chunks_exact_mut(8) {
        // splitmix64: every number gives another key.
        word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    SessionKey(key)
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc(5)");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1024
}

// === impl Stations ===

impl Stations {
    fn read(line: &str) -> Self {
        let bytes = line.split_whitespace().map(|word| word.parse().expect("a number"));
        let bytes: Vec<f64> = bytes.collect();
        let [started, in_use, more_in_use, put_back, visited] = bytes[..] else {
            panic!("not the stations of a way: {line}");
        };
        Self { started, in_use, more_in_use, put_back, visited }
    }

    fn tell(&self, sessions: u64) {
        let mb = |bytes: f64| format!("{:.1} MB", bytes / 1e6);
        eprintln!(
            "{sessions} in the store: {} after the start, {} with {USED_FIRST} in use, {} with {}, {} after \
             all were put back, {} after {} were in use one wave after the other",
            mb(self.started),
            mb(self.in_use),
            mb(self.more_in_use),
            USED_FIRST + 2 * WAVE,
            mb(self.put_back),
            mb(self.visited),
            sessions.min(VISITED_MAX),
        );
    }
}
