//! The program's outside: listeners, threads, signals, and a calm end.
//!
//! One thread per core, each with a runtime, a listener (SO_REUSEPORT) and upstream connections of
//! its own: a request is answered on the thread that accepted its connection, and no lock is
//! shared on its way. The actors, the control room and the operator's listener live on another
//! runtime, so that an exchange or a sign-in never stands in a request's way.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;

use crate::config::Config;
use crate::forward;
use crate::house::{House, Rooms};
use crate::reload::{self, LoadFault};
use crate::streams;

pub(crate) use connection::Line;
pub(crate) use flight::Flight;
#[cfg(test)]
pub(crate) use framing::{Framing, Sight};
pub(crate) use wire::Wire;

use connection::Protocols;
use gate::Gate;
use pulse::Bounds;

mod admin;
mod connection;
mod files;
mod flight;
mod framing;
mod gate;
pub(crate) mod late;
mod pulse;
pub(crate) mod tick;
mod wire;

/// How many connections may wait to be accepted, per thread and listener.
const BACKLOG: i32 = 1024;

/// How long to leave the door shut after accepting failed: file descriptors are short then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How much longer than any of its bounds a request may stand still before its connection goes.
const STALL_EXTRA: Duration = Duration::from_secs(10);

/// A gateway that serves.
#[derive(Debug)]
pub struct Running {
    house: Arc<House>,
    addresses: Vec<SocketAddr>,
    admin: admin::Admin,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<usize>>,
}

/// Why a gateway does not start.
#[derive(Debug)]
pub enum StartFault {
    /// When an address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// When the configuration cannot be made live.
    Load(LoadFault),
    /// When the operating system gives no thread.
    Thread(io::Error),
}

impl std::fmt::Display for StartFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartFault::Listen(address, error) => {
                write!(f, "cannot listen on {address} ({error}); free it, or choose another")
            }
            StartFault::Load(fault) => fault.fmt(f),
            StartFault::Thread(error) => write!(f, "cannot start a thread ({error})"),
        }
    }
}

impl std::error::Error for StartFault {}

/// Starts to serve; returns when every address is open.
///
/// Must be called on the runtime of the actors.
///
/// # Errors
/// Says why not; nothing is left running then.
pub async fn start(config: Config, rooms: Rooms) -> Result<Running, StartFault> {
    let limits = config.limits;
    let stall = config
        .routes
        .iter()
        .map(|route| route.timeouts.longest())
        .max()
        .unwrap_or_default()
        .saturating_add(STALL_EXTRA);
    let bounds = Bounds {
        header_read: tick::ticks(limits.header_read),
        keep_alive: tick::ticks(limits.keep_alive),
        stall: tick::ticks(stall),
    };
    let (sockets, addresses) = open_all(&config.listen, limits.threads)?;
    let share = files::share(&limits, addresses.len());
    let gates: Vec<_> = addresses.iter().map(|_| Gate::new(share.connections)).collect();
    let admin = admin::open(&config.admin, rooms.admin.clone()).await?;
    let live = reload::load(config, None).map_err(StartFault::Load)?;
    let runtime = tokio::runtime::Handle::current();
    let house = Arc::new(House::new(live, &rooms, runtime).map_err(StartFault::Load)?);
    tokio::spawn(streams::follow(Arc::downgrade(&house), house.tokens.ends()));
    let protocols = Arc::new(connection::protocols(&limits));
    let (stop, stopped) = watch::channel(false);
    let mut running = Running { house, addresses, admin, stop, threads: Vec::new() };
    for (number, listeners) in sockets.into_iter().enumerate() {
        let worker = Worker {
            house: Arc::clone(&running.house),
            protocols: Arc::clone(&protocols),
            listeners: listeners.into_iter().zip(gates.iter().cloned()).collect(),
            bounds,
            upstreams: share.upstreams,
            drain: limits.drain,
        };
        let stopped = stopped.clone();
        let thread = std::thread::Builder::new()
            .name(format!("tokenward-{number}"))
            .spawn(move || worker.work(stopped))
            .map_err(StartFault::Thread)?;
        running.threads.push(thread);
    }
    Ok(running)
}

impl Running {
    /// Returns the addresses that are open, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the address of the operator's listener.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Puts new routes, limits of routes and certificates in place; connections stay.
    ///
    /// # Errors
    /// Says why the new configuration is refused; the old one stays in place.
    pub fn reload(&self, config: Config) -> Result<(), LoadFault> {
        self.house.reload(config)
    }

