//! Accepting connections, HTTP/1.1 and HTTP/2, and closing one without an answer when told so.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections of one listener at once; a storm of 10,000 callers fits.
const CONNECTIONS_MAX: usize = 16_384;

/// How long a caller may take to send its headers. Idle keep-alive connections are closed by it
/// too, so it is longer than any client keeps one.
const HEADERS_WITHIN: Duration = Duration::from_secs(300);

/// After a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An answer that is no answer: the connection is closed without a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutConnection;

impl IntoResponse for CutConnection {
    fn into_response(self) -> Response {
        let mut answer = Response::default();
        answer.extensions_mut().insert(self);
        answer
    }
}

/// Binds a listener and returns it with its address.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Serves as [`serve`] does while `network` is true; while it is false nothing listens, and every
/// connection is cut.
pub(crate) async fn serve_while(
    mut network: watch::Receiver<bool>,
    mut listener: TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(address) = listener.local_addr() else { return };
    loop {
        tokio::select! {
            () = serve(listener, router.clone(), stopped.clone()) => return,
            _ = network.wait_for(|up| !up) => {}
        }
        listener = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            listener = listen_again(&mut network, address) => listener,
        };
    }
}

/// Waits until there is a network, and takes the same place again.
async fn listen_again(network: &mut watch::Receiver<bool>, address: SocketAddr) -> TcpListener {
    loop {
        // The sender lives in the provider, which outlives its listener.
        drop(network.wait_for(|up| *up).await);
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => tracing::warn!(%error, "the place is taken"),
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Serves until told to stop; connections that are still open then are dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let router = router.clone();
        connections.spawn(async move {
            converse(stream, router).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, router: Router) {
    // Small answers must not wait for the caller's delayed acknowledgement.
    let _unsupported = stream.set_nodelay(true);
    let inner = TowerToHyperService::new(router);
    let service = service_fn(move |ask| {
        let answer = inner.call(ask);
        async move {
            let answer = answer.await.unwrap_or_else(|never: Infallible| match never {});
            match answer.extensions().get::<CutConnection>() {
                Some(_) => {
                    Err(std::io::Error::other("the sandbox was told to cut this connection"))
                }
                None => Ok(answer),
            }
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
