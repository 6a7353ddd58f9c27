//! Second factors at the token endpoint: demands, challenges, what completes them.

use serde_json::{Value, json};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, Authenticate, Client};

use crate::world::{Told, World, claims, text, told};

const OTP: &str = "http://auth0.com/oauth/grant-type/mfa-otp";
const OOB: &str = "http://auth0.com/oauth/grant-type/mfa-oob";
const RECOVERY: &str = "http://auth0.com/oauth/grant-type/mfa-recovery-code";

/// A world whose tenant asks for a factor once per session, and Ada's refresh token.
async fn challenged(factors: Value) -> (std::sync::Arc<World>, String) {
    let world = World::start().await;
    let tokens = world.sign_in(&[]).await;
    put_ada(&world, factors).await;
    let done = json!({"when": {"mfa_done": true}, "then": "return"});
    world.set(json!({"mfa": {"rules": [done, {"then": "challenge"}], "push_interval_s": 0}}));
    (world, text(&tokens, "refresh_token").to_owned())
}

async fn put_ada(world: &World, factors: Value) -> Value {
    let ask = world.http.post(world.control("/users"));
    let ada = json!({"name": "ada", "email": "ada@sandbox.example", "factors": factors});
    told(ask.json(&ada)).await.unwrap().1
}

/// Is refused a refresh, and returns the `mfa_token`.
async fn demanded(world: &World, refresh_token: &str) -> String {
    let (status, body) = world.refresh(refresh_token, &[]).await.unwrap();
    assert_eq!((status, text(&body, "error")), (403, "mfa_required"), "{body}");
    text(&body, "mfa_token").to_owned()
}

async fn verify(world: &World, grant: &str, mfa_token: &str, more: &[(&str, &str)]) -> Told {
    world.tokens(&[&[("grant_type", grant), ("mfa_token", mfa_token)], more].concat()).await
}

async fn api(world: &World, path: &str, mfa_token: &str, body: Value) -> (u16, Value) {
    let ask = world.http.post(world.provider(path)).bearer_auth(mfa_token);
    let ask = if path == "mfa/challenge" {
        let ask = world.http.post(world.provider(path));
        ask.json(&merged(body, json!({"client_id": "demo-web", "client_secret": "demo-web-secret", "mfa_token": mfa_token})))
    } else {
        ask.json(&body)
    };
    told(ask).await.unwrap()
}

