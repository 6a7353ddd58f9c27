//! Speaks to upstreams: over kept connections, HTTP/1.1 or HTTP/2, streaming both ways.
//!
//! Each data-plane thread has a pool of its own, so that nothing is locked between them. An
//! HTTP/1.1 connection carries one request at a time and returns to the pool when the response's
//! last byte was read; an HTTP/2 connection is shared. A request whose caller goes away is
//! dropped, and with it its connection or stream: the upstream learns at once.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;

use crate::config::{Timeouts, UpstreamConfig};
use crate::serve::late::{self, Late};
use crate::tls;

pub use body::BodyFault;
pub(crate) use body::{Relayed, SentBody, Tape};
pub(crate) use pool::{Lease, allow, sweep};
pub use reply::ReplyBody;
pub(crate) use tunnel::{Opened, tunnel};

mod body;
mod dial;
mod pool;
mod reply;
mod tunnel;

/// Where requests go, with everything about it that is the same for every request.
#[derive(Debug)]
pub struct Upstream {
    /// The upstream as it was configured.
    pub config: UpstreamConfig,
    /// The Host header.
    pub(crate) host: HeaderValue,
    authority: Authority,
    /// Where its pool is in each thread's table; never used again for another upstream.
    key: usize,
    tls: Option<tls::Outgoing>,
}

/// Why an upstream gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFault {
    /// When the response broke off, or the request's body could not be sent.
    Body,
    /// When too many requests wait for it already.
    Busy,
    /// When nobody listens.
    Connect,
    /// When connecting took too long.
    ConnectTimeout,
    /// When its name leads nowhere.
    Dns,
    /// When it closed the connection without an answer, or answered something that is no HTTP.
    Reset,
    /// When it was silent for too long.
    ResponseTimeout,
    /// When the request's path and the upstream's base make no target together.
    Target,
    /// When its certificate or its TLS is not acceptable.
    Tls,
}

/// What came of sending a request.
pub(crate) struct Failure {
    pub(crate) fault: UpstreamFault,
    /// True where the connection had been kept and may have been dead before the request.
    pub(crate) stale: bool,
}

/// Which connection a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Any that is open.
    Any,
    /// A new one, because a kept one just turned out to be dead.
    Fresh,
}

/// A request in the making.
pub(crate) struct Outgoing {
    pub(crate) request: Request<SentBody>,
    pub(crate) target: PathAndQuery,
}

impl Upstream {
    /// Prepares an upstream.
    ///
    /// # Errors
    /// Says what is wrong with its certificate file or its name; the operator must act.
    pub fn new(config: UpstreamConfig) -> Result<Self, String> {
        static NEXT_KEY: AtomicUsize = AtomicUsize::new(0);
        let wrong = |_| format!("the upstream's host {:?} cannot be a header", config.authority);
        let host = HeaderValue::try_from(config.authority.as_str()).map_err(|_| wrong(()))?;
        let authority = Authority::try_from(config.authority.as_str()).map_err(|_| wrong(()))?;
        let tls = match config.https {
            true => Some(tls::Outgoing::new(&config.host, config.ca.as_deref(), config.http2)?),
            false => None,
        };
        let key = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        Ok(Self { config, host, authority, key, tls })
    }
}

impl UpstreamFault {
    /// Returns the fault's name in the metrics catalogue.
    pub fn reason(self) -> &'static str {
        match self {
            UpstreamFault::Body => "body",
            UpstreamFault::Busy => "pool",
            UpstreamFault::Connect => "connect",
            UpstreamFault::Dns => "dns",
            UpstreamFault::Reset | UpstreamFault::Target => "reset",
            UpstreamFault::ConnectTimeout | UpstreamFault::ResponseTimeout => "timeout",
            UpstreamFault::Tls => "tls",
        }
    }
}

