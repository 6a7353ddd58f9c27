//! Stepping up through the gateway: what callers see, as pages and as JSON.

use reqwest::Method;
use serde_json::{Value, json};
use tokenward_sandbox::Authenticate;

use super::desk::{Browser, Desk, Reply, query};

mod remember;

const ACCOUNTS: &str = "https://accounts.sandbox.example";
const HTML: (&str, &str) = ("sec-fetch-mode", "navigate");
const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A gateway whose provider asks for a factor once before it lets anybody use the accounts.
async fn asked(factors: Value) -> (Desk, Browser) {
    let desk = Desk::open().await;
    put_ada(&desk, factors);
    let browser = desk.signed_in("ada").await;
    let done = json!({"when": {"mfa_done": true}, "then": "return"});
    let asks = json!({"when": {"audiences": [ACCOUNTS]}, "then": "challenge"});
    desk.sandbox
        .tenant(
            &json!({"mfa": {"rules": [done, asks], "push_interval_s": 0, "otp_single_use": false}}),
        )
        .unwrap();
    (desk, browser)
}

fn put_ada(desk: &Desk, factors: Value) {
    let ada = json!({"name": "ada", "email": "ada@sandbox.example", "factors": factors});
    desk.sandbox.put_user(serde_json::from_value(ada).unwrap());
}

fn otp_and_more() -> Value {
    json!([{"kind": "otp"}, {"kind": "sms", "name": "+49 171 1234"}, {"kind": "push"}, {"kind": "recovery_code"}])
}

async fn post(browser: &mut Browser, path: &str, body: Value) -> Reply {
    browser.send(Method::POST, path, &[JSON, OWN], Some(body.to_string())).await
}

/// Is refused the accounts, and returns the problem.
async fn refused(browser: &mut Browser) -> Value {
    let reply = browser.get("/api/accounts/accounts").await;
    assert_eq!(reply.problem(), (403, "mfa_required".to_owned()));
    assert!(reply.header("www-authenticate").contains("insufficient_user_authentication"));
    reply.json()
}

