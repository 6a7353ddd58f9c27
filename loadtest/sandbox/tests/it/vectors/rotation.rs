//! What presenting refresh tokens does, one step after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_sandbox::Mint;
use tokenward_sandbox::ledger::{Event, Kind};

use crate::world::World;

pub(crate) fn rotation(input: &Value) -> Option<Value> {
    if input["config"]["mfa_on_refresh"] == true {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Some(runtime.block_on(async {
        let mut tenancy = Tenancy::start(&input["config"]).await;
        let mut results = Vec::new();
        for step in input["steps"].as_array().unwrap() {
            tenancy.wait_until(&step["t"]);
            results.push(tenancy.step(step).await);
        }
        json!({ "results": results })
    }))
}

/// A tenant with the refresh tokens that it has issued, by the names the vectors give them.
struct Tenancy {
    world: Arc<World>,
    tokens: BTreeMap<String, String>,
    /// The families that were minted, by the names of their first tokens.
    families: BTreeMap<String, String>,
    seconds: u64,
}

impl Tenancy {
    async fn start(config: &Value) -> Self {
        let world = World::start().await;
        let mut patch = serde_json::Map::new();
        for (ours, theirs) in [
            ("rotation", "rotation"),
            ("leeway_s", "leeway"),
            ("max_active", "max_active"),
            ("absolute_lifetime_s", "absolute_lifetime"),
            ("idle_lifetime_s", "idle_lifetime"),
        ] {
            if !config[theirs].is_null() {
                patch.insert(ours.to_owned(), config[theirs].clone());
            }
        }
        world.set(Value::Object(patch));
        Self { world, tokens: BTreeMap::new(), families: BTreeMap::new(), seconds: 0 }
    }

    fn wait_until(&mut self, seconds: &Value) {
        let seconds = seconds.as_u64().unwrap_or(self.seconds);
        self.world.sandbox.advance(Duration::from_secs(seconds - self.seconds));
        self.seconds = seconds;
    }

    async fn step(&mut self, step: &Value) -> Value {
        let seen = self.world.sandbox.ledger().since(0).last().map_or(0, |event| event.seq);
        if let Some(count) = step["issue_count"].as_u64() {
            let evicted = self.mint(count);
            return json!({ "issue": format!("rt{}", self.families.len()), "evicted": evicted });
        }
        let presented = step["present"].as_str().expect("a step that presents something");
        if self.tokens.is_empty() {
            self.mint(1);
        }
        let unknown = "no such token".to_owned();
        let refresh_token = self.tokens.get(presented).unwrap_or(&unknown).clone();
        let (status, body) = self.world.refresh(&refresh_token, &[]).await.unwrap();
        let events = self.world.sandbox.ledger().since(seen);
        let issued = body["refresh_token"].as_str().map(|text| self.name(text, &events));
        let log = events.iter().map(|event| event.code).find(|code| !code.is_empty());
        let revoked = events.iter().any(|event| event.kind == Kind::FamilyRevoked);
        json!({
            "issue": issued,
            "status": status,
            "error": body["error"],
            "error_description": body["error_description"],
            "log": log,
            "family": if revoked { "revoked" } else { "living" },
        })
    }

    /// Signs one person in as many times, and returns whose turn it was to go.
    fn mint(&mut self, count: u64) -> Option<String> {
        let user = Some("ada".to_owned());
        let minted = self.world.sandbox.mint(&Mint { count, user, ..Mint::default() }).unwrap();
        for one in minted {
            let name = format!("rt{}", self.families.len() + 1);
            self.families.insert(name.clone(), one.family);
            self.tokens.insert(name, one.refresh_token);
        }
        let events = self.world.sandbox.ledger().since(0);
        let evicted = events.iter().rfind(|event| event.kind == Kind::FamilyEvicted)?;
        let is_it =
            |(_, family): &(&String, &String)| evicted.entry.family.as_ref() == Some(family);
        self.families.iter().find(is_it).map(|(name, _)| name.clone())
    }

    /// Names a token that was issued: by its generation, and a fork by a letter behind it.
    fn name(&mut self, refresh_token: &str, events: &[Event]) -> String {
        let known = self.tokens.iter().find(|(_, own)| *own == refresh_token);
        if let Some((name, _)) = known {
            return name.clone();
        }
        let generation = events.iter().find_map(|event| event.entry.latest).expect("a generation");
        let forks = ["", "b", "c", "d", "e", "f"].map(|letter| format!("rt{generation}{letter}"));
        let name = forks.into_iter().find(|name| !self.tokens.contains_key(name));
        let name = name.expect("fewer forks");
        self.tokens.insert(name.clone(), refresh_token.to_owned());
        name
    }
}
