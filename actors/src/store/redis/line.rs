//! The one connection that commands share: made anew whenever it is lost, with growing pauses.

use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::dial::{Dial, Wire, is_lost};
use super::script::Request;
use crate::store::StoreError;

/// How long to wait before the second try to connect.
const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The longest wait between two tries: a Redis that is back is found within this.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a command waits for a connection: a restart of a small server, or the first try after a
/// connection was cut. Who asks has a deadline of its own.
const WIRE_WAIT_MAX: Duration = Duration::from_millis(1_500);

/// How often a command is sent. A second time after its connection was lost: each of our writes
/// tells its own repetition from another's, and answers what the first one would have.
const TRIES: u32 = 2;

/// How long a lease waits until what a server may have forgotten is told again: as long as a caller
/// waits for a slow exchange.
const TOLD_WAIT_MAX: Duration = Duration::from_secs(5);

/// How servers say, up to version 7.0 and later, that a script may not do something: as any other fault
/// of a script, and without naming it.
const IN_A_SCRIPT: [&str; 2] = ["The user executing the script can't", "ACL failure in script"];

/// How the TLS library begins to say what is wrong with the server's certificate.
const UNTRUSTED: &str = "invalid peer certificate";

/// The shared connection.
pub(super) struct Line {
    state: watch::Receiver<State>,
    /// The last connection that no lease waits for.
    told: watch::Sender<u64>,
    /// The number of the connection that was found dead.
    lost: watch::Sender<u64>,
    place: Arc<str>,
    keeper: JoinHandle<()>,
}

/// What there is of a connection.
#[derive(Clone)]
pub(super) struct State {
    number: u64,
    wire: Result<Wire, StoreError>,
}

impl Line {
    /// Starts to connect, on the current tokio runtime.
    pub(super) fn start(dial: Arc<Dial>, place: Arc<str>) -> Self {
        let wire = Err(StoreError::unreachable(&place, "not connected yet"));
        let (told, state) = watch::channel(State { number: 0, wire });
        let (lost, found_dead) = watch::channel(0);
        let told_again = watch::Sender::new(u64::MAX);
        let keeper = tokio::spawn(keep(dial, Arc::clone(&place), told, found_dead));
        Self { state, told: told_again, lost, place, keeper }
    }

    /// Sends a request until it is answered, [`TRIES`] times at most.
    pub(super) async fn ask(&self, request: &Request) -> Result<Value, StoreError> {
        let mut tries = 0;
        loop {
            let (number, mut wire) = self.wire().await?;
            if request.spends() {
                self.told_again(number).await?;
            }
            tries += 1;
            let error = match request.send(&mut wire).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let lost = is_lost(&error);
            if lost {
                self.lost.send_if_modified(|known| {
                    let newer = *known < number;
                    *known = number.max(*known);
                    newer
                });
            }
            if !lost || tries >= TRIES {
                return Err(fault(&self.place, &error));
            }
        }
    }

    /// Tells each connection that is made, and each that is lost.
    pub(super) fn connections(&self) -> watch::Receiver<State> {
        let mut connections = self.state.clone();
        connections.mark_unchanged();
        connections
    }

    /// Has leases wait on every connection until it is [`Line::told`].
    pub(super) fn wait_until_told(&self) {
        self.told.send_replace(0);
    }

    /// Says that a connection may be used for leases.
    pub(super) fn told(&self, number: u64) {
        self.told.send_replace(number);
    }

    async fn told_again(&self, number: u64) -> Result<(), StoreError> {
        let mut told = self.told.subscribe();
        let waited = timeout(TOLD_WAIT_MAX, told.wait_for(|told| *told >= number)).await;
        let is_told = waited.is_ok_and(|told| told.is_ok());
        is_told.then_some(()).ok_or_else(|| {
            StoreError::unreachable(&self.place, "what it may have forgotten is being told again")
        })
    }

    async fn wire(&self) -> Result<(u64, Wire), StoreError> {
        let mut state = self.state.clone();
        // A connection that was found dead may not have been taken away yet.
        let dead = *self.lost.borrow();
        let there = state.wait_for(|state| state.number > dead && state.wire.is_ok());
        if let Ok(Ok(state)) = timeout(WIRE_WAIT_MAX, there).await {
            let number = state.number;
            return state.wire.clone().map(|wire| (number, wire));
        }
        let last = self.state.borrow().wire.as_ref().err().cloned();
        Err(last.unwrap_or_else(|| StoreError::unreachable(&self.place, "no connection")))
    }
}

impl State {
    /// Returns the number of the connection where there is one.
    pub(super) fn connected(&self) -> Option<u64> {
        self.wire.is_ok().then_some(self.number)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Keeps the line connected.
async fn keep(
    dial: Arc<Dial>,
    place: Arc<str>,
    told: watch::Sender<State>,
    mut lost: watch::Receiver<u64>,
) {
    let mut pause = PAUSE_FIRST;
    for number in 1.. {
        let wire = loop {
            match dial.wire().await {
                Ok(wire) => break wire,
                Err(error) => {
                    let wire = Err(fault(&place, &error));
                    told.send_replace(State { number: number - 1, wire });
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        };
        pause = PAUSE_FIRST;
        told.send_replace(State { number, wire: Ok(wire) });
        if lost.wait_for(|dead| *dead >= number).await.is_err() {
            return;
        }
        tracing::warn!(%place, "the connection is lost, and made anew");
    }
}

/// Says what the Redis at `place` did not want.
pub(super) fn fault(place: &Arc<str>, error: &RedisError) -> StoreError {
    let detail = error.to_string();
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _)
        | (ErrorKind::Server(ServerErrorKind::NoPerm), _)
        | (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => {
            StoreError::Refused { place: Arc::clone(place), detail: detail.into() }
        }
        (ErrorKind::Io, _) if detail.contains(UNTRUSTED) => {
            StoreError::Untrusted { place: Arc::clone(place), detail: detail.into() }
        }
        _ if IN_A_SCRIPT.iter().any(|words| detail.contains(words)) => {
            StoreError::Refused { place: Arc::clone(place), detail: detail.into() }
        }
        (_, Some("OOM")) => StoreError::Full { place: Arc::clone(place) },
        (_, Some("WRONGTYPE")) => {
            StoreError::corrupt(Arc::clone(place), "another program uses the same keys")
        }
        (_, Some("MISCONF" | "NOREPLICAS" | "NOSCRIPT"))
        | (ErrorKind::Server(ServerErrorKind::ResponseError), _) => {
            StoreError::Io { place: Arc::clone(place), detail: detail.into() }
        }
        _ => StoreError::unreachable(place, detail),
    }
}
