//! Traces: which way a request took, and which exchange it waited for.
//!
//! A request's span continues the caller's trace (W3C Trace Context) and is continued by the
//! upstream's. An exchange serves many requests at once, so that it is nobody's child: it is a
//! trace of its own, and the requests that waited for it link to it. Its ids follow from the session
//! and the number of its access token, so that both sides know them without asking each other.
//!
//! Spans hold codes, names of the configuration and numbers, and never a text that came from
//! outside: nothing secret can be in them (law L13). They are written as OTLP's JSON (OTLP 1.x,
//! `/v1/traces`) by our own HTTP client, which needs no further dependency.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use ring::digest::{Context as Digest, SHA256};
use tokenward::Tokenward;
use tokenward::clock::Clock;
use tokenward::core::event::Trigger;
use tokenward::core::name::{Epoch, SessionKey};
use tokenward::metrics::Exemplar;
use tokio::sync::mpsc;

use crate::config::{Config, TraceConfig};

use self::context::{SpanId, TRACEPARENT, TRACESTATE, TraceContext, TraceId};
use self::span::{Kind, Span, Value};

mod context;
mod export;
mod span;

/// The spans that wait for their export, at some 300 bytes each: a second of a busy gateway. What
/// comes beyond is dropped and counted.
const WAITING_MAX: usize = 4_096;

/// Makes spans, where the operator wants traces.
pub(crate) struct Tracer {
    clock: Clock,
    /// Below which random number a request is sampled.
    sampled_below: u64,
    /// Whether the caller's word on sampling counts.
    trusts: bool,
    spans: mpsc::Sender<Span>,
    dropped: Arc<AtomicU64>,
}

/// One request's span while it lasts.
pub(crate) struct RequestTrace {
    tracer: Arc<Tracer>,
    own: TraceContext,
    parent: Option<SpanId>,
    /// The wall clock when the request began, in nanoseconds.
    began_ns: u64,
    /// The exchange that it waited for.
    served_by: OnceLock<TraceContext>,
    /// How often it was sent to its upstream.
    sends: AtomicU64,
}

/// A request on its way to its upstream.
pub(crate) struct Sending {
    context: TraceContext,
    since: Duration,
    number: u64,
}

/// What is known of a request at its end.
pub(crate) struct Ended<'a> {
    pub(crate) method: &'a Method,
    pub(crate) route: Option<&'a str>,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
    pub(crate) complete: bool,
    pub(crate) by_upstream: bool,
}

impl Tracer {
    /// Starts to export on the current runtime; `None` where the operator wants no traces.
    pub(crate) fn start(config: &Config) -> Option<Arc<Self>> {
        let wanted = config.trace.as_ref()?;
        let (spans, waiting) = mpsc::channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        match export::Exporter::new(config, wanted, Arc::clone(&dropped)) {
            Ok(exporter) => drop(tokio::spawn(exporter.run(waiting))),
            Err(error) => {
                tracing::error!(error, "traces cannot be exported: see trace.otlp");
                return None;
            }
        }
        Some(Arc::new(Self::new(wanted, spans, dropped)))
    }

