//! The body of a reply, whoever made it, and the end of the request with it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::body::{BodyFault, Relayed};
use crate::serve::Flight;

/// The body of a reply to the caller, whoever made it.
pub struct ReplyBody {
    source: Source,
    /// Ends the request's time in flight, when the body has ended or is dropped.
    flight: Option<Box<Flight>>,
}

enum Source {
    Control(axum::body::Body),
    Full(Option<Bytes>),
    Relayed(Relayed),
}

impl ReplyBody {
    /// Makes a body without content.
    pub fn empty() -> Self {
        Self { source: Source::Full(None), flight: None }
    }

    /// Makes a body of what is there already.
    pub fn full(content: Bytes) -> Self {
        Self { source: Source::Full(Some(content).filter(|c| !c.is_empty())), flight: None }
    }

    /// Passes on what a control endpoint answers.
    pub fn control(body: axum::body::Body) -> Self {
        Self { source: Source::Control(body), flight: None }
    }

    pub(crate) fn relayed(body: Relayed) -> Self {
        Self { source: Source::Relayed(body), flight: None }
    }

    pub(crate) fn in_flight(&mut self, flight: Box<Flight>) {
        self.flight = Some(flight);
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = self.get_mut();
        if this.flight.as_ref().is_some_and(|flight| flight.is_cut(cx)) {
            return Poll::Ready(Some(Err(BodyFault::Ended)));
        }
        let next = match &mut this.source {
            Source::Control(body) => ready!(Pin::new(body).poll_frame(cx))
                .map(|frame| frame.map_err(|_| BodyFault::Control)),
            Source::Full(content) => content.take().map(|content| Ok(Frame::data(content))),
            Source::Relayed(body) => ready!(body.poll(cx)),
        };
        if let Some(flight) = &mut this.flight {
            match &next {
                Some(Ok(frame)) => {
                    flight.sent(frame.data_ref().map_or(0, Bytes::len));
                    // hyper does not ask again after the last piece of a known length.
                    if this.source.is_end() {
                        flight.complete();
                    }
                }
                Some(Err(_)) => {}
                None => flight.complete(),
            }
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Control(body) => body.size_hint(),
            Source::Full(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |content| content.len() as u64))
            }
            Source::Relayed(body) => body.incoming.size_hint(),
        }
    }
}

impl Source {
    fn is_end(&self) -> bool {
        match self {
            Source::Control(body) => body.is_end_stream(),
            Source::Full(content) => content.is_none(),
            Source::Relayed(body) => body.incoming.is_end_stream(),
        }
    }
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyBody")
    }
}
