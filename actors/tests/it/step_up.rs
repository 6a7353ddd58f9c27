//! Stepping up, from the framework's door to the provider's and back.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a story that fails ends the story"
)]

use std::time::Duration;

use serde_json::{Value, json};
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::policy::{AudiencePolicy, KeepFresh, MfaPolicy, Policies};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::{Passcode, RefreshToken};
use tokenward::core::session::Need;
use tokenward::core::snapshot::Hold;
use tokenward::core::step_up::{Evidence, Factor, Origin, Strength};
use tokenward::provider::{AuthorizeRequest, code_challenge};
use tokenward::step_up::{Association, ChallengeWish, StepUpReturn};
use tokenward::{AccessError, Adoption, MfaFault};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, Authenticate, Mint};

use crate::world::{AUDIENCES, World, wish};

const CALLBACK: &str = "http://127.0.0.1:8080/auth/callback";

/// A tenant that asks for a factor once per provider session, for one API only.
pub(crate) fn asks_once() -> Value {
    let audiences = json!([ACCOUNTS_AUDIENCE]);
    let refresh = "oauth2-refresh-token";
    json!({"mfa": {"push_interval_s": 0, "rules": [
        {"when": {"mfa_done": true}, "then": "return"},
        {"when": {"protocol": refresh, "audiences": audiences}, "then": "challenge"},
    ]}})
}

pub(crate) async fn world(tenant: Value, factors: Value) -> (World, SessionKey) {
    let world = World::by_hand(tenant, KeepFresh::WhileUsed).await;
    let key = ada(&world, factors).await;
    (world, key)
}

/// Gives Ada her factors, and the framework her session.
pub(crate) async fn ada(world: &World, factors: Value) -> SessionKey {
    let ada = json!({"name": "ada", "email": "ada@sandbox.example", "factors": factors});
    world.sandbox.put_user(serde_json::from_value(ada).unwrap());
    adopt(world).await
}

async fn adopt(world: &World) -> SessionKey {
    let (audience, scope) = AUDIENCES[0];
    let wanted = Mint {
        count: 1,
        client_id: "demo-web".to_owned(),
        user: Some("ada".to_owned()),
        audience: audience.to_owned(),
        scope: format!("openid offline_access {scope}"),
    };
    let minted = world.sandbox.mint(&wanted).expect("a session").remove(0);
    let adoption = Adoption {
        refresh_token: RefreshToken::new(&minted.refresh_token),
        subject: minted.subject,
        primary: Audience::parse(audience).unwrap(),
    };
    world.tokenward.adopt(adoption).await.expect("it is stored").key()
}

pub(crate) async fn held(world: &World, key: &SessionKey) -> Box<Hold> {
    match world.access(key, 1).await {
        Err(AccessError::MfaRequired(hold)) => hold,
        other => panic!("a factor is demanded: {other:?}"),
    }
}

pub(crate) fn otp(world: &World) -> Evidence {
    Evidence::Otp(Passcode::new(&world.sandbox.otp("ada").unwrap()))
}

pub(crate) fn need() -> Need {
    let (audience, scopes) = AUDIENCES[1];
    Need { audience: Audience::parse(audience).unwrap(), scopes: ScopeSet::parse(scopes) }
}

#[tokio::test]
async fn l8_a_person_with_an_app_releases_the_hold_and_only_that() {
    let (world, key) = world(asks_once(), json!([{"kind": "otp"}])).await;
    world.access(&key, 0).await.expect("other audiences go on");
    let hold = held(&world, &key).await;
    assert_eq!((hold.origin, hold.audience.as_str()), (Origin::Provider, ACCOUNTS_AUDIENCE));
    let handle = world.tokenward.handle_of(&key, &hold).unwrap();
    let view = world.tokenward.open_hold(&key, &handle).await.unwrap();
    assert!(view.by_api && view.expires_in_s == Some(300), "{view:?}");

    // A restart later the demand can still be met: its context is in the record.
    let world = world.restart().await;
    let facade = &world.tokenward;
    let listed = facade.authenticators(&key, &handle).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.factor).collect::<Vec<_>>(), [Some("otp")]);
    let wish = ChallengeWish { factor: Some(Factor::Otp), authenticator: None };
    assert_eq!(facade.challenge(&key, &handle, &wish).await.unwrap().challenge_type, "otp");
    let wrong = facade.verify(&key, &handle, Evidence::Otp(Passcode::new("000000"))).await;
    assert!(matches!(wrong, Err(MfaFault::WrongCode)), "{wrong:?}");

    let before = world.summary().rotations;
    let verified = facade.verify(&key, &handle, otp(&world)).await.unwrap();
    assert_eq!(verified.audience.as_str(), ACCOUNTS_AUDIENCE);
    assert_eq!(world.summary().rotations, before + 1, "one exchange");
    world.access(&key, 1).await.expect("the hold is released");
    assert_eq!(world.summary().rotations, before + 1, "what it brought is served");
    assert_eq!(world.summary().reuse_detected, 0);

    let again = facade.verify(&key, &handle, otp(&world)).await;
    assert!(matches!(again, Err(MfaFault::TokenNotFound)), "single use: {again:?}");
    let stolen = facade.open_hold(&adopt(&world).await, &handle).await;
    assert!(matches!(stolen, Err(MfaFault::TokenInvalid)), "another session: {stolen:?}");
    world.advance(Duration::from_secs(301));
    let late = facade.open_hold(&key, &handle).await;
    assert!(matches!(late, Err(MfaFault::TokenExpired)), "{late:?}");
}

