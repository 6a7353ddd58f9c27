//! Exchanges: who may make one, and when a session must end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_core::event::EndReason;
use tokenward_core::grant::Grant;
use tokenward_core::name::Epoch;
use tokenward_core::policy::Policies;
use tokenward_core::secret::{AccessToken, RefreshToken};
use tokenward_core::session::{Input, Need, Session, State, rotation};
use tokenward_core::snapshot::Snapshot;
use tokenward_core::time::{Instant, UnixSeconds};

use super::reading::{PRIMARY, audience, instant, scopes, span};
use crate::it::world::line::Line;
use crate::it::world::provider::Revoked;
use crate::it::world::{START, World};

pub(crate) fn ceiling(input: &Value) -> Option<Value> {
    if input.get("refresh_response_claim").is_some() {
        return Some(after_refresh(input));
    }
    let Some(ceiling) = input["ceiling"].as_u64().map(UnixSeconds) else {
        return Some(json!({ "expired": false }));
    };
    let leeway = span(&input["leeway"]).unwrap_or_default();
    let now = instant(&input["now"]);
    let ends_at = instant(&json!(ceiling.0)) - leeway;
    let mut session = session(now).ending_at(Some(ends_at));
    session.handle(now, Input::Alarm);
    Some(json!({ "expired": *session.state() == State::Ended(EndReason::Ceiling) }))
}

fn after_refresh(input: &Value) -> Value {
    let mut before = session(START).snapshot().clone();
    before.ceiling = input["stored"].as_u64().map(UnixSeconds);
    let grant = Grant {
        access_token: AccessToken::new("t"),
        lifetime: Some(Duration::from_secs(60)),
        granted: None,
        refresh_token: None,
        id_token: None,
        claims: None,
        ceiling: input["refresh_response_claim"].as_u64().map(UnixSeconds),
        proof: None,
        recovery_code: None,
    };
    let need = Need { audience: before.primary.clone(), scopes: scopes(&json!("a")) };
    let (after, _) = rotation::turn(&before, &need, &grant, Epoch(1), START);
    json!({ "ceiling_after": after.ceiling.map(|UnixSeconds(seconds)| seconds) })
}

fn session(now: Instant) -> Session {
    let refresh_token = Some(RefreshToken::new("rt0"));
    let primary = audience(&json!(PRIMARY));
    let stored = Snapshot::new("https://t/".into(), "u1".into(), primary, refresh_token);
    Session::new(stored, Arc::new(Policies::default()), 1, now)
}

pub(crate) fn concurrency(input: &Value) -> Option<Value> {
    let events = input["events"].as_array().into_iter().flatten();
    let events: Vec<&str> = events.map(|event| event.as_str().unwrap()).collect();
    if events.contains(&"persist_fails") {
        // The shell tells of it.
        return None;
    }
    let lifetime = input["access_token_lifetime"].as_u64().unwrap_or(3600);
    let window = input["leeway"].as_u64().unwrap_or(60);
    let machines = input["owners"].as_u64().unwrap_or(1);
    let setting = format!("life {lifetime}s, window {window}s, machines {machines}, notices");
    let mut world = World::new(&setting);
    world.facts = Some(Vec::new());
    let mut at = START;
    let mut sends_before = 0;
    if let Some(age) = input["at_age"].as_u64() {
        world.happen(Line::parse("#1 wants A:a"));
        world.run_until(at + Duration::from_secs(1));
        sends_before = world.oracle.tally.sends;
        at = at + Duration::from_secs(age);
        world.run_until(at);
    }
    for line in lines(input, &events) {
        at = at + Duration::from_millis(50);
        match line.as_str() {
            "wait" => at = at + Duration::from_secs(window + 30),
            line => world.happen(Line::parse(line)),
        }
        world.run_until(at);
    }
    world.run_until(at + Duration::from_secs(60));
    Some(outcome(&world, sends_before))
}

/// Turns a vector's events or requests into lines of a story.
fn lines(input: &Value, events: &[&str]) -> Vec<String> {
    let named = events.iter().map(|event| match *event {
        "refresh_sent" | "refresh_start" => "#1 wants A:a",
        "crash" => "crash",
        "restart_after_leeway" => "wait",
        "logout" => "logout",
        "refresh_ok" => "alarm",
        other => panic!("what is {other}?"),
    });
    let mut lines: Vec<String> = named.map(str::to_owned).collect();
    if events.contains(&"restart_after_leeway") {
        lines.push("restart".to_owned());
    }
    let requests = input["requests"].as_array().into_iter().flatten();
    for (number, request) in requests.enumerate() {
        let (name, scope) = (request[0].as_str().unwrap(), request[1].as_str().unwrap());
        lines.push(format!("#{} wants {name}:{scope}", number + 10));
    }
    if let Some(number) = input["requests_n"].as_u64() {
        lines.push(format!("#10..#{} want A:a", number + 9));
    }
    for owner in 0..input["owners"].as_u64().unwrap_or(0) {
        let name = char::from(b'a' + u8::try_from(owner).unwrap());
        lines.push(format!("{name}: #{} wants A:a within 30s", owner + 10));
    }
    lines
}

fn outcome(world: &World, sends_before: u64) -> Value {
    let facts = world.facts.as_ref().unwrap();
    let asked = facts.iter().filter_map(|fact| fact.split_once(" with r"));
    let presented: Vec<String> = asked.map(|(_, serial)| format!("rt{serial}")).collect();
    let sends = world.oracle.tally.sends - sends_before;
    let reused = matches!(world.provider.revoked, Some(Revoked::Reuse { .. }));
    let refused = matches!(world.store.ended, Some(EndReason::Refused(_)));
    let revoked = world.provider.revoked == Some(Revoked::OnRequest);
    json!({
        "presented_refresh_tokens": presented,
        "family_revoked": reused,
        "token_endpoint_calls": sends,
        "rate_limited": sends > 1,
        "session_exists": world.store.ended.is_none(),
        "issued_refresh_token": if revoked { "revoked_or_discarded" } else { "living" },
        "action": if refused && sends == 2 { "try_once_then_reauth" } else { "go_on" },
        "metric": if refused { "refresh_outcome{terminal}" } else { "refresh_outcome{granted}" },
    })
}
