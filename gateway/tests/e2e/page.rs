//! The demo page in a browser, while the gateway is killed and brought back under it.

use serde_json::Value;
use tokenward_sandbox::Sandbox;

use super::browser::{Browser, Complaint};
use super::gateway::{Gateway, Place, routes};
use super::program::{PATIENCE, eventually, free_port, http};
use super::provider::sandbox;

/// How many replaced tokens the page must have seen: with ten seconds each, a quarter of a minute.
const REPLACED: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_page_survives_a_kill_without_reload_or_sign_in() {
    let port = free_port();
    let (sandbox, registration) = sandbox(port).await;
    let place = Place::at(port, &registration);
    let mut gateway = Gateway::start(place, &routes(&sandbox)).await;
    let browser = Browser::open().await;
    browser.client.goto(&gateway.url("/")).await.unwrap();
    shown(&browser, "#welcome").await;
    browser.show("page-welcome").await;

    browser.press("#welcome .big").await;
    shown(&browser, "button[value=ada]").await;
    browser.show("page-provider").await;
    browser.press("button[value=ada]").await;
    browser.arrives(&gateway.url("/")).await;
    shown(&browser, "#board").await;
    let cookie = browser.session_cookie().await;
    // A reload would forget it.
    browser.client.execute("window.stayed = true", vec![]).await.unwrap();
    eventually("tokens are replaced", PATIENCE, async || {
        (sum(&browser, "replaced").await >= REPLACED).then_some(())
    })
    .await;
    assert_eq!((sum(&browser, "failed").await, sum(&browser, "away").await), (0, 0));
    browser.show("page-signed-in").await;
    only_expected(&browser.complaints().await, |complaint| {
        // Before the sign-in, the page asks whether somebody is signed in.
        complaint.text.contains("/auth/session") && complaint.text.contains("401")
    });

    gateway.kill().await;
    link(&browser, "away").await;
    browser.show("page-gateway-away").await;
    gateway.restart().await;
    link(&browser, "here").await;
    let (answered, replaced) = (sum(&browser, "ok").await, sum(&browser, "replaced").await);
    eventually("calls and replacements go on", PATIENCE, async || {
        let on =
            sum(&browser, "ok").await > answered + 4 && sum(&browser, "replaced").await > replaced;
        on.then_some(())
    })
    .await;
    let stayed = browser.client.execute("return window.stayed === true", vec![]).await.unwrap();
    assert_eq!(stayed, Value::Bool(true), "the page was loaded anew");
    assert_eq!(browser.session_cookie().await, cookie, "there was a new sign-in");
    assert_eq!(sum(&browser, "failed").await, 0, "calls while the gateway was away apart");
    assert!(sum(&browser, "away").await > 0);
    browser.show("page-recovered").await;
    only_expected(&browser.complaints().await, |complaint| {
        complaint.text.contains("net::ERR_") && complaint.source == "network"
    });

    look_at_overview(&browser, &gateway).await;
    sign_out(&browser, &gateway, &sandbox, &cookie).await;
    browser.close().await;
}

/// Looks at what an operator sees of the session, and comes back.
async fn look_at_overview(browser: &Browser, gateway: &Gateway) {
    browser.client.goto(&gateway.place.admin("/")).await.unwrap();
    assert_eq!(browser.text("h1").await, "The last hour");
    assert!(browser.text("#sum").await.contains("1 in memory"));
    only_expected(&browser.complaints().await, |_| false);
    browser.client.goto(&gateway.url("/")).await.unwrap();
    shown(browser, "#board").await;
}

/// Signs out on the page, and has a look at what is left: nothing.
async fn sign_out(browser: &Browser, gateway: &Gateway, sandbox: &Sandbox, cookie: &str) {
    let ledger = sandbox.ledger().summary();
    assert_eq!((ledger.reuse_detected, ledger.families_revoked), (0, 0), "{ledger:?}");
    browser.press("#leave button").await;
    browser.arrives(&gateway.url("/")).await;
    shown(browser, "#welcome").await;
    browser.show("page-signed-out").await;
    let call = http().get(gateway.url("/api/quotes/quote"));
    let answer = call.header("cookie", format!("tokenward={cookie}")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    eventually("the refresh token is revoked", PATIENCE, async || {
        (sandbox.ledger().summary().revocations == 1).then_some(())
    })
    .await;
}

/// Waits until the page shows a part of itself.
async fn shown(browser: &Browser, selector: &str) {
    let script =
        format!("const part = document.querySelector('{selector}'); return !!part && !part.hidden");
    eventually(&format!("the page shows {selector}"), PATIENCE, async || {
        let shown = browser.client.execute(&script, vec![]).await.ok()?;
        (shown == Value::Bool(true)).then_some(())
    })
    .await;
}

/// Waits until the page knows that the gateway is `here` or `away`.
async fn link(browser: &Browser, state: &str) {
    eventually(&format!("the page knows that the gateway is {state}"), PATIENCE, async || {
        let script = "return document.getElementById('link').dataset.state";
        let known = browser.client.execute(script, vec![]).await.unwrap();
        (known == state).then_some(())
    })
    .await;
}

/// Returns a number of the page, which shows none to somebody who is not signed in.
async fn sum(browser: &Browser, name: &str) -> u64 {
    let text = browser.text(&format!("#sum-{name}")).await;
    text.parse().unwrap_or_else(|_| panic!("nobody is signed in on the page"))
}

/// Fails on an error of the console that the browser had no reason for.
fn only_expected(complaints: &[Complaint], expected: impl Fn(&Complaint) -> bool) {
    let odd: Vec<_> = complaints.iter().filter(|complaint| !expected(complaint)).collect();
    assert!(odd.is_empty(), "{odd:#?}");
}
