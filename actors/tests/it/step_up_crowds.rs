//! Many who wait for one person, and what is counted of people.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a story that fails ends the story"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokenward::core::event::LogoutKind;
use tokenward::core::name::{Epoch, SessionKey};
use tokenward::core::secret::Passcode;
use tokenward::core::step_up::{ContextId, Evidence, Factor};
use tokenward::step_up::ChallengeWish;
use tokenward::{AccessError, MfaFault};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, Authenticate, QUOTES_AUDIENCE};
use tokio::task::JoinSet;

use crate::step_up::{ada, asks_once, held, need, otp, world};
use crate::world::{World, until, wish};

/// How many wait for the same audience.
const WAITERS: usize = 1_000;

/// What became of those who asked for the accounts.
#[derive(Default)]
struct Told {
    /// The contexts that they were told of.
    contexts: BTreeSet<ContextId>,
    held: usize,
    /// The access tokens that they were given.
    serials: BTreeSet<Epoch>,
    served: usize,
}

/// Lets a thousand ask for the accounts.
fn crowd(world: &World, key: &SessionKey) -> JoinSet<Result<Epoch, Option<ContextId>>> {
    let mut crowd = JoinSet::new();
    for _ in 0..WAITERS {
        let (tokenward, key) = (world.tokenward.clone(), *key);
        crowd.spawn(async move {
            match tokenward.access(&key, &wish(1)).await {
                Ok(offer) => Ok(offer.serial()),
                Err(AccessError::MfaRequired(hold)) => {
                    Err(hold.context.as_ref().map(|context| context.id()))
                }
                Err(other) => panic!("{other:?}"),
            }
        });
    }
    crowd
}

async fn told(crowd: JoinSet<Result<Epoch, Option<ContextId>>>) -> Told {
    let mut told = Told::default();
    for answer in crowd.join_all().await {
        match answer {
            Ok(serial) => {
                told.served += 1;
                told.serials.insert(serial);
            }
            Err(context) => {
                told.held += 1;
                told.contexts.insert(context.expect("a person can meet it"));
            }
        }
    }
    told
}

#[tokio::test]
async fn l8_a_thousand_waiters_hear_of_one_context_and_are_released_by_one_exchange() {
    let (world, key) = world(asks_once(), json!([{"kind": "otp"}])).await;
    world.access(&key, 0).await.expect("other audiences go on");
    let asked = world.summary().token_requests;
    let first = told(crowd(&world, &key)).await;
    assert_eq!((first.held, first.contexts.len()), (WAITERS, 1), "one answer for all");
    assert_eq!(world.summary().token_requests, asked + 1, "one exchange found it out");
    let later = told(crowd(&world, &key)).await;
    assert_eq!((later.held, &later.contexts), (WAITERS, &first.contexts));
    assert_eq!(world.summary().token_requests, asked + 1, "and no other followed");

    // Another thousand come while the person's code is on its way.
    let hold = held(&world, &key).await;
    let handle = world.tokenward.handle_of(&key, &hold).unwrap();
    let slow = json!({"endpoint": "token", "kind": "slow", "ms": 1_500});
    world.sandbox.faults().arm(serde_json::from_value(slow).unwrap()).unwrap();
    let (facade, code) = (world.tokenward.clone(), otp(&world));
    let verifying = tokio::spawn(async move { facade.verify(&key, &handle, code).await });
    until("the code has arrived at the provider", || world.summary().token_requests == asked + 2)
        .await;
    let during = told(crowd(&world, &key)).await;
    verifying.await.unwrap().expect("the code is right");
    assert_eq!((during.served, during.held, during.serials.len()), (WAITERS, 0, 1));
    let ledger = world.summary();
    assert_eq!((ledger.token_requests, ledger.reuse_detected), (asked + 2, 0));
}

/// Reads one number of the metrics.
fn number(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix("tokenward_")?.strip_prefix(series));
    line.unwrap_or_else(|| panic!("{series} is exposed")).trim().parse().unwrap()
}

/// Sums a metric, and asserts on the way that a challenge is pending or closed, and only once.
fn pending(text: &str) -> f64 {
    let sum = |name: &str| -> f64 {
        let samples = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        samples.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
    };
    let pending = sum("tokenward_mfa_challenges_pending{");
    let closed = sum("tokenward_mfa_challenges_closed_total{");
    assert_eq!(sum("tokenward_mfa_challenges_total{") - closed, pending);
    pending
}

