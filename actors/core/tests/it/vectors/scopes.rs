//! Scopes: parsed, compared, merged, missing, asked for.

use serde_json::{Value, json};
use tokenward_core::policy::{AudiencePolicy, Policies};
use tokenward_core::scope::ScopeSet;

use super::reading::{audience, scopes};

pub(crate) fn parse(input: &Value) -> Option<Value> {
    Some(json!({ "scopes": list(&scopes(&input["scope"])) }))
}

pub(crate) fn compare(input: &Value) -> Option<Value> {
    let (have, want) = (scopes(&input["have"]), scopes(&input["want"]));
    let strict = input["strict"] == true;
    Some(json!({ "match": if strict { have == want } else { have.covers(&want) } }))
}

pub(crate) fn merge(input: &Value) -> Option<Value> {
    Some(json!({ "scope": scopes(&input["a"]).merge(&scopes(&input["b"])).to_string() }))
}

pub(crate) fn missing(input: &Value) -> Option<Value> {
    let requested = scopes(&input["requested"]);
    // A grant that is left out is as asked (RFC 6749 §5.1).
    let granted = match input["granted"].is_null() {
        true => requested.clone(),
        false => scopes(&input["granted"]),
    };
    let counted = match input["ignore_protocol_scopes"] == true {
        true => requested.resource(),
        false => requested,
    };
    Some(json!({ "missing": list(&counted.missing_from(&granted)) }))
}

pub(crate) fn request(input: &Value) -> Option<Value> {
    let by_audience = &input["scope_by_audience"];
    let asked = scopes(&input["requested"]);
    let own = input["audience"].as_str().map_or(&Value::Null, |name| &by_audience[name]);
    let configured = [own, &by_audience["default"], &input["config_scope"]];
    let configured = configured.into_iter().find(|scopes| !scopes.is_null());
    let mut policies = Policies::default();
    let policy = AudiencePolicy {
        scopes: scopes(configured.unwrap_or(&Value::Null)),
        ..AudiencePolicy::default()
    };
    let name = audience(&input["audience"]);
    policies.audiences.insert(name.clone(), policy);
    let sent = match input["merge"] == true || asked.is_empty() {
        true => policies.audience(&name).scopes.merge(&asked),
        false => asked,
    };
    Some(json!({ "scope": (!sent.is_empty()).then(|| sent.to_string()) }))
}

pub(crate) fn list(scopes: &ScopeSet) -> Vec<&str> {
    scopes.iter().collect()
}
