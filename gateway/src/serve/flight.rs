//! A request's time in flight: begins with its head, ends with the last byte of its answer.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokenward::core::time::Instant;

use super::connection::Line;
use crate::forward::Tape;
use crate::observe::{Answered, AnsweredBy};

/// One request in flight. When dropped, whoever observes is told how it ended.
pub(crate) struct Flight {
    line: Arc<Line>,
    method: Method,
    began: Instant,
    route: Option<usize>,
    tape: Option<Arc<Tape>>,
    status: StatusCode,
    by: AnsweredBy,
    complete: bool,
    bytes_out: u64,
}

/// The status of a request whose caller went away before there was an answer (as nginx has it).
const CALLER_GONE: u16 = 499;

impl Flight {
    pub(crate) fn begin(line: Arc<Line>, method: Method) -> Self {
        line.pulse.enter();
        let began = line.house.clock.now();
        Self {
            line,
            method,
            began,
            route: None,
            tape: None,
            status: StatusCode::from_u16(CALLER_GONE).unwrap_or(StatusCode::BAD_REQUEST),
            by: AnsweredBy::Gateway,
            complete: false,
            bytes_out: 0,
        }
    }

    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Notes the route.
    pub(crate) fn takes(&mut self, route: usize) {
        self.route = Some(route);
        self.line.house.observe.began(route);
    }

    pub(crate) fn carries(&mut self, tape: Arc<Tape>) {
        self.tape = Some(tape);
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

    /// Returns the time since the head.
    pub(crate) fn age(&self) -> Duration {
        self.line.house.clock.now().since(self.began)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.line.pulse.leave();
        let answered = Answered {
            route: self.route,
            method: std::mem::take(&mut self.method),
            status: self.status,
            by: self.by,
            complete: self.complete,
            took: self.age(),
            bytes_in: self.tape.as_ref().map_or(0, |tape| tape.moved()),
            bytes_out: self.bytes_out,
        };
        self.line.house.observe.ended(&answered);
        if self.line.house.live().config.log.requests {
            tracing::info!(
                method = %answered.method,
                status = answered.status.as_u16(),
                route = answered.route,
                took_us = u64::try_from(answered.took.as_micros()).unwrap_or(u64::MAX),
                bytes_in = answered.bytes_in,
                bytes_out = answered.bytes_out,
                complete = answered.complete,
                "request"
            );
        }
    }
}
