//! One refresh token for several APIs: what a tenant grants, and what the framework makes of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use serde_json::{Value, json};
use tokenward::core::name::Audience;
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::RefreshToken;
use tokenward::provider::{ClientSecret, Credentials, Provider, ProviderSettings};
use tokenward::store::Memory;
use tokenward::store::seal::KeyRing;
use tokenward::{AccessError, Adoption, Clock, Tokenward, Vault, Wish};
use tokenward_sandbox::{Config, Mint, Minted, MrrtPolicy, Sandbox};

use crate::provider::vectors::run;
use crate::world::within;

const CLIENT: (&str, &str) = ("demo-web", "demo-web-secret");

pub(crate) fn mrrt(input: &Value) -> Option<Value> {
    Some(run(async {
        let sandbox = Sandbox::start(tenant(input)).await.unwrap();
        let wanted = Mint {
            count: 2,
            client_id: CLIENT.0.to_owned(),
            user: None,
            audience: text(&input["original"]["audience"]),
            scope: text(&input["original"]["scope"]),
        };
        let minted = sandbox.mint(&wanted).unwrap();
        let request = &input["request"];
        let mut told = server(&sandbox, &minted[0], request).await;
        let audience = request["audience"].as_str().unwrap_or(&wanted.audience);
        let scope = request["scope"].as_str().unwrap_or_default();
        let outcome = client(&sandbox, &minted[1], audience, scope).await;
        told["client_outcome"] = json!(outcome);
        told
    }))
}

/// Describes a tenant that knows the audiences of its policies and of the sign-in.
fn tenant(input: &Value) -> Config {
    let mut config = Config::default();
    config.tenant.mrrt =
        serde_json::from_value::<Vec<MrrtPolicy>>(input["policies"].clone()).unwrap_or_default();
    let original = &input["original"];
    let scopes = ScopeSet::parse(&text(&original["scope"])).resource();
    let mut known = vec![(text(&original["audience"]), scopes)];
    for MrrtPolicy { audience, scope } in &config.tenant.mrrt {
        let scopes = ScopeSet::parse(&scope.join(" "));
        match known.iter_mut().find(|(name, _)| name == audience) {
            Some((_, own)) => *own = own.merge(&scopes),
            None => known.push((audience.clone(), scopes)),
        }
    }
    config.audience = known
        .into_iter()
        .map(|(identifier, scopes)| tokenward_sandbox::Audience {
            identifier,
            scopes: scopes.iter().map(str::to_owned).collect(),
        })
        .collect();
    config
}

/// Returns what the tenant answers to the request as it stands.
async fn server(sandbox: &Sandbox, minted: &Minted, request: &Value) -> Value {
    let mut form = vec![
        ("grant_type", "refresh_token".to_owned()),
        ("refresh_token", minted.refresh_token.clone()),
    ];
    for name in ["audience", "scope"] {
        if let Some(value) = request[name].as_str() {
            form.push((name, value.to_owned()));
        }
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}oauth/token", sandbox.addresses().issuer);
    let ask = http.post(url).basic_auth(CLIENT.0, Some(CLIENT.1)).form(&form);
    let answer = ask.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let claims = body["access_token"].as_str().map(|access_token| {
        jsonwebtoken::dangerous::insecure_decode_claims::<Value>(access_token).unwrap()
    });
    let scopes = ScopeSet::parse(&text(&body["scope"]));
    json!({
        "status": status,
        "error": body["error"],
        "aud": claims.map(|claims| claims["aud"].clone()),
        "scope": body["scope"],
        "resource_scope": scopes.resource().to_string(),
    })
}

/// Returns what a caller of the framework gets who asks for the same.
async fn client(sandbox: &Sandbox, minted: &Minted, audience: &str, scope: &str) -> &'static str {
    let clock = Clock::system();
    let mut settings = ProviderSettings::new(&sandbox.addresses().issuer, CLIENT.0);
    settings.credentials = Credentials::Basic(ClientSecret::new(CLIENT.1));
    let provider = Provider::new(settings, clock.clone()).unwrap();
    let ring = Arc::new(KeyRing::ephemeral().unwrap());
    let vault = Vault::new(Arc::new(Memory::new(clock.clone())), ring, clock);
    let tokenward = Tokenward::builder().provider(provider).vault(vault).build().await.unwrap();
    let audience = Audience::parse(audience).unwrap();
    let adoption = Adoption {
        refresh_token: RefreshToken::new(&minted.refresh_token),
        subject: minted.subject.clone(),
        primary: audience.clone(),
    };
    let key = tokenward.adopt(adoption).await.unwrap().key();
    let wish = Wish::new(audience, ScopeSet::parse(scope));
    match within(tokenward.access(&key, &wish)).await {
        Ok(_) => "granted",
        Err(AccessError::Unusable { why: "audience_mismatched" }) => "audience_mismatch",
        Err(AccessError::Downscoped { .. }) => "downscoped",
        Err(error) => panic!("{error}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
