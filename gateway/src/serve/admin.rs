//! The operator's listener, on the actors' runtime.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use super::{ACCEPT_PAUSE, StartFault};
use crate::config::AdminConfig;

/// How long an operator's program may take for a request's head.
const HEADER_READ: Duration = Duration::from_secs(10);

/// How many connections operators may have: scrapers, consoles and event streams are few.
const CONNECTIONS_MAX: usize = 256;

/// The operator's listener; closed when dropped.
#[derive(Debug)]
pub(super) struct Admin {
    address: SocketAddr,
    task: AbortHandle,
}

/// Opens the operator's listener.
pub(super) async fn open(config: &AdminConfig, router: Router) -> Result<Admin, StartFault> {
    let fault = |error| StartFault::Listen(config.listen, error);
    let listener = TcpListener::bind(config.listen).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    let task = tokio::spawn(accept(listener, router)).abort_handle();
    Ok(Admin { address, task })
}

impl Admin {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn close(self) {
        self.task.abort();
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let mut protocols = auto::Builder::new(TokioExecutor::new());
    protocols.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ);
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "an operator's connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            continue;
        }
        let service = TowerToHyperService::new(router.clone());
        let connection = protocols.serve_connection(TokioIo::new(socket), service).into_owned();
        // Ends with the set: an operator's stream must not outlive the gateway.
        connections.spawn(async move { drop(connection.await) });
    }
}