    fn new(wanted: &TraceConfig, spans: mpsc::Sender<Span>, dropped: Arc<AtomicU64>) -> Self {
        // A share of all numbers; the last one makes 1.0 mean all of them.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share between 0 and 1, checked with the configuration, saturates"
        )]
        let sampled_below = (wanted.sample * u64::MAX as f64) as u64;
        let (clock, trusts) = (Clock::system(), wanted.trust_sampling);
        Self { clock, sampled_below, trusts, spans, dropped }
    }

    /// Begins a request's span.
    pub(crate) fn begin(self: &Arc<Self>, headers: &HeaderMap) -> Option<Box<RequestTrace>> {
        let caller = TraceContext::of(headers);
        let sampled = match caller {
            Some(caller) if self.trusts => caller.sampled,
            Some(_) | None => random()? <= self.sampled_below && self.sampled_below != 0,
        };
        let trace = caller.map_or_else(TraceId::random, |caller| Some(caller.trace))?;
        Some(Box::new(RequestTrace {
            tracer: Arc::clone(self),
            own: TraceContext { trace, span: SpanId::random()?, sampled },
            parent: caller.map(|caller| caller.span),
            began_ns: self.clock.unix_millis() * 1_000_000,
            served_by: OnceLock::new(),
            sends: AtomicU64::new(0),
        }))
    }

    fn keep(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl RequestTrace {
    /// Returns the trace's id in hexadecimal, where the request is sampled.
    pub(crate) fn id(&self) -> Option<String> {
        self.own.sampled.then(|| self.own.trace.to_string())
    }

    /// Returns the trace as an exemplar of how long the request took, where it is sampled.
    pub(crate) fn exemplar(&self, took: Duration) -> Option<Exemplar> {
        let at_ms = self.at(took) / 1_000_000;
        self.own.sampled.then_some(Exemplar { trace: self.own.trace.0, at_ms })
    }

    /// Notes which exchange brought the access token that the request waited for.
    pub(crate) fn waited_for(&self, session: &SessionKey, serial: Epoch) {
        // A second one, after a 401, is not the one that made it wait.
        let _ = self.served_by.set(exchange(session, serial));
    }

    /// Begins a try at the upstream, `since` after the request began, and says so in its headers.
    pub(crate) fn sends(&self, since: Duration, headers: &mut HeaderMap) -> Option<Sending> {
        let context = TraceContext { span: SpanId::random()?, ..self.own };
        let number = self.sends.fetch_add(1, Ordering::Relaxed);
        self.write(&context, headers);
        Some(Sending { context, since, number })
    }

    /// Lets an exchange without an end of its own, such as a WebSocket, be the request's child.
    pub(crate) fn goes_along(&self, headers: &mut HeaderMap) {
        self.write(&self.own, headers);
    }

    fn write(&self, context: &TraceContext, headers: &mut HeaderMap) {
        headers.insert(TRACEPARENT, context.header());
        if self.parent.is_none() {
            // It belongs to the parent that could not be read.
            headers.remove(TRACESTATE);
        }
    }

    /// Ends a try at the upstream; `status` is `None` where there was no answer.
    pub(crate) fn sent(
        &self,
        sending: &Sending,
        (method, until): (&Method, Duration),
        status: Option<StatusCode>,
    ) {
        if !self.own.sampled {
            return;
        }
        let mut attributes = vec![("http.request.method", Value::Text(method_name(method)))];
        match status {
            Some(status) => attributes.push(code(status)),
            None => attributes.push(("error.type", Value::Text("no_answer"))),
        }
        if sending.number != 0 {
            let again = i64::try_from(sending.number).unwrap_or(i64::MAX);
            attributes.push(("http.request.resend_count", Value::Number(again)));
        }
        self.tracer.keep(Span {
            context: sending.context,
            parent: Some(self.own.span),
            kind: Kind::Client,
            name: method_name(method).to_owned(),
            began_ns: self.at(sending.since),
            ended_ns: self.at(until),
            attributes,
            link: None,
            failed: status.is_none_or(|status| status.as_u16() >= 400),
        });
    }

    /// Ends the request's span.
    pub(crate) fn end(&self, ended: &Ended<'_>) {
        if !self.own.sampled {
            return;
        }
        let by = if ended.by_upstream { "upstream" } else { "gateway" };
        let method = method_name(ended.method);
        let mut attributes = vec![
            ("http.request.method", Value::Text(method)),
            code(ended.status),
            ("tokenward.answered_by", Value::Text(by)),
        ];
        if let Some(route) = ended.route {
            attributes.push(("http.route", Value::Name(route.to_owned())));
        }
        let failed = ended.status.is_server_error();
        if failed {
            attributes.push(("error.type", Value::Name(ended.status.as_u16().to_string())));
        } else if !ended.complete {
            attributes.push(("error.type", Value::Text("canceled")));
        }
        self.tracer.keep(Span {
            context: self.own,
            parent: self.parent,
            kind: Kind::Server,
            name: ended
                .route
                .map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
            began_ns: self.began_ns,
            ended_ns: self.at(ended.took),
            attributes,
            link: self.served_by.get().copied(),
            failed,
        });
    }

    fn at(&self, since: Duration) -> u64 {
        self.began_ns.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Draws each exchange that is over, until the framework is gone.
pub(crate) fn follow_exchanges(tokenward: &Tokenward, config: &Config) {
    let Some(tracer) = Tracer::start(config) else { return };
    let (mut exchanges, clock) = (tokenward.exchanges(), tokenward.clock().clone());
    let metrics = Arc::clone(tokenward.metrics());
    tokio::spawn(async move {
        while let Some(told) = exchanges.next().await {
            let took = told.landed_at.since(told.decided_at);
            let at_ms = clock.unix_millis_of(told.landed_at);
            let context = exchange(&told.session, told.epoch);
            if told.outcome == "refreshed" && told.trigger != Trigger::StepUp {
                let audience = metrics.audience(told.audience.as_str());
                let exemplar = Exemplar { trace: context.trace.0, at_ms };
                metrics.refresh_exemplar(audience, took, exemplar);
            }
            let (took, ended_ns) = (took.as_nanos(), at_ms * 1_000_000);
            tracer.keep(Span {
                context,
                parent: None,
                kind: Kind::Internal,
                name: "refresh".to_owned(),
                began_ns: ended_ns.saturating_sub(u64::try_from(took).unwrap_or(u64::MAX)),
                ended_ns,
                attributes: vec![
                    ("tokenward.audience", Value::Name(told.audience.to_string())),
                    ("tokenward.session", Value::Name(told.session.id())),
                    ("tokenward.refresh.trigger", Value::Text(told.trigger.code())),
                    ("tokenward.refresh.outcome", Value::Text(told.outcome)),
                ],
                link: None,
                failed: told.outcome != "refreshed",
            });
        }
    });
}

/// Returns the ids of an exchange. A hash, because the key of a session is nobody's to know.
fn exchange(session: &SessionKey, serial: Epoch) -> TraceContext {
    let mut digest = Digest::new(&SHA256);
    digest.update(b"tokenward exchange");
    digest.update(&session.0);
    digest.update(&serial.0.to_be_bytes());
    let digest = digest.finish();
    let (mut trace, mut span) = ([0; 16], [0; 8]);
    trace.copy_from_slice(&digest.as_ref()[..16]);
    span.copy_from_slice(&digest.as_ref()[16..24]);
    TraceContext { trace: TraceId(trace), span: SpanId(span), sampled: true }
}

fn code(status: StatusCode) -> (&'static str, Value) {
    ("http.response.status_code", Value::Number(i64::from(status.as_u16())))
}

/// The methods that are told apart; callers may send any text.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

fn random() -> Option<u64> {
    getrandom::u64().ok()
}
