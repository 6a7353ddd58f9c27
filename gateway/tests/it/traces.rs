//! Traces reach a collector over HTTP, and say which exchange a request waited for.

use std::collections::HashMap;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::desk::Desk;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// How long a test waits before it calls something stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// A collector that keeps what it is sent.
struct Collector {
    at: String,
    sent: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
    spans: Vec<Value>,
}

impl Collector {
    async fn start() -> Self {
        let (sender, sent) = mpsc::unbounded_channel();
        let taken = move |headers: HeaderMap, body: Bytes| {
            let sender = sender.clone();
            async move { drop(sender.send((headers, body))) }
        };
        let router = Router::new().route("/v1/traces", post(taken));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { at, sent, spans: Vec::new() }
    }

    /// Waits for a span; what it is sent must be OTLP, and hold nothing secret.
    async fn span(&mut self, desk: &Desk, is: impl Fn(&Span) -> bool) -> Span {
        loop {
            if let Some(found) = self.spans.iter().map(Span::read).find(&is) {
                return found;
            }
            let sent = tokio::time::timeout(PATIENCE, self.sent.recv()).await;
            let (headers, body) = sent.unwrap_or_else(|_| panic!("{:#?}", self.spans)).unwrap();
            assert_eq!(headers["content-type"], "application/json");
            assert_eq!(headers["x-api-key"], "of the collector");
            desk.overheard("spans", &body);
            let told: Value = serde_json::from_slice(&body).unwrap();
            let resource = &told["resourceSpans"][0];
            let name = json!({"key": "service.name", "value": {"stringValue": "tokenward"}});
            assert_eq!(resource["resource"]["attributes"][0], name);
            let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
            self.spans.extend(spans.iter().cloned());
        }
    }
}

/// A span as OTLP's JSON has it.
#[derive(Clone, Debug)]
struct Span {
    trace: String,
    id: String,
    parent: Option<String>,
    name: String,
    kind: u64,
    link: Option<(String, String)>,
    attributes: HashMap<String, String>,
}

impl Span {
    fn read(span: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let attributes = span["attributes"].as_array().unwrap().iter().map(|pair| {
            let value = &pair["value"];
            let value = text(&value["stringValue"]).or_else(|| text(&value["intValue"]));
            (text(&pair["key"]).unwrap(), value.unwrap())
        });
        let moment = |name: &str| text(&span[name]).unwrap().parse::<u64>().unwrap();
        assert!(moment("startTimeUnixNano") <= moment("endTimeUnixNano"), "{span}");
        let link = &span["links"][0];
        let read = Self {
            trace: text(&span["traceId"]).unwrap(),
            id: text(&span["spanId"]).unwrap(),
            parent: text(&span["parentSpanId"]),
            name: text(&span["name"]).unwrap(),
            kind: span["kind"].as_u64().unwrap(),
            link: text(&link["traceId"]).zip(text(&link["spanId"])),
            attributes: attributes.collect(),
        };
        assert_eq!((read.trace.len(), read.id.len()), (32, 16), "{read:?}");
        read
    }

    fn says(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

async fn desk(collector: &Collector, more: &str) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "of the collector").unwrap();
    let table = format!(
        "[trace]\notlp = \"{}\"\nheaders = {{ x-api-key = {{ file = \"{}\" }} }}\n{more}\n",
        collector.at,
        file.display()
    );
    Desk::with(|text| text + &table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_a_request_continues_its_callers_trace_and_links_to_its_exchange() {
    let mut collector = Collector::start().await;
    let desk = desk(&collector, "sample = 1.0").await;
    let mut ada = desk.signed_in("ada").await;
    let headers = [("traceparent", PARENT), ("tracestate", "vendor=1")];
    let path = "/api/accounts/accounts?code=not-for-traces";
    let reply = ada.send(reqwest::Method::GET, path, &headers, None).await;
    assert_eq!(reply.status, 200, "{reply:?}");

    let server = collector.span(&desk, |span| span.kind == 2 && span.trace == PARENT[3..35]).await;
    assert_eq!(server.parent.as_deref(), Some(&PARENT[36..52]));
    assert_eq!(server.name, "GET /api/accounts/");
    assert_eq!(server.says("http.response.status_code"), "200");
    assert_eq!(server.says("tokenward.answered_by"), "upstream");
    let ours = server.id.clone();
    let client = collector.span(&desk, |span| span.parent.as_ref() == Some(&ours)).await;
    assert_eq!((client.kind, client.trace.as_str()), (3, &PARENT[3..35]));

    let (trace, id) = server.link.clone().expect("it waited for an exchange");
    let exchange = collector.span(&desk, |span| span.id == id).await;
    assert_eq!((exchange.trace, exchange.parent), (trace, None), "it is nobody's child");
    assert_eq!(exchange.name, "refresh");
    assert_eq!(exchange.attributes["tokenward.refresh.outcome"], "refreshed");
    assert_eq!(exchange.attributes["tokenward.audience"], "https://accounts.sandbox.example");

    // The next one finds its access token at hand: it waited for nothing.
    let fresh = PARENT.replace("0af7", "1af7");
    let reply = ada.send(reqwest::Method::GET, path, &[("traceparent", &fresh)], None).await;
    assert_eq!(reply.status, 200);
    let server = collector.span(&desk, |span| span.kind == 2 && span.trace == fresh[3..35]).await;
    assert_eq!(server.link, None);
    let all = format!("{:?}", collector.spans);
    assert!(!all.contains("not-for-traces"), "a query is nobody's business");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_says_how_many_requests_are_sampled_unless_callers_are_trusted() {
    let mut collector = Collector::start().await;
    let desk = desk(&collector, "sample = 0\ntrust_sampling = true").await;
    let mut ada = desk.signed_in("ada").await;
    let unsampled = PARENT.replace("-01", "-00");
    for parent in [None, Some(unsampled.as_str()), Some(PARENT)] {
        let headers: Vec<_> = parent.map(|parent| ("traceparent", parent)).into_iter().collect();
        let reply = ada.send(reqwest::Method::GET, "/api/quotes/quote", &headers, None).await;
        assert_eq!(reply.status, 200);
    }
    collector.span(&desk, |span| span.kind == 2 && span.trace == PARENT[3..35]).await;
    let requests = collector.spans.iter().map(Span::read).filter(|span| span.kind == 2);
    assert_eq!(requests.count(), 1, "{:?}", collector.spans);
}
