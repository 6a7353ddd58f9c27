//! Direct mode: the program before a provider of the sandbox's, without a gateway.

use std::sync::OnceLock;

use nix::sys::signal::Signal;
use serde_json::json;
use tokenward_sandbox::{Authenticate, Sandbox};

use super::program::{Display, Place};

/// Opens a provider, and a place for a display that asks it.
async fn open() -> (Sandbox, Place) {
    let sandbox = Sandbox::start(tokenward_sandbox::Config::default()).await.unwrap();
    let ada = json!({"name": "ada", "email": "a@sandbox.example", "factors": [{"kind": "otp"}]});
    sandbox.put_user(serde_json::from_value(ada).unwrap());
    sandbox.tenant(&json!({"device_interval_s": 1})).unwrap();
    let addresses = sandbox.addresses();
    let place = Place::direct(&format!(
        "content = \"{}/quote\"\naudience = [\"{}\"]\nscope = \"read:quotes\"\nevery = \"1s\"\n\
         [provider]\nissuer = \"{}\"\nclient_id = \"demo-device\"\n",
        addresses.apis["quotes"],
        tokenward_sandbox::QUOTES_AUDIENCE,
        addresses.issuer,
    ));
    (sandbox, place)
}

/// A person types the code at the provider, and says yes.
fn approve(sandbox: &Sandbox, code: String) {
    let wanted = Authenticate {
        user_code: Some(code),
        user: Some("ada".to_owned()),
        ..Authenticate::default()
    };
    assert_eq!(sandbox.authenticate(&wanted).unwrap(), None);
}

/// Waits for any of the sandbox's sayings.
async fn quote(display: &Display) {
    static NOTICES: OnceLock<Vec<&str>> = OnceLock::new();
    let notices = NOTICES.get_or_init(|| {
        vec!["Tokenward", "No network", "MFA", "Session", "sign me in", "Needs", "Signed in"]
    });
    let is_quote = |panel: &str| {
        let is_notice = notices.iter().any(|notice| panel.contains(notice));
        (!is_notice && panel.split(' ').count() > 4).then_some(())
    };
    display.until("a quote", is_quote).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_what_the_device_grant_gave_is_kept_before_anything_is_shown_of_it() {
    let (sandbox, place) = open().await;
    let mut display = Display::start(&place);
    approve(&sandbox, display.code().await);
    quote(&display).await;
    // The plug is pulled at the first sight of an answer.
    display.signal(Signal::SIGKILL);
    display.ended().await;
    let display = Display::start(&place);
    quote(&display).await;
    let summary = sandbox.ledger().summary();
    assert_eq!(summary.device_exchanges, 1, "nobody had to sign it in again");
    assert_eq!((summary.reuse_detected, summary.families_revoked), (0, 0));
    let record = place.record().unwrap();
    assert!(record["handle"].is_string());
    assert!(!record.to_string().contains("eyJ"), "a handle, and no token: {record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_000_without_a_gateway_a_demand_is_asked_about_once_too() {
    let (sandbox, place) = open().await;
    sandbox.tenant(&json!({"access_token_lifetime_s": 4})).unwrap();
    let display = Display::start(&place);
    approve(&sandbox, display.code().await);
    quote(&display).await;
    sandbox.tenant(&json!({"mfa": {"rules": [{"then": "challenge"}]}})).unwrap();
    display.shows("MFA required").await;
    let asked = sandbox.ledger().summary().mfa_challenges;
    assert_eq!(asked, 1, "the provider was asked once");
    // The owner mends the rule, and a person asks the display to go on.
    sandbox.tenant(&json!({"mfa": {"rules": []}})).unwrap();
    assert_eq!(sandbox.ledger().summary().mfa_challenges, asked, "and never again by itself");
    display.signal(Signal::SIGHUP);
    quote(&display).await;
    assert_eq!(sandbox.ledger().summary().mfa_challenges, asked);
}
