//! A display without a keyboard, and a person with a telephone before it.

use serde_json::{Value, json};
use tokenward_sandbox::secrecy::Kind;
use tokenward_sandbox::{Authenticate, Sandbox};

use super::browser::Browser;
use super::gateway::{Gateway, Place, routes};
use super::program::{PATIENCE, eventually, free_port, http};
use super::provider::sandbox;
use super::step_up::{choose, demand, have, heading, type_code};

/// Devices may sign in, and ask as often as the standard lets them.
const DEVICE: &str = "[device]\ninterval = \"1s\"\n";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const QUOTES: &str = "/api/quotes/quote";
const ACCOUNTS: &str = "/api/accounts/accounts";

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_signs_a_display_in_and_releases_it_by_its_link() {
    let port = free_port();
    let (sandbox, registration) = sandbox(port).await;
    have(&sandbox, &["otp", "push"]);
    let tables = format!("{}{DEVICE}", routes(&sandbox));
    let gateway = Gateway::start(Place::at(port, &registration), &tables).await;
    let phone = Browser::on_phone().await;

    let display = sign_in(&phone, &gateway).await;
    display.goes_on(QUOTES).await;

    demand(&sandbox);
    let link = display.held(ACCOUNTS).await;
    display.goes_on(QUOTES).await;
    by_code(&phone, &link, &sandbox).await;
    display.goes_on(ACCOUNTS).await;
    phone.client.goto(&link).await.unwrap();
    heading(&phone, "There is nothing to confirm").await;
    phone.show("device-link-over").await;

    sandbox.tenant(&json!({"mfa": {"rules": [{"then": "challenge"}]}})).unwrap();
    let link = display.held(QUOTES).await;
    by_push(&phone, &link, &sandbox).await;
    display.goes_on(QUOTES).await;

    display.tells("v=\"0.1.0\", panel=\"ssd1306-128x64\", up=?0, state=online, stale=90").await;
    on_the_console(&phone, &gateway).await;

    let cookies = phone.client.get_all_cookies().await.unwrap();
    let own = cookies.iter().find(|cookie| cookie.name() == "tokenward");
    assert!(own.is_none(), "the phone has a session of its own from all that");
    let odd: Vec<_> = phone.complaints().await;
    let odd: Vec<_> = odd.iter().filter(|told| told.source != "network").collect();
    assert!(odd.is_empty(), "{odd:#?}");
    phone.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_says_no_to_a_display_and_is_told_of_codes_that_lead_nowhere() {
    let port = free_port();
    let (sandbox, registration) = sandbox(port).await;
    let tables = format!("{}{DEVICE}", routes(&sandbox));
    let gateway = Gateway::start(Place::at(port, &registration), &tables).await;
    let phone = Browser::on_phone().await;
    let code = Code::of(&gateway).await;
    phone.client.goto(&gateway.url("/d?code=queue")).await.unwrap();
    heading(&phone, "Sign in a display").await;
    assert!(phone.text("[role=alert]").await.contains("eight letters"));
    phone.show("device-type-wrong").await;
    phone.client.goto(&gateway.url("/d/BBBB-BBBB")).await.unwrap();
    heading(&phone, "This code is not known").await;
    phone.show("device-unknown").await;

    phone.client.goto(&code.complete).await.unwrap();
    phone.press("button.no").await;
    heading(&phone, "The display stays signed out").await;
    phone.show("device-refused").await;
    assert_eq!(code.poll(&gateway).await, Err("access_denied".to_owned()));
    phone.client.goto(&code.complete).await.unwrap();
    heading(&phone, "This code was refused").await;
    phone.close().await;
}

/// A display's code, and where a person takes it.
struct Code {
    device: String,
    user: String,
    complete: String,
}

/// A display that has signed in.
struct Display<'a> {
    gateway: &'a Gateway,
    handle: String,
}

impl Code {
    async fn of(gateway: &Gateway) -> Self {
        let (status, told) = post(gateway, "/auth/device/code", &[("client_id", "wall")]).await;
        assert_eq!(status, 200, "{told}");
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let code = Self {
            device: text("device_code"),
            user: text("user_code"),
            complete: text("verification_uri_complete"),
        };
        gateway.keep_secret(Kind::DeviceCode, &code.device);
        code
    }

    /// Asks whether somebody has said yes; returns the handle, or OAuth's word for no.
    async fn poll(&self, gateway: &Gateway) -> Result<String, String> {
        let form = [("grant_type", GRANT), ("device_code", &self.device), ("client_id", "wall")];
        let (status, told) = post(gateway, "/auth/device/token", &form).await;
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        if status == 200 { Ok(text("access_token")) } else { Err(text("error")) }
    }
}

