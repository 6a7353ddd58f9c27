//! Direct mode: a session of the display's own at a real provider.

use nix::sys::signal::Signal;

use super::api::Api;
use super::person::Person;
use super::provider::{AUDIENCE, Provider, SCOPE};
use crate::program::{Display, Place};

/// Waits until the panel shows what the API says to so many different access tokens.
async fn shown_with(display: &Display, count: usize) {
    let number = |panel: &str| panel.split_once("token number ")?.1.split(' ').next()?.parse().ok();
    let enough = |panel: &str| number(panel).filter(|seen: &usize| *seen >= count);
    display.until("a quote for a newer access token", enough).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l3_a_display_rotates_at_a_real_provider_and_goes_on_after_a_power_cut() {
    let (provider, api) = (Provider::start().await, Api::start().await);
    let place = Place::direct(&format!(
        "content = \"{}\"\naudience = [\"{AUDIENCE}\"]\nscope = \"{SCOPE}\"\nevery = \"1s\"\n\
         [provider]\nissuer = \"{}\"\nclient_id = \"{}\"\naudience_parameter = \"resource\"\n",
        api.address,
        provider.issuer(),
        provider.client_id(),
    ));
    let mut display = Display::start(&place);
    let code = display.code().await;
    Person::new().approve(provider.issuer(), &code).await;
    shown_with(&display, 3).await;

    display.signal(Signal::SIGKILL);
    display.ended().await;
    let before = api.access_tokens();
    let display = Display::start(&place);
    shown_with(&display, before + 2).await;

    let ledger = provider.ledger().await;
    assert_eq!(ledger["logins"], 1, "nobody had to sign it in again: {ledger}");
    assert_eq!(ledger["device_grants"], 1, "{ledger}");
    let refreshes = ledger["refreshes"].as_u64().unwrap();
    assert!(refreshes >= 4, "each of those tokens but the first was one of them: {ledger}");
    assert_eq!((&ledger["reuse_detected"], &ledger["grants_revoked"]), (&0.into(), &0.into()));
    let record = place.record().unwrap();
    assert!(record["handle"].is_string() && !record.to_string().contains("eyJ"), "{record}");
}
