//! Ten thousand callers at once on one expired session with three audiences.
//!
//! `cargo xtask bench storm` runs it. For each provider latency it prints one line to stderr; the
//! last line on stdout is `storm exchanges E failures F waiter_ms W` for a provider that takes one
//! second: E exchanges seen by the provider, F callers without a token, and W the time from the
//! first answered caller of an audience to the last, the worst of the three audiences. The first
//! is answered as soon as the save is durable. The allocator is the gateway's: half of what a
//! waiter costs at the end is giving back the memory of its task.
#![expect(clippy::expect_used, reason = "a benchmark that cannot run says why and stops")]
#![expect(clippy::disallowed_methods, reason = "it measures by the clock on the wall")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use serde_json::json;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::policy::Policies;
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::RefreshToken;
use tokenward::provider::{ClientSecret, Credentials, Provider, ProviderSettings};
use tokenward::{Adoption, Clock, Tokenward, Vault, Wish};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, Config, ECHO_AUDIENCE, Mint, QUOTES_AUDIENCE, Sandbox};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const CALLERS: usize = 10_000;

/// Rounds with a provider that takes one second, of which the middle one counts: where the kernel
/// puts both workers on one core for a moment, a round takes twice as long as the next.
const ROUNDS: usize = 11;

const AUDIENCES: [(&str, &str); 3] = [
    (QUOTES_AUDIENCE, "read:quotes"),
    (ACCOUNTS_AUDIENCE, "read:accounts"),
    (ECHO_AUDIENCE, "use:echo"),
];

/// What became of one storm.
struct Outcome {
    exchanges: u64,
    at_once: u64,
    failures: usize,
    waiter: Duration,
    took: Duration,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for latency_ms in [0, 7_000] {
        let outcome = runtime.block_on(storm(latency_ms));
        tell(latency_ms, &outcome);
        judge(&outcome);
    }
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let outcome = runtime.block_on(storm(1_000));
            tell(1_000, &outcome);
            judge(&outcome);
            outcome
        })
        .collect();
    let mut waits: Vec<_> = rounds.iter().map(|round| round.waiter.as_secs_f64() * 1e3).collect();
    waits.sort_by(f64::total_cmp);
    let failures: usize = rounds.iter().map(|round| round.failures).sum();
    let exchanges = rounds.iter().map(|round| round.exchanges).max().unwrap_or(0);
    println!(
        "storm exchanges {exchanges} failures {failures} waiter_ms {:.1}",
        waits[waits.len() / 2]
    );
}

fn tell(latency_ms: u64, outcome: &Outcome) {
    eprintln!(
        "provider {latency_ms} ms: {CALLERS} callers, {} exchanges, {} at once, {} failures, \
         {:.1} ms from first to last answer, {:.2} s in all",
        outcome.exchanges,
        outcome.at_once,
        outcome.failures,
        outcome.waiter.as_secs_f64() * 1e3,
        outcome.took.as_secs_f64(),
    );
}

fn judge(outcome: &Outcome) {
    if outcome.exchanges != 3 || outcome.at_once > 1 || outcome.failures > 0 {
        eprintln!("law L1 is broken");
        std::process::exit(1);
    }
}

async fn storm(latency_ms: u64) -> Outcome {
    let sandbox = Sandbox::start(Config::default()).await.expect("the sandbox starts");
    let tenant = json!({ "token_latency_ms": latency_ms, "access_token_lifetime_s": 3_600 });
    sandbox.tenant(&tenant).expect("the settings are known");
    let dir = tempfile::tempdir().expect("a directory");
    let tokenward = framework(&sandbox, dir.path()).await;
    let key = adopt(&sandbox, &tokenward).await;

    let start = Instant::now();
    let calls: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (tokenward, wanted) = (tokenward.clone(), wish(caller % AUDIENCES.len()));
            tokio::spawn(async move {
                let answer = tokenward.access(&key, &wanted).await;
                answer.is_ok().then(|| start.elapsed())
            })
        })
        .collect();
    let mut answered = [const { Vec::new() }; AUDIENCES.len()];
    let mut failures = 0;
    // The last first: whoever waits for them in the order of their answers is woken by each one, on
    // a core that answers others.
    for (caller, call) in calls.into_iter().enumerate().rev() {
        match call.await.expect("no caller panics") {
            Some(at) => answered[caller % AUDIENCES.len()].push(at),
            None => failures += 1,
        }
    }
    let spread = |times: &Vec<Duration>| {
        let (first, last) = (times.iter().min(), times.iter().max());
        first.zip(last).map_or(Duration::ZERO, |(first, last)| *last - *first)
    };
    let summary = sandbox.ledger().summary();
    Outcome {
        exchanges: summary.refreshes,
        at_once: summary.max_concurrent_per_family,
        failures,
        waiter: answered.iter().map(spread).max().unwrap_or_default(),
        took: start.elapsed(),
    }
}

async fn framework(sandbox: &Sandbox, dir: &std::path::Path) -> Tokenward {
    let clock = Clock::system();
    let mut settings = ProviderSettings::new(&sandbox.addresses().issuer, "demo-web");
    settings.credentials = Credentials::Basic(ClientSecret::new("demo-web-secret"));
    let provider = Provider::new(settings, clock.clone()).expect("the settings are right");
    let vault = Vault::embedded(dir, clock).expect("the store opens");
    let builder = Tokenward::builder().provider(provider).vault(vault);
    builder.policies(Policies::default()).build().await.expect("the framework is built")
}

async fn adopt(sandbox: &Sandbox, tokenward: &Tokenward) -> SessionKey {
    let wanted = Mint {
        count: 1,
        client_id: "demo-web".to_owned(),
        user: None,
        audience: QUOTES_AUDIENCE.to_owned(),
        scope: "openid offline_access read:quotes".to_owned(),
    };
    let minted = sandbox.mint(&wanted).expect("a session").remove(0);
    let adoption = Adoption {
        refresh_token: RefreshToken::new(&minted.refresh_token),
        subject: minted.subject,
        primary: Audience::parse(QUOTES_AUDIENCE).expect("an audience"),
    };
    tokenward.adopt(adoption).await.expect("stored").key()
}

fn wish(audience: usize) -> Wish {
    let (audience, scope) = AUDIENCES[audience];
    Wish::new(Audience::parse(audience).expect("an audience"), ScopeSet::parse(scope))
}
