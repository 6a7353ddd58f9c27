//! The gateway, as the display asks it.
//!
//! Redirects are followed within the gateway's own origin only, so that the credential goes
//! nowhere else.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Certificate, Client, RequestBuilder, Response, redirect, retry};
use tokenward::SessionHandle;
use url::Url;
use zeroize::Zeroizing;

use super::answer::{CodeAnswer, Holds, Problem, TokenAnswer};
use super::{FeedFault, Reply, Source, failed, fault};
use crate::agent::{Code, Coded, Complaint, Fetched, Looked, Miss, Polled, Return};
use crate::content::{BODY_BYTES_MAX, Content};
use crate::numbers::HEADER;

/// How long a connection may take, TLS included: a slow wireless network with lost packets.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long one question may take: the gateway's own deadline for its callers is 8 s, and an
/// upstream may need as long again.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long an idle connection is kept: content is fetched far less often, and a code is asked for
/// every few seconds.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// How often the kernel shows on a silent connection that we live: below the minute after which
/// home routers forget it, and without waking the program.
const KEEPALIVE: Duration = Duration::from_secs(50);

/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 3;

/// The longest name of a version that is kept: servers of the wild use hashes.
const ETAG_BYTES_MAX: usize = 256;

/// The grant of RFC 8628 §3.4.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The way to one gateway.
#[derive(Clone, Debug)]
pub(super) struct Gateway {
    pub(super) client: Client,
    source: Source,
}

/// An answer, read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Gateway {
    /// Makes the way; nothing is sent.
    pub(super) fn new(source: Source) -> Result<Self, FeedFault> {
        Ok(Self { client: client(&source.gateway, &source.roots)?, source })
    }

    pub(super) async fn fetch(
        &self,
        handle: &SessionHandle,
        etag: Option<&str>,
        numbers: &str,
    ) -> Reply {
        let request = asking(self.client.get(self.source.content.clone()), etag);
        self.ask(signed(request, handle), numbers, |answer| answer.fetched().map(Return::Fetched))
            .await
    }

    pub(super) async fn look(
        &self,
        handle: &SessionHandle,
        audience: Option<&str>,
        numbers: &str,
    ) -> Reply {
        let request = self.client.get(self.own("/session")).header(ACCEPT, "application/json");
        self.ask(signed(request, handle), numbers, |answer| {
            answer.looked(audience).map(Return::Looked)
        })
        .await
    }

    pub(super) async fn knock(&self, numbers: &str) -> Reply {
        let request = self.client.get(self.own("/session")).header(ACCEPT, "application/json");
        self.ask(request, numbers, |answer| answer.looked(None).map(Return::Looked)).await
    }

    pub(super) async fn ask_code(&self, numbers: &str) -> Reply {
        let mut form = vec![("client_id", self.source.client_id.as_str())];
        form.extend(self.source.audiences.iter().map(|audience| ("audience", audience.as_str())));
        if !self.source.scope.is_empty() {
            form.push(("scope", &self.source.scope));
        }
        let request = self.client.post(self.own("/device/code")).form(&form);
        self.ask(request, numbers, |answer| answer.coded().map(Return::Coded)).await
    }

    pub(super) async fn poll(&self, code: &Code, numbers: &str) -> Reply {
        let form = [
            ("grant_type", DEVICE_GRANT),
            ("device_code", code.device_code.as_str()),
            ("client_id", &self.source.client_id),
        ];
        let request = self.client.post(self.own("/device/token")).form(&form);
        self.ask(request, numbers, |answer| answer.polled().map(Return::Polled)).await
    }

    pub(super) fn own(&self, path: &str) -> Url {
        let mut url = self.source.gateway.clone();
        url.set_path(&format!("{}{path}", self.source.prefix));
        url
    }

    async fn ask(
        &self,
        request: RequestBuilder,
        numbers: &str,
        read: impl FnOnce(&Answer) -> Result<Return, Miss>,
    ) -> Reply {
        let request = request.header(HEADER, numbers).timeout(ANSWER_MAX);
        let answer = match request.send().await {
            Ok(response) => read_whole(response).await,
            Err(error) => Err(fault::miss(&error)),
        };
        match answer {
            Ok(answer) => Reply::answered(read(&answer).unwrap_or_else(Return::Missed)),
            Err(miss) => Reply::missed(miss),
        }
    }
}

/// Makes a client for one origin; `roots` are authorities beside the system's own, as PEM.
pub(super) fn client(origin: &Url, roots: &[u8]) -> Result<Client, FeedFault> {
    // The error means that there is one already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let has_roots = !roots.is_empty();
    let roots = Certificate::from_pem_bundle(roots).map_err(|_| FeedFault::Roots)?;
    if roots.is_empty() && has_roots {
        return Err(FeedFault::Roots);
    }
    let client = Client::builder();
    // Plain http goes no further than this machine, and needs no authority installed on it.
    let client = match origin.scheme() {
        "http" => client.tls_certs_only(roots),
        _ => client.tls_certs_merge(roots),
    };
    client
        .user_agent(concat!("tokenward-device/", env!("CARGO_PKG_VERSION")))
        .redirect(within(origin))
        // The agent decides what is asked again, and when.
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_MAX)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(1)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .build()
        .map_err(|error| FeedFault::Client(fault::root(&error)))
}