fn merged(mut body: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

fn error((status, body): &(u16, Value)) -> (u16, &str, &str) {
    (*status, text(body, "error"), text(body, "error_description"))
}

async fn otp(world: &World) -> String {
    let ask = world.http.get(world.control("/users/ada/otp"));
    text(&told(ask).await.unwrap().1, "otp").to_owned()
}

async fn message(world: &World) -> String {
    let ask = world.http.get(world.control("/users/ada/messages"));
    let (_, body) = told(ask).await.unwrap();
    text(body["messages"].as_array().unwrap().last().unwrap(), "code").to_owned()
}

#[tokio::test]
async fn a_demand_spends_nothing_and_its_completion_rotates() {
    let (world, refresh_token) = challenged(json!([{"kind": "otp"}])).await;
    let _first = demanded(&world, &refresh_token).await;
    let mfa_token = demanded(&world, &refresh_token).await;
    assert_eq!(world.sum("rotations").await, 0);
    let code = otp(&world).await;
    let wrong = if code == "000000" { "111111" } else { "000000" };
    let refused = verify(&world, OTP, &mfa_token, &[("otp", wrong)]).await.unwrap();
    assert_eq!(error(&refused), (403, "invalid_grant", "Invalid otp_code."));
    let (status, tokens) = verify(&world, OTP, &mfa_token, &[("otp", &code)]).await.unwrap();
    assert_eq!(status, 200, "{tokens}");
    let access = claims(text(&tokens, "access_token"));
    assert_eq!(access["acr"], "urn:tokenward:sandbox:mfa");
    assert_eq!(access["amr"], json!(["pwd", "mfa", "otp"]));
    let again = verify(&world, OTP, &mfa_token, &[("otp", &otp(&world).await)]).await.unwrap();
    assert_eq!(error(&again), (400, "invalid_grant", "Malformed mfa_token"), "single use");
    world.set(json!({"leeway_s": 0}));
    let (status, next) = world.refresh(text(&tokens, "refresh_token"), &[]).await.unwrap();
    assert_eq!(status, 200, "the rule is content with the factor of this session: {next}");
    let (status, _) = world.refresh(&refresh_token, &[]).await.unwrap();
    assert_eq!(status, 403);
    let codes = world.codes();
    for code in ["mfar", "feotpft", "seotpft", "sertft", "ferrt"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    for (sum, count) in [("mfa_challenges", 2), ("mfa_verified", 1), ("mfa_wrong_codes", 1)] {
        assert_eq!(world.sum(sum).await, count, "{sum}");
    }
    assert_eq!((world.sum("rotations").await, world.sum("mfa_tokens_refused").await), (2, 1));
}

#[tokio::test]
async fn a_message_binds_its_code_and_a_push_is_polled_for() {
    let factors = json!([{"kind": "sms", "name": "+49301234567"}, {"kind": "push"}]);
    let (world, refresh_token) = challenged(factors).await;
    let mfa_token = demanded(&world, &refresh_token).await;
    let by = |channel: &str| json!({"challenge_type": "oob", "oob_channel": channel});
    let (status, sms) = api(&world, "mfa/challenge", &mfa_token, by("sms")).await;
    assert_eq!((status, text(&sms, "binding_method")), (200, "prompt"));
    let oob = async |oob_code: &str, binding: &str| {
        let more = [("oob_code", oob_code), ("binding_code", binding)];
        verify(&world, OOB, &mfa_token, &more).await.unwrap()
    };
    let oob_code = text(&sms, "oob_code");
    assert_eq!(
        error(&oob(oob_code, "").await),
        (400, "invalid_request", "binding_code is required")
    );
    let code = message(&world).await;
    let wrong = if code == "000000" { "111111" } else { "000000" };
    assert_eq!(error(&oob(oob_code, wrong).await), (403, "invalid_grant", "Invalid binding_code."));
    assert_eq!(error(&oob("nothing", &code).await), (403, "invalid_grant", "Invalid oob_code."));
    let (status, push) = api(&world, "mfa/challenge", &mfa_token, by("auth0")).await;
    assert_eq!((status, push.get("binding_method")), (200, None));
    let push_code = text(&push, "oob_code");
    assert_eq!(error(&oob(push_code, "").await).1, "authorization_pending");
    world.set(json!({"mfa": {"push_interval_s": 3600}}));
    assert_eq!(error(&oob(push_code, "").await).1, "slow_down");
    let decide = |deny| Authenticate { push: true, deny, ..Authenticate::default() };
    world.sandbox.authenticate(&decide(true)).unwrap();
    assert_eq!(
        error(&oob(push_code, "").await),
        (403, "invalid_grant", "MFA Authorization rejected.")
    );
    assert!(world.sandbox.authenticate(&decide(false)).is_err(), "no push waits");
    let (_, push) = api(&world, "mfa/challenge", &mfa_token, by("auth0")).await;
    world.sandbox.authenticate(&decide(false)).unwrap();
    let (status, tokens) = oob(text(&push, "oob_code"), "").await;
    assert_eq!(status, 200, "{tokens}");
    let codes = world.codes();
    for code in ["gd_send_sms", "gd_send_pn", "feoobft", "gd_auth_rejected", "seoobft"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
}

#[tokio::test]
async fn a_recovery_code_is_replaced() {
    let factors =
        json!([{"kind": "otp"}, {"kind": "recovery_code", "secret": "ABCDEFGHIJKLMNOPQRSTUVWX"}]);
    let (world, refresh_token) = challenged(factors).await;
    world.set(json!({"mfa": {"chain": 1}}));
    let mfa_token = demanded(&world, &refresh_token).await;
    let recover = async |mfa_token: &str, recovery_code: &str| {
        let more = [("recovery_code", recovery_code)];
        verify(&world, RECOVERY, mfa_token, &more).await.unwrap()
    };
    let refused = recover(&mfa_token, "ZZZZZZZZZZZZZZZZZZZZZZZZ").await;
    assert_eq!(error(&refused), (403, "invalid_grant", "Invalid recovery_code."));
    let (status, chained) = recover(&mfa_token, "abcdefghijklmnopqrstuvwx").await;
    assert_eq!((status, text(&chained, "error")), (403, "mfa_required"), "one more is demanded");
    let next = text(&chained, "mfa_token");
    assert_ne!(next, mfa_token);
    assert_eq!(recover(next, "ABCDEFGHIJKLMNOPQRSTUVWX").await.0, 403, "a code serves once");
    let (status, tokens) = verify(&world, OTP, next, &[("otp", &otp(&world).await)]).await.unwrap();
    assert_eq!(status, 200, "{tokens}");
    let mfa_token = {
        world.set(json!({"mfa": {"chain": 0, "rules": [{"then": "challenge"}]}}));
        demanded(&world, text(&tokens, "refresh_token")).await
    };
    let ada = world.sandbox.user("ada").unwrap();
    let code = ada.factors[1].secret.clone().unwrap();
    let (status, tokens) = recover(&mfa_token, &code).await;
    assert_eq!(status, 200);
    assert_eq!(text(&tokens, "recovery_code").len(), 24);
    assert_ne!(text(&tokens, "recovery_code"), code);
}

#[tokio::test]
async fn enrolment_is_confirmed_by_a_first_code() {
    let (world, refresh_token) = challenged(json!([])).await;
    let (_, body) = world.refresh(&refresh_token, &[]).await.unwrap();
    let enroll = json!([{"type": "otp"}, {"type": "phone"}, {"type": "email"}, {"type": "push-notification"}]);
    assert_eq!(body["mfa_requirements"], json!({"enroll": enroll}));
    let mfa_token = text(&body, "mfa_token");
    let refused = api(&world, "mfa/challenge", mfa_token, json!({})).await;
    assert_eq!(error(&refused).1, "unsupported_challenge_type");
    let wanted = json!({"authenticator_types": ["otp"]});
    let (status, made) = api(&world, "mfa/associate", mfa_token, wanted.clone()).await;
    assert_eq!(status, 200, "{made}");
    assert!(text(&made, "barcode_uri").starts_with("otpauth://totp/"), "{made}");
    assert!(text(&made, "barcode_uri").contains(text(&made, "secret")));
    assert_eq!(made["recovery_codes"].as_array().unwrap().len(), 1);
    let listed = async || {
        let ask = world.http.get(world.provider("mfa/authenticators"));
        let (_, listed) = told(ask.bearer_auth(mfa_token)).await.unwrap();
        let listed = listed.as_array().unwrap().clone();
        listed.iter().map(|one| one["active"] == true).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [false, false], "a factor and a recovery code, not confirmed");
    let (status, _) = verify(&world, OTP, mfa_token, &[("otp", &otp(&world).await)]).await.unwrap();
    assert_eq!((status, world.sum("mfa_enrolled").await), (200, 1));
    let refused = api(&world, "mfa/associate", mfa_token, wanted).await;
    assert_eq!(error(&refused).1, "invalid_token", "the mfa_token is used");
    assert!(world.sandbox.user("ada").unwrap().factors.iter().all(|factor| factor.active));
}

#[tokio::test]
async fn a_signed_in_user_lists_enrols_and_removes() {
    let (world, _) = challenged(json!([{"kind": "otp"}])).await;
    world.set(json!({"mfa": {"rules": []}}));
    let audience = world.provider("mfa/");
    let scope = "openid enroll read:authenticators remove:authenticators";
    let tokens = world.sign_in(&[("audience", &audience), ("scope", scope)]).await;
    assert_eq!(tokens["expires_in"], 600);
    let access_token = text(&tokens, "access_token");
    let wanted = json!({
        "authenticator_types": ["oob"], "oob_channels": ["sms"], "phone_number": "+49301234567",
    });
    let (status, made) = api(&world, "mfa/associate", access_token, wanted).await;
    assert_eq!((status, made.get("recovery_codes")), (200, None), "not the first factor: {made}");
    let list = async || {
        let ask = world.http.get(world.provider("mfa/authenticators"));
        told(ask.bearer_auth(access_token)).await.unwrap().1.as_array().unwrap().clone()
    };
    let listed = list().await;
    let channels: Vec<_> = listed.iter().map(|one| one["oob_channel"].clone()).collect();
    assert_eq!(channels, [Value::Null, json!("sms"), json!("voice")], "telephones come in pairs");
    assert!(text(&listed[1], "name").ends_with("X4567"), "{listed:?}");
    let remove = async |id: &str, bearer: &str| {
        let url = world.provider(&format!("mfa/authenticators/{id}"));
        told(world.http.delete(url).bearer_auth(bearer)).await.unwrap().0
    };
    let id = text(&listed[0], "id").replace('|', "%7C");
    assert_eq!(remove(&id, "nonsense").await, 401);
    assert_eq!((remove(&id, access_token).await, remove(&id, access_token).await), (204, 404));
    assert_eq!(list().await.len(), 2);
}

#[tokio::test]
async fn an_mfa_token_has_an_owner_and_an_end() {
    let (world, refresh_token) = challenged(json!([{"kind": "otp"}])).await;
    let mfa_token = demanded(&world, &refresh_token).await;
    world.sandbox.put_client(Client { client_id: "other".into(), ..Client::default() });
    let form =
        [("grant_type", OTP), ("client_id", "other"), ("mfa_token", &mfa_token), ("otp", "1")];
    let ask = world.http.post(world.provider("oauth/token")).form(&form);
    let foreign = told(ask).await.unwrap();
    assert_eq!(error(&foreign), (400, "invalid_request", "mfa_token not issued to this client"));
    let unknown = verify(&world, OTP, "Fe26.x", &[("otp", "1")]).await.unwrap();
    assert_eq!(error(&unknown), (400, "invalid_grant", "Malformed mfa_token"));
    let refused = api(&world, "mfa/challenge", "Fe26.x", json!({})).await;
    assert_eq!(error(&refused), (401, "invalid_token", "Invalid MFA token"));
    world.set(json!({"mfa": {"mfa_token_lifetime_s": 0}}));
    let mfa_token = demanded(&world, &refresh_token).await;
    let expired = verify(&world, OTP, &mfa_token, &[("otp", "1")]).await.unwrap();
    assert_eq!(error(&expired), (403, "expired_token", "mfa_token is expired"));
    let refused = api(&world, "mfa/challenge", &mfa_token, json!({})).await;
    assert_eq!(error(&refused), (401, "expired_token", "mfa_token is expired"));
    assert_eq!(world.sum("mfa_tokens_refused").await, 3);
}

#[tokio::test]
async fn who_is_wrong_too_often_has_to_wait() {
    let (world, refresh_token) = challenged(json!([{"kind": "otp"}, {"kind": "sms"}])).await;
    world.set(json!({"mfa": {"failed_otp_burst": 2, "sms_per_hour": 1}}));
    let mfa_token = demanded(&world, &refresh_token).await;
    let attempt =
        async |code: &str| verify(&world, OTP, &mfa_token, &[("otp", code)]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(attempt("no code").await.0, 403);
    }
    let right = otp(&world).await;
    let refused = attempt(&right).await;
    assert_eq!((refused.0, text(&refused.1, "error")), (429, "too_many_attempts"));
    let sms = json!({"challenge_type": "oob"});
    assert_eq!(api(&world, "mfa/challenge", &mfa_token, sms.clone()).await.0, 200);
    assert_eq!(api(&world, "mfa/challenge", &mfa_token, sms).await.0, 429);
    assert_eq!(world.sum("mfa_rate_limited").await, 2);
}

#[tokio::test]
async fn codes_and_devices_are_challenged_where_the_tenant_says_so() {
    let world = World::start().await;
    put_ada(&world, json!([{"kind": "otp"}])).await;
    let only = json!({"audiences": [ACCOUNTS_AUDIENCE]});
    world.set(json!({"mfa": {
        "rules": [{"when": only, "then": "challenge"}],
        "challenge_at": "token_endpoint", "required_status": 401, "otp_single_use": false,
    }}));
    assert!(world.sign_in(&[]).await.get("refresh_token").is_some(), "another audience");
    let code = world.code(&[("audience", ACCOUNTS_AUDIENCE)]);
    let (status, body) = world.exchange(&code, &[]).await.unwrap();
    assert_eq!((status, text(&body, "error")), (401, "mfa_required"));
    let more = [("otp", otp(&world).await)];
    let more = more.each_ref().map(|(name, code)| (*name, code.as_str()));
    let (status, tokens) = verify(&world, OTP, text(&body, "mfa_token"), &more).await.unwrap();
    assert_eq!(
        (status, claims(text(&tokens, "id_token"))["amr"].clone()),
        (200, json!(["pwd", "mfa", "otp"]))
    );
    let form = [
        ("client_id", "demo-device"),
        ("audience", ACCOUNTS_AUDIENCE),
        ("scope", "offline_access"),
    ];
    let (_, device) =
        told(world.http.post(world.provider("oauth/device/code")).form(&form)).await.unwrap();
    let user_code = Some(text(&device, "user_code").to_owned());
    world.sandbox.authenticate(&Authenticate { user_code, ..Authenticate::default() }).unwrap();
    let poll = [
        ("client_id", "demo-device"),
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", text(&device, "device_code")),
    ];
    let (status, body) =
        told(world.http.post(world.provider("oauth/token")).form(&poll)).await.unwrap();
    assert_eq!((status, text(&body, "error")), (401, "mfa_required"));
    let (_, code) = more[0];
    let form = [
        ("client_id", "demo-device"),
        ("grant_type", OTP),
        ("mfa_token", text(&body, "mfa_token")),
        ("otp", code),
    ];
    let (status, tokens) =
        told(world.http.post(world.provider("oauth/token")).form(&form)).await.unwrap();
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(world.sum("device_exchanges").await, 1);
}
