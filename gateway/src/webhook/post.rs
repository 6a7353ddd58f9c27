//! One try to hand a letter to a receiver.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use reqwest::{Certificate, Client, redirect, retry};
use tokenward::clock::Clock;

use super::letter::Letter;
use crate::config::{Config, WebhookConfig};

/// How long a connection may take to be there.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The way to one receiver.
#[derive(Clone)]
pub(crate) struct Post {
    http: Client,
    config: WebhookConfig,
    clock: Clock,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// When the receiver has taken the letter (2xx).
    Taken,
    /// When it wants no letters any more (410).
    Gone,
    /// When it answered otherwise, and perhaps said when to come back.
    Refused(StatusCode, Option<Duration>),
    /// When it did not answer in time, or could not be reached.
    Silent,
}

impl Post {
    /// Makes the way to a receiver; the error says why there is none.
    pub(crate) fn new(config: &Config, wanted: &WebhookConfig) -> Result<Self, String> {
        let root = config.provider.extra_root.as_ref();
        let pem = root.map(std::fs::read).transpose().map_err(|error| error.to_string())?;
        let roots = Certificate::from_pem_bundle(&pem.unwrap_or_default());
        let http = Client::builder()
            .user_agent(concat!("tokenward/", env!("CARGO_PKG_VERSION")))
            // A letter goes where the operator said, and nowhere else.
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .tls_certs_merge(roots.map_err(|error| error.to_string())?)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { http, config: wanted.clone(), clock: Clock::system() })
    }

    /// Returns whom letters go to, without what its path may hold.
    pub(crate) fn receiver(&self) -> &str {
        self.config.url.host_str().unwrap_or_default()
    }

    /// Sends a letter that says nothing.
    pub(crate) async fn try_out(&self, within: Duration) -> Answer {
        match Letter::trial(self.clock.unix_millis()) {
            Some(letter) => self.send(&letter, within).await,
            None => Answer::Silent,
        }
    }

    /// Sends a letter once.
    pub(super) async fn send(&self, letter: &Letter, within: Duration) -> Answer {
        let at_s = self.clock.unix_millis() / 1_000;
        let request = self
            .http
            .post(self.config.url.clone())
            .timeout(within)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &letter.id)
            .header("webhook-timestamp", at_s)
            .header("webhook-signature", letter.signature(&self.config.key, at_s))
            .body(letter.body.clone());
        match request.send().await {
            // The body is not read: the connection is closed where there is one.
            Ok(reply) => judged(reply.status(), reply.headers()),
            // Its words hold the URL, whose path may be a secret of the receiver.
            Err(_) => Answer::Silent,
        }
    }
}

fn judged(status: StatusCode, headers: &HeaderMap) -> Answer {
    match status {
        StatusCode::GONE => Answer::Gone,
        status if status.is_success() => Answer::Taken,
        status => Answer::Refused(status, retry_after(headers)),
    }
}

/// Reads Retry-After in seconds; a date is as good as nothing here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
