//! Law L13 of the framework: nothing that can be printed shows a secret, and nothing that a
//! provider says brings back what it was sent.
//!
//! Every story told in [`crate::world`] ends with the same search ([`Watch`]).
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde_json::json;
use tokenward::core::grant::{Grant, Malformed, Reply};
use tokenward::core::name::{Audience, Epoch};
use tokenward::core::refusal::{MfaDemand, Refusal};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::{AccessToken, IdToken, MfaToken, Passcode, RefreshToken};
use tokenward::core::session::Need;
use tokenward::core::snapshot::{Entry, Hold, Snapshot};
use tokenward::core::step_up::{Context, ContextId, Origin, Strength};
use tokenward::core::time::{Instant, UnixSeconds};
use tokenward::provider::reply::{self, Received};
use tokenward::provider::{
    ClientSecret, Credentials, Extent, PrivateKey, ProviderSettings, RefreshRequest,
    SigningAlgorithm,
};
use tokenward::store::Restored;
use tokenward::store::seal::KeyRing;
use tokenward::{AccessError, Adoption, Farewell, SessionHandle};
use tokenward_sandbox::Fault;
use tokenward_sandbox::secrecy::{self, Kind, Secrets, Watch};
use zeroize::Zeroizing;

use crate::world::World;

const TOKEN: &str = "v1.kQAhZ0bXN0b3JlLW5vdGhpbmctb2YtdGhpcy1raW5k";

fn shown(thing: impl Debug) -> String {
    format!("{thing:?}\n{thing:#?}\n")
}

fn demand() -> MfaDemand {
    MfaDemand {
        mfa_token: Some(MfaToken::new(TOKEN, ContextId([1; 32]))),
        challenge: vec!["otp".to_owned()],
        ..MfaDemand::default()
    }
}

fn grant() -> Grant {
    Grant {
        access_token: AccessToken::new(TOKEN),
        lifetime: None,
        granted: None,
        refresh_token: Some(RefreshToken::new(TOKEN)),
        id_token: Some(IdToken::new(TOKEN)),
        claims: None,
        ceiling: None,
        proof: None,
        recovery_code: Some(Passcode::new(TOKEN)),
    }
}

fn snapshot() -> Snapshot {
    let audience = Audience::parse("https://api").expect("an audience");
    let refresh_token = Some(RefreshToken::new(TOKEN));
    let mut snapshot =
        Snapshot::new("https://idp".into(), "ada".into(), audience.clone(), refresh_token);
    snapshot.id_token = Some(IdToken::new(TOKEN));
    snapshot.entries.push(Entry {
        audience: audience.clone(),
        access_token: AccessToken::new(TOKEN),
        requested: ScopeSet::default(),
        granted: ScopeSet::default(),
        received_at: Instant::ZERO,
        lifetime: Duration::from_secs(60),
        born_in: Epoch(1),
    });
    let need = Need { audience, scopes: ScopeSet::default() };
    let mfa_token = MfaToken::new(TOKEN, ContextId([1; 32]));
    let (opened_at, ttl) = (Instant::ZERO, Duration::from_secs(300));
    let context = Some(Context { mfa_token, opened_at, ttl });
    let hold = Hold::of(&need, Origin::Provider, Strength::default(), Instant::ZERO);
    snapshot.holds.push(Hold { demand: demand(), context, ..hold });
    snapshot
}

/// Everything public that holds a secret, as it prints itself.
fn printed() -> Vec<(&'static str, String)> {
    let (audience, scopes) =
        (Audience::parse("https://api").expect("an audience"), ScopeSet::default());
    let refresh_token = RefreshToken::new(TOKEN);
    let key = PrivateKey {
        pem: Arc::new(Zeroizing::new(TOKEN.as_bytes().to_vec())),
        kid: None,
        algorithm: SigningAlgorithm::Es256,
    };
    let mut settings = ProviderSettings::new("https://idp", "web");
    settings.credentials = Credentials::Basic(ClientSecret::new(TOKEN));
    let body = format!("{{\"refresh_token\":\"{TOKEN}\",\"access_token\":\"{TOKEN}\"}}");
    let mut headers = HeaderMap::new();
    headers.insert("set-cookie", TOKEN.parse().expect("a value"));
    let (status, extent, at) = (200, Extent::Whole, UnixSeconds(0));
    let received = Received { status, headers: &headers, body: body.as_bytes(), extent, at };
    let malformed = Malformed { refresh_token: Some(refresh_token.clone()), why: "broken" };
    let refusal = Refusal { mfa: Some(demand()), ..Refusal::default() };
    let request = RefreshRequest {
        refresh_token: &refresh_token,
        audience: &audience,
        scopes: &scopes,
        deadline: Duration::ZERO,
    };
    let adoption = Adoption {
        refresh_token: refresh_token.clone(),
        subject: "ada".into(),
        primary: audience.clone(),
    };
    vec![
        ("tokens", shown((&refresh_token, AccessToken::new(TOKEN), IdToken::new(TOKEN)))),
        ("grant", shown(grant())),
        ("replies", shown((Reply::Granted(Box::new(grant())), Reply::Malformed(malformed)))),
        ("refusal", shown((&refusal, Reply::Refused(refusal.clone())))),
        ("snapshot", shown((snapshot(), Restored::Living(Box::new(snapshot()))))),
        ("received", shown((received, reply::read(&received)))),
        ("request", shown((request, adoption))),
        ("credentials", shown((settings, key.clone(), Credentials::PrivateKeyJwt(key)))),
        ("farewell", shown(Farewell { id_token: Some(IdToken::new(TOKEN)) })),
        ("demand", shown(AccessError::MfaRequired(Box::new(snapshot().holds.remove(0))))),
    ]
}

