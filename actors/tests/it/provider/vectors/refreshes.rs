//! What is asked for in a refresh, and what an answer to one makes of the session.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokenward::clock::{Clock, ManualHand};
use tokenward::core::event::EndReason;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::RefreshToken;
use tokenward::provider::observe::{Refused, Requested};
use tokenward::provider::{AudienceParameter, Endpoints, Observer, Provider, ProviderSettings};
use tokenward::store::seal::KeyRing;
use tokenward::store::{Memory, Restored, Store};
use tokenward::{Adoption, EventStream, Heard, LifecycleEvent, Tokenward, Vault, Wish};

use super::super::AMPLE_MS;
use super::super::fake::{CLIENT_ID, Fake, Then, Wire, refresh_for};
use super::run;
use crate::vectors::store::FailingSaves;
use crate::world::within;

/// What a session's events say an answer was taken for, the first that says it.
const CLASSES: [(&str, &str); 9] = [
    ("malformed", "malformed_success"),
    ("refreshed", "ok"),
    ("ended", "terminal_reauth"),
    ("denied", "denied"),
    ("rejected", "denied"),
    ("held", "mfa_required"),
    ("operator_must_act", "terminal_config"),
    ("postponed", "transient"),
    ("not_sent", "transient"),
];

pub(crate) fn classify(input: &Value) -> Option<Value> {
    Some(run(async {
        let (url, hang) = answering(input).await;
        let (scene, hand) = Scene::start(&url, None).await;
        let asked = scene.ask();
        let told = scene.until_landed(hang.then_some(hand)).await;
        asked.abort();
        scene.outcome(&told).await
    }))
}

pub(crate) fn concurrency(input: &Value) -> Option<Value> {
    let events = input["events"].as_array()?;
    if !events.iter().any(|event| event == "persist_fails") {
        return None;
    }
    Some(run(async {
        let granted = json!({ "status": 200, "body": { "access_token": "at", "expires_in": 60 } });
        let (url, _) = answering(&granted).await;
        let (mut scene, _hand) = Scene::start(&url, Some(1)).await;
        let asked = scene.ask();
        let told = within(async {
            loop {
                match scene.events.next().await.unwrap() {
                    Heard::Event(event) if event.event == "save_delayed" => return event,
                    Heard::Event(_) | Heard::Missed(_) => {}
                }
            }
        });
        let told = told.await;
        asked.abort();
        json!({ "event": "persist_failed", "said": told.text })
    }))
}

pub(crate) fn request(input: &Value) -> Option<Value> {
    Some(run(async {
        let fake = Fake::start().await;
        let mut settings = fake.settings();
        let names_api = input["audience"].is_string();
        let several = input["mrrt"] == true;
        if !(several && names_api) || input["audience_is_cache_key_only"] == true {
            settings.audience_parameter = AudienceParameter::Omit;
        }
        settings.send_scope_on_refresh = several;
        let provider = Provider::new(settings, Clock::manual().0).unwrap();
        fake.grants(json!({}));
        let audience = input["audience"].as_str().unwrap_or("default");
        let scope = input["scope"].as_str().unwrap_or_default();
        refresh_for(&provider, audience, scope, AMPLE_MS).await;
        let form = fake.asked("/token").remove(0).form;
        let sent = |name: &str| form.contains_key(name);
        json!({ "send": { "audience": sent("audience"), "scope": sent("scope") } })
    }))
}

/// Starts what answers as the vector says; returns its address and whether it never answers.
async fn answering(input: &Value) -> (String, bool) {
    let then = match input["transport"].as_str() {
        Some("connect_refused") => {
            let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            return (format!("http://{}/token", closed.local_addr().unwrap()), false);
        }
        Some(name) if name.contains("timeout") => Then::Hang(""),
        Some(name) if name.contains("reset") || name.contains("lost") => Then::Close(""),
        Some(other) => panic!("what is {other}?"),
        None => Then::Close(answer(input).leak()),
    };
    (Wire::start(vec![then]).await.url, matches!(then, Then::Hang(_)))
}

