//! What a provider's bytes mean to somebody who steps up, and what a handle is good for.
#![expect(clippy::expect_used, reason = "a vector that cannot be played has failed")]

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use tokenward::clock::Clock;
use tokenward::core::grant::{Grant, Reply};
use tokenward::core::name::{Audience, Epoch, SessionKey};
use tokenward::core::policy::Backoff;
use tokenward::core::refusal::{MfaDemand, Refusal};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::{AccessToken, MfaToken, Passcode, RefreshToken};
use tokenward::core::session::{Need, rotation, step_up};
use tokenward::core::snapshot::Snapshot;
use tokenward::core::step_up::classify::meaning;
use tokenward::core::step_up::context::{context_ttl, purge};
use tokenward::core::step_up::poll::{Next, POLL_EVERY, next};
use tokenward::core::step_up::{
    Asked, ContextId, Evidence, FaultClass, Fields, Meaning, StatusProfile,
};
use tokenward::core::time::UnixSeconds;
use tokenward::provider::reply::{Received, read};
use tokenward::provider::step_up::{authenticators, grant_type};
use tokenward::provider::{Extent, Provider, ProviderSettings};
use tokenward::store::Memory;
use tokenward::store::seal::KeyRing;
use tokenward::{MfaFault, Tokenward, Vault};

/// Reads an answer as it came over the wire.
fn heard(status: &Value, body: &Value) -> Reply {
    let bytes = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    let received = Received {
        status: u16::try_from(status.as_u64().unwrap_or(200)).unwrap_or(200),
        headers: &HeaderMap::new(),
        body: bytes.as_bytes(),
        extent: Extent::Whole,
        at: UnixSeconds(1_700_000_000),
    };
    read(&received).reply
}

fn demand(requirements: &Value) -> MfaDemand {
    let body =
        json!({ "error": "mfa_required", "mfa_token": "t", "mfa_requirements": requirements });
    let Reply::Refused(Refusal { mfa: Some(demand), .. }) = heard(&json!(403), &body) else {
        panic!("a demand is no demand");
    };
    demand
}

pub(super) fn authenticator_filter(input: &Value) -> Option<Value> {
    let demand = demand(&input["requirements"]);
    let listed = authenticators(input["authenticators"].to_string().as_bytes())?;
    let admitted = listed.iter().filter(|one| one.is_admitted_by(&demand));
    Some(json!({ "ids": admitted.map(|one| one.id.as_str()).collect::<Vec<_>>() }))
}

pub(super) fn classify(input: &Value) -> Option<Value> {
    let asked = Asked::parse(input["grant"].as_str()?)?;
    let refusal = match heard(&input["status"], &input["body"]) {
        Reply::Refused(refusal) => refusal,
        Reply::Unheard(_) => return Some(json!({ "class": Meaning::Transient.code() })),
        Reply::Granted(_) => return Some(json!({ "class": "success" })),
        Reply::Malformed(_) | Reply::NotSent(_) => {
            return Some(json!({ "class": Meaning::Transient.code() }));
        }
    };
    let meaning = meaning(asked, &refusal);
    let listed = refusal.mfa.clone().unwrap_or_default();
    let without_token = meaning == Meaning::ReauthRequired;
    Some(json!({
        "class": meaning.code(),
        "reason": without_token.then_some("mfa_required_without_token"),
        // No refusal of these takes it away.
        "refresh_token": "unchanged",
        "retry": meaning.may_be_repeated(),
        "challenge_types": listed.challenge,
        "enroll_types": listed.enroll,
        "restart_flow": meaning.restarts_flow(),
        "restart_challenge": meaning.restarts_challenge(),
        "same_mfa_token_usable": !meaning.restarts_flow(),
        "logout": meaning == Meaning::LoginRequired,
    }))
}

pub(super) fn verify_grant(input: &Value) -> Option<Value> {
    let text = |name: &str| input["fields"][name].as_str();
    let fields = Fields {
        otp: text("otp"),
        oob_code: text("oob_code"),
        binding_code: text("binding_code"),
        recovery_code: text("recovery_code"),
    };
    Some(match fields.evidence() {
        Ok(evidence) => json!({
            "grant_type": grant_type(&evidence),
            "poll": evidence.is_polled(),
            "error": null,
        }),
        Err(_) => json!({ "error": FaultClass::InvalidRequest.code() }),
    })
}

