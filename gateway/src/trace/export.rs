//! Hands spans to the operator's collector, a batch at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use reqwest::{Certificate, Client, redirect, retry};
use tokio::sync::mpsc;
use url::Url;

use super::span::{Span, written};
use crate::config::{Config, TraceConfig};

/// The spans of one request, at some 600 bytes each in JSON.
const BATCH_MAX: usize = 512;

/// How long a batch is filled: what is looked at is a few seconds old anyway.
const BATCH_FOR: Duration = Duration::from_secs(1);

/// How long a collector may take; spans are dropped meanwhile rather than piled up.
const WITHIN: Duration = Duration::from_secs(10);

/// How many batches fail between two lines of the log.
const FAILURES_PER_LINE: u64 = 60;

/// The way to the collector.
pub(super) struct Exporter {
    http: Client,
    place: Url,
    dropped: Arc<AtomicU64>,
}

impl Exporter {
    /// Makes the way; the error says why there is none.
    pub(super) fn new(
        config: &Config,
        wanted: &TraceConfig,
        dropped: Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let root = config.provider.extra_root.as_ref();
        let pem = root.map(std::fs::read).transpose().map_err(|error| error.to_string())?;
        let roots = Certificate::from_pem_bundle(&pem.unwrap_or_default());
        let json = HeaderValue::from_static("application/json");
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
        for (name, secret) in &wanted.headers {
            let mut value = HeaderValue::try_from(secret.expose()).map_err(|e| e.to_string())?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        let http = Client::builder()
            .user_agent(concat!("tokenward/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .timeout(WITHIN)
            .tls_certs_merge(roots.map_err(|error| error.to_string())?)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { http, place: wanted.place.clone(), dropped })
    }

    /// Exports until nobody makes spans any more.
    pub(super) async fn run(self, mut spans: mpsc::Receiver<Span>) {
        let mut failures: u64 = 0;
        while let Some(first) = spans.recv().await {
            let batch = filled(first, &mut spans).await;
            let sent = self.http.post(self.place.clone()).body(written(&batch)).send().await;
            let taken = sent.is_ok_and(|reply| reply.status().is_success());
            if !taken {
                self.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
                if failures.is_multiple_of(FAILURES_PER_LINE) {
                    tracing::warn!(
                        collector = self.place.host_str(),
                        spans_dropped = self.dropped.load(Ordering::Relaxed),
                        "the collector does not take traces: see trace.otlp; requests go on"
                    );
                }
                failures += 1;
            }
        }
    }
}

async fn filled(first: Span, spans: &mut mpsc::Receiver<Span>) -> Vec<Span> {
    let mut batch = vec![first];
    let filling = async {
        while batch.len() < BATCH_MAX
            && let Some(span) = spans.recv().await
        {
            batch.push(span);
        }
    };
    // What has come by then is what is sent.
    drop(tokio::time::timeout(BATCH_FOR, filling).await);
    batch
}
