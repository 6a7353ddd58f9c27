//! Exchanges: what a reply means, who may make one, and when a session must end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_core::event::EndReason;
use tokenward_core::grant::{Grant, Malformed, NotSent, NotSentCause, Reply, Unheard};
use tokenward_core::lease::{self, Verdict};
use tokenward_core::name::{Epoch, Owner, WaiterId};
use tokenward_core::policy::Policies;
use tokenward_core::refusal::{Fate, Refusal};
use tokenward_core::secret::{AccessToken, RefreshToken};
use tokenward_core::session::exchange::{Flight, Reading, Step};
use tokenward_core::session::{Effect, Input, Need, Session, State, Want, rotation};
use tokenward_core::snapshot::Snapshot;
use tokenward_core::time::{Instant, UnixSeconds};

use super::reading::{PRIMARY, audience, instant, scopes};
use crate::it::world::line::Line;
use crate::it::world::provider::Revoked;
use crate::it::world::{START, World};

pub(crate) fn classify(input: &Value) -> Value {
    let reply = reply(input);
    let (class, reason) = class(&reply);
    let session = after(reply);
    let in_doubt = matches!(session.state(), State::InDoubt { .. });
    let ended = matches!(session.state(), State::Ended(_));
    let kept = session.snapshot().refresh_token == Some(RefreshToken::new("rt0"));
    json!({
        "class": class,
        "reason": reason,
        "error": (class == "malformed_success").then_some("invalid_token_response"),
        "retry": in_doubt || matches!(session.state(), State::Backoff { .. }),
        "drop_refresh_token": ended,
        "refresh_token": if kept && !ended { "keep_old" } else { "replaced" },
        "may_have_rotated": in_doubt,
        // A doubt is tried once more, when its deadline has passed; nothing is tried at once.
        "max_immediate_retries": u32::from(in_doubt),
    })
}

fn class(reply: &Reply) -> (&'static str, Option<&'static str>) {
    match reply {
        Reply::Granted(_) => ("ok", None),
        Reply::Malformed(_) => ("malformed_success", None),
        Reply::NotSent(_) | Reply::Unheard(_) => ("transient", None),
        Reply::Refused(refusal) => match refusal.fate() {
            Fate::Ends(cause) => ("terminal_reauth", Some(cause.code())),
            Fate::Denies | Fate::Rejects => ("denied", None),
            Fate::Holds => ("mfa_required", None),
            Fate::Faults(_) => ("terminal_config", None),
            Fate::Waits | Fate::Doubts => ("transient", None),
        },
    }
}

fn reply(input: &Value) -> Reply {
    let body = &input["body"];
    let text = |key: &str| body[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    match (input["transport"].as_str(), input["status"].as_u64()) {
        (Some("connect_refused"), _) => {
            Reply::NotSent(NotSent { cause: NotSentCause::Connect, wait: None })
        }
        (Some(_), _) => Reply::Unheard(Unheard::Deadline),
        (None, Some(200)) => match text("access_token") {
            Some(access_token) => Reply::Granted(Box::new(Grant {
                access_token: AccessToken::new(&access_token),
                lifetime: body["expires_in"].as_u64().map(Duration::from_secs),
                granted: None,
                refresh_token: text("refresh_token").map(|text| RefreshToken::new(&text)),
                id_token: None,
                claims: None,
                ceiling: None,
            })),
            None => Reply::Malformed(Malformed {
                refresh_token: text("refresh_token").map(|text| RefreshToken::new(&text)),
                why: "no access_token",
            }),
        },
        (None, status) => Reply::Refused(Refusal {
            status: u16::try_from(status.unwrap()).unwrap(),
            error: text("error"),
            description: text("error_description"),
            ..Refusal::default()
        }),
    }
}

/// Returns the session after one exchange that was answered by `reply`.
fn after(reply: Reply) -> Session {
    let now = START;
    let mut session = session(now);
    let later = now + Duration::from_secs(60);
    let need = Need { audience: audience(&json!(PRIMARY)), scopes: scopes(&json!("a")) };
    let (waiter, deadline, latest) = (WaiterId(1), later, later);
    session.handle(now, Input::Want(Want { waiter, need, replaces: None, deadline, latest }));
    let mut flight = launched(&mut session);
    let mut record = session.snapshot().clone();
    let ask = flight.ask(Owner(1), Duration::from_secs(1));
    let begun = lease::begin(&record.head, &ask, now);
    if let lease::Begun::Leased(intent) = begun {
        (record.head.epoch, record.head.intent) = (intent.epoch, Some(intent));
    }
    flight.journalled(Some(begun));
    assert!(flight.send(now).is_some());
    flight.replied(now, reply);
    loop {
        match flight.step() {
            Step::Save { commit, snapshot } => {
                let verdict = lease::commit(&record.head, &commit);
                if let Verdict::Accept(head) = verdict {
                    record = Snapshot { head, ..*snapshot };
                }
                flight.saved(now, Some(verdict));
            }
            Step::Load => flight.loaded(Reading::Living(Box::new(record.clone()))),
            Step::Land(landing) => {
                session.handle(now, Input::Landed(landing));
                return session;
            }
            step @ (Step::Journal | Step::Pause(_) | Step::Revoke(_) | Step::Send) => {
                panic!("unexpected {step:?}")
            }
        }
    }
}

fn session(now: Instant) -> Session {
    let refresh_token = Some(RefreshToken::new("rt0"));
    let primary = audience(&json!(PRIMARY));
    let stored = Snapshot::new("https://t/".into(), "u1".into(), primary, refresh_token);
    Session::new(stored, Arc::new(Policies::default()), 1, now)
}

fn launched(session: &mut Session) -> Flight {
    loop {
        if let Effect::Launch(flight) = session.next_effect().unwrap() {
            return *flight;
        }
    }
}

pub(crate) fn ceiling(input: &Value) -> Value {
    if !input["stored"].is_null() {
        let stored = input["stored"].as_u64().map(UnixSeconds);
        let claimed = input["refresh_response_claim"].as_u64().map(UnixSeconds);
        let mut before = session(START).snapshot().clone();
        before.ceiling = stored;
        let Reply::Granted(grant) =
            reply(&json!({ "status": 200, "body": { "access_token": "t" } }))
        else {
            panic!("no grant")
        };
        let grant = Grant { ceiling: claimed, ..*grant };
        let need = Need { audience: before.primary.clone(), scopes: scopes(&json!("a")) };
        let (after, _) = rotation::turn(&before, &need, &grant, Epoch(1), START);
        return json!({ "ceiling_after": after.ceiling.map(|UnixSeconds(seconds)| seconds) });
    }
    let leeway = Duration::from_secs(input["leeway"].as_u64().unwrap());
    let now = instant(&input["now"]);
    let mut session = session(now).ending_at(Some(instant(&input["ceiling"]) - leeway));
    session.handle(now, Input::Alarm);
    json!({ "expired": *session.state() == State::Ended(EndReason::Ceiling) })
}

pub(crate) fn concurrency(input: &Value) -> Value {
    let lifetime = input["access_token_lifetime"].as_u64().unwrap_or(3600);
    let window = input["leeway"].as_u64().unwrap_or(60);
    let machines = input["owners"].as_u64().unwrap_or(1);
    let setting = format!("life {lifetime}s, window {window}s, machines {machines}, notices");
    let mut world = World::new(&setting);
    world.facts = Some(Vec::new());
    let events: Vec<&str> =
        input["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
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
    outcome(&world, sends_before)
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