impl Display<'_> {
    async fn call(&self, path: &str) -> (u16, Value) {
        let call = http().get(self.gateway.url(path)).bearer_auth(&self.handle);
        let answer = call.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    /// Waits until an API wants a factor, and returns the link that the display shows.
    async fn held(&self, path: &str) -> String {
        let told = eventually(&format!("{path} is held"), PATIENCE, async || {
            let (status, told) = self.call(path).await;
            (status == 403).then_some(told)
        })
        .await;
        assert_eq!(told["error"], "mfa_required");
        self.gateway.keep_secret(Kind::MfaToken, told["mfa_token"].as_str().unwrap());
        let link = told["step_up_uri"].as_str().unwrap();
        assert_eq!(link.len(), self.gateway.url("/d/WDJB-MJHT").len(), "{link}");
        link.to_owned()
    }

    /// Tells of itself, as it does on each of its requests.
    async fn tells(&self, report: &str) {
        let call = http().get(self.gateway.url("/auth/session")).bearer_auth(&self.handle);
        let answer = call.header("tokenward-device", report).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    async fn goes_on(&self, path: &str) {
        let (status, told) = self.call(path).await;
        assert_eq!(status, 200, "{}", told["error"]);
    }
}

/// Types the code of a display into a phone, says yes and signs in; the display fetches its handle.
async fn sign_in<'a>(phone: &Browser, gateway: &'a Gateway) -> Display<'a> {
    let code = Code::of(gateway).await;
    phone.client.goto(&gateway.url("/d")).await.unwrap();
    heading(phone, "Sign in a display").await;
    phone.show("device-type").await;
    type_code(phone, &code.user.to_lowercase().replace('-', " ")).await;
    phone.arrives(&code.complete).await;
    heading(phone, "Sign in this display?").await;
    assert_eq!(phone.text(".shown b").await, code.user);
    phone.show("device-ask").await;
    assert_eq!(code.poll(gateway).await, Err("authorization_pending".to_owned()));

    phone.press("button.go").await;
    phone.press("button[value=ada]").await;
    phone.arrives(&gateway.url("/d/signed-in")).await;
    heading(phone, "The display is signed in").await;
    phone.show("device-signed-in").await;
    let handle =
        eventually("the display hears of it", PATIENCE, async || match code.poll(gateway).await {
            Ok(handle) => Some(handle),
            Err(why) => {
                assert!(matches!(&*why, "slow_down" | "authorization_pending"), "{why}");
                None
            }
        })
        .await;
    gateway.keep_secret(Kind::SessionHandle, &handle);
    phone.client.goto(&code.complete).await.unwrap();
    heading(phone, "This code was used already").await;
    phone.show("device-used").await;
    Display { gateway, handle }
}

/// Scans the link and shows a factor; thinks better of it once.
async fn by_code(phone: &Browser, link: &str, sandbox: &Sandbox) {
    phone.client.goto(link).await.unwrap();
    heading(phone, "Confirm that it is you").await;
    let place = phone.client.current_url().await.unwrap();
    assert!(place.path() == "/d/mfa" && !place.as_str().contains("mfa_token"), "{place}");
    assert!(phone.text("main").await.contains("A display waits for you"));
    phone.show("device-mfa-choose").await;
    phone.press("a.quiet").await;
    heading(phone, "Nothing was confirmed").await;
    phone.show("device-mfa-later").await;

    phone.client.goto(link).await.unwrap();
    choose(phone, "Authenticator app").await;
    heading(phone, "Enter the code from your app").await;
    phone.show("device-mfa-code").await;
    type_code(phone, &sandbox.otp("ada").unwrap()).await;
    heading(phone, "Confirmed").await;
    assert_eq!(phone.client.current_url().await.unwrap().path(), "/d/confirmed");
    phone.show("device-confirmed").await;
}

/// Scans the link, and approves a push: the page goes on by itself.
async fn by_push(phone: &Browser, link: &str, sandbox: &Sandbox) {
    phone.client.goto(link).await.unwrap();
    choose(phone, "Phone").await;
    heading(phone, "Approve on your phone").await;
    let approve: Authenticate =
        serde_json::from_value(json!({"push": true, "user": "ada"})).unwrap();
    sandbox.authenticate(&approve).unwrap();
    heading(phone, "Confirmed").await;
}

/// An operator sees which display somebody must walk to.
async fn on_the_console(browser: &Browser, gateway: &Gateway) {
    let board = gateway.place.admin("/");
    eventually("the console lists the display", PATIENCE, async || {
        browser.client.goto(&board).await.unwrap();
        let text = browser.text("#displays").await;
        ["wall", "shows its content", "ssd1306-128x64", "does not answer", " min"]
            .iter()
            .all(|word| text.contains(word))
            .then_some(())
    })
    .await;
    browser.show("console-displays").await;
}

async fn post(gateway: &Gateway, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let answer = http().post(gateway.url(path)).form(form).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}