pub(super) fn oob_poll(input: &Value) -> Option<Value> {
    let every = input["interval"].as_u64().map_or(POLL_EVERY, Duration::from_secs);
    let refusal = match heard(&input["status"], &input["body"]) {
        Reply::Refused(refusal) => refusal,
        Reply::Granted(_) => return Some(json!({ "action": "done", "class": null })),
        Reply::Malformed(_) | Reply::NotSent(_) | Reply::Unheard(_) => {
            let class = Meaning::Transient.code();
            let next_interval = every.as_secs();
            return Some(
                json!({ "action": "poll", "class": class, "next_interval": next_interval }),
            );
        }
    };
    let meaning = meaning(Asked::Oob, &refusal);
    let (action, interval) = match next(meaning, every) {
        Next::Poll(every) => ("poll", Some(every.as_secs())),
        Next::Restart => ("restart", None),
        Next::Stop => ("stop", None),
    };
    Some(json!({ "action": action, "class": meaning.code(), "next_interval": interval }))
}

pub(super) fn context(input: &Value) -> Option<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    Some(runtime.block_on(async {
        let mut told = json!({ "ttl_default": context_ttl(None, None).ttl.as_secs() });
        let others = [stands(input).await, happened(input), chained(input)];
        for (name, value) in others.iter().filter_map(Value::as_object).flatten() {
            told[name] = value.clone();
        }
        told
    }))
}

const SECRET: &str = "Fe26.2*raw*mfa*token";

/// What a handle is good for that was made, changed and kept as `input` says.
async fn stands(input: &Value) -> Value {
    if !input["ops"].is_null() && input["ops"][0][0] != "verify" {
        return Value::Null;
    }
    let ring = Arc::new(KeyRing::ephemeral().expect("random bytes"));
    let (clock, hand) = Clock::manual();
    let vault = Vault::new(Arc::new(Memory::new(clock.clone())), ring, clock.clone());
    // Nobody listens there: whatever asks the provider is told that nobody answers.
    let settings = ProviderSettings::new("http://127.0.0.1:1/", "client");
    let provider = Provider::new(settings, clock.clone()).expect("the settings are right");
    let builder = Tokenward::builder().provider(provider).vault(vault.clone());
    let tokenward = builder.build().await.expect("the framework is built");

    let key = SessionKey([7; 32]);
    let (scopes, audience) = (input["scope"].as_str(), input["audience"].as_str());
    let need = need(audience.unwrap_or("https://api"), scopes.unwrap_or_default());
    let backoff = Backoff { context_ttl: ttl(input), ..Backoff::default() };
    let before = record();
    let held = step_up::hold(&before, &need, Some(asks_for(SECRET)), &backoff, clock.now());
    let hold = held.holds[0].clone();
    let known = input["ops"].is_null();
    let stored = if known { &held } else { &before };
    vault.create(key, stored, None).await.expect("it is stored");
    let made_for = match input["tamper"].as_str() {
        Some("wrong_key" | "wrong_secret" | "wrong_session") => SessionKey([8; 32]),
        Some(_) | None => key,
    };
    let handle = tokenward.handle_of(&made_for, &hold).expect("it is open");
    let visible = handle.contains(SECRET)
        || serde_json::to_string(&tokenward.view_of(&key, &hold)).is_ok_and(|v| v.contains(SECRET));
    let handle = tampered(&handle, input["tamper"].as_str());
    hand.advance(input["age"].as_f64().map_or(Duration::ZERO, Duration::from_secs_f64));

    let opened: Result<(), MfaFault> = match input["verify"].as_str() {
        Some(_) => {
            let evidence = Evidence::Otp(Passcode::new("123456"));
            tokenward.verify(&key, &handle, evidence).await.map(drop)
        }
        None => tokenward.open_hold(&key, &handle).await.map(drop),
    };
    let asked = matches!(opened, Err(MfaFault::NotNow { .. }));
    json!({
        "result": opened.as_ref().map_or_else(MfaFault::code, |()| "ok"),
        "http_status": opened.err().map(|fault| fault.status(StatusProfile::Documented)),
        "http_calls": u8::from(asked),
        "raw_mfa_token_visible": visible,
    })
}

