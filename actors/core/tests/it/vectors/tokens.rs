//! Access tokens: looked up, put in their place, served or refreshed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_core::grant::{AccessClaims, Grant, Malformed};
use tokenward_core::name::{Epoch, WaiterId};
use tokenward_core::policy::{AudiencePolicy, Margins, Policies};
use tokenward_core::secret::{AccessToken, IdToken, RefreshToken};
use tokenward_core::session::rotation::{self, Turn};
use tokenward_core::session::{Answer, Effect, Input, Need, Session, Want};
use tokenward_core::snapshot::{self, Entry, Lookup, Snapshot};
use tokenward_core::time::Instant;

use super::reading::{PRIMARY, audience, entries, entry, instant, scopes, seconds, span};
use super::scopes::list;

pub(crate) fn lookup(input: &Value) -> Option<Value> {
    let entries = entries(&input["entries"]);
    let (name, wanted) = (audience(&input["request"]["aud"]), scopes(&input["request"]["scope"]));
    let now = instant(&input["now"]);
    if input["mode"] == "granted_strict" {
        return Some(slot(entries, Need { audience: name, scopes: wanted }, now));
    }
    let serve = span(&input["leeway"]).unwrap_or_default();
    let margins = Margins { refresh_ahead: serve, serve };
    Some(match snapshot::lookup(&entries, &name, &wanted, margins, now) {
        Lookup::Hit(entry) => json!({
            "outcome": "hit", "token": entry.access_token.expose(), "missing": null,
        }),
        Lookup::Downscoped { entry, missing } => json!({
            "outcome": "downscoped",
            "token": entry.access_token.expose(),
            "missing": list(&missing),
        }),
        Lookup::Miss => json!({ "outcome": "miss", "token": null, "missing": null }),
    })
}

/// Looks for the token in whose place a new one of exactly the wanted grant comes.
fn slot(entries: Vec<Entry>, need: Need, now: Instant) -> Value {
    let mut before = Snapshot::new("https://t/".into(), "u1".into(), need.audience.clone(), None);
    before.entries = entries;
    let mut grant = grant(&json!({ "access_token": "the new one", "expires_in": 60 }));
    grant.granted = Some(need.scopes.clone());
    let (after, _) = rotation::turn(&before, &need, &grant, Epoch(2), now);
    let stays = |entry: &Entry| {
        after.entries.iter().any(|own| own.access_token == entry.access_token)
            || entry.expires_at() <= now
    };
    match before.entries.iter().find(|entry| !stays(entry)) {
        Some(entry) => json!({ "outcome": "hit", "token": entry.access_token.expose() }),
        None => json!({ "outcome": "miss", "token": null }),
    }
}

pub(crate) fn upsert(input: &Value) -> Option<Value> {
    let config = &input["config"];
    let primary = Need { audience: audience(&config["aud"]), scopes: scopes(&config["scope"]) };
    let asked = &input["request"]["scope"];
    let asked = if asked.is_null() { primary.scopes.clone() } else { scopes(asked) };
    let named = &input["request"]["aud"];
    let target = if named.is_null() { primary.audience.clone() } else { audience(named) };
    let need = Need { audience: target, scopes: asked };
    let before = session(&input["session"], &primary);
    let now = instant(&input["now"]);
    let grant = grant(&input["response"]);
    let (after, replaced) = answered(&before, &need, &primary, &grant, now);
    let lasting = Margins { refresh_ahead: Duration::ZERO, serve: Duration::ZERO };
    let hit = snapshot::lookup(&after.entries, &primary.audience, &primary.scopes, lasting, now);
    let primary_token = match hit {
        Lookup::Hit(entry) => Some(entry.access_token.expose()),
        Lookup::Downscoped { .. } | Lookup::Miss => None,
    };
    // The vectors list what was asked for by the name of its audience.
    let is_listed = |entry: &&Entry| {
        let is_primary = Some(entry.access_token.expose()) == primary_token;
        let is_unnamed = named.is_null() && entry.audience == primary.audience;
        !(is_primary || is_unnamed)
    };
    let listed: Vec<&Entry> = after.entries.iter().filter(is_listed).collect();
    let served = after.entries.iter().any(|own| own.access_token == grant.access_token);
    let of_b = after.entries.iter().filter(|entry| entry.audience.as_str() == "B");
    let min_ttl = span(&input["request"]["min_ttl"]).unwrap_or_default();
    let margins = Margins { refresh_ahead: min_ttl, serve: min_ttl };
    let lifetime = grant.lifetime.unwrap_or(rotation::LIFETIME_ASSUMED);
    let is_short = margins.capped(lifetime).serve < min_ttl;
    Some(json!({
        "session": if replaced { "replaced" } else { "kept" },
        "user_sub": &*after.subject,
        "primary_access_token": primary_token,
        "entries": listed.iter().map(show).collect::<Vec<_>>(),
        "entries_include": served.then(|| grant.access_token.expose()),
        "entries_count": after.entries.len(),
        "entries_for_B": of_b.clone().count(),
        "entry_B_expires_at": of_b.clone().next().map(|entry| seconds(entry.expires_at())),
        "refresh_token": after.refresh_token.as_ref().map(RefreshToken::seal),
        "id_token": after.id_token.as_ref().map(IdToken::expose),
        "served_but_not_cached": served && listed.is_empty(),
        "warning": is_short.then_some("lifetime_below_leeway"),
    }))
}

