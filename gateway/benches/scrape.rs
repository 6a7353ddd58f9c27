//! What a scrape costs when every label is at its cap: the worst that an operator can configure.
//!
//! Prints the bytes and samples of both formats, and measures the time of each, with exemplars on
//! every bucket that can have one.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has failed")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, StatusCode};
use tokenward::metrics::catalogue::{AUDIENCES_MAX, PROVIDERS_MAX, ROUTES_MAX};
use tokenward::metrics::label::{AnsweredBy, HttpMethod, HttpOutcome};
use tokenward::metrics::{Exemplar, Labels, Metrics};

/// What a Prometheus sends that prefers OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

/// One of each status that has a series of its own, and one of each class.
const CODES: [u16; 25] = [
    200, 201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 409, 413, 422, 429, 499, 500, 502, 503,
    504, 100, 299, 399, 418, 599,
];

/// From below the lowest bucket to above the highest one.
const TIMES: [Duration; 4] = [
    Duration::from_micros(1),
    Duration::from_millis(30),
    Duration::from_secs(3),
    Duration::from_secs(40),
];

#[expect(clippy::print_stderr, reason = "a benchmark tells whoever runs it what it measures")]
fn scrape(criterion: &mut Criterion) {
    let metrics = full();
    for (name, accept) in [("text", ""), ("openmetrics", OPENMETRICS)] {
        let (_, text) = metrics.exposition(accept);
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        let exemplars = text.matches(" # {").count();
        eprintln!("{name}: {} bytes, {samples} samples, {exemplars} exemplars", text.len());
        criterion.bench_function(&format!("scrape/{name}"), |bencher| {
            bencher.iter(|| black_box(metrics.exposition(accept)));
        });
    }
}

fn full() -> Arc<Metrics> {
    let names = |what: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("https://{what}-{number}.example.com/api/")).collect()
    };
    let routes = names("route", ROUTES_MAX);
    let metrics = Metrics::new(Labels {
        audiences: names("audience", AUDIENCES_MAX),
        routes: routes.clone(),
        providers: names("provider", PROVIDERS_MAX),
        ..Labels::default()
    });
    for route in routes.iter().map(|route| metrics.route(route)) {
        for method in HttpMethod::CODES {
            let method: Method = method.parse().expect("any word is a method");
            for status in CODES.map(|code| StatusCode::from_u16(code).expect("it is a status")) {
                for by in AnsweredBy::ALL {
                    metrics.http_request(route, &method, status, *by);
                }
            }
        }
        for outcome in HttpOutcome::ALL {
            for took in TIMES {
                let exemplar = Exemplar { trace: [0xa7; 16], at_ms: 1_790_000_000_000 };
                metrics.http_duration(route, *outcome, took, Some(exemplar));
            }
        }
    }
    metrics
}

criterion_group!(benches, scrape);
criterion_main!(benches);