fn tampered(handle: &str, how: Option<&str>) -> String {
    let mut bytes = handle.as_bytes().to_vec();
    match how {
        Some("garbage") => return "garbage".to_owned(),
        Some("empty") => return String::new(),
        Some("truncated" | "truncate") => return handle[..handle.len() / 2].to_owned(),
        Some("bitflip") => {
            let middle = bytes.len() / 2;
            bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
        }
        Some(_) | None => {}
    }
    String::from_utf8(bytes).expect("base64 is ASCII")
}

/// What is kept after these things have happened: each writes the record.
fn happened(input: &Value) -> Value {
    let Some(ops) = input["ops"].as_array() else { return Value::Null };
    let (clock, _hand) = Clock::manual();
    let start = clock.now();
    let backoff = Backoff { context_ttl: ttl(input), ..Backoff::default() };
    let mut session = record();
    for op in ops {
        let name = op[1].as_str().unwrap_or_default();
        let now = start + Duration::from_secs_f64(op[2].as_f64().unwrap_or_default());
        let need = need(name, "");
        match op[0].as_str() {
            Some("set") => {
                let demand = Some(asks_for(name));
                session = step_up::hold(&session, &need, demand, &backoff, now);
            }
            Some("verify_ok" | "delete" | "remove") => {
                session = rotation::turn(&session, &need, &grant(), Epoch(1), now).0;
            }
            Some(_) | None => {}
        }
        purge(&mut session.holds, now);
    }
    let open = session.holds.iter().filter_map(|hold| hold.context.as_ref());
    let keys: Vec<&str> = open.map(|context| context.mfa_token.expose()).collect();
    json!({ "size": keys.len(), "keys": keys })
}

/// What a demand that follows another one makes of a hold.
fn chained(input: &Value) -> Value {
    if input["chained"] != true {
        return Value::Null;
    }
    let (clock, _hand) = Clock::manual();
    let need = need(
        input["audience"].as_str().unwrap_or("https://api"),
        input["scope"].as_str().unwrap_or_default(),
    );
    let backoff = Backoff { context_ttl: ttl(input), ..Backoff::default() };
    let first = step_up::hold(&record(), &need, Some(asks_for("one")), &backoff, clock.now());
    let second = step_up::hold(&first, &need, Some(asks_for("two")), &backoff, clock.now());
    let hold = &second.holds[0];
    let context = hold.context.as_ref().expect("it is open");
    json!({
        "ttl": context.ttl.as_secs(),
        "audience": hold.audience.as_str(),
        "scope": hold.scopes.to_string(),
    })
}

fn ttl(input: &Value) -> Duration {
    let written = [&input["ttl"], &input["configured_ttl"]].into_iter().find(|v| !v.is_null());
    context_ttl(written.map(Value::to_string).as_deref(), None).ttl
}

fn need(audience: &str, scopes: &str) -> Need {
    let audience = Audience::parse(audience).expect("an audience");
    Need { audience, scopes: ScopeSet::parse(scopes) }
}

fn asks_for(mfa_token: &str) -> MfaDemand {
    let mut id = [0; 32];
    id[..mfa_token.len().min(32)].copy_from_slice(&mfa_token.as_bytes()[..mfa_token.len().min(32)]);
    let mfa_token = Some(MfaToken::new(mfa_token, ContextId(id)));
    MfaDemand { mfa_token, ..MfaDemand::default() }
}

fn record() -> Snapshot {
    let primary = Audience::parse("https://primary").expect("an audience");
    let refresh_token = Some(RefreshToken::new("r0"));
    Snapshot::new("http://127.0.0.1:1/".into(), "alice".into(), primary, refresh_token)
}

fn grant() -> Grant {
    Grant {
        access_token: AccessToken::new("a"),
        lifetime: None,
        granted: None,
        refresh_token: None,
        id_token: None,
        claims: None,
        ceiling: None,
        proof: None,
        recovery_code: None,
    }
}
