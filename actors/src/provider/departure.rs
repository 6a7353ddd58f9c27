//! The moment a request leaves: the evidence that tells "not sent" from "unheard".
//!
//! A token request can only be acted upon once its body has been written, and an HTTP client asks
//! the body for its bytes right before it writes them. So the body itself keeps the evidence: as
//! long as nobody has asked for it, the refresh token in it has not left this process, whatever
//! the error says. [`Departure::recall`] settles the question for good: after it, the body
//! refuses to give out anything.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::clock::Clock;
use crate::core::time::Instant;

/// Whether one request's body has left.
#[derive(Debug)]
pub(super) struct Departure {
    state: AtomicU8,
    clock: Clock,
    send_by: Instant,
}

const WAITING: u8 = 0;
const LEFT: u8 = 1;
const RECALLED: u8 = 2;

impl Departure {
    /// Makes the evidence for a request that must not leave later than `send_by`.
    pub(super) fn new(clock: Clock, send_by: Instant) -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(WAITING), clock, send_by })
    }

    /// Keeps the body from leaving; reports whether that was in time.
    pub(super) fn recall(&self) -> bool {
        match self.state.compare_exchange(WAITING, RECALLED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == RECALLED,
        }
    }

    /// Lets the body leave, unless it was recalled or is late (law L1: a machine may have been
    /// suspended since its last check).
    fn depart(&self) -> bool {
        if self.clock.now() > self.send_by {
            self.recall();
        }
        self.state.compare_exchange(WAITING, LEFT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A request body that leaves at most once, and only while its departure allows.
pub(super) struct DepartingBody {
    bytes: Option<Bytes>,
    departure: Arc<Departure>,
}

impl DepartingBody {
    pub(super) fn new(bytes: Bytes, departure: Arc<Departure>) -> Self {
        Self { bytes: Some(bytes), departure }
    }
}

impl Body for DepartingBody {
    type Data = Bytes;
    type Error = Recalled;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Recalled>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        if self.departure.depart() {
            Poll::Ready(Some(Ok(Frame::data(bytes))))
        } else {
            Poll::Ready(Some(Err(Recalled)))
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// The request was recalled before it left.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request was recalled before it left")]
pub(super) struct Recalled;

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    fn leaves(body: &mut DepartingBody) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        matches!(Pin::new(body).poll_frame(&mut context), Poll::Ready(Some(Ok(_))))
    }

    fn body(clock: &Clock, send_by: Instant) -> (DepartingBody, Arc<Departure>) {
        let departure = Departure::new(clock.clone(), send_by);
        (DepartingBody::new(Bytes::from_static(b"secret"), departure.clone()), departure)
    }

    #[test]
    fn l3_what_was_recalled_never_leaves_and_what_left_is_never_recalled() {
        let (clock, _hand) = Clock::manual();
        let later = clock.now() + Duration::from_secs(9);

        let (mut kept, departure) = body(&clock, later);
        assert!(departure.recall());
        assert!(!leaves(&mut kept));
        assert!(departure.recall(), "the answer stays the same");

        let (mut gone, departure) = body(&clock, later);
        assert!(leaves(&mut gone));
        assert!(!departure.recall());
        assert!(!leaves(&mut gone), "it leaves once");
    }

    #[test]
    fn l1_a_request_that_slept_through_its_time_does_not_leave() {
        let (clock, hand) = Clock::manual();
        let (mut late, departure) = body(&clock, clock.now() + Duration::from_secs(9));
        hand.advance(Duration::from_secs(10));
        assert!(!leaves(&mut late));
        assert!(departure.recall(), "and that is known");
    }
}
