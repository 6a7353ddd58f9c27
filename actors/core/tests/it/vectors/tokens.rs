//! Access tokens: looked up, put in their place, served or refreshed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_core::grant::{AccessClaims, Grant};
use tokenward_core::name::{Epoch, WaiterId};
use tokenward_core::policy::{AudiencePolicy, Margins, Policies};
use tokenward_core::secret::{AccessToken, IdToken, RefreshToken};
use tokenward_core::session::rotation::{self, Turn};
use tokenward_core::session::{Answer, Effect, Input, Need, Session, Want};
use tokenward_core::snapshot::{self, Entry, Lookup, Snapshot};

use super::reading::{PRIMARY, audience, entry, instant, scopes, seconds};
use super::scopes::list;

pub(crate) fn lookup(input: &Value) -> Value {
    let entries: Vec<Entry> = input["entries"].as_array().unwrap().iter().map(entry).collect();
    let (name, wanted) = (audience(&input["request"]["aud"]), scopes(&input["request"]["scope"]));
    if input["mode"] == "granted_strict" {
        let slot = entries.iter().find(|own| own.audience == name && own.granted == wanted);
        return match slot {
            Some(entry) => json!({ "outcome": "hit", "token": entry.access_token.expose() }),
            None => json!({ "outcome": "miss" }),
        };
    }
    let serve = Duration::from_secs(input["leeway"].as_u64().unwrap_or(0));
    let margins = Margins { refresh_ahead: serve, serve };
    match snapshot::lookup(&entries, &name, &wanted, margins, instant(&input["now"])) {
        Lookup::Hit(entry) => json!({ "outcome": "hit", "token": entry.access_token.expose() }),
        Lookup::Downscoped { entry, missing } => json!({
            "outcome": "downscoped",
            "token": entry.access_token.expose(),
            "missing": list(&missing),
        }),
        Lookup::Miss => json!({ "outcome": "miss" }),
    }
}

pub(crate) fn upsert(input: &Value) -> Value {
    let config = &input["config"];
    let primary = Need { audience: audience(&config["aud"]), scopes: scopes(&config["scope"]) };
    let asked = &input["request"]["scope"];
    let asked = if asked.is_null() { primary.scopes.clone() } else { scopes(asked) };
    let named = &input["request"]["aud"];
    let target = if named.is_null() { primary.audience.clone() } else { audience(named) };
    let need = Need { audience: target, scopes: asked };
    let before = session(&input["session"], &primary);
    let grant = grant(&input["response"]);
    let now = instant(&input["now"]);
    let (mut after, turn) = rotation::turn(&before, &need, &grant, Epoch(2), now);
    let replaced = turn == Turn::SubjectChanged;
    if replaced {
        // Nothing of the old session goes over into the one of the new sign-in.
        let subject = grant.claims.as_ref().and_then(|claims| claims.subject.clone()).unwrap();
        let fresh = Snapshot::new(
            after.provider.clone(),
            subject.as_str().into(),
            primary.audience.clone(),
            after.refresh_token.clone(),
        );
        after = rotation::turn(&fresh, &need, &grant, Epoch(1), now).0;
    }
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
    let expected_times = input["request"]["force_additional"] == true && listed.len() == 1;
    let served = after.entries.iter().any(|own| own.access_token == grant.access_token);
    let of_b = after.entries.iter().filter(|entry| entry.audience.as_str() == "B");
    let min_ttl = Duration::from_secs(input["request"]["min_ttl"].as_u64().unwrap_or(0));
    let margins = Margins { refresh_ahead: min_ttl, serve: min_ttl };
    let is_short = margins.capped(grant.lifetime.unwrap()).serve < min_ttl;
    let show = |entry: &&Entry| show(entry, expected_times && min_ttl.is_zero());
    json!({
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
    })
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
    session.entries.extend(value["entries"].as_array().unwrap().iter().map(entry));
    session
}

fn grant(value: &Value) -> Grant {
    let claims = &value["claims"];
    Grant {
        access_token: AccessToken::new(value["access_token"].as_str().unwrap()),
        lifetime: value["expires_in"].as_u64().map(Duration::from_secs),
        granted: (!value["scope"].is_null()).then(|| scopes(&value["scope"])),
        refresh_token: value["refresh_token"].as_str().map(RefreshToken::new),
        id_token: value["id_token"].as_str().map(IdToken::new),
        claims: claims.is_object().then(|| AccessClaims {
            audiences: Vec::new(),
            subject: claims["sub"].as_str().map(str::to_owned),
        }),
        ceiling: None,
    }
}

fn show(entry: &Entry, with_end: bool) -> Value {
    let mut shown = json!({
        "access_token": entry.access_token.expose(),
        "aud": entry.audience.as_str(),
        "granted": entry.granted.to_string(),
        "requested": entry.requested.to_string(),
    });
    if with_end && entry.requested == entry.granted {
        shown["expires_at"] = seconds(entry.expires_at()).into();
    }
    shown
}

pub(crate) fn expiry(input: &Value) -> Value {
    let now = instant(&input["now"]);
    let ahead = Duration::from_secs(input["leeway"].as_u64().unwrap_or(0));
    let margins = Margins { refresh_ahead: ahead, serve: Duration::ZERO };
    let need = Need { audience: audience(&json!(PRIMARY)), scopes: scopes(&json!("a")) };
    let refresh_token = (input["has_refresh"] == true).then(|| RefreshToken::new("rt0"));
    let mut stored =
        Snapshot::new("https://t/".into(), "u1".into(), need.audience.clone(), refresh_token);
    // A token whose end is unknown is not restored at all.
    if !input["expires_at"].is_null() {
        let mut own = entry(&json!({
            "id": "t", "aud": PRIMARY, "granted": "a", "expires_at": input["expires_at"],
        }));
        if !input["issued_at"].is_null() {
            own.received_at = instant(&input["issued_at"]);
            own.lifetime = instant(&input["expires_at"]).since(own.received_at);
        }
        stored.entries.push(own);
    }
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
            Effect::Launch(_) | Effect::Publish(_) => {}
        }
    }
    let leeway_max = margins.capped(lifetime).refresh_ahead.as_secs();
    json!({ "action": action, "code": code, "effective_leeway_max": leeway_max })
}