fn answer(input: &Value) -> String {
    let body = match &input["body"] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other @ (Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            other.to_string()
        }
    };
    let mut head = format!("HTTP/1.1 {} Said\r\n", input["status"]);
    for (name, value) in input["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A framework with one session, in front of a token endpoint.
struct Scene {
    tokenward: Tokenward,
    vault: Vault,
    events: EventStream,
    key: SessionKey,
    refused: Arc<Refusals>,
}

#[derive(Default)]
struct Refusals(Mutex<Vec<Value>>);

impl Observer for Refusals {
    fn requested(&self, _: Requested) {}

    fn refused(&self, refused: &Refused<'_>) {
        self.0.lock().unwrap().push(serde_json::to_value(refused).unwrap());
    }
}

impl Scene {
    async fn start(url: &str, failing_saves: Option<u32>) -> (Self, ManualHand) {
        let (clock, hand) = Clock::manual();
        let mut settings = ProviderSettings::new("https://idp.example", CLIENT_ID);
        settings.endpoints = Some(Endpoints {
            authorization: "https://idp.example/authorize".to_owned(),
            token: url.to_owned(),
            // Nobody listens there; no vector needs keys.
            jwks: "http://127.0.0.1:1/jwks".to_owned(),
            revocation: None,
            end_session: None,
        });
        let refused = Arc::new(Refusals::default());
        let provider = Provider::observed(settings, clock.clone(), refused.clone()).unwrap();
        let memory = Memory::new(clock.clone());
        let store: Arc<dyn Store> = match failing_saves {
            None => Arc::new(memory),
            Some(times) => Arc::new(FailingSaves::new(memory, times)),
        };
        let vault = Vault::new(store, Arc::new(KeyRing::ephemeral().unwrap()), clock);
        let builder = Tokenward::builder().provider(provider).vault(vault.clone());
        let tokenward = builder.build().await.unwrap();
        let events = tokenward.events();
        let adoption = Adoption {
            refresh_token: RefreshToken::new("rt0"),
            subject: "u1".to_owned(),
            primary: api(),
        };
        let key = tokenward.adopt(adoption).await.unwrap().key();
        (Self { tokenward, vault, events, key, refused }, hand)
    }

    /// Lets somebody ask for an access token and wait for it.
    fn ask(&self) -> tokio::task::JoinHandle<()> {
        let (tokenward, key) = (self.tokenward.clone(), self.key);
        tokio::spawn(async move {
            let wish = Wish::new(api(), ScopeSet::parse("read"));
            drop(tokenward.access(&key, &wish).await);
        })
    }

    /// Waits until the exchange has landed, and returns what was told of it.
    async fn until_landed(&self, hang: Option<ManualHand>) -> Vec<LifecycleEvent> {
        within(async {
            loop {
                let told = self.tokenward.timeline(&self.key);
                let started = told.iter().any(|event| event.event == "exchange_started");
                let view = self.tokenward.describe(&self.key).await.unwrap();
                let flying = view.is_some_and(|view| view.state == "refreshing");
                if started && !flying {
                    return self.tokenward.timeline(&self.key);
                }
                if let Some(hand) = &hang {
                    // The clock stands at the request's sending until it is moved.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    hand.advance(Duration::from_secs(1));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    }

    async fn outcome(&self, told: &[LifecycleEvent]) -> Value {
        let named = |code: &str| told.iter().any(|event| event.event == code);
        let class = CLASSES.iter().find(|(code, _)| named(code)).map(|(_, class)| *class);
        // A doubt without anything else is a lost reply.
        let class = class.unwrap_or(if named("in_doubt") { "transient" } else { "nothing" });
        let view = self.tokenward.describe(&self.key).await.unwrap();
        let state = view.as_ref().map_or("ended", |view| view.state);
        let ended = self.tokenward.end_of(&self.key).await.unwrap();
        let kept = match self.vault.load(self.key).await.unwrap() {
            Restored::Living(stored) => stored.refresh_token,
            Restored::Ended(_) | Restored::Absent => None,
        };
        let refused = self.refused.0.lock().unwrap().first().cloned().unwrap_or_default();
        let fields = refused.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
        let in_doubt = state == "in_doubt";
        let refresh_token = match &kept {
            Some(own) if own.seal() == "rt0" => "keep_old",
            Some(_) => "replaced",
            None => "dropped",
        };
        json!({
            "class": class,
            "reason": ended.map(EndReason::code),
            "error": match class {
                "malformed_success" => json!("invalid_token_response"),
                _ => refused["error"].clone(),
            },
            "retry": in_doubt || state == "backoff",
            "retry_after": view.and_then(|view| view.retry_in_s),
            "drop_refresh_token": kept.is_none(),
            "refresh_token": refresh_token,
            "may_have_rotated": in_doubt,
            // A doubt is tried once more, when its deadline has passed; nothing is tried at once.
            "max_immediate_retries": u32::from(in_doubt),
            "event_fields": in_order(fields),
        })
    }
}

/// The fields of an event are a set; a vector lists them in its own order.
fn in_order(fields: Option<Vec<String>>) -> Option<Vec<String>> {
    let order = ["status", "error", "error_description", "audience", "scope"];
    let place = |name: &String| order.iter().position(|known| known == name);
    fields.map(|mut fields| {
        fields.sort_by_key(place);
        fields
    })
}

fn api() -> Audience {
    Audience::parse("https://api").unwrap()
}
