//! Holds the configuration against the vectors that ask which scopes are configured.

use std::path::Path;

use serde_json::{Value, json};
use tokenward::core::name::Audience;
use tokenward_gateway::config::Config;
use tokenward_vectors::hold;

/// The audience of requests that name none, where no default one is configured.
const UNNAMED: &str = "urn:unnamed";

#[test]
fn the_gateway_agrees_with_the_vectors() {
    hold(&[("scope_default", scope_default)]);
}

fn scope_default(input: &Value) -> Option<Value> {
    let named = input["audience"].as_str().or(input["default_audience"].as_str());
    let wanted = named.unwrap_or(UNNAMED);
    let mut text = "listen = \"127.0.0.1:0\"\n[provider]\nissuer = \"https://idp.example/\"\n\
                    client_id = \"c\"\nauth = \"none\"\n"
        .to_owned();
    if let Some(scopes) = input["config_scope"].as_str() {
        text.push_str(&format!("default_scopes = {scopes:?}\n"));
    }
    let own = |key: &str| input[key].as_object().into_iter().flatten();
    let mut routes: Vec<(&str, Option<&str>)> = own("config_scope")
        .chain(own("scope_by_audience"))
        .map(|(audience, scopes)| (audience.as_str(), scopes.as_str()))
        .collect();
    routes.push((wanted, None));
    for (place, (audience, scopes)) in routes.into_iter().enumerate() {
        let scopes = scopes.map_or(String::new(), |scopes| format!("scopes = {scopes:?}\n"));
        text.push_str(&format!(
            "[[route]]\npath = \"/{place}/\"\nupstream = \"https://api.example\"\n\
             audience = {audience:?}\n{scopes}"
        ));
    }
    let config = Config::parse(Path::new("/tokenward.toml"), &text).unwrap();
    let configured = config.policies().audience(&Audience::parse(wanted).unwrap()).scopes;
    let asked = match input["fill_default"] == true {
        true => config.sign_in_scopes(&configured),
        false => configured,
    };
    Some(json!({ "scope": (!asked.is_empty()).then(|| asked.to_string()) }))
}
