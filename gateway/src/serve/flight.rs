//! A request's time in flight: begins with its head, ends with the last byte of its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Context;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use tokenward::core::time::Instant;

use super::connection::Line;
use super::pulse;
use crate::forward::Tape;
use crate::observe::{Answered, AnsweredBy, CloseCause};
use crate::streams::{Leash, Side};
use crate::trace::{Ended, RequestTrace};

/// One request in flight. When dropped, whoever observes is told how it ended.
pub(crate) struct Flight {
    line: Arc<Line>,
    method: Method,
    began: Instant,
    /// The nanoseconds spent waiting for others. Atomic only because futures that hold it travel.
    waited: AtomicU64,
    route: Option<usize>,
    tape: Option<Arc<Tape>>,
    /// Where the exchange can outlive its session.
    leash: Option<Arc<Leash>>,
    /// Where the operator wants traces.
    trace: Option<Box<RequestTrace>>,
    status: StatusCode,
    by: AnsweredBy,
    complete: bool,
    bytes_out: u64,
}

/// The status of a request whose caller went away before there was an answer (as nginx has it).
const CALLER_GONE: u16 = 499;

impl Flight {
    /// Begins with a request's head. Boxed, because it moves along with the request from hand to hand.
    pub(crate) fn begin(line: Arc<Line>, method: Method) -> Box<Self> {
        line.pulse.enter();
        let began = line.house.clock.now();
        Box::new(Self {
            line,
            method,
            began,
            waited: AtomicU64::new(0),
            route: None,
            tape: None,
            leash: None,
            trace: None,
            status: StatusCode::from_u16(CALLER_GONE).unwrap_or(StatusCode::BAD_REQUEST),
            by: AnsweredBy::Gateway,
            complete: false,
            bytes_out: 0,
        })
    }

    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Continues the caller's trace, or begins one, where the operator wants traces.
    pub(crate) fn traces(&mut self, headers: &HeaderMap) {
        if let Some(tracer) = &self.line.house.tracer {
            self.trace = tracer.begin(headers);
        }
    }

    pub(crate) fn trace(&self) -> Option<&RequestTrace> {
        self.trace.as_deref()
    }

    /// Notes the route.
    pub(crate) fn takes(&mut self, route: usize) {
        self.route = Some(route);
        self.line.house.observe.began(route);
    }

    pub(crate) fn carries(&mut self, tape: Arc<Tape>) {
        self.tape = Some(tape);
    }

    /// Ends the exchange with its session.
    pub(crate) fn leashed(&mut self, leash: Option<Arc<Leash>>) {
        self.leash = leash;
    }

    /// Reports whether the session ended that a lasting exchange belongs to; otherwise the task is
    /// woken when it does.
    pub(crate) fn is_cut(&self, cx: &Context<'_>) -> bool {
        self.leash.as_ref().is_some_and(|leash| leash.is_cut(Side::Reply, cx))
    }

    /// Notes a wait for the provider or an upstream.
    pub(crate) fn waited(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(took, Ordering::Relaxed);
    }

    /// Tells what the gateway itself took until an upstream's answer goes on.
    pub(crate) fn passes_on(&self) {
        if let Some(route) = self.route {
            let waited = Duration::from_nanos(self.waited.load(Ordering::Relaxed));
            self.line.house.observe.passed_on(route, self.age().saturating_sub(waited));
        }
    }

    pub(crate) fn answered(&mut self, status: StatusCode, by: AnsweredBy) {
        self.status = status;
        self.by = by;
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }

    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }

    /// Writes the one line that a request has in the log: codes, names and numbers, and never what
    /// a caller sent.
    fn log(&self, answered: &Answered, route: Option<&str>) {
        let waited = Duration::from_nanos(self.waited.load(Ordering::Relaxed));
        tracing::info!(
            method = %answered.method,
            route,
            status = answered.status.as_u16(),
            by_upstream = answered.by == AnsweredBy::Upstream,
            took_us = micros(answered.took),
            waited_us = micros(waited),
            bytes_in = answered.bytes_in,
            bytes_out = answered.bytes_out,
            complete = answered.complete,
            trace = self.trace.as_ref().and_then(|trace| trace.id()),
            "request"
        );
    }

    /// Returns the time since the head.
    pub(crate) fn age(&self) -> Duration {
        self.line.house.clock.now().since(self.began)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.line.pulse.leave();
        let took = self.age();
        let answered = Answered {
            route: self.route,
            method: std::mem::take(&mut self.method),
            status: self.status,
            by: self.by,
            complete: self.complete,
            took,
            trace: self.trace.as_ref().and_then(|trace| trace.exemplar(took)),
            bytes_in: self.tape.as_ref().map_or(0, |tape| tape.moved()),
            bytes_out: self.bytes_out,
        };
        self.line.house.observe.ended(&answered);
        if !answered.complete && answered.by == AnsweredBy::Upstream && pulse::is_cutting() {
            self.line.house.observe.stream_closed(CloseCause::Drain);
        }
        let live = self.line.house.live();
        if self.trace.is_none() && !live.config.log.requests {
            return;
        }
        // A request may end after a reload that took its route away.
        let route = answered.route.and_then(|route| live.table.routes().get(route));
        let route = route.map(|route| &*route.config.name);
        if let Some(trace) = &self.trace {
            trace.end(&Ended {
                method: &answered.method,
                route,
                status: answered.status,
                took: answered.took,
                complete: answered.complete,
                by_upstream: answered.by == AnsweredBy::Upstream,
            });
        }
        if live.config.log.requests {
            self.log(&answered, route);
        }
    }
}

/// The microseconds of a span, for a log.
fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