#[test]
fn l13_nothing_public_prints_the_secret_it_holds() {
    let secrets = Secrets::default();
    secrets.learn(Kind::RefreshToken, TOKEN);
    let handle = SessionHandle::random();
    secrets.learn(Kind::SessionHandle, &handle.expose());
    let search = secrets.search();
    let mut printed = printed();
    let ring = KeyRing::ephemeral().expect("a ring");
    printed.push(("handle and ring", shown((handle, ring))));
    for (thing, text) in printed {
        assert!(text.len() > 10, "{thing} prints nothing: {text}");
        let leaks = search.look(thing, text.as_bytes());
        assert!(leaks.is_empty(), "{leaks:?}");
    }
}

/// Answers in which a provider repeats what it was sent.
fn echoes(refresh_token: &str) -> [serde_json::Value; 4] {
    let said = |error: &str, description: String, status: u16| {
        json!({
            "endpoint": "token", "kind": "oauth_error", "when": "before", "times": 1,
            "error": error, "error_description": description, "status": status,
        })
    };
    [
        said("server_error", format!("cannot read refresh_token={refresh_token}"), 500),
        said(refresh_token, "see the error".to_owned(), 400),
        said("access_denied", format!("no {refresh_token}&client_secret=demo-web-secret"), 403),
        said("invalid_grant", format!("Unknown or invalid refresh token {refresh_token}."), 403),
    ]
}

#[tokio::test]
async fn l13_a_provider_that_repeats_the_refresh_token_gives_nothing_away() {
    for number in 0..4 {
        let world = World::start(json!({})).await;
        let key = world.adopt().await;
        let (known, _) = world.sandbox.secrets().all();
        let minted = known.iter().rfind(|secret| secret.kind == Kind::RefreshToken);
        let refresh_token = &*minted.expect("it was minted").text;
        let fault: Fault =
            serde_json::from_value(echoes(refresh_token)[number].clone()).expect("a fault");
        world.sandbox.faults().arm(fault).expect("armed");
        // Some of these are answered after a wait, by a token.
        let answer = world.access(&key, 0).await;
        assert_eq!(world.summary().faults_played, 1, "{answer:?}");
        for fact in world.tokenward.timeline(&key) {
            world.watch.note("the timeline", serde_json::to_string(&fact).expect("JSON"));
        }
        let view = world.tokenward.describe(&key).await;
        world.watch.note("what operators see", format!("{view:?}"));
        world.watch.note("metrics", world.tokenward.metrics().render());
        drop(world.access(&key, 1).await);
    }
}

#[tokio::test]
async fn l13_broken_replies_with_tokens_in_them_give_nothing_away() {
    for kind in ["half_body", "malformed_200_with_refresh_token", "cut_after_commit"] {
        let world = World::start(json!({ "leeway_s": 60 })).await;
        let key = world.adopt().await;
        let fault = json!({ "endpoint": "token", "kind": kind, "times": 1 });
        let fault: Fault = serde_json::from_value(fault).expect("a fault");
        world.sandbox.faults().arm(fault).expect("armed");
        drop(world.access(&key, 0).await);
        assert_eq!(world.summary().faults_played, 1, "{kind}");
    }
}

/// Plants a secret in each kind of place that a [`Watch`] looks at: it must find each.
#[tokio::test]
async fn l13_the_search_finds_what_was_planted() {
    let secrets = Secrets::default();
    secrets.learn(Kind::RefreshToken, TOKEN);
    let places = |watch: Watch| {
        let mut places: Vec<String> = watch.leaks().into_iter().map(|leak| leak.place).collect();
        places.dedup();
        // What was planted here must not fail this test.
        std::mem::forget(watch);
        places
    };
    let dir = tempfile::tempdir().expect("a directory");

    let watch = Watch::over(&secrets);
    tracing::trace!(target: "tokenward::planted", refresh_token = TOKEN, "a careless line");
    assert_eq!(places(watch), ["the log of this process"]);

    let watch = Watch::over(&secrets);
    std::fs::create_dir(dir.path().join("below")).expect("a directory");
    std::fs::write(dir.path().join("below/wal"), [b"\0\x01", TOKEN.as_bytes(), b"\0"].concat())
        .expect("written");
    watch.folder(dir.path());
    assert!(places(watch)[0].ends_with("below/wal"));

    for (place, text) in [
        ("metrics", format!("tokenward_token_requests_total{{audience=\"{TOKEN}\"}} 1")),
        ("a page", format!("<p>{TOKEN}</p>")),
        ("an error", format!("the provider refused: {TOKEN}")),
        ("an event", format!("data: {{\"text\":\"{TOKEN}\"}}")),
        ("Debug output", format!("{:?}", TOKEN.as_bytes())),
    ] {
        let watch = Watch::over(&secrets);
        watch.note(place, text);
        assert_eq!(places(watch), [place]);
    }

    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .env("PLANTED", TOKEN)
        .spawn()
        .expect("a process");
    // A program that has only just begun has no environment to be read yet.
    let look = || secrecy::process(&secrets.search(), child.id());
    let mut leaks = look();
    for _ in 0..100 {
        if leaks.as_ref().is_ok_and(|leaks| !leaks.is_empty()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        leaks = look();
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    let leaks = leaks.expect("it lived");
    assert!(leaks.iter().any(|leak| leak.place.ends_with("environ")), "{leaks:?}");
}
