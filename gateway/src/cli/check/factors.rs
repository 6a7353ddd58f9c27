//! Whether a person will be asked for another factor where none is there to answer.

use std::time::Duration;

use serde_json::Value;
use tokenward::core::policy::KeepFresh;

use super::{Finding, good, texts, warning};
use crate::config::{Config, RouteConfig, StepUp};

/// Judges what the routes ask of people, against what the provider can do.
pub(super) fn asked(config: &Config, metadata: Option<&Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    for route in &config.routes {
        let Some(audience) = &route.audience else { continue };
        if told.contains(&audience.as_str()) {
            continue;
        }
        told.push(audience.as_str());
        findings.extend(of_route(route, audience.as_str(), metadata));
    }
    if findings.is_empty() {
        findings.push(good("factors", "no route asks for one; the provider may".to_owned()));
    }
    findings
}

/// Says how to let background refreshes through, at the provider at hand.
pub(super) fn remedy(config: &Config, metadata: Option<&Value>) -> String {
    let client = &config.provider.client_id;
    let here =
        "to ask for the factor here instead, write mfa = { max_age = \"5m\" } into the route";
    if is_auth0(config, metadata) {
        return format!(
            "at Auth0, ask for the factor by a policy instead of a rule or Action (a policy leaves \
             refreshes alone), or let the Action return early where \
             event.transaction.protocol is \"oauth2-refresh-token\" and event.client.client_id is \
             \"{client}\"; {here}"
        );
    }
    format!(
        "at the provider, exempt the grant refresh_token of client {client} from the rule that asks \
         for the factor; {here}"
    )
}

fn of_route(route: &RouteConfig, audience: &str, metadata: Option<&Value>) -> Vec<Finding> {
    let (asks, classes) = match &route.mfa {
        StepUp::Provider => return Vec::new(),
        StepUp::Session { remember: None } => ("a factor once in a session".to_owned(), None),
        StepUp::Session { remember: Some(remember) } => {
            let asks = format!(
                "a factor once in a session, or once in {} in a browser that is to be remembered",
                span(*remember)
            );
            (asks, None)
        }
        StepUp::Always { acr } => ("a factor for every access token".to_owned(), acr.as_deref()),
        StepUp::MaxAge { age, acr } => (format!("a factor every {}", span(*age)), acr.as_deref()),
    };
    let mut findings = Vec::new();
    let unattended =
        route.keep_fresh == KeepFresh::Always && !matches!(route.mfa, StepUp::Session { .. });
    findings.push(if unattended {
        warning(
            "factors",
            format!("{audience} asks for {asks}, and is kept fresh without anybody there"),
            "without a person it is held each time: leave out keep_fresh, or write mfa = \
             \"session\" or \"provider\"",
        )
    } else {
        good("factors", format!("{audience} asks for {asks}; without a person it is held"))
    });
    let offered = metadata.and_then(|document| texts(document, "acr_values_supported"));
    if let (Some(acr), Some(offered)) = (classes, offered)
        && !acr.split_ascii_whitespace().any(|wanted| offered.contains(&wanted))
    {
        findings.push(warning(
            "factors",
            format!("{audience} asks for acr {acr}, which the provider does not list"),
            &format!("nobody can ever satisfy it; the provider lists {}", offered.join(", ")),
        ));
    }
    findings
}

fn is_auth0(config: &Config, metadata: Option<&Value>) -> bool {
    let host = url::Url::parse(&config.provider.issuer).ok();
    let host = host.as_ref().and_then(url::Url::host_str).unwrap_or_default().to_owned();
    // Tenants with a domain of their own tell by an endpoint that only Auth0 publishes.
    host.ends_with(".auth0.com")
        || metadata.is_some_and(|document| document.get("mfa_challenge_endpoint").is_some())
}

fn span(age: Duration) -> String {
    match age.as_secs() {
        seconds if seconds >= 3_600 && seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