#[tokio::test]
async fn what_people_do_is_counted_by_audience_and_factor_and_never_by_person() {
    let factors = json!([{"kind": "otp"}, {"kind": "push"}]);
    let (world, key) = world(asks_once(), factors.clone()).await;
    let facade = &world.tokenward;
    let metrics = || facade.metrics().render();
    let (accounts, quotes) = (ACCOUNTS_AUDIENCE, QUOTES_AUDIENCE);
    assert_eq!(pending(&metrics()), 0.0);

    // One is demanded, tried in vain, and passed twenty seconds later.
    let hold = held(&world, &key).await;
    let handle = facade.handle_of(&key, &hold).unwrap();
    assert_eq!(pending(&metrics()), 1.0);
    let wrong = facade.verify(&key, &handle, Evidence::Otp(Passcode::new("000000"))).await;
    assert!(matches!(wrong, Err(MfaFault::WrongCode)), "{wrong:?}");
    world.advance(Duration::from_secs(20));
    facade.verify(&key, &handle, otp(&world)).await.expect("the code is right");
    assert_eq!(pending(&metrics()), 0.0);

    // Another one is refused on the phone, and then left alone until its time is over.
    let other = ada(&world, factors).await;
    let hold = held(&world, &other).await;
    let handle = facade.handle_of(&other, &hold).unwrap();
    let wish = ChallengeWish { factor: Some(Factor::Push), authenticator: None };
    let challenged = facade.challenge(&other, &handle, &wish).await.unwrap();
    let rejects = json!({"user": "ada", "push": true, "deny": true});
    let rejects: Authenticate = serde_json::from_value(rejects).unwrap();
    world.sandbox.authenticate(&rejects).unwrap();
    let push = Evidence::Oob {
        oob_code: Passcode::new(challenged.oob_code.as_deref().unwrap()),
        binding_code: None,
    };
    let rejected = facade.verify(&other, &handle, push).await;
    assert!(matches!(rejected, Err(MfaFault::Rejected)), "{rejected:?}");
    let holds = format!("mfa_held{{audience=\"{accounts}\"}}");
    assert_eq!((pending(&metrics()), number(&metrics(), &holds)), (1.0, 1.0));
    world.advance(Duration::from_secs(301));
    until("the context is over", || pending(&metrics()) == 0.0).await;

    let text = metrics();
    counts_agree(&text, accounts, quotes);
    for private in ["ada\"", "auth0|ada", &key.id(), &other.id()] {
        let telling = text.lines().find(|line| line.contains(private));
        assert_eq!(telling, None, "nothing names a person or a session");
    }
    let labels: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with("tokenward_mfa_"))
        .flat_map(|line| line.split(['{', ',']).filter_map(|part| Some(part.split_once('=')?.0)))
        .collect();
    assert_eq!(labels, BTreeSet::from(["audience", "le", "method", "outcome", "trigger"]));
}

fn counts_agree(text: &str, accounts: &str, quotes: &str) {
    for (series, expected) in [
        (format!("mfa_challenges_total{{audience=\"{accounts}\",trigger=\"refresh\"}}"), 2.0),
        (format!("mfa_challenges_total{{audience=\"{quotes}\",trigger=\"refresh\"}}"), 0.0),
        (
            format!("mfa_challenges_closed_total{{audience=\"{accounts}\",outcome=\"completed\"}}"),
            1.0,
        ),
        (
            format!("mfa_challenges_closed_total{{audience=\"{accounts}\",outcome=\"expired\"}}"),
            1.0,
        ),
        (attempts(accounts, "otp", "success"), 1.0),
        (attempts(accounts, "otp", "invalid_code"), 1.0),
        (attempts(accounts, "push", "rejected"), 1.0),
        (attempts(quotes, "otp", "success"), 0.0),
        (format!("mfa_duration_seconds_count{{audience=\"{accounts}\",method=\"otp\"}}"), 1.0),
        (format!("mfa_duration_seconds_sum{{audience=\"{accounts}\",method=\"otp\"}}"), 20.0),
    ] {
        assert!((number(text, &series) - expected).abs() < 0.5, "{series} is {expected}\n{text}");
    }
}

fn attempts(audience: &str, method: &str, outcome: &str) -> String {
    format!(
        "mfa_attempts_total{{audience=\"{audience}\",method=\"{method}\",outcome=\"{outcome}\"}}"
    )
}

/// Adds up the series of a metric.
fn sum(world: &World, metric: &str) -> f64 {
    let rendered = world.tokenward.metrics().render();
    let series = rendered.lines().filter(|line| line.split(['{', ' ']).next() == Some(metric));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Expects that each challenge that was opened is pending or closed.
fn assert_conserved(world: &World, opened: f64, pending: f64) {
    let closed = sum(world, "tokenward_mfa_challenges_closed_total");
    assert_eq!(sum(world, "tokenward_mfa_challenges_total"), opened);
    assert_eq!(sum(world, "tokenward_mfa_challenges_pending"), pending);
    assert_eq!(opened - closed, pending);
}

/// Moves the clock on until the session has left memory.
async fn until_away(world: &World) {
    until("the session has left", || {
        world.advance(Duration::from_secs(61));
        world.tokenward.resident() == 0
    })
    .await;
}

#[tokio::test]
async fn a_hold_is_counted_until_it_ends_wherever_its_session_is() {
    let (world, key) = world(asks_once(), json!([{"kind": "otp"}])).await;
    held(&world, &key).await;
    assert_eq!(sum(&world, "tokenward_mfa_held"), 1.0);
    assert_conserved(&world, 1.0, 1.0);

    // Its context is over first: nobody came.
    until_away(&world).await;
    assert_eq!(sum(&world, "tokenward_mfa_held"), 1.0, "a person is waited for all the same");
    assert_conserved(&world, 1.0, 0.0);

    let world = world.restart().await;
    held(&world, &key).await;
    assert_eq!(sum(&world, "tokenward_mfa_held"), 1.0, "the record says so");
    until_away(&world).await;
    assert_eq!(sum(&world, "tokenward_mfa_held"), 1.0);

    let need = need();
    let renewed = world.tokenward.renew_hold(&key, &need).await.unwrap().expect("it is held");
    assert_eq!(sum(&world, "tokenward_mfa_held"), 1.0);
    assert_conserved(&world, 1.0, 1.0);
    let handle = renewed.mfa_token.expect("a context");
    world.tokenward.verify(&key, &handle, otp(&world)).await.unwrap();
    assert_eq!(sum(&world, "tokenward_mfa_held"), 0.0);
    assert_conserved(&world, 1.0, 0.0);

    let other = ada(&world, json!([{"kind": "otp"}])).await;
    held(&world, &other).await;
    until_away(&world).await;
    assert_eq!(sum(&world, "tokenward_mfa_held"), 1.0);
    world.tokenward.end(&other, LogoutKind::User).await.unwrap();
    assert_eq!(sum(&world, "tokenward_mfa_held"), 0.0, "nobody is waited for");
}
