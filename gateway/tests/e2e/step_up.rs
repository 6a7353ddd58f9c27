//! A person in a browser is asked for another factor, on every page there is, and goes on.

use fantoccini::Locator;
use serde_json::{Value, json};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, Authenticate, FactorKind, Sandbox};

use super::browser::Browser;
use super::gateway::{Gateway, Place, routes};
use super::program::{PATIENCE, eventually, free_port};
use super::provider::sandbox;

/// The factors that Ada has set up.
const FACTORS: [&str; 4] = ["otp", "sms", "push", "recovery_code"];

#[tokio::test(flavor = "multi_thread")]
async fn a_person_shows_another_factor_and_goes_on() {
    let port = free_port();
    let (sandbox, registration) = sandbox(port).await;
    let gateway = Gateway::start(Place::at(port, &registration), &routes(&sandbox)).await;
    let browser = Browser::open().await;
    have(&sandbox, &FACTORS);
    sign_in(&browser, &gateway).await;
    let cookie = browser.session_cookie().await;

    demand(&sandbox);
    let accounts = gateway.url("/api/accounts/accounts");
    browser.client.goto(&accounts).await.unwrap();
    heading(&browser, "Confirm that it is you").await;
    let place = browser.client.current_url().await.unwrap();
    assert!(place.path() == "/auth/mfa" && !place.as_str().contains("mfa_token"), "{place}");
    assert!(browser.text("main").await.contains("Your provider wants another factor"));
    browser.show("mfa-choose").await;

    choose(&browser, "Authenticator app").await;
    heading(&browser, "Enter the code from your app").await;
    focus_is_on(&browser, "code").await;
    browser.show("mfa-code").await;
    type_code(&browser, "000 000").await;
    heading(&browser, "Enter the code from your app").await;
    assert!(browser.text("[role=alert]").await.contains("not right"));
    browser.show("mfa-code-wrong").await;
    type_code(&browser, &sandbox.otp("ada").unwrap()).await;
    browser.arrives(&accounts).await;

    sandbox.tenant(&json!({"mfa": {"rules": [{"then": "challenge"}]}})).unwrap();
    by_push(&browser, &gateway, &sandbox).await;
    browser.client.goto(&gateway.url("/auth/mfa?audience=urn:none&return_to=/")).await.unwrap();
    heading(&browser, "Nothing to confirm").await;
    browser.show("mfa-nothing").await;
    assert_eq!(browser.session_cookie().await, cookie, "it is the same session all along");
    let odd: Vec<_> = browser.complaints().await;
    let odd: Vec<_> = odd.iter().filter(|told| told.source != "network").collect();
    assert!(odd.is_empty(), "{odd:#?}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_a_factor_sets_one_up() {
    let port = free_port();
    let (sandbox, registration) = sandbox(port).await;
    let gateway = Gateway::start(Place::at(port, &registration), &routes(&sandbox)).await;
    let browser = Browser::open().await;
    have(&sandbox, &[]);
    sign_in(&browser, &gateway).await;
    demand(&sandbox);
    let accounts = gateway.url("/api/accounts/accounts");
    browser.client.goto(&accounts).await.unwrap();
    heading(&browser, "Confirm that it is you").await;
    browser.show("mfa-set-up").await;
    choose(&browser, "Authenticator app").await;
    heading(&browser, "Set up your authenticator").await;
    browser.show("mfa-enroll").await;
    type_code(&browser, &sandbox.otp("ada").unwrap()).await;
    browser.arrives(&accounts).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_confirms_by_a_message_and_by_a_recovery_code() {
    let port = free_port();
    let (sandbox, registration) = sandbox(port).await;
    let gateway = Gateway::start(Place::at(port, &registration), &routes(&sandbox)).await;
    let browser = Browser::open().await;
    have(&sandbox, &FACTORS);
    sign_in(&browser, &gateway).await;
    demand(&sandbox);
    let accounts = gateway.url("/api/accounts/accounts");
    browser.client.goto(&accounts).await.unwrap();
    choose(&browser, "Text message").await;
    heading(&browser, "Enter the code we sent").await;
    assert!(browser.text("main").await.contains("by a text message"));
    focus_is_on(&browser, "code").await;
    browser.show("mfa-sms").await;
    let message = sandbox.messages("ada").unwrap().pop().unwrap();
    type_code(&browser, &message.code).await;
    browser.arrives(&accounts).await;

    sandbox.tenant(&json!({"mfa": {"rules": [{"then": "challenge"}]}})).unwrap();
    let quotes = asked_for_quotes(&browser, &gateway).await;
    choose(&browser, "Recovery code").await;
    heading(&browser, "Enter your recovery code").await;
    focus_is_on(&browser, "code").await;
    browser.show("mfa-recovery").await;
    let code = recovery_code(&sandbox);
    type_code(&browser, &code).await;
    heading(&browser, "Confirmed").await;
    browser.show("mfa-recovery-new").await;
    let (next, shown) = (recovery_code(&sandbox), browser.text("main").await);
    assert!(next != code && shown.contains(&next), "the new one is shown, this once");
    browser.press("a.go").await;
    browser.arrives(&quotes).await;
    browser.close().await;
}

/// The push page goes on by itself once the person has answered on the phone.
async fn by_push(browser: &Browser, gateway: &Gateway, sandbox: &Sandbox) {
    let quotes = asked_for_quotes(browser, gateway).await;
    choose(browser, "Phone").await;
    heading(browser, "Approve on your phone").await;
    browser.show("mfa-push").await;
    let approve: Authenticate =
        serde_json::from_value(json!({"push": true, "user": "ada"})).unwrap();
    sandbox.authenticate(&approve).unwrap();
    browser.arrives(&quotes).await;
}

/// Opens the quotes until the person is asked to confirm; returns their address.
async fn asked_for_quotes(browser: &Browser, gateway: &Gateway) -> String {
    let quotes = gateway.url("/api/quotes/quote");
    eventually("the quotes ask, once their access token ends", PATIENCE, async || {
        browser.client.goto(&quotes).await.unwrap();
        let place = browser.client.current_url().await.unwrap();
        (place.path() == "/auth/mfa").then_some(())
    })
    .await;
    quotes
}

async fn sign_in(browser: &Browser, gateway: &Gateway) {
    // Not the start page, whose script would ask for every API before the demand.
    let quotes = "/api/quotes/quote";
    browser.client.goto(&gateway.url(&format!("/auth/login?return_to={quotes}"))).await.unwrap();
    browser.press("button[value=ada]").await;
    browser.arrives(&gateway.url(quotes)).await;
}

pub(super) fn have(sandbox: &Sandbox, kinds: &[&str]) {
    let factors: Vec<Value> =
        kinds.iter().map(|kind| json!({"kind": kind, "name": "+49 171 1234"})).collect();
    let ada = json!({
        "name": "ada", "email": "ada@sandbox.example", "display_name": "Ada", "factors": factors,
    });
    sandbox.put_user(serde_json::from_value(ada).unwrap());
}

fn recovery_code(sandbox: &Sandbox) -> String {
    let factors = sandbox.user("ada").unwrap().factors;
    let kept = factors.into_iter().find(|factor| factor.kind == FactorKind::RecoveryCode);
    kept.unwrap().secret.unwrap()
}

/// From now on the accounts want a factor, once.
pub(super) fn demand(sandbox: &Sandbox) {
    let done = json!({"when": {"mfa_done": true}, "then": "return"});
    let asks = json!({"when": {"audiences": [ACCOUNTS_AUDIENCE]}, "then": "challenge"});
    let mfa = json!({"rules": [done, asks], "push_interval_s": 1, "otp_single_use": false});
    sandbox.tenant(&json!({"mfa": mfa})).unwrap();
}

pub(super) async fn heading(browser: &Browser, text: &str) {
    eventually(&format!("the page is headed {text:?}"), PATIENCE, async || {
        let found = browser.client.find(Locator::Css("h1")).await.ok()?;
        (found.text().await.ok()? == text).then_some(())
    })
    .await;
}

pub(super) async fn choose(browser: &Browser, way: &str) {
    let button = format!("//button[b[text()='{way}']]");
    let waiting = browser.client.wait().at_most(PATIENCE);
    let found = waiting.for_element(Locator::XPath(&button)).await.unwrap();
    found.click().await.unwrap();
}

pub(super) async fn type_code(browser: &Browser, code: &str) {
    let field = browser.client.find(Locator::Id("code")).await.unwrap();
    field.send_keys(code).await.unwrap();
    browser.press("button.go").await;
}

async fn focus_is_on(browser: &Browser, id: &str) {
    let focus = browser.client.execute("return document.activeElement.id", vec![]).await.unwrap();
    assert_eq!(focus, id, "a person can type at once");
}