/// Follows redirects within one origin, and nowhere else.
fn within(origin: &Url) -> redirect::Policy {
    let origin = origin.origin();
    redirect::Policy::custom(move |attempt| {
        if attempt.url().origin() == origin && attempt.previous().len() <= REDIRECTS_MAX {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// Asks for a content, unless it is the one that `etag` names.
pub(super) fn asking(request: RequestBuilder, etag: Option<&str>) -> RequestBuilder {
    let request = request.header(ACCEPT, "application/json, text/plain;q=0.9");
    match etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
        Some(etag) => request.header(IF_NONE_MATCH, etag),
        None => request,
    }
}

pub(super) fn signed(request: RequestBuilder, handle: &SessionHandle) -> RequestBuilder {
    let text = Zeroizing::new(format!("Bearer {}", &*handle.expose()));
    // A handle is base64url, which a header always takes.
    match HeaderValue::from_str(&text) {
        Ok(mut value) => {
            value.set_sensitive(true);
            request.header(AUTHORIZATION, value)
        }
        Err(_) => request,
    }
}

pub(super) async fn read_whole(mut response: Response) -> Result<Answer, Miss> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Zeroizing::new(Vec::with_capacity(BODY_BYTES_MAX));
    while let Some(chunk) = response.chunk().await.map_err(|error| fault::miss(&error))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Miss::Failed(Complaint {
                what: "answer too long".to_owned(),
                remedy: "Let the API answer with 16 KiB at most.",
            }));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

impl Answer {
    /// Reads what an API answers to whoever may have it.
    pub(super) fn content(&self) -> Result<Fetched, Miss> {
        match self.status {
            StatusCode::OK => {
                let content = Content::read(self.is_json(), &self.body);
                let content = content.map_err(|fault| {
                    failed(fault.sentence(), "Let `content` name an API with a text.")
                })?;
                let etag = self.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
                let etag = etag.filter(|etag| etag.len() <= ETAG_BYTES_MAX).map(str::to_owned);
                Ok(Fetched::Fresh { content, etag })
            }
            StatusCode::NOT_MODIFIED => Ok(Fetched::Unchanged),
            _ => Err(self.miss(&Problem::default())),
        }
    }

    fn fetched(&self) -> Result<Fetched, Miss> {
        let problem = Problem::read(&self.body);
        match (self.status, problem.error.as_deref()) {
            (StatusCode::OK | StatusCode::NOT_MODIFIED, _) => self.content(),
            // An upstream's own 401 ends no session: only the gateway's word does.
            (StatusCode::UNAUTHORIZED, Some("login_required")) => Ok(Fetched::SignedOut),
            (StatusCode::FORBIDDEN, Some("mfa_required")) => Ok(Fetched::Held(problem.demand())),
            _ => Err(self.miss(&problem)),
        }
    }

    fn looked(&self, audience: Option<&str>) -> Result<Looked, Miss> {
        if self.status == StatusCode::OK {
            return match serde_json::from_slice::<Holds>(&self.body) {
                Ok(holds) => Ok(holds.about(audience).map_or(Looked::Free, Looked::Held)),
                Err(_) => Err(failed("session unreadable", "Update the gateway.")),
            };
        }
        let problem = Problem::read(&self.body);
        match (self.status, problem.error.as_deref()) {
            (StatusCode::UNAUTHORIZED, Some("login_required")) => Ok(Looked::SignedOut),
            _ => Err(self.miss(&problem)),
        }
    }

    fn coded(&self) -> Result<Coded, Miss> {
        if self.status == StatusCode::OK {
            return CodeAnswer::read(&self.body)
                .ok_or_else(|| failed("no code in the answer", "Update the gateway."));
        }
        Err(match self.status {
            StatusCode::NOT_FOUND => {
                failed("device sign-in is off", "Add [device] to the gateway's configuration.")
            }
            _ => self.miss(&Problem::read(&self.body)),
        })
    }

    fn polled(&self) -> Result<Polled, Miss> {
        if self.status == StatusCode::OK {
            return TokenAnswer::read(&self.body)
                .map(Polled::Granted)
                .ok_or_else(|| failed("no credential in the answer", "Update the gateway."));
        }
        let problem = Problem::read(&self.body);
        if problem.error.is_none() || self.status.is_server_error() {
            return Err(self.miss(&problem));
        }
        Ok(Polled::Refused(problem.refusal(self.status.as_u16(), self.retry_after())))
    }

    /// Says what an answer means that nobody asked for.
    fn miss(&self, problem: &Problem) -> Miss {
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return Miss::Busy(self.retry_after());
        }
        let (what, remedy) = match (self.status, problem.error.as_deref()) {
            (_, Some("no_route")) => ("no such content", "Let `content` name a path of a route."),
            (_, Some("insufficient_scope")) => {
                ("scope not granted", "Grant the API's scopes to the gateway's client.")
            }
            (StatusCode::UNAUTHORIZED, _) => ("API refuses us", "Look at the API's own log."),
            (status, _) if status.is_redirection() => {
                ("redirected away", "Let `content` name the address it is redirected to.")
            }
            (status, _) if status.is_server_error() => {
                ("API not reached", "Look at the gateway's log.")
            }
            _ => ("API refuses", "Look at the API's own log."),
        };
        Miss::Failed(Complaint { what: format!("{what} ({})", self.status.as_u16()), remedy })
    }

    fn retry_after(&self) -> Option<Duration> {
        // A date is of no use to a machine whose clock may be wrong.
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    fn is_json(&self) -> bool {
        let kind = self.headers.get(http::header::CONTENT_TYPE);
        kind.and_then(|kind| kind.to_str().ok()).is_some_and(|kind| {
            let essence = kind.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
        })
    }
}
