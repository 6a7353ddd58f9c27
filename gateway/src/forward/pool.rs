//! The connections that a thread keeps open to its upstreams.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::sync::Arc;

use futures_util::future::Either;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};

use super::dial::{self, Dialled};
use super::{Choice, SentBody, Upstream, UpstreamFault};
use crate::config::Timeouts;
use crate::serve::tick;

/// How many idle connections a thread keeps per upstream: enough for bursts, few enough that
/// sixty-four upstreams do not use up the file descriptors of a usual limit.
const IDLE_MAX: usize = 128;

/// How many connections a thread may have in use per upstream before callers are told 503: more
/// would wait in the upstream's queue, where nobody sees them.
const IN_USE_MAX: usize = 4096;

/// How many seconds a connection is kept without use, where the upstream does not say: below the
/// 75 s of nginx and the 60 s of common load balancers.
const KEEP_SECONDS: u32 = 55;

thread_local! {
    static LANES: RefCell<Lanes> = const { RefCell::new(Vec::new()) };
    /// How many connections this thread may have open to all of its upstreams together.
    static MOST: Cell<usize> = const { Cell::new(usize::MAX) };
}

type Lanes = Vec<Option<Lane>>;

/// What a thread has open to one upstream.
#[derive(Default)]
struct Lane {
    /// The most recently used last, so that the others may grow old and go.
    idle: Vec<Kept>,
    in_use: usize,
    shared: Option<http2::SendRequest<SentBody>>,
    speaks: Option<Protocol>,
    /// Held while somebody connects to an upstream that may speak HTTP/2, so that a burst makes
    /// one connection and not one each.
    door: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

struct Kept {
    sender: http1::SendRequest<SentBody>,
    /// The tick at which it is too old.
    until: u32,
    seconds: u32,
}

/// A connection that carries one request; returns to its pool when the response has ended.
pub(crate) struct Lease {
    key: usize,
    sender: Sender,
    place: Option<Place>,
    kept: bool,
    seconds: u32,
}

/// The place of a connection that nobody shares, from before it is made; given back when dropped.
pub(super) struct Place(usize);

enum Sender {
    Gone,
    One(http1::SendRequest<SentBody>),
    Shared(http2::SendRequest<SentBody>),
}

/// Takes a kept connection, or makes a new one.
pub(super) async fn take(
    upstream: &Arc<Upstream>,
    timeouts: &Timeouts,
    choice: Choice,
) -> Result<Lease, UpstreamFault> {
    if choice == Choice::Any
        && let Some(lease) = kept(upstream.key)
    {
        return Ok(lease);
    }
    // Boxed, because connecting is rare and its state would burden every request's.
    Box::pin(connect(upstream, timeouts, choice)).await
}

/// Closes what has not been used for too long; called once per tick.
pub(crate) fn sweep() {
    let now = tick::now();
    LANES.with_borrow_mut(|lanes| {
        for lane in lanes.iter_mut().flatten() {
            lane.idle.retain(|kept| kept.until > now && !kept.sender.is_closed());
            lane.shared.take_if(|sender| sender.is_closed());
        }
    });
}

async fn connect(
    upstream: &Arc<Upstream>,
    timeouts: &Timeouts,
    choice: Choice,
) -> Result<Lease, UpstreamFault> {
    let (speaks, door) = with_lane(upstream.key, |lane| (lane.speaks, Arc::clone(&lane.door)));
    let may_be_shared = upstream.config.http2 || upstream.config.https;
    if !may_be_shared || speaks == Some(Protocol::Http1) {
        return dial(upstream, timeouts).await;
    }
    let _door = tokio::time::timeout(timeouts.connect, door.lock())
        .await
        .map_err(|_| UpstreamFault::ConnectTimeout)?;
    // Whoever held the door before may have connected for us as well; where it was a dead
    // connection that brought us here, a closed one is not taken again.
    if (choice == Choice::Any || with_lane(upstream.key, |lane| lane.shared.is_some()))
        && let Some(lease) = kept(upstream.key)
    {
        return Ok(lease);
    }
    dial(upstream, timeouts).await
}

async fn dial(upstream: &Arc<Upstream>, timeouts: &Timeouts) -> Result<Lease, UpstreamFault> {
    let place = Place::take(upstream.key)?;
    let dialled = dial::dial(upstream, timeouts.connect, false).await?;
    Ok(admit(place, dialled))
}

fn kept(key: usize) -> Option<Lease> {
    with_lane(key, |lane| {
        if let Some(shared) = &lane.shared {
            if !shared.is_closed() {
                let sender = Sender::Shared(shared.clone());
                return Some(Lease { key, sender, place: None, kept: true, seconds: KEEP_SECONDS });
            }
            lane.shared = None;
        }
        while let Some(Kept { sender, seconds, .. }) = lane.idle.pop() {
            if !sender.is_closed() {
                lane.in_use += 1;
                let (sender, place) = (Sender::One(sender), Some(Place(key)));
                return Some(Lease { key, sender, place, kept: true, seconds });
            }
        }
        None
    })
}

fn admit(place: Place, dialled: Dialled) -> Lease {
    let key = place.0;
    match dialled {
        Dialled::Http1(sender) => {
            with_lane(key, |lane| lane.speaks = Some(Protocol::Http1));
            admit_alone(place, sender)
        }
        Dialled::Http2(sender) => {
            with_lane(key, |lane| {
                lane.speaks = Some(Protocol::Http2);
                lane.shared = Some(sender.clone());
            });
            let sender = Sender::Shared(sender);
            Lease { key, sender, place: None, kept: false, seconds: KEEP_SECONDS }
        }
    }
}

/// Takes a connection that was made for one request, whatever the others speak.
pub(super) fn admit_alone(place: Place, sender: http1::SendRequest<SentBody>) -> Lease {
    let (key, sender, place) = (place.0, Sender::One(sender), Some(place));
    Lease { key, sender, place, kept: false, seconds: KEEP_SECONDS }
}

/// Bounds what this thread has open to its upstreams.
pub(crate) fn allow(most: usize) {
    MOST.set(most.max(1));
}

/// Returns how many connections are open to upstreams, those that are being made included.
fn open(lanes: &Lanes) -> usize {
    let of_lane = |lane: &Lane| lane.in_use + lane.idle.len() + usize::from(lane.shared.is_some());
    lanes.iter().flatten().map(of_lane).sum()
}

/// Closes the idle connection that would have been closed first; tells whether there was one.
fn close_one(lanes: &mut Lanes) -> bool {
    let idle = lanes.iter_mut().flatten().filter(|lane| !lane.idle.is_empty());
    let oldest = idle.min_by_key(|lane| lane.idle.first().map(|kept| kept.until));
    oldest.map(|lane| lane.idle.remove(0)).is_some()
}

fn with_lane<T>(key: usize, act: impl FnOnce(&mut Lane) -> T) -> T {
    LANES.with_borrow_mut(|lanes| {
        if lanes.len() <= key {
            lanes.resize_with(key + 1, || None);
        }
        act(lanes[key].get_or_insert_default())
    })
}

// === impl Lease ===

impl Lease {
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Shared(_))
    }

    /// Reports whether the connection has carried a request before.
    pub(super) fn was_kept(&self) -> bool {
        self.kept
    }

    /// Sends a request at once; the answer is waited for.
    pub(super) fn send(
        &mut self,
        request: Request<SentBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<SentBody>>>> {
        match &mut self.sender {
            Sender::One(sender) => Either::Left(sender.try_send_request(request)),
            Sender::Shared(sender) => Either::Right(Either::Left(sender.try_send_request(request))),
            // A lease is given up only after its response has ended.
            Sender::Gone => Either::Right(Either::Right(pending())),
        }
    }

    /// Heeds what the upstream says about keeping the connection (`Keep-Alive: timeout=5`).
    pub(super) fn heed(&mut self, headers: &HeaderMap) {
        let Some(value) = headers.get("keep-alive").and_then(|value| value.to_str().ok()) else {
            return;
        };
        let seconds = value
            .split(',')
            .find_map(|part| part.trim().strip_prefix("timeout="))
            .and_then(|seconds| seconds.parse::<u32>().ok());
        if let Some(seconds) = seconds {
            // A second earlier, so that no request meets the upstream's closing hand.
            self.seconds = seconds.saturating_sub(1).min(KEEP_SECONDS);
        }
    }

    /// Returns the connection to the pool: the response has been read to its end.
    pub(super) fn give_back(mut self) {
        let Sender::One(sender) = std::mem::replace(&mut self.sender, Sender::Gone) else {
            return;
        };
        let seconds = self.seconds;
        drop(self.place.take());
        with_lane(self.key, |lane| {
            if seconds > 0 && !sender.is_closed() && lane.idle.len() < IDLE_MAX {
                let until = tick::now().saturating_add(seconds);
                lane.idle.push(Kept { sender, until, seconds });
            }
        });
    }
}

// === impl Place ===

impl Place {
    /// Takes a place, closing an idle connection where all are taken; there is none where all are
    /// in use.
    pub(super) fn take(key: usize) -> Result<Self, UpstreamFault> {
        with_lane(key, |_| ());
        LANES.with_borrow_mut(|lanes| {
            let full = open(lanes) >= MOST.get() && !close_one(lanes);
            let lane = lanes[key].get_or_insert_default();
            if full || lane.in_use >= IN_USE_MAX {
                return Err(UpstreamFault::Busy);
            }
            lane.in_use += 1;
            Ok(Self(key))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        with_lane(self.0, |lane| lane.in_use = lane.in_use.saturating_sub(1));
    }
}
