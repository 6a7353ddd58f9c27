//! What presenting refresh tokens does, one step after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_sandbox::Mint;
use tokenward_sandbox::ledger::{Event, Kind};

use crate::world::{World, told};

pub(crate) fn rotation(input: &Value) -> Option<Value> {
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

/// The grant that completes a demand with a one-time code (WIRE a3).
const OTP_GRANT: &str = "http://auth0.com/oauth/grant-type/mfa-otp";

/// What the vectors write for the right one-time code.
const RIGHT_CODE: &str = "123456";

/// A tenant with the refresh tokens that it has issued, by the names the vectors give them.
struct Tenancy {
    world: Arc<World>,
    tokens: BTreeMap<String, String>,
    /// The families that were minted, by the names of their first tokens.
    families: BTreeMap<String, String>,
    /// What the provider demanded for a token, by the token's name.
    demands: BTreeMap<String, String>,
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
        if config["mfa_on_refresh"] == true {
            let mut ada = world.sandbox.user("ada").unwrap();
            ada.factors = vec![serde_json::from_value(json!({ "kind": "otp" })).unwrap()];
            world.sandbox.put_user(ada);
            let done = json!({ "when": { "mfa_done": true }, "then": "return" });
            let rules = json!({ "rules": [done, { "then": "challenge" }] });
            patch.insert("mfa".to_owned(), rules);
        }
        world.set(Value::Object(patch));
        let (tokens, families, demands) = Default::default();
        Self { world, tokens, families, demands, seconds: 0 }
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
        if self.tokens.is_empty() {
            self.mint(1);
        }
        let (status, body) = match step["mfa_otp"].as_str() {
            Some(code) => self.verify(step["for"].as_str().unwrap(), code).await,
            None => self.present(step["present"].as_str().unwrap()).await,
        };
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

    async fn present(&mut self, name: &str) -> (u16, Value) {
        let unknown = "no such token".to_owned();
        let refresh_token = self.tokens.get(name).unwrap_or(&unknown).clone();
        let (status, body) = self.world.refresh(&refresh_token, &[]).await.unwrap();
        if let Some(mfa_token) = body["mfa_token"].as_str() {
            self.demands.insert(name.to_owned(), mfa_token.to_owned());
        }
        (status, body)
    }

    async fn verify(&self, name: &str, code: &str) -> (u16, Value) {
        let ask = self.world.http.get(self.world.control("/users/ada/otp"));
        let right = told(ask).await.unwrap().1["otp"].as_str().unwrap().to_owned();
        let otp = if code == RIGHT_CODE { right.as_str() } else { code };
        let mfa_token = &self.demands[name];
        let form = [("grant_type", OTP_GRANT), ("mfa_token", mfa_token.as_str()), ("otp", otp)];
        self.world.tokens(&form).await.unwrap()
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
        let generation = events.iter().find_map(|event| event.entry.latest).unwrap();
        let forks = ["", "b", "c", "d", "e", "f"].map(|letter| format!("rt{generation}{letter}"));
        let name = forks.into_iter().find(|name| !self.tokens.contains_key(name));
        let name = name.unwrap();
        self.tokens.insert(name.clone(), refresh_token.to_owned());
        name
    }
}