#[tokio::test]
async fn l9_a_push_is_asked_for_no_more_often_than_told() {
    let (world, key) =
        world(asks_once(), json!([{"kind": "push"}, {"kind": "sms", "name": "+1"}])).await;
    let hold = held(&world, &key).await;
    let facade = &world.tokenward;
    let handle = facade.handle_of(&key, &hold).unwrap();
    let wish = ChallengeWish { factor: Some(Factor::Push), authenticator: None };
    let challenged = facade.challenge(&key, &handle, &wish).await.unwrap();
    assert_eq!((challenged.factor, challenged.binding_method), ("push", None));
    let push = || Evidence::Oob {
        oob_code: Passcode::new(challenged.oob_code.as_deref().unwrap()),
        binding_code: None,
    };
    let asked = world.summary().token_requests;
    for _ in 0..3 {
        let pending = facade.verify(&key, &handle, push()).await;
        assert!(matches!(pending, Err(MfaFault::Pending { .. })), "{pending:?}");
    }
    assert_eq!(world.summary().token_requests, asked + 1, "the others were answered here");
    let approve =
        Authenticate { user: Some("ada".to_owned()), push: true, ..Authenticate::default() };
    world.sandbox.authenticate(&approve).unwrap();
    world.advance(Duration::from_secs(5));
    facade.verify(&key, &handle, push()).await.expect("the phone has said yes");
    world.access(&key, 1).await.expect("the hold is released");
}

#[tokio::test]
async fn l9_guessing_meets_us_before_the_provider() {
    let (world, key) = world(asks_once(), json!([{"kind": "otp"}])).await;
    let hold = held(&world, &key).await;
    let handle = world.tokenward.handle_of(&key, &hold).unwrap();
    let guess = || world.tokenward.verify(&key, &handle, Evidence::Otp(Passcode::new("000000")));
    for _ in 0..5 {
        assert!(matches!(guess().await, Err(MfaFault::WrongCode)));
    }
    let asked = world.summary().token_requests;
    let limited = guess().await;
    assert!(matches!(limited, Err(MfaFault::TooManyAttempts { .. })), "{limited:?}");
    assert_eq!(world.summary().token_requests, asked);
    world.access(&key, 0).await.expect("the session is not touched");
    world.advance(Duration::from_secs(60));
    world.tokenward.verify(&key, &handle, otp(&world)).await.expect("a minute later");
}

#[tokio::test]
async fn l9_a_person_without_factors_enrols_one() {
    let (world, key) = world(asks_once(), json!([])).await;
    world
        .sandbox
        .tenant(&json!({"mfa": {"rules": [
            {"when": {"mfa_done": true}, "then": "return"},
            {"when": {"protocol": "oauth2-refresh-token", "audiences": [ACCOUNTS_AUDIENCE]},
             "then": "enroll", "with": ["otp"]},
        ]}}))
        .unwrap();
    let hold = held(&world, &key).await;
    let facade = &world.tokenward;
    let view = facade.view_of(&key, &hold);
    assert_eq!(view.mfa_requirements.enroll[0].kind, "otp");
    let handle = view.mfa_token.unwrap();
    let wish = Association { factor: Factor::Otp, phone_number: None, email: None };
    let enrolled = facade.associate(&key, &handle, &wish).await.unwrap();
    assert!(enrolled.secret.is_some() && enrolled.barcode_uri.is_some());
    assert_eq!(enrolled.recovery_codes.len(), 1);
    facade.verify(&key, &handle, otp(&world)).await.expect("it is confirmed");
    world.access(&key, 1).await.expect("the hold is released");

    // The recovery code is good once, and another one takes its place.
    world.sandbox.tenant(&json!({"mfa": {"rules": [{"then": "challenge"}]}})).unwrap();
    world.advance(Duration::from_secs(7200));
    let hold = held(&world, &key).await;
    let handle = facade.handle_of(&key, &hold).unwrap();
    let code = Evidence::Recovery(Passcode::new(&enrolled.recovery_codes[0]));
    let verified = facade.verify(&key, &handle, code).await.unwrap();
    let next = verified.recovery_code.expect("a new recovery code");
    assert_ne!(next.expose(), enrolled.recovery_codes[0]);
}