/// Returns the session after the answer, and whether it is that of a new sign-in.
fn answered(
    before: &Snapshot,
    need: &Need,
    primary: &Need,
    grant: &Grant,
    now: Instant,
) -> (Snapshot, bool) {
    if grant.access_token.expose().is_empty() {
        let refresh_token = grant.refresh_token.clone();
        let malformed = Malformed { refresh_token, why: "no access_token" };
        return (rotation::salvage(before, &malformed), false);
    }
    let (after, turn) = rotation::turn(before, need, grant, Epoch(2), now);
    if turn != Turn::SubjectChanged {
        return (after, false);
    }
    // Nothing of the old session goes over into the one of the new sign-in.
    let claims = grant.claims.clone().unwrap_or_default();
    let fresh = Snapshot::new(
        claims.issuer.map_or(after.provider, Into::into),
        claims.subject.map_or(after.subject, Into::into),
        primary.audience.clone(),
        after.refresh_token,
    );
    (rotation::turn(&fresh, need, grant, Epoch(1), now).0, true)
}

fn session(value: &Value, primary: &Need) -> Snapshot {
    let first = &value["primary"];
    let subject = value["user"]["sub"].as_str().unwrap_or("u1");
    let issuer = value["user"]["iss"].as_str().unwrap_or("https://t/");
    let refresh_token = first["refresh_token"].as_str().map(RefreshToken::new);
    let name = primary.audience.clone();
    let mut session = Snapshot::new(issuer.into(), subject.into(), name, refresh_token);
    session.id_token = first["id_token"].as_str().map(IdToken::new);
    let mut own = entry(first);
    own.audience = primary.audience.clone();
    (own.requested, own.granted) = (primary.scopes.clone(), primary.scopes.clone());
    session.entries.push(own);
    session.entries.extend(entries(&value["entries"]));
    session
}

fn grant(value: &Value) -> Grant {
    let claims = &value["claims"];
    Grant {
        access_token: AccessToken::new(value["access_token"].as_str().unwrap_or_default()),
        lifetime: span(&value["expires_in"]),
        granted: (!value["scope"].is_null()).then(|| scopes(&value["scope"])),
        refresh_token: value["refresh_token"].as_str().map(RefreshToken::new),
        id_token: value["id_token"].as_str().map(IdToken::new),
        claims: claims.is_object().then(|| AccessClaims {
            audiences: Vec::new(),
            subject: claims["sub"].as_str().map(str::to_owned),
            issuer: claims["iss"].as_str().map(str::to_owned),
        }),
        ceiling: None,
        proof: None,
        recovery_code: None,
    }
}

fn show(entry: &&Entry) -> Value {
    json!({
        "access_token": entry.access_token.expose(),
        "aud": entry.audience.as_str(),
        "granted": entry.granted.to_string(),
        "requested": entry.requested.to_string(),
        "expires_at": seconds(entry.expires_at()),
    })
}

pub(crate) fn expiry(input: &Value) -> Option<Value> {
    let of_a_reply = ["response_expires_in", "id_token_iat", "id_token_nbf"];
    if of_a_reply.iter().any(|key| input.get(key).is_some()) {
        return None;
    }
    let now = instant(&input["now"]);
    let ahead = span(&input["leeway"]).unwrap_or_default();
    let margins = Margins { refresh_ahead: ahead, serve: Duration::ZERO };
    let need = Need { audience: audience(&json!(PRIMARY)), scopes: scopes(&json!("a")) };
    let refresh_token = (input["has_refresh"] == true).then(|| RefreshToken::new("rt0"));
    let mut stored =
        Snapshot::new("https://t/".into(), "u1".into(), need.audience.clone(), refresh_token);
    // A token whose end is unknown is not restored at all.
    stored.entries = entries(&json!([{
        "id": "t", "aud": PRIMARY, "granted": "a", "expires_at": input["expires_at"],
        "issued_at": input["issued_at"],
    }]));
    let lifetime = stored.entries.first().map_or(Duration::ZERO, |entry| entry.lifetime);
    let mut policies = Policies::default();
    let policy = AudiencePolicy { margins, ..AudiencePolicy::default() };
    policies.audiences.insert(need.audience.clone(), policy);
    let mut session = Session::new(stored, Arc::new(policies), 1, now);
    let later = now + Duration::from_secs(8);
    let replaces = (input["force"] == true).then_some(Epoch(1));
    let (waiter, deadline, latest) = (WaiterId(1), later, later);
    session.handle(now, Input::Want(Want { waiter, need, replaces, deadline, latest }));
    let mut action = json!("refresh");
    let mut code = Value::Null;
    while let Some(effect) = session.next_effect() {
        match effect {
            Effect::Answer(_, Answer::Granted(offer)) => {
                let has_refresh = input["has_refresh"] == true;
                if !(has_refresh && offer.entry.refresh_from(margins) <= now) {
                    action = json!("serve");
                }
            }
            Effect::Answer(_, Answer::Ended(_)) => {
                (action, code) = (json!("error"), json!("missing_refresh_token"));
            }
            Effect::Answer(..) | Effect::Emit(_) | Effect::End { .. } => {}
            Effect::Launch(_) | Effect::Publish(_) | Effect::Report(..) => {}
        }
    }
    let leeway_max = margins.capped(lifetime).refresh_ahead.as_secs();
    Some(json!({ "action": action, "code": code, "effective_leeway_max": leeway_max }))
}
