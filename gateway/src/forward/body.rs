//! Bodies on their way: from the caller to the upstream, and back.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::Lease;
use crate::replay::Keeper;
use crate::streams::{self, Leash, Side};

/// Why a body broke off; the rest of its message is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// When whoever sends it broke off or broke the protocol.
    Broken,
    /// When a control endpoint's body failed.
    Control,
    /// When its session ended.
    Ended,
    /// When it moved too slowly.
    Idle,
    /// When a second try took it over.
    Superseded,
    /// When it is longer than the route allows.
    TooLarge,
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyFault::Broken => "the body broke off",
            BodyFault::Control => "the gateway's own answer failed",
            BodyFault::Ended => "the session ended",
            BodyFault::Idle => "the body stood still for too long",
            BodyFault::Superseded => "the body is sent on another connection",
            BodyFault::TooLarge => "the body is longer than allowed",
        })
    }
}

impl std::error::Error for BodyFault {}

/// A request's body on its way to the upstream.
#[derive(Default)]
pub(crate) enum SentBody {
    #[default]
    Empty,
    Taped {
        tape: Arc<Tape>,
        /// Which try reads: an older one must not take from a newer.
        attempt: u32,
        /// How many kept pieces this try has sent.
        sent: usize,
    },
}

/// Marks a try that has sent the trailers, after which nothing comes.
const ALL_SENT: usize = usize::MAX;

/// A caller's body with its beginning kept for a second try.
pub(crate) struct Tape {
    lasts: bool,
    reel: Mutex<Reel>,
}

struct Reel {
    incoming: Incoming,
    attempt: u32,
    keeper: Keeper,
    length: Option<u64>,
    seen: u64,
    max: Option<u64>,
    idle: Idle,
    ended: bool,
    /// Where the session's end is to break it off.
    leash: Option<Arc<Leash>>,
    fault: Option<BodyFault>,
}

impl SentBody {
    /// Reports whether a second try can send the same again.
    pub(crate) fn tape(&self) -> Option<Arc<Tape>> {
        match self {
            SentBody::Empty => None,
            SentBody::Taped { tape, .. } => Some(Arc::clone(tape)),
        }
    }
}

impl Tape {
    /// Takes a caller's body; keeps up to `keep` bytes of it, and lets `max` pass.
    pub(crate) fn new(
        incoming: Incoming,
        keep: usize,
        max: Option<u64>,
        idle: Duration,
    ) -> Arc<Self> {
        let hint = incoming.size_hint();
        let reel = Reel {
            incoming,
            attempt: 0,
            keeper: Keeper::new(keep),
            length: hint.exact(),
            seen: 0,
            max,
            idle: Idle::new(idle),
            ended: false,
            leash: None,
            fault: None,
        };
        Arc::new(Self { lasts: streams::lasts(&hint), reel: Mutex::new(reel) })
    }

    /// Reports whether the body may be under way long after its head.
    pub(crate) fn lasts(&self) -> bool {
        self.lasts
    }

    /// Breaks the body off when the session ends; to be called before it is played.
    pub(crate) fn leash(&self, leash: Arc<Leash>) {
        self.lock().leash = Some(leash);
    }

    /// Returns what breaks the body off, as long as it is under way.
    pub(crate) fn leashed(&self) -> Option<Arc<Leash>> {
        if self.lasts { self.lock().leash.clone() } else { None }
    }

    /// Begins to send: the first time, or once more where everything so far was kept.
    pub(crate) fn play(self: &Arc<Self>) -> Option<SentBody> {
        let mut reel = self.lock();
        if !reel.can_play() {
            return None;
        }
        reel.attempt += 1;
        Some(SentBody::Taped { tape: Arc::clone(self), attempt: reel.attempt, sent: 0 })
    }

    /// Reports whether everything that was sent can be sent again.
    pub(crate) fn can_play(&self) -> bool {
        self.lock().can_play()
    }

    /// Returns how many bytes came from the caller.
    pub(crate) fn moved(&self) -> u64 {
        self.lock().seen
    }

    /// Returns what broke the body on the caller's side, if anything did.
    pub(crate) fn fault(&self) -> Option<BodyFault> {
        self.lock().fault
    }

