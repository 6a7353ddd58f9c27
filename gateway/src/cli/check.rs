//! `tokenward check`: a configuration against the live provider.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use tokenward::clock::Clock;
use tokenward::provider::{Metadata, ProviderError};
use zeroize::Zeroizing;

use super::{ConfigFile, Failure, adopt, note, say, say_json};
use crate::assemble::{self, AssembleFault};
use crate::config::{ClientAuth, Config};

mod factors;
mod fetch;
mod trial;
mod webhooks;

use fetch::Documents;

/// What is to be checked.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigFile,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    /// Spends the refresh token of a test person, read from standard input, once for each audience,
    /// and revokes it: the only way to learn whether the provider asks for a factor in a refresh
    #[arg(long)]
    trial: bool,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Grade {
    /// As it should be.
    Good,
    /// Works, but not as well as it could.
    Warning,
    /// The configuration, here or at the provider, must be changed.
    Wrong,
    /// Something did not answer.
    Away,
}

/// One thing that was learned.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    grade: Grade,
    subject: &'static str,
    finding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// Checks a configuration, prints what was learned, and fails where something must be done.
pub(super) async fn run(options: &Options) -> Result<(), Failure> {
    let config = options.config.load()?;
    let tried = if options.trial { Some(adopt::read()?) } else { None };
    let findings = examined(&config, tried.as_ref()).await;
    let worst = |grade| findings.iter().any(|finding| finding.grade == grade);
    if options.json {
        let fine = !worst(Grade::Wrong) && !worst(Grade::Away);
        say_json(&json!({ "ok": fine, "findings": findings }));
    } else {
        say(&config.path.display().to_string());
        for finding in &findings {
            say(&finding.written());
        }
    }
    if worst(Grade::Wrong) {
        return Err(Failure::configuration("the configuration does not work; see above"));
    }
    if worst(Grade::Away) {
        return Err(Failure::unavailable("not everything answered; see above"));
    }
    if !options.json {
        note("the configuration works");
    }
    Ok(())
}

async fn examined(config: &Config, tried: Option<&Zeroizing<String>>) -> Vec<Finding> {
    let mut findings = own(config);
    findings.extend(webhooks::tried(config).await);
    let provider = match assemble::provider(config, &Clock::system(), None) {
        Ok(provider) => provider,
        Err(fault) => {
            findings.push(unassembled(&fault));
            return findings;
        }
    };
    match provider.discover().await {
        Ok(metadata) => {
            let documents = Documents::fetch(config, &metadata).await;
            findings.extend(published(config, &metadata, &documents));
            findings.extend(factors::asked(config, documents.metadata()));
            if let Some(refresh_token) = tried {
                let metadata = documents.metadata();
                findings.extend(trial::tried(config, &provider, refresh_token, metadata).await);
            }
        }
        Err(error) => findings.push(undiscovered(&error)),
    }
    findings
}

/// What the file itself says.
fn own(config: &Config) -> Vec<Finding> {
    let audiences = config.policies().audiences.len();
    let counted = format!(
        "{} and {}, sessions in {}",
        many(config.routes.len(), "route"),
        many(audiences, "audience"),
        config.state_dir.display()
    );
    let mut findings = vec![good("configuration", counted)];
    if audiences == 0 {
        findings.push(warning(
            "sign-in",
            "no route has an audience: there is nothing to sign in for",
            "write audience = \"…\" into a [[route]]",
        ));
    }
    let secure = config.is_https();
    findings.push(match &config.public_url {
        Some(url) if secure => {
            good("sign-in", format!("browsers come back to {}", callback(config, url.as_str())))
        }
        Some(url) => warning(
            "sign-in",
            format!("browsers come back to {}, over plain http", callback(config, url.as_str())),
            "write [tls] with cert and key, or an https public_url, before other machines call",
        ),
        None => good("sign-in", format!("on this machine only, at {}/callback", config.prefix)),
    });
    findings.push(match config.provider.reuse_window {
        None => good("reuse window", "not configured: 60 s are assumed".to_owned()),
        Some(Duration::ZERO) => warning(
            "reuse window",
            "0: a reply that is lost on its way ends its session",
            "allow an overlap of 30 s or more at the provider, and write it as provider.reuse_window",
        ),
        Some(window) if window < Duration::from_secs(30) => warning(
            "reuse window",
            format!("{} s: a lost reply is given up early", window.as_secs()),
            "30 s or more leave room for one safe repetition",
        ),
        Some(window) => good("reuse window", format!("{} s", window.as_secs())),
    });
    findings
}

