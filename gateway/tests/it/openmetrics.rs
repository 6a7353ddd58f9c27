//! A scrape in OpenMetrics, read as strictly as its specification allows.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;

use super::desk::Desk;

/// What Prometheus sends.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.8,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

const PARENT: &str = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// How long a test waits before it calls something stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// One sample.
#[derive(Debug)]
struct Sample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    exemplar: Option<Exemplar<'a>>,
}

#[derive(Debug)]
struct Exemplar<'a> {
    trace: &'a str,
    value: f64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_leads_to_the_trace_of_a_request_and_of_its_exchange() {
    // Nobody listens there: exemplars do not wait for a collector.
    let table = "[trace]\notlp = \"http://127.0.0.1:1\"\nsample = 1.0\n";
    let desk = Desk::with(|text| text + table).await;
    let mut ada = desk.signed_in("ada").await;
    let headers = [("traceparent", PARENT)];
    let reply = ada.send(Method::GET, "/api/accounts/accounts", &headers, None).await;
    assert_eq!(reply.status, 200, "{reply:?}");

    let shown = async {
        loop {
            let headers = [("accept", ACCEPT)];
            let reply = desk.at_admin().send(Method::GET, "/metrics", &headers, None).await;
            let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            assert_eq!(reply.header("content-type"), media_type);
            if reply.body.matches(" # {").count() >= 2 {
                break reply.body;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let text = tokio::time::timeout(PATIENCE, shown).await.expect("two exemplars");
    let samples = read(&text);
    let found = |family: &str, label: (&str, &str)| {
        let of = samples.iter().filter(|sample| sample.name == format!("{family}_bucket"));
        let mut of = of.filter(|sample| sample.labels[label.0] == label.1);
        of.find_map(|sample| sample.exemplar.as_ref()).unwrap_or_else(|| panic!("{family}: {text}"))
    };
    let request = found("tokenward_http_request_duration_seconds", ("route", "/api/accounts/"));
    assert_eq!(request.trace, &PARENT[3..35]);
    let audience = ("audience", "https://accounts.sandbox.example");
    let refresh = found("tokenward_refresh_duration_seconds", audience);
    assert_ne!(refresh.trace, request.trace, "an exchange is nobody's child");
    assert!(refresh.value <= request.value, "the request waited for it");

    let plain = desk.operator(Method::GET, "/metrics").await.body;
    assert!(!plain.contains(" # {") && !plain.contains("# EOF"), "the old format has none");
}

/// Reads a whole exposition (OpenMetrics 1.0.0, "ABNF"); panics at what is not allowed.
fn read(text: &str) -> Vec<Sample<'_>> {
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    let (mut samples, mut family) = (Vec::new(), ("", ""));
    let mut families = Vec::new();
    let mut below = f64::NEG_INFINITY;
    for line in body.lines() {
        if let Some(described) = line.strip_prefix("# ") {
            let mut words = described.splitn(3, ' ');
            let (keyword, name) = (words.next().unwrap(), words.next().expect(line));
            assert!(["HELP", "TYPE"].contains(&keyword), "{line}");
            if keyword == "TYPE" {
                assert!(!families.contains(&name), "a family stands together: {line}");
                families.push(name);
                family = (name, words.next().expect(line));
            }
            continue;
        }
        let sample = sample(line);
        let suffix = sample.name.strip_prefix(family.0).expect(line);
        let fits = match family.1 {
            "counter" => suffix == "_total",
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
            "gauge" => suffix.is_empty(),
            _ => false,
        };
        assert!(fits, "{family:?}: {line}");
        let bound = sample.labels.get("le").map(|le| le.parse::<f64>().expect(line));
        if let Some(exemplar) = &sample.exemplar {
            let bound = bound.expect("only buckets have exemplars here");
            assert!(exemplar.value <= bound && exemplar.value > below, "{line}");
        }
        below = bound.filter(|bound| bound.is_finite()).unwrap_or(f64::NEG_INFINITY);
        samples.push(sample);
    }
    samples
}

/// Reads `name{labels} value`, and perhaps ` # {trace_id="…"} value timestamp`.
fn sample(line: &str) -> Sample<'_> {
    let (counted, noted) = match line.split_once(" # ") {
        Some((counted, noted)) => (counted, Some(noted)),
        None => (line, None),
    };
    let (named, value) = counted.rsplit_once(' ').expect(line);
    assert!(value.parse::<f64>().is_ok(), "{line}");
    let (name, labels) = match named.split_once('{') {
        Some((name, labels)) => (name, pairs(labels.strip_suffix('}').expect(line))),
        None => (named, BTreeMap::new()),
    };
    let exemplar = noted.map(|noted| {
        let (labels, rest) = noted.strip_prefix('{').expect(line).split_once("} ").expect(line);
        let (value, at) = rest.split_once(' ').expect(line);
        assert!(at.parse::<f64>().is_ok_and(|at| at > 1e9), "{line}");
        Exemplar { trace: pairs(labels)["trace_id"], value: value.parse().expect(line) }
    });
    Sample { name, labels, exemplar }
}

/// Reads `name="value",…`; no value of this test needs an escape.
fn pairs(text: &str) -> BTreeMap<&str, &str> {
    let pairs = text.split("\",").filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.trim_end_matches('"').split_once("=\"").expect(text)).collect()
}