/// Lets somebody step up by redirect, and returns what came back.
async fn redirected(world: &World, key: &SessionKey, user: &str, factor: Value) -> StepUpReturn {
    let request = world.tokenward.step_up_request(key, &need()).await.unwrap();
    let verifier = "v".repeat(43);
    let url = world
        .tokenward
        .provider()
        .authorize_url(&AuthorizeRequest {
            redirect_uri: CALLBACK,
            state: "s",
            nonce: "n",
            code_challenge: &code_challenge(&verifier),
            scopes: &request.scopes,
            audiences: &request.audiences,
            prompt: request.prompt,
            max_age: request.max_age,
            acr_values: request.acr_values.as_deref(),
            login_hint: None,
        })
        .await
        .unwrap();
    let wanted = json!({"authorize_url": url.as_str(), "user": user, "factor": factor});
    let wanted: Authenticate = serde_json::from_value(wanted).unwrap();
    let back = world.sandbox.authenticate(&wanted).unwrap().expect("a redirect");
    let back = url::Url::parse(&back).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let (need, redirect_uri, nonce) = (need(), CALLBACK.to_owned(), "n".to_owned());
    StepUpReturn { need, code, code_verifier: verifier, redirect_uri, nonce }
}

#[tokio::test]
async fn l9_a_policy_sends_the_person_to_the_provider_and_keeps_the_session() {
    let world = World::start(json!({})).await;
    let key = ada(&world, json!([{"kind": "otp"}])).await;
    let first = world.access(&key, 0).await.unwrap();
    world.access(&key, 1).await.expect("nobody asks yet");
    world.tokenward.reload(policies(MfaPolicy::Session {
        classes: vec!["urn:tokenward:sandbox:mfa".to_owned()],
        remember: None,
    }));
    // The session in memory hears of it a moment later.
    for _ in 0..100 {
        match world.access(&key, 1).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(_) => break,
        }
    }
    let hold = held(&world, &key).await;
    assert_eq!((hold.origin, hold.context.is_none()), (Origin::Policy, true));

    world.sandbox.put_user(
        serde_json::from_value(json!({"name": "eve", "factors": [{"kind": "otp"}]})).unwrap(),
    );
    let stranger = redirected(&world, &key, "eve", json!("otp")).await;
    let refused = world.tokenward.complete_step_up(&key, stranger).await;
    assert!(matches!(refused, Err(MfaFault::WrongPerson)), "{refused:?}");
    held(&world, &key).await;

    let returned = redirected(&world, &key, "ada", json!("otp")).await;
    world.tokenward.complete_step_up(&key, returned).await.expect("ada has come back");
    world.access(&key, 1).await.expect("the hold is released");
    let later = world.access(&key, 0).await.unwrap();
    assert_eq!(first.serial(), later.serial(), "the other audience keeps its token");
    let fresh = wish(0).instead_of(later.serial());
    let newer = world.tokenward.access(&key, &fresh).await;
    assert!(newer.unwrap().serial() > later.serial(), "the new family serves it too");
    world.access(&key, 1).await.expect("once per session");
    assert_eq!(world.summary().reuse_detected, 0);
}

#[tokio::test]
async fn l8_an_api_s_challenge_becomes_the_same_hold() {
    let world = World::start(json!({})).await;
    let key = ada(&world, json!([{"kind": "otp"}])).await;
    let refused = world.access(&key, 1).await.unwrap();
    let strength = Strength::of_challenge(vec!["urn:tokenward:sandbox:mfa".to_owned()], None);
    let hold = world.tokenward.demand(&key, &need(), Some(refused.serial()), strength).await;
    let hold = hold.unwrap().expect("nothing newer is there");
    assert_eq!(hold.origin, Origin::Upstream);
    held(&world, &key).await;
    let (audience, scopes) = (need().audience, need().scopes);
    assert!(world.tokenward.offer(&key, &audience, &scopes).is_none(), "not even on the hot path");
    let returned = redirected(&world, &key, "ada", json!("otp")).await;
    world.tokenward.complete_step_up(&key, returned).await.expect("ada has come back");
    let stronger = world.access(&key, 1).await.unwrap();
    assert!(stronger.serial() > refused.serial());
}

fn policies(mfa: MfaPolicy) -> Policies {
    let mut policies = Policies::default();
    for (at, (audience, scopes)) in AUDIENCES.into_iter().enumerate() {
        let mfa = if at == 1 { mfa.clone() } else { MfaPolicy::Provider };
        let policy =
            AudiencePolicy { scopes: ScopeSet::parse(scopes), mfa, ..AudiencePolicy::default() };
        policies.audiences.insert(Audience::parse(audience).unwrap(), policy);
    }
    policies
}
