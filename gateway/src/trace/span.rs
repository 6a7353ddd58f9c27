//! A span, and how OTLP writes it as JSON.

use serde_json::{Map, Value as Json, json};

use super::context::{SpanId, TraceContext};

/// One span, when it is over.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) context: TraceContext,
    pub(super) parent: Option<SpanId>,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) began_ns: u64,
    pub(super) ended_ns: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// The exchange that served it.
    pub(super) link: Option<TraceContext>,
    pub(super) failed: bool,
}

/// What a span is, by OTLP's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Work of our own.
    Internal,
    /// A request to us.
    Server,
    /// A request of ours.
    Client,
}

/// What an attribute says. No variant takes what somebody sent.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A number.
    Number(i64),
    /// A name from the configuration, or a public id.
    Name(String),
    /// A word of ours.
    Text(&'static str),
}

/// Writes spans as one request of OTLP.
pub(super) fn written(spans: &[Span]) -> String {
    let resource = attributes(&[
        ("service.name", Value::Text("tokenward")),
        ("service.version", Value::Text(env!("CARGO_PKG_VERSION"))),
    ]);
    let scope = json!({ "name": "tokenward", "version": env!("CARGO_PKG_VERSION") });
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }]})
    .to_string()
}

/// OTLP writes ids in hexadecimal and 64-bit numbers as texts.
fn span(span: &Span) -> Json {
    let mut written = Map::new();
    let mut put = |name: &str, value: Json| drop(written.insert(name.to_owned(), value));
    put("traceId", span.context.trace.to_string().into());
    put("spanId", span.context.span.to_string().into());
    if let Some(parent) = span.parent {
        put("parentSpanId", parent.to_string().into());
    }
    put("name", span.name.as_str().into());
    put("kind", span.kind.number().into());
    put("startTimeUnixNano", span.began_ns.to_string().into());
    put("endTimeUnixNano", span.ended_ns.to_string().into());
    put("attributes", attributes(&span.attributes));
    if let Some(link) = span.link {
        let (trace, span) = (link.trace.to_string(), link.span.to_string());
        put("links", json!([{ "traceId": trace, "spanId": span }]));
    }
    if span.failed {
        put("status", json!({ "code": ERROR }));
    }
    Json::Object(written)
}

/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
        }
    }
}

fn attributes(attributes: &[(&'static str, Value)]) -> Json {
    let written = attributes.iter().map(|(key, value)| {
        let value = match value {
            Value::Number(number) => json!({ "intValue": number.to_string() }),
            Value::Name(name) => json!({ "stringValue": name }),
            Value::Text(text) => json!({ "stringValue": text }),
        };
        json!({ "key": key, "value": value })
    });
    Json::Array(written.collect())
}
