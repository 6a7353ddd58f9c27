//! Makes connections to upstreams.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::{SentBody, Upstream, UpstreamFault};
use crate::serve::Wire;

/// How often a silent HTTP/2 connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long its answer may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The flow-control windows: a stream may have a quarter of a megabyte under way, which fills a
/// fast line over 20 ms, and a connection four such streams; both bound what we buffer.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// A new connection.
pub(super) enum Dialled {
    Http1(http1::SendRequest<SentBody>),
    Http2(http2::SendRequest<SentBody>),
}

/// Connects to an upstream; `http1_only` where the connection is to become a tunnel.
///
/// # Cancel safety
/// A half-made connection is closed.
pub(super) async fn dial(
    upstream: &Upstream,
    limit: Duration,
    http1_only: bool,
) -> Result<Dialled, UpstreamFault> {
    tokio::time::timeout(limit, dial_patiently(upstream, http1_only))
        .await
        .unwrap_or(Err(UpstreamFault::ConnectTimeout))
}

async fn dial_patiently(upstream: &Upstream, http1_only: bool) -> Result<Dialled, UpstreamFault> {
    let socket = reach(&upstream.config.host, upstream.config.port).await?;
    // A request is written at once: waiting to fill a segment only delays it.
    socket.set_nodelay(true).map_err(|_| UpstreamFault::Connect)?;
    let (wire, chose_http2) = match &upstream.tls {
        None => (Wire::Plain(socket), false),
        Some(tls) => {
            let stream = tls.connect(socket, http1_only).await.map_err(|_| UpstreamFault::Tls)?;
            let chose_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            (Wire::Tls(Box::new(stream.into())), chose_http2)
        }
    };
    if !http1_only && upstream.config.http2 && upstream.tls.is_some() && !chose_http2 {
        return Err(UpstreamFault::Tls);
    }
    let io = TokioIo::new(wire);
    if !http1_only && (chose_http2 || upstream.config.http2) {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(io)
            .await
            .map_err(|_| UpstreamFault::Reset)?;
        tokio::spawn(connection);
        return Ok(Dialled::Http2(sender));
    }
    let (sender, connection) =
        http1::Builder::new().handshake(io).await.map_err(|_| UpstreamFault::Reset)?;
    if http1_only {
        tokio::spawn(connection.with_upgrades());
    } else {
        tokio::spawn(connection);
    }
    Ok(Dialled::Http1(sender))
}

async fn reach(host: &str, port: u16) -> Result<TcpStream, UpstreamFault> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return TcpStream::connect(SocketAddr::new(ip, port))
            .await
            .map_err(|_| UpstreamFault::Connect);
    }
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|_| UpstreamFault::Dns)?;
    let mut fault = UpstreamFault::Dns;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(socket) => return Ok(socket),
            Err(_) => fault = UpstreamFault::Connect,
        }
    }
    Err(fault)
}
