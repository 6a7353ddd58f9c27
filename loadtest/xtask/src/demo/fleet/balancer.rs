//! A balancer of connections in a few lines: each goes to the next gateway that says it is ready.

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

use crate::fleet::gateways::Gateways;

/// How often each gateway is asked whether it is ready.
const LOOK_GAP: Duration = Duration::from_millis(200);
/// How long it may take to say so: one that is paused says nothing.
const LOOK_LIMIT: Duration = Duration::from_millis(800);

/// The balancer. It ends with the program.
#[derive(Debug)]
pub(super) struct Balancer {
    port: u16,
}

#[derive(Debug)]
struct Shared {
    gateways: Vec<Behind>,
    turn: AtomicUsize,
}

/// One gateway behind it.
#[derive(Debug)]
struct Behind {
    port: u16,
    health: String,
    ready: AtomicBool,
    /// Connections that lead to it: they are broken when it is not ready any more, so that whoever
    /// waits there comes anew.
    open: Mutex<Vec<TcpStream>>,
}

impl Balancer {
    /// Starts to listen.
    ///
    /// # Errors
    /// `Unavailable` when the port was taken meanwhile.
    pub(super) fn open(port: u16, gateways: &Gateways) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(|error| Failure::io("open the balancer's port", &error))?;
        let behind = gateways.all.iter().map(|gateway| Behind {
            port: gateway.port(),
            health: gateway.admin("/readyz"),
            ready: AtomicBool::new(true),
            open: Mutex::default(),
        });
        let shared = Arc::new(Shared { gateways: behind.collect(), turn: AtomicUsize::new(0) });
        for at in 0..shared.gateways.len() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.gateways[at].look_after());
        }
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                shared.take(near);
            }
        });
        Ok(Self { port })
    }

    /// Returns its origin.
    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Shared {
    /// Leads a connection to the next gateway that is ready; where none is, to any that listens.
    fn take(&self, near: TcpStream) {
        let count = self.gateways.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let order = || (0..count).map(|step| &self.gateways[(first + step) % count]);
        let ready = |behind: &&Behind| behind.ready.load(Ordering::Relaxed);
        let connect = |behind: &Behind| {
            let far = TcpStream::connect((Ipv4Addr::LOCALHOST, behind.port)).ok()?;
            behind.keep(&near);
            Some(far)
        };
        let mut chosen = order().filter(ready).chain(order().filter(|behind| !ready(behind)));
        // Where nobody listens the caller finds its connection closed.
        let Some(far) = chosen.find_map(connect) else {
            return;
        };
        let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else {
            return;
        };
        for (from, to) in [(near, far_too), (far, near_too)] {
            thread::spawn(move || relay(from, to));
        }
    }
}

impl Behind {
    fn look_after(&self) {
        let caller = Caller::patient(LOOK_LIMIT);
        loop {
            let ready = caller.fetch(&self.health, &[]).is_ok_and(|answer| answer.status == 200);
            if self.ready.swap(ready, Ordering::Relaxed) && !ready {
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                for near in open.drain(..) {
                    // Fails only where it is closed already.
                    let _ = near.shutdown(Shutdown::Both);
                }
            }
            thread::sleep(LOOK_GAP);
        }
    }

    fn keep(&self, near: &TcpStream) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // A stream that was closed has no peer.
        open.retain(|near| near.peer_addr().is_ok());
        open.extend(near.try_clone());
    }
}

/// Takes bytes over until either end is closed.
fn relay(mut from: TcpStream, mut to: TcpStream) {
    // However it ends, both ends are closed.
    let _ = std::io::copy(&mut from, &mut to);
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}