    /// Stops accepting, lets what is in flight finish within `limits.drain`, and ends.
    ///
    /// Returns how many connections had to be cut.
    pub async fn drain(self) -> usize {
        let Self { admin, stop, threads, .. } = self;
        stop.send_replace(true);
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
        });
        let cut = joined.await.unwrap_or_default();
        admin.close();
        cut
    }
}

/// One data-plane thread.
struct Worker {
    house: Arc<House>,
    protocols: Arc<Protocols>,
    listeners: Vec<(TcpListener, Arc<Gate>)>,
    bounds: Bounds,
    /// The most connections to upstreams.
    upstreams: usize,
    drain: Duration,
}

impl Worker {
    fn work(self, stopped: watch::Receiver<bool>) -> usize {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "a thread cannot serve; restart the gateway");
                return 0;
            }
        };
        runtime.block_on(self.serve(stopped))
    }

    async fn serve(self, mut stopped: watch::Receiver<bool>) -> usize {
        let accepting: Vec<_> = self
            .listeners
            .into_iter()
            .map(|(listener, gate)| {
                let house = Arc::clone(&self.house);
                let protocols = Arc::clone(&self.protocols);
                tokio::spawn(accept(house, protocols, listener, gate, stopped.clone()))
            })
            .collect();
        forward::allow(self.upstreams);
        let ticking = tokio::spawn(tick_on(self.bounds));
        // An error means that whoever could stop us is gone, which stops us as well.
        drop(stopped.wait_for(|stopped| *stopped).await);
        for accepting in accepting {
            // Ends after the connections that the kernel had accepted already.
            drop(accepting.await);
        }
        pulse::finish_all();
        let left = pulse::emptied(self.drain).await;
        // Whatever still runs on this thread is dropped with its runtime.
        pulse::cut_all();
        ticking.abort();
        left
    }
}

async fn tick_on(bounds: Bounds) {
    let mut ticks = tokio::time::interval(tick::TICK);
    // A late tick is as good as one in time; two at once are not.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        tick::advance();
        late::wake();
        pulse::walk(&bounds);
        forward::sweep();
    }
}

async fn accept(
    house: Arc<House>,
    protocols: Arc<Protocols>,
    listener: TcpListener,
    gate: Arc<Gate>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be used; restart"),
    };
    // After the signal, those are still let in whom the kernel had accepted, and no more than fit
    // its queue: callers that keep coming must not keep us here.
    let mut last: Option<i32> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.changed(), if last.is_none() => {
                last = Some(BACKLOG);
                continue;
            }
            accepted = listener.accept(), if last != Some(0) => accepted,
            () = std::future::ready(()), if last.is_some() => return,
        };
        last = last.map(|left| left - 1);
        match accepted {
            Ok((socket, peer)) => match gate.enter() {
                Some(permit) => {
                    let (house, protocols) = (Arc::clone(&house), Arc::clone(&protocols));
                    tokio::spawn(connection::run(house, protocols, socket, peer.ip(), permit));
                }
                None => turn_away(&socket, house.live().tls.is_some()),
            },
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Tells a caller for whom there is no place to come back; closing says it over TLS.
fn turn_away(socket: &tokio::net::TcpStream, tls: bool) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
        content-type: application/problem+json\r\nconnection: close\r\ncontent-length: 214\r\n\r\n\
        {\"type\":\"urn:tokenward:problem:temporarily_unavailable\",\"title\":\"Temporarily unavailable\",\
        \"status\":503,\"detail\":\"Too many connections.\",\"error\":\"temporarily_unavailable\",\
        \"error_description\":\"Too many connections.\"}";
    if !tls {
        // An empty socket buffer takes this at once, and a caller that is gone needs no answer.
        drop(socket.try_write(FULL));
    }
}

type Opened = (Vec<Vec<TcpListener>>, Vec<SocketAddr>);

/// Opens every address once per thread; the kernel spreads connections over them.
fn open_all(listen: &[SocketAddr], threads: usize) -> Result<Opened, StartFault> {
    let mut sockets: Vec<Vec<TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
    let mut addresses = Vec::with_capacity(listen.len());
    for address in listen {
        // With port 0 the first thread's socket says which port it is.
        let mut actual = *address;
        for listeners in &mut sockets {
            let listener = open(actual).map_err(|error| StartFault::Listen(*address, error))?;
            actual = listener.local_addr().map_err(|error| StartFault::Listen(*address, error))?;
            listeners.push(listener);
        }
        addresses.push(actual);
    }
    Ok((sockets, addresses))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
