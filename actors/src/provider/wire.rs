//! The HTTP client towards a provider: one request, one bounded answer, no retry, no redirect.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, RequestBuilder, Response, redirect, retry};
use url::Url;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::core::grant::Unheard;
use crate::core::time::{Instant, UnixSeconds};
use crate::provider::departure::{DepartingBody, Departure};
use crate::provider::reply::Received;
use crate::provider::settings::{ProviderSettings, SettingsFault};

/// The longest a connection may take, TLS included: three lost packets in a row, and less than
/// half of any hard deadline.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long an idle connection is kept: less than the 60 s after which common servers and load
/// balancers close it, so that a request seldom meets a closed one.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The largest head of an answer on HTTP/2; HTTP/1 has hyper's own bound of 100 fields.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

/// The time a request needs at least between leaving and its deadline (law L1), capped at half
/// of what there is.
const SEND_MARGIN: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
    clock: Clock,
    bytes_max: usize,
}

/// What came back of one request.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) extent: Extent,
}

impl Answer {
    /// Returns the answer for reading, as it arrived `at` that time.
    pub(super) fn received(&self, at: UnixSeconds) -> Received<'_> {
        let Self { status, headers, body, extent } = self;
        Received { status: *status, headers, body, extent: *extent, at }
    }
}

/// How much of an answer's body arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// The beginning: the rest was lost.
    Cut(Unheard),
    /// The beginning: the rest is beyond the limit and was not read.
    TooLong,
}

/// Why not even the head of an answer came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The request's body never left.
    NotSent,
    /// The request's body left, in whole or in part.
    Unheard(Unheard),
}

/// Installs ring as the process's TLS cryptography, unless somebody has installed another.
pub(super) fn install_crypto() {
    // The error means that there is one already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Http {
    pub(super) fn new(settings: &ProviderSettings, clock: Clock) -> Result<Self, SettingsFault> {
        install_crypto();
        let roots = Certificate::from_pem_bundle(&settings.extra_roots)
            .map_err(|_| SettingsFault::Roots)?;
        if roots.is_empty() && !settings.extra_roots.is_empty() {
            return Err(SettingsFault::Roots);
        }
        let headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            // A packed answer would hide its refresh token from the salvage.
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        ]);
        let client = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("tokenward/", env!("CARGO_PKG_VERSION")))
            // A redirected POST would hand the refresh token to whoever the redirect names.
            .redirect(redirect::Policy::none())
            // Whether a request may be sent twice is the session's decision (law L3).
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .http2_max_header_list_size(HEAD_BYTES_MAX)
            .tls_certs_merge(roots)
            .build()
            .map_err(|error| SettingsFault::Client(root_cause(&error)))?;
        Ok(Self { client, clock, bytes_max: settings.reply_bytes_max })
    }

    /// Sends `form` once; the answer, or what is left of it, is back at `until` at the latest.
    pub(super) async fn post(
        &self,
        url: &Url,
        authorization: Option<HeaderValue>,
        form: Bytes,
        until: Instant,
    ) -> Result<Answer, Lost> {
        let kind = "application/x-www-form-urlencoded";
        self.post_as(url, authorization, (kind, form), until).await
    }

    /// Sends a body of some kind once; as [`Http::post`].
    pub(super) async fn post_as(
        &self,
        url: &Url,
        authorization: Option<HeaderValue>,
        (kind, body): (&'static str, Bytes),
        until: Instant,
    ) -> Result<Answer, Lost> {
        let left = until.left_at(self.clock.now());
        let departure = Departure::new(self.clock.clone(), until - SEND_MARGIN.min(left / 2));
        let body = DepartingBody::new(body, departure.clone());
        let mut request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, kind)
            .body(reqwest::Body::wrap(body));
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        match self.receive(request, until).await {
            Ok(answer) => Ok(answer),
            Err(_) if departure.recall() => Err(Lost::NotSent),
            Err(how) => Err(Lost::Unheard(how)),
        }
    }

    /// Fetches a document; back at `until` at the latest.
    pub(super) async fn get(&self, url: &Url, until: Instant) -> Result<Answer, Lost> {
        self.receive(self.client.get(url.clone()), until).await.map_err(Lost::Unheard)
    }

    /// Fetches a document that is only for whoever shows `authorization`.
    pub(super) async fn get_as(
        &self,
        url: &Url,
        authorization: HeaderValue,
        until: Instant,
    ) -> Result<Answer, Lost> {
        let request = self.client.get(url.clone()).header(AUTHORIZATION, authorization);
        self.receive(request, until).await.map_err(Lost::Unheard)
    }

    async fn receive(&self, request: RequestBuilder, until: Instant) -> Result<Answer, Unheard> {
        let mut answer = None;
        let ended = tokio::select! {
            biased;
            ended = read(request, self.bytes_max, &mut answer) => ended,
            () = self.clock.sleep_until(until) => Err(Unheard::Deadline),
        };
        match (answer, ended) {
            (Some(answer), Ok(extent)) => Ok(Answer { extent, ..answer }),
            (Some(answer), Err(how)) => Ok(Answer { extent: Extent::Cut(how), ..answer }),
            (None, Ok(_)) => Err(Unheard::ConnectionLost),
            (None, Err(how)) => Err(how),
        }
    }
}

/// Reads into `answer`, so that what arrived is there even if this is dropped half-way.
async fn read(
    request: RequestBuilder,
    bytes_max: usize,
    answer: &mut Option<Answer>,
) -> Result<Extent, Unheard> {
    let mut response: Response = request.send().await.map_err(|error| unheard(&error))?;
    let answer = answer.insert(Answer {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body: Zeroizing::new(Vec::new()),
        extent: Extent::Cut(Unheard::Deadline),
    });
    while let Some(chunk) = response.chunk().await.map_err(|error| unheard(&error))? {
        let room = bytes_max - answer.body.len();
        append(&mut answer.body, &chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Extent::TooLong);
        }
    }
    Ok(Extent::Whole)
}

/// Appends without leaving a copy behind where the buffer has to move.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    if body.capacity() - body.len() < chunk.len() {
        let mut larger = Vec::with_capacity((body.len() + chunk.len()).next_power_of_two());
        larger.extend_from_slice(body);
        *body = Zeroizing::new(larger);
    }
    body.extend_from_slice(chunk);
}

fn unheard(error: &reqwest::Error) -> Unheard {
    if error.is_timeout() { Unheard::Deadline } else { Unheard::ConnectionLost }
}

/// Returns the innermost cause: the outer ones repeat the address.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_the_cryptography_twice_is_harmless() {
        install_crypto();
        install_crypto();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
