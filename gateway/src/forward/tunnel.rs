//! WebSockets: an HTTP/1.1 upgrade on both sides, then bytes both ways.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::{self, Dialled};
use super::{Failure, Outgoing, Relayed, Upstream, UpstreamFault, address, pool};
use crate::config::Timeouts;
use crate::inject;
use crate::serve::Flight;

const UPGRADE: HeaderValue = HeaderValue::from_static("Upgrade");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// How long the caller's connection may take to become a tunnel after the 101 was written.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// What an upstream made of a wish for a WebSocket.
pub(crate) enum Opened {
    /// When it answered like any other request.
    Declined(Response<Relayed>),
    /// When it agreed: the head for the caller, and what then carries the bytes.
    Tunnel(Response<()>, Tunnel),
}

/// Two upgraded connections that are about to be joined.
pub(crate) struct Tunnel {
    caller: OnUpgrade,
    upstream: OnUpgrade,
    idle: Duration,
}

/// Asks an upstream for a WebSocket, on a connection of its own.
pub(crate) async fn tunnel(
    upstream: &Arc<Upstream>,
    timeouts: &Timeouts,
    outgoing: Outgoing,
    caller: OnUpgrade,
) -> Result<Opened, Failure> {
    let failure = |fault| Failure { fault, stale: false };
    let Outgoing { mut request, target } = outgoing;
    address(&mut request, upstream, &target, false);
    request.headers_mut().insert(header::CONNECTION, UPGRADE);
    request.headers_mut().insert(header::UPGRADE, WEBSOCKET);

    let place = pool::Place::take(upstream.key).map_err(failure)?;
    let dialled = dial::dial(upstream, timeouts.connect, true).await.map_err(failure)?;
    let Dialled::Http1(sender) = dialled else {
        return Err(failure(UpstreamFault::Reset));
    };
    let mut lease = pool::admit_alone(place, sender);
    let response = tokio::time::timeout(timeouts.response, lease.send(request))
        .await
        .map_err(|_| failure(UpstreamFault::ResponseTimeout))?
        .map_err(|_| failure(UpstreamFault::Reset))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Opened::Declined(super::relay(response, lease, timeouts.idle)));
    }
    if !speaks_websocket(response.headers()) {
        return Err(failure(UpstreamFault::Reset));
    }
    let mut response = response;
    let upgraded = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    inject::strip_connection(&mut head.headers);
    head.headers.insert(header::CONNECTION, UPGRADE);
    head.headers.insert(header::UPGRADE, WEBSOCKET);
    let idle = timeouts.idle;
    Ok(Opened::Tunnel(Response::from_parts(head, ()), Tunnel { caller, upstream: upgraded, idle }))
}

fn speaks_websocket(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

impl Tunnel {
    /// Carries bytes both ways until one side or the session ends, or both are silent for too long.
    ///
    /// The flight goes along: the request is over when the tunnel is.
    pub(crate) fn carry(self, mut flight: Box<Flight>) {
        tokio::spawn(async move {
            let both = async { tokio::try_join!(self.caller, self.upstream) };
            let Ok(Ok((caller, upstream))) = tokio::time::timeout(UPGRADE_TIMEOUT, both).await
            else {
                return;
            };
            let moved = Arc::new(AtomicBool::new(false));
            let mut caller =
                Noted { io: TokioIo::new(caller), moved: Arc::clone(&moved), bytes: 0 };
            let mut upstream =
                Noted { io: TokioIo::new(upstream), moved: Arc::clone(&moved), bytes: 0 };
            let copied = tokio::select! {
                copied = tokio::io::copy_bidirectional(&mut caller, &mut upstream) => copied.is_ok(),
                () = silence(self.idle, &moved) => false,
                () = cut(&flight) => false,
            };
            flight.sent(upstream.bytes);
            if copied {
                flight.complete();
            }
        });
    }
}

/// Ends when the session does.
async fn cut(flight: &Flight) {
    poll_fn(|cx| if flight.is_cut(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Ends when nothing has moved for `limit`, at the latest after twice as long.
async fn silence(limit: Duration, moved: &AtomicBool) {
    loop {
        tokio::time::sleep(limit).await;
        if !moved.swap(false, Ordering::Relaxed) {
            return;
        }
    }
}

/// One side of a tunnel, which notes that something came from it.
struct Noted {
    io: TokioIo<Upgraded>,
    moved: Arc<AtomicBool>,
    bytes: usize,
}

impl AsyncRead for Noted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.bytes = this.bytes.saturating_add(buf.filled().len() - before);
        this.moved.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
