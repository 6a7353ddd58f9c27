//! One caller's connection, from its handshake to its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::framing::{Framing, Sight};
use super::gate::Permit;
use super::pulse::{Order, Presence, Pulse, Seat};
use super::wire::Wire;
use crate::config::Limits;
use crate::house::House;
use crate::life;

/// What is the same for every request of a connection.
pub(crate) struct Line {
    pub(crate) house: Arc<House>,
    pub(crate) peer: IpAddr,
    /// The peer's address as X-Forwarded-For has it.
    pub(crate) peer_value: HeaderValue,
    pub(crate) tls: bool,
    pub(crate) pulse: Arc<Pulse>,
    /// Counted by the listener as long as anything of the connection lives.
    _permit: Permit,
    _presence: Presence,
}

/// How hyper is to speak to callers.
pub(super) type Protocols = auto::Builder<TokioExecutor>;

/// Sets hyper's bounds; its timers stay unused, because the roll bounds all waiting.
pub(super) fn protocols(limits: &Limits) -> Protocols {
    // hyper's own bound lies above ours, so that ours answers with a problem document.
    let hyper_bytes = limits.header_bytes.saturating_mul(2).max(MIN_BUFFER);
    let mut protocols = auto::Builder::new(TokioExecutor::new());
    protocols.http1().header_read_timeout(None).max_buf_size(hyper_bytes);
    protocols
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(hyper_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    protocols
}

/// The smallest buffer that hyper takes.
const MIN_BUFFER: usize = 8192;

/// The flow-control windows: what a caller may send before the upstream has taken it.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How often a silent HTTP/2 caller is asked whether it is still there, and how long it has to
/// answer: a vanished caller holds its streams for half a minute at most.
const PING_EVERY: std::time::Duration = std::time::Duration::from_secs(20);
const PING_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Serves a connection to its end.
pub(super) async fn run(
    house: Arc<House>,
    protocols: Arc<Protocols>,
    socket: TcpStream,
    peer: IpAddr,
    permit: Permit,
) {
    let presence = Presence::attend();
    // A response is written at once: waiting to fill a segment only delays it.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let live = house.live();
    let (wire, tls) = match &live.tls {
        None => (Wire::Plain(socket), false),
        Some(config) => {
            let handshake = TlsAcceptor::from(Arc::clone(config)).accept(socket);
            let limit = live.config.limits.header_read;
            let Ok(Ok(stream)) = tokio::time::timeout(limit, handshake).await else {
                return;
            };
            (Wire::Tls(Box::new(stream.into())), true)
        }
    };
    drop(live);
    let peer = peer.to_canonical();
    // An address is plain ASCII.
    let Ok(peer_value) = HeaderValue::try_from(peer.to_string()) else {
        return;
    };
    let pulse = Pulse::begin();
    let line = Arc::new(Line {
        house,
        peer,
        peer_value,
        tls,
        pulse: Arc::clone(&pulse),
        _permit: permit,
        _presence: presence,
    });
    let io =
        TokioIo::new(Watched { wire, framing: Some(Framing::new()), pulse: Arc::clone(&pulse) });
    converse(&protocols, io, line, &pulse).await;
}

async fn converse(
    protocols: &Protocols,
    io: TokioIo<Watched>,
    line: Arc<Line>,
    pulse: &Arc<Pulse>,
) {
    let service = service_fn(move |request| {
        let line = Arc::clone(&line);
        async move { Ok::<_, Infallible>(life::serve(line, request).await) }
    });
    let mut connection = pin!(protocols.serve_connection_with_upgrades(io, service));
    let mut seat = None;
    let mut finishing = false;
    poll_fn(|cx| {
        if seat.is_none() {
            seat = Some(Seat::take(pulse, cx));
        }
        match pulse.order() {
            Order::Go => {}
            Order::Finish if finishing => {}
            Order::Finish => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            Order::Drop => return Poll::Ready(()),
        }
        // A caller that breaks off or breaks the protocol is no event of ours.
        connection.as_mut().poll(cx).map(drop)
    })
    .await;
}

/// A wire whose incoming bytes are looked at, and whose movement is noted.
struct Watched {
    wire: Wire,
    framing: Option<Framing>,
    pulse: Arc<Pulse>,
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.wire).poll_read(cx, buf))?;
        this.pulse.moved();
        if let Some(framing) = &mut this.framing {
            let sight = framing.feed(&buf.filled()[before..]);
            this.pulse.see(sight, framing.in_head());
            if sight != Sight::Clear {
                this.framing = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.wire).poll_write(cx, buf));
        this.pulse.moved();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.wire).poll_write_vectored(cx, bufs));
        this.pulse.moved();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}