/// What the provider publishes.
fn published(config: &Config, metadata: &Metadata, documents: &Documents) -> Vec<Finding> {
    let mut findings = vec![
        good("provider", format!("{} answered", metadata.issuer)),
        endpoint_of_sign_in(metadata),
        documents.keys(metadata),
        client_authentication(config, metadata),
        documents.pkce(),
        offline_access(metadata),
    ];
    let offers = |grant: &str| metadata.grant_types.iter().any(|offered| offered == grant);
    if !metadata.grant_types.is_empty() && !offers("refresh_token") {
        findings.push(wrong(
            "refresh",
            "the provider does not list the grant refresh_token",
            "enable refresh tokens for this client; nothing can be kept fresh without",
        ));
    }
    findings.push(optional(
        metadata.revocation_endpoint.is_some(),
        "revocation",
        "refresh tokens are revoked at sign-out",
        "none: the refresh token of a signed-out session lives on until it expires",
    ));
    findings.push(optional(
        metadata.end_session_endpoint.is_some(),
        "sign-out",
        "the provider's own session is ended too",
        "the provider has no end_session_endpoint: its own session stays after a sign-out here",
    ));
    findings.push(optional(
        metadata.backchannel_logout,
        "back-channel logout",
        "the provider announces logouts",
        "the provider does not announce logouts: a session ends here at its next refresh",
    ));
    findings.push(good(
        "device flow",
        match &metadata.device_authorization_endpoint {
            Some(_) => "offered by the provider".to_owned(),
            None => "not offered by the provider".to_owned(),
        },
    ));
    findings.push(optional(
        metadata.authorization_response_iss,
        "mix-up protection",
        "answers to browsers name their issuer (RFC 9207)",
        "answers to browsers do not name their issuer; with one provider nothing can be mixed up",
    ));
    findings
}

fn endpoint_of_sign_in(metadata: &Metadata) -> Finding {
    match &metadata.authorization_endpoint {
        Some(url) => good("sign-in page", format!("{}{}", url.authority(), url.path())),
        None => wrong(
            "sign-in page",
            "the provider publishes no authorization_endpoint",
            "use the issuer of the tenant that people sign in at",
        ),
    }
}

fn client_authentication(config: &Config, metadata: &Metadata) -> Finding {
    let method = match &config.provider.auth {
        ClientAuth::ClientSecretBasic(_) => "client_secret_basic",
        ClientAuth::ClientSecretPost(_) => "client_secret_post",
        ClientAuth::None => "none",
        ClientAuth::PrivateKeyJwt { .. } => "private_key_jwt",
    };
    let offered = &metadata.client_authentication_methods;
    // RFC 8414 §2: where nothing is listed, client_secret_basic is meant.
    if offered.is_empty() || offered.iter().any(|offered| offered == method) {
        return good("client", format!("{} with {method}", config.provider.client_id));
    }
    wrong(
        "client",
        format!("the provider does not list {method}"),
        format!("write provider.auth with one of {}", offered.join(", ")),
    )
}

fn offline_access(metadata: &Metadata) -> Finding {
    let listed = metadata.scopes.iter().any(|scope| scope == "offline_access");
    if listed {
        return good("refresh tokens", "the scope offline_access is offered".to_owned());
    }
    let remedy = "allow offline access for the client and for each API at the provider; without a \
                  refresh token a session ends with its first access token";
    warning("refresh tokens", "the provider does not list the scope offline_access", remedy)
}

fn undiscovered(error: &ProviderError) -> Finding {
    let finding = error.to_string();
    // The provider's room tells "did not answer" from "answered something else" in words only.
    let away = ["in time", "status 5", "status 429"];
    if away.iter().any(|word| finding.contains(word)) {
        let remedy = "look at the network between here and the provider, then check again";
        return Finding { grade: Grade::Away, ..wrong("provider", finding, remedy) };
    }
    // Nobody at that address: far more often a misspelt issuer than a provider without power.
    if finding.contains("reached") {
        let remedy = "correct provider.issuer, or let this machine reach it";
        return wrong("provider", finding, remedy);
    }
    wrong("provider", finding, "correct provider.issuer: it must be the issuer, byte for byte")
}

fn unassembled(fault: &AssembleFault) -> Finding {
    wrong("configuration", fault.to_string(), "correct what the sentence names")
}

impl Finding {
    fn written(&self) -> String {
        let mark = match self.grade {
            Grade::Good => "  ok   ",
            Grade::Warning => "  warn ",
            Grade::Wrong => "  WRONG",
            Grade::Away => "  AWAY ",
        };
        let line = format!("{mark}  {:<20} {}", self.subject, self.finding);
        match &self.remedy {
            Some(remedy) => format!("{line}\n{:31}→ {remedy}", ""),
            None => line,
        }
    }
}

fn callback(config: &Config, public_url: &str) -> String {
    format!("{}{}/callback", public_url.trim_end_matches('/'), config.prefix)
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn good(subject: &'static str, finding: String) -> Finding {
    Finding { grade: Grade::Good, subject, finding, remedy: None }
}

fn warning(subject: &'static str, finding: impl Into<String>, remedy: &str) -> Finding {
    let remedy = Some(remedy.to_owned());
    Finding { grade: Grade::Warning, subject, finding: finding.into(), remedy }
}

fn wrong(subject: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Finding {
    let remedy = Some(remedy.into());
    Finding { grade: Grade::Wrong, subject, finding: finding.into(), remedy }
}

/// What a gateway can do without: told, and not warned of.
fn optional(there: bool, subject: &'static str, yes: &str, no: &str) -> Finding {
    good(subject, if there { yes } else { no }.to_owned())
}

/// Reads a list of texts out of a document.
fn texts<'a>(document: &'a Value, name: &str) -> Option<Vec<&'a str>> {
    document.get(name)?.as_array().map(|values| values.iter().filter_map(Value::as_str).collect())
}
