//! Whether the receivers of events can be reached, and take what is signed for them.

use std::time::Duration;

use reqwest::StatusCode;

use super::{Finding, Grade, good, warning, wrong};
use crate::config::{Config, WebhookConfig};
use crate::webhook::{Answer, Post};

/// How long a receiver may take here, where a person waits.
const WITHIN: Duration = Duration::from_secs(5);

/// Sends each receiver a letter of the type `tokenward.check`, which says nothing.
pub(super) async fn tried(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wanted in &config.webhooks {
        let finding = match Post::new(config, wanted) {
            Ok(post) => judged(wanted, post.try_out(WITHIN).await),
            Err(why) => wrong(
                "webhook",
                format!("{}: {why}", place(wanted)),
                "name a PEM file as provider.extra_root",
            ),
        };
        findings.push(finding);
    }
    findings
}

/// The path may be a secret of the receiver.
fn place(wanted: &WebhookConfig) -> String {
    wanted.url.origin().ascii_serialization()
}

fn judged(wanted: &WebhookConfig, answer: Answer) -> Finding {
    let place = place(wanted);
    match answer {
        Answer::Taken => good("webhook", format!("{place} took a signed letter")),
        Answer::Gone => wrong(
            "webhook",
            format!("{place} wants no letters any more (410)"),
            "take it out of the configuration, or give the address that it has by now",
        ),
        Answer::Refused(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), _) => wrong(
            "webhook",
            format!("{place} does not believe the signature ({})", status.as_u16()),
            "give both sides the same secret, and compare their clocks",
        ),
        Answer::Refused(status, _) if status.is_redirection() => wrong(
            "webhook",
            format!("{place} sends letters elsewhere ({}), which is not followed", status.as_u16()),
            "give the address that it redirects to",
        ),
        Answer::Refused(status, _) => warning(
            "webhook",
            format!("{place} answered {} to a letter of the type tokenward.check", status.as_u16()),
            "if it refuses types that it does not know, all is well; if not, look at its log",
        ),
        Answer::Silent => Finding {
            grade: Grade::Away,
            ..wrong(
                "webhook",
                format!("{place} does not answer"),
                "make the address reachable from here",
            )
        },
    }
}
