//! A display is held, and a person releases it by its short link; nobody gets more from that.

use serde_json::{Value, json};
use tokenward_sandbox::Authenticate;

use super::*;

pub(super) const ACCOUNTS: &str = "https://accounts.sandbox.example";
const JSON: (&str, &str) = ("content-type", "application/json");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A display of ada's, which the provider's new rule holds.
async fn held(amend: impl FnOnce(String) -> String) -> (Desk, String) {
    let desk = Desk::with(|text| format!("{}[device]\n", amend(text))).await;
    let handle = hold(&desk).await;
    (desk, handle)
}

/// Signs a display in as ada, and lets the provider hold it.
pub(super) async fn hold(desk: &Desk) -> String {
    let factors = json!([{"kind": "otp"}, {"kind": "sms", "name": "+49 171 1234"}]);
    for name in ["ada", "eve"] {
        let user = json!({"name": name, "factors": factors});
        desk.sandbox.put_user(serde_json::from_value(user).unwrap());
    }
    let code = ask(desk, "").await;
    approve(desk, &mut desk.browser(), &code.user, "ada").await;
    let handle = poll(desk, &code.device).await.unwrap();
    let done = json!({"when": {"mfa_done": true}, "then": "return"});
    let asks = json!({"when": {"audiences": [ACCOUNTS]}, "then": "challenge"});
    let mfa = json!({"mfa": {"rules": [done, asks], "otp_single_use": false}});
    desk.sandbox.tenant(&mfa).unwrap();
    handle
}

/// Is refused the accounts, and returns the path of the link that the display shows.
pub(super) async fn link(desk: &Desk, handle: &str) -> (String, Value) {
    let reply = call(desk, handle, "/api/accounts/accounts").await;
    assert_eq!(reply.problem(), (403, "mfa_required".to_owned()));
    let told = reply.json();
    let uri = told["step_up_uri"].as_str().unwrap();
    let path = uri.strip_prefix(&desk.known_as).unwrap().to_owned();
    assert!(path.starts_with("/d/") && path.len() == 12, "{uri}");
    (path, told)
}

pub(super) async fn send(phone: &mut Browser, path: &str, body: Value) -> Reply {
    phone.send(Method::POST, path, &[JSON, OWN], Some(body.to_string())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_a_held_display_is_released_by_its_link_and_the_link_opens_nothing_else() {
    let (desk, handle) = held(|text| text).await;
    let (path, _) = link(&desk, &handle).await;
    assert_eq!(link(&desk, &handle).await.0, path, "one link for one hold");
    let seen = call(&desk, &handle, "/auth/session").await.json();
    let told = seen["holds"][0]["step_up_uri"].as_str();
    assert_eq!(told, Some(format!("{}{path}", desk.origin).as_str()));

    let mut phone = desk.browser();
    assert_eq!(phone.get("/d/mfa").await.problem().1, "nothing_held", "without the link");
    let reply = phone.get(&path).await;
    let place = reply.header("location").to_owned();
    assert!(reply.status == 303 && place.starts_with("/d/mfa?audience="), "{reply:?}");
    let [pass] = reply.set_cookies("tokenward-pass=")[..] else { panic!("{reply:?}") };
    assert!(pass.contains("HttpOnly") && pass.contains("Max-Age=900"), "{pass}");
    for closed in ["/auth/session", "/auth/events", "/auth/mfa/authenticators", "/api/quotes/quote"]
    {
        assert_eq!(phone.get(closed).await.problem(), (401, "login_required".to_owned()));
    }
    let reply = send(&mut phone, "/d/mfa/associate", json!({"factor": "otp"})).await;
    assert!(matches!(reply.status, 404 | 405), "{reply:?}");

    let page = phone.get(&place).await;
    assert!(page.body.contains("action=\"/d/mfa/challenge\""), "{page:?}");
    let later = phone.get("/d/later").await;
    assert!(page.body.contains("href=\"/d/later\"") && later.body.contains("goes on asking"));
    assert!(!page.body.contains("1234"), "numbers of the person's are not shown");
    let listed = phone.get("/d/mfa/authenticators").await;
    assert!(listed.status == 200 && !listed.body.contains("1234"), "{listed:?}");
    let (_, rest) = page.body.split_once("name=\"mfa_token\" value=\"").unwrap();
    let mfa_token = rest.split('"').next().unwrap().to_owned();
    let wrong = json!({"mfa_token": mfa_token, "otp": "000000"});
    let reply = send(&mut phone, "/d/mfa/verify", wrong).await;
    assert_eq!(reply.problem(), (400, "mfa_code_invalid".to_owned()));
    let otp = desk.sandbox.otp("ada").unwrap();
    let right = json!({"mfa_token": mfa_token, "otp": otp, "return_to": "https://evil.example"});
    let reply = send(&mut phone, "/d/mfa/verify", right).await;
    assert_eq!(reply.json()["return_to"], "/d/confirmed", "{reply:?}");
    assert!(phone.get("/d/confirmed").await.body.contains("Confirmed"));
    let over = phone.get(&place).await.body;
    assert!(over.contains("does not wait for anybody any more"), "{over}");
    assert_eq!(call(&desk, &handle, "/api/accounts/accounts").await.status, 200);
    assert_eq!(desk.browser().get(&path).await.problem(), (410, "nothing_held".to_owned()));
    assert!(!phone.cookies.contains_key("tokenward"), "no session came of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_a_photographed_link_tries_codes_against_the_sessions_own_limit() {
    let (desk, handle) = held(|text| text).await;
    let (path, told) = link(&desk, &handle).await;
    let mut refusals = Vec::new();
    for _ in 0..6 {
        // Another browser each time, as somebody who guesses would take.
        let mut stranger = desk.browser();
        stranger.get(&path).await;
        let guess = json!({"mfa_token": told["mfa_token"], "otp": "000000"});
        refusals.push(send(&mut stranger, "/d/mfa/verify", guess).await.problem().1);
    }
    assert!(refusals[5].contains("too_many"), "{refusals:?}");
    assert_eq!(call(&desk, &handle, "/api/quotes/quote").await.status, 200, "others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_leads_from_the_link_to_the_provider_where_only_the_owner_may_confirm() {
    let (desk, handle) = held(|text| {
        let accounts = "audience = \"https://accounts.sandbox.example\"\n";
        let mfa = "mfa = { max_age = \"5m\", acr = \"urn:tokenward:sandbox:mfa\" }\n";
        text.replace(accounts, &format!("{accounts}{mfa}"))
    })
    .await;
    let (path, _) = link(&desk, &handle).await;
    let back = async |phone: &mut Browser, user: &str| {
        phone.get(&path).await;
        let place = phone.leave("/d/mfa/redirect").await;
        let wanted = json!({"authorize_url": place, "user": user, "factor": "otp"});
        let wanted: Authenticate = serde_json::from_value(wanted).unwrap();
        desk.sandbox.authenticate(&wanted).unwrap().unwrap()
    };
    let mut stranger = desk.browser();
    let place = back(&mut stranger, "eve").await;
    assert_eq!(stranger.get(&place).await.problem().1, "wrong_subject");
    assert_eq!(link(&desk, &handle).await.0, path, "it is still held");
    let mut phone = desk.browser();
    let place = back(&mut phone, "ada").await;
    let reply = phone.get(&place).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/d/confirmed"), "{reply:?}");
    assert_eq!(call(&desk, &handle, "/api/accounts/accounts").await.status, 200);
}
