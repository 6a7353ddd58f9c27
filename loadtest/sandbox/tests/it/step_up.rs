//! Second factors in a browser, and APIs that ask for one (RFC 9470).

use serde_json::json;
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, Authenticate, FactorKind, MFA_ACR};

use crate::world::{World, claims, location, query, text, told};

const PAPE: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

/// Posts a form of a page and returns the status, where it leads, and the next page.
async fn post(
    world: &World,
    path: &str,
    form: &[(&str, &str)],
    cookie: &str,
) -> (u16, String, String, String) {
    let ask = world.http.post(world.provider(path)).form(form).header("cookie", cookie);
    let answer = ask.send().await.unwrap();
    let header = |name: &str| {
        answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    let (status, to) = (answer.status().as_u16(), header("location"));
    let cookie = header("set-cookie").split(';').next().unwrap().to_owned();
    (status, to, cookie, answer.text().await.unwrap())
}

fn hidden(page: &str) -> &str {
    let (_, rest) = page.split_once("name=\"page\" value=\"").unwrap();
    rest.split_once('"').unwrap().0
}

async fn page_of(world: &World, changes: &[(&str, &str)], cookie: &str) -> String {
    let ask = world.http.get(world.authorize_url(changes)).header("cookie", cookie);
    ask.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_browser_steps_up_and_is_remembered() {
    let world = World::start().await;
    let mut ada = world.sandbox.user("ada").unwrap();
    ada.factors = serde_json::from_value(json!([{"kind": "otp"}])).unwrap();
    world.sandbox.put_user(ada);
    let login = page_of(&world, &[], "").await;
    let form = [("page", hidden(&login)), ("user", "ada")];
    let (status, back, cookie, _) = post(&world, "login", &form, "").await;
    assert_eq!(status, 302);
    let (_, first) = world.exchange(&query(&back, "code").unwrap(), &[]).await.unwrap();
    let first = claims(text(&first, "id_token"));
    assert_eq!(first["amr"], json!(["pwd"]));
    let silent = [("prompt", "none"), ("acr_values", PAPE)];
    let ask = world.http.get(world.authorize_url(&silent)).header("cookie", &cookie);
    let back = location(ask).await;
    assert_eq!(query(&back, "error").as_deref(), Some("login_required"));
    let said = query(&back, "error_description");
    assert_eq!(said.as_deref(), Some("Multifactor authentication required"));
    let page = page_of(&world, &[("acr_values", PAPE)], &cookie).await;
    let form = [("page", hidden(&page)), ("code", "no code")];
    let (status, _, _, again) = post(&world, "factor", &form, &cookie).await;
    assert!(status == 200 && again.contains("role=\"alert\""), "{again}");
    let code = world.sandbox.otp("ada").unwrap();
    let form = [("page", hidden(&again)), ("code", code.as_str())];
    let (_, back, _, _) = post(&world, "factor", &form, &cookie).await;
    let (_, tokens) = world.exchange(&query(&back, "code").unwrap(), &[]).await.unwrap();
    for token in ["id_token", "access_token"] {
        let claims = claims(text(&tokens, token));
        assert_eq!((text(&claims, "acr"), &claims["amr"]), (PAPE, &json!(["pwd", "mfa", "otp"])));
        assert!(claims["auth_time"].as_u64() >= first["auth_time"].as_u64());
    }
    assert_eq!(claims(text(&tokens, "id_token"))["sid"], first["sid"], "one session all along");
    let ask = world.http.get(world.authorize_url(&silent)).header("cookie", &cookie);
    assert!(query(&location(ask).await, "code").is_some(), "the browser remembers the factor");
    let sums = world.sandbox.ledger().summary();
    assert_eq!((sums.mfa_challenges, sums.mfa_verified, sums.mfa_wrong_codes), (2, 1, 1));
}

#[tokio::test]
async fn the_always_policy_refuses_silence_and_asks_on_the_page() {
    let world = World::start().await;
    world.set(json!({"mfa": {"policy": "always"}}));
    let wanted = |factor| Authenticate {
        authorize_url: Some(world.authorize_url(&[])),
        factor,
        ..Authenticate::default()
    };
    assert!(world.sandbox.authenticate(&wanted(None)).unwrap_err().contains("factor"));
    let back = world.sandbox.authenticate(&wanted(Some(FactorKind::Push))).unwrap().unwrap();
    let (_, tokens) = world.exchange(&query(&back, "code").unwrap(), &[]).await.unwrap();
    assert_eq!(claims(text(&tokens, "id_token"))["acr"], MFA_ACR);
    let (status, _) = world.refresh(text(&tokens, "refresh_token"), &[]).await.unwrap();
    assert_eq!(status, 200, "the policy leaves refreshes alone (seed 000)");
    world.set(json!({"mfa": {"policy_applies_to_refresh": true}}));
    let login = page_of(&world, &[], "").await;
    let form = [("page", hidden(&login)), ("user", "ada")];
    let (_, _, cookie, page) = post(&world, "login", &form, "").await;
    let form = [("page", hidden(&page)), ("approve", "1")];
    assert_eq!(post(&world, "factor", &form, &cookie).await.0, 302);
    let ask = world.http.get(world.authorize_url(&[("prompt", "none")])).header("cookie", &cookie);
    let said = query(&location(ask).await, "error_description");
    assert_eq!(said.as_deref(), Some("Multifactor authentication required"), "seed 002");
}

#[tokio::test]
async fn an_api_asks_for_a_stronger_or_fresher_sign_in() {
    let world = World::start().await;
    let asked =
        json!({"api": "accounts", "path": "/transfer", "acr_values": MFA_ACR, "max_age_s": 3600});
    world.set(json!({"api_step_up": [asked]}));
    let scope = "openid read:accounts write:accounts";
    let sign_in = |more: &[(&str, &str)]| {
        let changes = [&[("audience", ACCOUNTS_AUDIENCE), ("scope", scope)], more].concat();
        let authorize_url = Some(world.authorize_url(&changes));
        let factor = Some(FactorKind::Otp).filter(|_| !more.is_empty());
        let wanted = Authenticate { authorize_url, factor, ..Authenticate::default() };
        query(&world.sandbox.authenticate(&wanted).unwrap().unwrap(), "code").unwrap()
    };
    let transfer = json!({"from": "savings", "to": "everyday", "amount_cents": 1});
    let call = async |code: String| {
        let (_, tokens) = world.exchange(&code, &[]).await.unwrap();
        let bearer = text(&tokens, "access_token").to_owned();
        let list = world.http.get(world.api("accounts", "/accounts")).bearer_auth(&bearer);
        assert_eq!(told(list).await.unwrap().0, 200, "only one path asks for more");
        let ask = world.http.post(world.api("accounts", "/transfer")).bearer_auth(bearer);
        let answer = ask.json(&transfer).send().await.unwrap();
        let challenge =
            answer.headers().get("www-authenticate").map(|line| line.to_str().unwrap().to_owned());
        (answer.status().as_u16(), challenge)
    };
    let (status, challenge) = call(sign_in(&[])).await;
    let expected = "Bearer error=\"insufficient_user_authentication\", \
                    error_description=\"A different authentication level is required\", \
                    acr_values=\"urn:tokenward:sandbox:mfa\", max_age=\"3600\"";
    assert_eq!((status, challenge.as_deref()), (401, Some(expected)));
    assert_eq!(call(sign_in(&[("acr_values", MFA_ACR)])).await.0, 201);
}