impl fmt::Display for UpstreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UpstreamFault::Body => "body: the transfer broke off",
            UpstreamFault::Busy => "pool: too many requests are waiting for it",
            UpstreamFault::Connect => "connect: nobody accepts connections there",
            UpstreamFault::ConnectTimeout => "connect timeout: no connection was made in time",
            UpstreamFault::Dns => "dns: its name was not found",
            UpstreamFault::Reset => "reset: it closed the connection or broke the protocol",
            UpstreamFault::ResponseTimeout => "response timeout: no response came in time",
            UpstreamFault::Target => "target: the request's path does not fit its base path",
            UpstreamFault::Tls => "tls: its certificate or its protocol is not acceptable",
        })
    }
}

/// Sends a request and waits for the response's head; the request is taken out of `outgoing`.
///
/// # Cancel safety
/// Dropping the future cancels the request at the upstream.
pub(crate) async fn send(
    upstream: &Arc<Upstream>,
    timeouts: &Timeouts,
    outgoing: &mut Outgoing,
    choice: Choice,
) -> Result<Response<Relayed>, Failure> {
    let Outgoing { request, target } = outgoing;
    let tape = request.body().tape();
    let mut choice = choice;
    // A kept connection may be closed by its upstream at any moment. hyper gives back a request
    // that it did not begin to write, so it can take the next connection; the pool is finite and
    // a new connection ends the loop.
    loop {
        let mut lease = pool::take(upstream, timeouts, choice)
            .await
            .map_err(|fault| Failure { fault, stale: false })?;
        address(request, upstream, target, lease.is_http2());
        let stale = lease.was_kept();
        let sending = lease.send(mem::take(request));
        match in_time(timeouts.response, tape.as_deref(), sending).await {
            None => {
                return Err(Failure { fault: UpstreamFault::ResponseTimeout, stale: false });
            }
            // Nobody asked for another protocol here, so this is none that we could pass on.
            Some(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Err(Failure { fault: UpstreamFault::Reset, stale: false });
            }
            Some(Ok(response)) => return Ok(relay(response, lease, timeouts.idle)),
            Some(Err(mut error)) => match error.take_message() {
                Some(unsent) if stale => {
                    *request = unsent;
                    choice = Choice::Fresh;
                }
                Some(_) | None => {
                    return Err(Failure { fault: UpstreamFault::Reset, stale });
                }
            },
        }
    }
}

/// Writes the request's target as the connection's protocol wants it.
fn address(
    request: &mut Request<SentBody>,
    upstream: &Upstream,
    target: &PathAndQuery,
    http2: bool,
) {
    if !http2 {
        *request.uri_mut() = Uri::from(target.clone());
        *request.version_mut() = Version::HTTP_11;
        return;
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if upstream.config.https { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(upstream.authority.clone());
    parts.path_and_query = Some(target.clone());
    // Scheme, authority and path together always make a URI.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    // :authority says it (RFC 9113 §8.3.1).
    request.headers_mut().remove(header::HOST);
}

/// Waits for `answer` as long as the upstream is not silent for `limit` while it has everything.
///
/// A large body may take longer to send than the upstream may take to answer, so the time starts
/// anew as long as the body moves.
async fn in_time<F: Future>(limit: Duration, tape: Option<&Tape>, answer: F) -> Option<F::Output> {
    let mut answer = std::pin::pin!(answer);
    loop {
        let before = tape.map(Tape::moved);
        match within(limit, answer.as_mut()).await {
            Some(output) => return Some(output),
            None if before.is_some() && tape.map(Tape::moved) != before => {}
            None => return None,
        }
    }
}

/// Waits for `answer` for `limit` at most; a long limit may be a second longer.
async fn within<F: Future>(limit: Duration, mut answer: Pin<&mut F>) -> Option<F::Output> {
    if limit < late::COARSE_FROM {
        return tokio::time::timeout(limit, answer).await.ok();
    }
    let mut late = Late::after(limit);
    poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if late.is_over(cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

fn relay(response: Response<Incoming>, mut lease: Lease, idle: Duration) -> Response<Relayed> {
    let (mut parts, body) = response.into_parts();
    lease.heed(&parts.headers);
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, Relayed::new(body, lease, idle))
}
