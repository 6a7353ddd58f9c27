//! Tries what a background refresh will meet, with the refresh token of a test person.
//!
//! Only a real refresh tells whether the provider asks for a factor in it: no document says so.

use serde_json::Value;
use tokenward::core::grant::Reply;
use tokenward::core::refusal::Fate;
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::RefreshToken;
use tokenward::core::{name::Audience, policy::Deadlines};
use tokenward::provider::{Provider, RefreshRequest};
use zeroize::Zeroizing;

use super::{Finding, Grade, factors, good, wrong};
use crate::config::Config;

const SUBJECT: &str = "background refresh";

/// Refreshes once for each audience, then revokes what is left of the token.
pub(super) async fn tried(
    config: &Config,
    provider: &Provider,
    refresh_token: &Zeroizing<String>,
    metadata: Option<&Value>,
) -> Vec<Finding> {
    let policies = config.policies();
    let mut living = RefreshToken::new(refresh_token.trim());
    let mut findings = Vec::new();
    let mut rotates = None;
    for (audience, policy) in &policies.audiences {
        let asked = (audience, &policy.scopes);
        let reply = refreshed(provider, &living, asked, policies.deadlines).await;
        let (finding, newer) = judged(audience, reply, config, metadata);
        if finding.grade == Grade::Good {
            rotates = Some(rotates.unwrap_or(false) || newer.is_some());
        }
        let over = finding.grade == Grade::Away;
        findings.push(finding);
        living = newer.unwrap_or(living);
        if over {
            // Nobody knows whether it was spent: a second try could end the whole family.
            break;
        }
    }
    if let Some(rotates) = rotates {
        findings.push(good(
            "rotation",
            match rotates {
                true => "each refresh brings a new refresh token".to_owned(),
                false => "the refresh token stays the same".to_owned(),
            },
        ));
    }
    if let Err(error) = provider.revoke(&living).await {
        findings.push(good(SUBJECT, format!("the tried refresh token was not revoked ({error})")));
    }
    findings
}

async fn refreshed(
    provider: &Provider,
    refresh_token: &RefreshToken,
    (audience, scopes): (&Audience, &ScopeSet),
    deadlines: Deadlines,
) -> Reply {
    let deadline = deadlines.hard;
    provider.refresh(RefreshRequest { refresh_token, audience, scopes, deadline }).await
}

fn judged(
    audience: &Audience,
    reply: Reply,
    config: &Config,
    metadata: Option<&Value>,
) -> (Finding, Option<RefreshToken>) {
    let away = |why: &str| {
        let finding = format!("{audience}: {why}");
        let remedy = "try again with another refresh token once the provider answers";
        Finding { grade: Grade::Away, ..wrong(SUBJECT, finding, remedy) }
    };
    match reply {
        Reply::Granted(grant) => {
            let finding = format!("{audience}: a new access token came, and no person was asked");
            (good(SUBJECT, finding), grant.refresh_token)
        }
        Reply::Malformed(malformed) => {
            let finding = format!("{audience}: the reply cannot be used ({})", malformed.why);
            (wrong(SUBJECT, finding, "correct the provider's reply"), malformed.refresh_token)
        }
        Reply::Refused(refusal) => {
            let code = refusal.code();
            let finding = match refusal.fate() {
                Fate::Holds => wrong(
                    SUBJECT,
                    format!("{audience}: the provider asks for another factor, and blocks it"),
                    factors::remedy(config, metadata),
                ),
                Fate::Ends(_) => wrong(
                    SUBJECT,
                    format!("{audience}: the refresh token is not accepted ({code})"),
                    "pass one that this client was given and nobody has spent",
                ),
                Fate::Denies => wrong(
                    SUBJECT,
                    format!("{audience}: the provider denies it ({code})"),
                    "allow the test person this API at the provider",
                ),
                Fate::Rejects => wrong(
                    SUBJECT,
                    format!("{audience}: the audience or its scopes are refused ({code})"),
                    "correct the route's audience and scopes, or allow them to the client",
                ),
                Fate::Faults(_) => wrong(
                    SUBJECT,
                    format!("{audience}: the provider refuses this client ({code})"),
                    "correct client_id and its secret, and enable the grant refresh_token",
                ),
                Fate::Waits | Fate::Doubts => away(&format!("the provider is ill ({code})")),
            };
            (finding, None)
        }
        Reply::Unheard(unheard) => (away(&format!("no answer came ({})", unheard.code())), None),
        Reply::NotSent(not_sent) => {
            (away(&format!("it could not be asked ({})", not_sent.cause.code())), None)
        }
    }
}