    fn lock(&self) -> MutexGuard<'_, Reel> {
        // One thread polls it; a panic in between leaves a body that fails by itself.
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self.get_mut() {
            SentBody::Empty => Poll::Ready(None),
            SentBody::Taped { tape, attempt, sent } => tape.lock().poll(cx, *attempt, sent),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            SentBody::Empty => true,
            SentBody::Taped { tape, sent, .. } => {
                let reel = tape.lock();
                let trailers_wait = *sent != ALL_SENT && reel.keeper.has_trailers();
                reel.ended && *sent >= reel.keeper.len() && !trailers_wait
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            SentBody::Empty => SizeHint::with_exact(0),
            SentBody::Taped { tape, .. } => {
                // hyper asks before it begins; the length is that of the whole body.
                tape.lock().length.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}

impl Reel {
    fn can_play(&self) -> bool {
        self.fault.is_none() && self.keeper.is_whole()
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        attempt: u32,
        sent: &mut usize,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if attempt != self.attempt {
            return Poll::Ready(Some(Err(BodyFault::Superseded)));
        }
        if let Some(piece) = self.keeper.piece(*sent) {
            *sent += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if self.ended {
            let trailers = if *sent == ALL_SENT { None } else { self.keeper.trailers() };
            *sent = ALL_SENT;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let next = match &self.leash {
            Some(leash) if leash.is_cut(Side::Upload, cx) => Some(Err(BodyFault::Ended)),
            Some(_) | None => ready!(self.idle.watch(Pin::new(&mut self.incoming), cx)),
        };
        let next = next.map(|next| next.and_then(|frame| self.note(frame, sent)));
        match &next {
            None => self.ended = true,
            Some(Ok(_)) => {}
            Some(Err(fault)) => self.fault = Some(*fault),
        }
        if self.ended {
            self.leash = None;
        }
        Poll::Ready(next)
    }

    fn note(&mut self, frame: Frame<Bytes>, sent: &mut usize) -> Result<Frame<Bytes>, BodyFault> {
        if let Some(piece) = frame.data_ref() {
            self.seen += piece.remaining() as u64;
            if self.max.is_some_and(|max| self.seen > max) {
                return Err(BodyFault::TooLarge);
            }
            self.keeper.keep(piece);
            *sent = self.keeper.len();
            self.ended = self.incoming.is_end_stream();
        } else if let Some(trailers) = frame.trailers_ref() {
            self.keeper.keep_trailers(trailers);
            self.ended = true;
            *sent = ALL_SENT;
        }
        Ok(frame)
    }
}

/// An upstream's response body, which holds the connection that it comes from.
pub(crate) struct Relayed {
    pub(super) incoming: Incoming,
    lease: Option<Lease>,
    idle: Idle,
}

impl Relayed {
    pub(super) fn new(incoming: Incoming, lease: Lease, idle: Duration) -> Self {
        let mut relayed = Self { incoming, lease: Some(lease), idle: Idle::new(idle) };
        relayed.settle();
        relayed
    }

    /// Reports whether the body may be under way long after its head.
    pub(crate) fn lasts(&self) -> bool {
        streams::lasts(&self.incoming.size_hint())
    }

    /// Returns the connection once everything was read.
    fn settle(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let next = ready!(self.idle.watch(Pin::new(&mut self.incoming), cx));
        match &next {
            None => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
            }
            Some(Ok(_)) => self.settle(),
            // A broken connection is dropped with its lease.
            Some(Err(_)) => drop(self.lease.take()),
        }
        Poll::Ready(next)
    }
}

/// Bounds the silence between two frames.
struct Idle {
    limit: Duration,
    /// Made at the first wait: most bodies never wait.
    timer: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None, running: false }
    }

    fn watch(
        &mut self,
        body: Pin<&mut Incoming>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Poll::Ready(next) = body.poll_frame(cx) {
            self.running = false;
            return Poll::Ready(next.map(|frame| frame.map_err(|_| BodyFault::Broken)));
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if !self.running {
            timer.set(tokio::time::sleep(self.limit));
            self.running = true;
        }
        ready!(timer.as_mut().poll(cx));
        self.running = false;
        Poll::Ready(Some(Err(BodyFault::Idle)))
    }
}