async fn account_opens(browser: &mut Browser) -> u16 {
    browser.get("/api/accounts/accounts").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_one_api_asks_and_the_others_go_on() {
    let (desk, mut browser) = asked(otp_and_more()).await;
    let problem = refused(&mut browser).await;
    assert!(problem["mfa_token"].as_str().is_some_and(|handle| handle.len() > 40), "{problem}");
    assert_eq!(problem["audience"], ACCOUNTS);
    assert!(problem["mfa_requirements"]["challenge"].as_array().is_some_and(|all| !all.is_empty()));
    assert!(problem["step_up_uri"].as_str().unwrap().contains("/auth/mfa?audience="), "{problem}");
    assert!(!problem["step_up_uri"].as_str().unwrap().contains("mfa_token"));

    let asked_before = desk.sandbox.ledger().summary().mfa_challenges;
    for _ in 0..20 {
        refused(&mut browser).await;
        assert_eq!(browser.get("/api/quotes/quote").await.status, 200);
    }
    assert_eq!(desk.sandbox.ledger().summary().mfa_challenges, asked_before, "it is never a loop");
    let session = browser.get("/auth/session").await.json();
    assert_eq!(session["holds"][0]["audience"], ACCOUNTS, "{session}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_step_up_with_json_and_the_call_goes_through() {
    let (desk, mut browser) = asked(otp_and_more()).await;
    let handle = refused(&mut browser).await["mfa_token"].clone();
    let bearer = format!("Bearer {}", handle.as_str().unwrap());
    let listed = browser
        .send(Method::GET, "/auth/mfa/authenticators", &[("authorization", &bearer)], None)
        .await;
    let listed = listed.json();
    let kinds: Vec<&str> =
        listed.as_array().unwrap().iter().filter_map(|one| one["factor"].as_str()).collect();
    assert!(
        kinds.contains(&"otp") && kinds.contains(&"push") && kinds.contains(&"sms"),
        "{listed}"
    );

    let wrong = json!({"mfa_token": handle, "otp": "000000"});
    let reply = post(&mut browser, "/auth/mfa/verify", wrong).await;
    assert_eq!(reply.problem(), (400, "mfa_code_invalid".to_owned()));
    assert_eq!(account_opens(&mut browser).await, 403);
    let otp = desk.sandbox.otp("ada").unwrap();
    let right = json!({"mfaToken": handle, "otp": otp, "return_to": "/back"});
    let reply = post(&mut browser, "/auth/mfa/verify", right.clone()).await;
    assert_eq!(
        (reply.status, reply.json()["return_to"].as_str()),
        (200, Some("/back")),
        "{reply:?}"
    );
    assert_eq!(account_opens(&mut browser).await, 200);
    let reply = post(&mut browser, "/auth/mfa/verify", right).await;
    assert_eq!(reply.problem(), (404, "mfa_token_not_found".to_owned()), "it works once");
    let summary = desk.sandbox.ledger().summary();
    assert_eq!((summary.reuse_detected, summary.families_revoked), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_pending_until_it_is_answered() {
    let (desk, mut browser) = asked(otp_and_more()).await;
    let handle = refused(&mut browser).await["mfa_token"].clone();
    let wish = json!({"mfa_token": handle, "factor": "push"});
    let challenged = post(&mut browser, "/auth/mfa/challenge", wish).await.json();
    let oob_code = challenged["oob_code"].clone();
    assert!(oob_code.is_string() && challenged["binding_method"].is_null(), "{challenged}");
    let ask = json!({"mfa_token": handle, "oob_code": oob_code});
    let reply = post(&mut browser, "/auth/mfa/verify", ask.clone()).await;
    assert_eq!(reply.problem(), (400, "authorization_pending".to_owned()));
    let approve: Authenticate =
        serde_json::from_value(json!({"push": true, "user": "ada"})).unwrap();
    desk.sandbox.authenticate(&approve).unwrap();
    let verified = async {
        loop {
            let reply = post(&mut browser, "/auth/mfa/verify", ask.clone()).await;
            if reply.status == 200 {
                break;
            }
            assert_eq!(reply.problem().1, "authorization_pending", "{reply:?}");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), verified).await.unwrap();
    assert_eq!(account_opens(&mut browser).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_led_to_the_page_and_back_without_a_script() {
    let (desk, mut browser) = asked(json!([{"kind": "otp"}, {"kind": "recovery_code"}])).await;
    let reply = browser.send(Method::GET, "/api/accounts/accounts?x=1", &[HTML], None).await;
    assert_eq!(reply.status, 302);
    let place = reply.header("location").to_owned();
    assert!(place.starts_with("/auth/mfa?audience=") && !place.contains("mfa_token"), "{place}");

    let page = browser.send(Method::GET, &place, &[HTML], None).await;
    let policy = page.header("content-security-policy").to_owned();
    assert_eq!(page.status, 200);
    assert!(policy.contains("form-action 'self'") && !policy.contains("script-src"), "{policy}");
    assert!(page.body.contains("Authenticator app") && page.body.contains(ACCOUNTS));
    let fields = hidden(&page.body);
    let form = |more: &[(&str, &str)]| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(
            fields.iter().filter(|(name, _)| name != "factor" && name != "authenticator"),
        );
        form.extend_pairs(more);
        form.finish()
    };
    let asked = form(&[("factor", "otp")]);
    let page =
        browser.send(Method::POST, "/auth/mfa/challenge", &[HTML, FORM, OWN], Some(asked)).await;
    assert!(page.body.contains("autocomplete=\"one-time-code\""), "{page:?}");
    assert!(page.body.contains("inputmode=\"numeric\""));

    let wrong = form(&[("otp", "000 000")]);
    let page =
        browser.send(Method::POST, "/auth/mfa/verify", &[HTML, FORM, OWN], Some(wrong)).await;
    assert!(page.body.contains("role=\"alert\"") && page.body.contains("not right"), "{page:?}");
    let otp = desk.sandbox.otp("ada").unwrap();
    let spaced = format!("{} {}", &otp[..3], &otp[3..]);
    let right = form(&[("otp", &spaced)]);
    let reply =
        browser.send(Method::POST, "/auth/mfa/verify", &[HTML, FORM, OWN], Some(right)).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/api/accounts/accounts?x=1"));
    assert_eq!(account_opens(&mut browser).await, 200);
    let page = browser.send(Method::GET, &place, &[HTML], None).await;
    assert!(page.body.contains("Nothing to confirm"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_recovery_code_is_replaced_and_the_new_one_shown_once() {
    let (desk, mut browser) = asked(
        json!([{"kind": "otp"}, {"kind": "recovery_code", "secret": "ABCDEFGHIJKLMNOPQRSTUVWX"}]),
    )
    .await;
    let handle = refused(&mut browser).await["mfa_token"].clone();
    let shown = json!({"mfa_token": handle, "recovery_code": "ABCDEFGHIJKLMNOPQRSTUVWX"});
    let reply = post(&mut browser, "/auth/mfa/verify", shown).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let newer = reply.json()["recovery_code"].clone();
    assert!(newer.as_str().is_some_and(|code| code != "ABCDEFGHIJKLMNOPQRSTUVWX"), "{reply:?}");
    assert_eq!(account_opens(&mut browser).await, 200);
    drop(desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_factor_sets_one_up() {
    let (desk, mut browser) = asked(json!([])).await;
    let place = browser.send(Method::GET, "/api/accounts/accounts", &[HTML], None).await;
    let page = browser.send(Method::GET, place.header("location"), &[HTML], None).await;
    assert!(page.body.contains("Set up a way to confirm"), "{page:?}");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(hidden(&page.body)).append_pair("factor", "otp");
    let page = browser
        .send(Method::POST, "/auth/mfa/associate", &[HTML, FORM, OWN], Some(form.finish()))
        .await;
    assert!(page.body.contains("<svg viewBox") && page.body.contains("recovery code"), "{page:?}");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(hidden(&page.body)).append_pair("otp", &desk.sandbox.otp("ada").unwrap());
    let reply = browser
        .send(Method::POST, "/auth/mfa/verify", &[HTML, FORM, OWN], Some(form.finish()))
        .await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, "/api/accounts/accounts"),
        "{reply:?}"
    );
    assert_eq!(account_opens(&mut browser).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_a_handle_belongs_to_one_session_and_one_demand() {
    let (desk, mut browser) = asked(otp_and_more()).await;
    let handle = refused(&mut browser).await["mfa_token"].as_str().unwrap().to_owned();
    let otp = desk.sandbox.otp("ada").unwrap();
    let mut other = desk.signed_in("ada").await;
    let stolen = json!({"mfa_token": handle, "otp": otp});
    let reply = post(&mut other, "/auth/mfa/verify", stolen).await;
    assert_eq!(reply.problem(), (400, "mfa_token_invalid".to_owned()));
    let mut tampered = handle.clone();
    let last = if tampered.pop() == Some('A') { 'B' } else { 'A' };
    tampered.push(last);
    for bad in [tampered.as_str(), "", "garbage", &"x".repeat(5_000)] {
        let reply =
            post(&mut browser, "/auth/mfa/verify", json!({"mfa_token": bad, "otp": otp})).await;
        assert_eq!(reply.problem(), (400, "mfa_token_invalid".to_owned()), "{bad:.20}");
    }
    for body in ["{", "[]", "{\"mfa_token\": 5}", "{\"mfa_token\": \"x\", \"otp\": 123456}"] {
        let reply = browser
            .send(Method::POST, "/auth/mfa/verify", &[JSON, OWN], Some(body.to_owned()))
            .await;
        assert_eq!(reply.problem(), (400, "invalid_request".to_owned()), "{body}");
        assert!(!reply.body.contains("123456"), "what was typed is not repeated");
    }
    let body = json!({"mfa_token": handle, "otp": otp}).to_string();
    let foreign = [JSON, ("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    let reply = browser.send(Method::POST, "/auth/mfa/verify", &foreign, Some(body)).await;
    assert_eq!(reply.problem(), (403, "cross_site".to_owned()));
    let nobody = post(&mut desk.browser(), "/auth/mfa/verify", json!({"mfa_token": handle})).await;
    assert_eq!(nobody.problem(), (401, "login_required".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_a_policy_sends_people_to_the_provider_and_back_in_the_same_session() {
    let desk = Desk::with(|text| {
        let accounts = "audience = \"https://accounts.sandbox.example\"\n";
        let mfa = "mfa = { max_age = \"5m\", acr = \"urn:tokenward:sandbox:mfa\" }\n";
        text.replace(accounts, &format!("{accounts}{mfa}"))
    })
    .await;
    put_ada(&desk, json!([{"kind": "otp"}]));
    let mut browser = desk.signed_in("ada").await;
    let before = browser.cookies.clone();
    let problem = refused(&mut browser).await;
    assert!(problem["mfa_token"].is_null(), "{problem}");
    assert_eq!(problem["acr_values"], json!(["urn:tokenward:sandbox:mfa"]));

    let reply = browser.send(Method::GET, "/api/accounts/accounts", &[HTML], None).await;
    let page = browser.send(Method::GET, reply.header("location"), &[HTML], None).await;
    assert!(page.body.contains("Continue at your provider"), "{page:?}");
    let link = page.body.split("class=\"go\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let place = browser.leave(&link.replace("&#38;", "&").replace("&amp;", "&")).await;
    assert_eq!(query(&place, "acr_values").as_deref(), Some("urn:tokenward:sandbox:mfa"));
    let wanted: Authenticate =
        serde_json::from_value(json!({"authorize_url": place, "user": "ada", "factor": "otp"}))
            .unwrap();
    let back = desk.sandbox.authenticate(&wanted).unwrap().unwrap();
    let reply = browser.get(&back).await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, "/api/accounts/accounts"),
        "{reply:?}"
    );
    assert_eq!(browser.cookies, before, "it is the same session");
    assert_eq!(account_opens(&mut browser).await, 200);
    assert_eq!(browser.get("/api/quotes/quote").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_own_demand_becomes_a_hold() {
    let desk = Desk::open().await;
    put_ada(&desk, json!([{"kind": "otp"}]));
    let mut browser = desk.signed_in("ada").await;
    assert_eq!(account_opens(&mut browser).await, 200);
    let step_up = json!({"api": "accounts", "path": "/accounts",
        "acr_values": "urn:tokenward:sandbox:mfa", "max_age_s": 300});
    desk.sandbox.tenant(&json!({"api_step_up": [step_up]})).unwrap();
    let problem = refused(&mut browser).await;
    assert_eq!(
        (problem["by"].as_str(), problem["max_age_s"].as_u64()),
        (Some("upstream"), Some(300))
    );
    assert_eq!(browser.get("/api/quotes/quote").await.status, 200);
}

/// The hidden fields of the page's first form.
fn hidden(page: &str) -> Vec<(String, String)> {
    let form = page.split("<form").nth(1).unwrap().split("</form>").next().unwrap();
    form.split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|field| {
            let (name, rest) = field.split_once('"').unwrap();
            let value = rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
            (name.to_owned(), value.replace("&#38;", "&").replace("&amp;", "&"))
        })
        .collect()
}
