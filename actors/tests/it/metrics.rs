//! The catalogue and what is exposed of it. Each trap of the exporter that was met has its test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use tokenward::core::time::UnixSeconds;
use tokenward::metrics::catalogue::{
    self, CATALOGUE, Cardinality, Home, Kind, Metric, OTHER, ROUTES_MAX, Values, series,
};
use tokenward::metrics::label::{AnsweredBy, Backend, BreakerState, TokenResult};
use tokenward::metrics::{CONTENT_TYPE, Labels, Metrics};

const SMALL: Cardinality = Cardinality { routes: 5, audiences: 3, providers: 1 };

fn names(stem: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{stem}{number}")).collect()
}

fn small() -> Labels {
    Labels {
        audiences: names("audience", SMALL.audiences),
        routes: names("route", SMALL.routes),
        providers: names("provider", SMALL.providers),
        version: "1.2.3".into(),
        commit: "abcdef".into(),
        backend: Backend::Embedded,
    }
}

fn samples(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|written| written == line)
}

#[test]
fn the_catalogue_follows_its_own_rules() {
    let mut seen = BTreeSet::new();
    for metric in catalogue::all() {
        let Metric { name, kind, labels, help, question, .. } = metric;
        assert!(seen.insert(name), "{name} is listed once");
        assert_eq!(catalogue::find(name), Some(metric));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.starts_with("tokenward_") && name.chars().all(plain), "{name}");
        // The exporter leaves these suffixes out where the name has them, and the family breaks.
        for suffix in ["_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(suffix), "{name}");
        }
        match kind {
            Kind::Counter => assert!(name.ends_with("_total"), "{name}"),
            Kind::Gauge => assert!(!name.ends_with("_total"), "{name}"),
            Kind::Histogram(bounds) => {
                assert!(name.ends_with("_seconds") || name.ends_with("_waiters"), "{name}");
                assert!(bounds.is_sorted_by(|low, high| low < high), "{name}");
                assert!(bounds.iter().all(|bound| bound.is_finite() && *bound >= 0.0), "{name}");
                assert!(!bounds.is_empty(), "{name}");
            }
        }
        assert!(help.ends_with('.') && !help.contains('\n'), "{name}: {help}");
        assert!(!question.is_empty(), "{name} answers a question");
        let of_configuration = |values| matches!(values, Values::Configured(_));
        assert!(
            labels.iter().map(|label| of_configuration(label.values)).is_sorted_by(|a, b| a >= b),
            "{name}: labels from the configuration come first"
        );
        for label in *labels {
            assert!(label.name != "le" && label.name.chars().all(plain), "{name}");
            if let Values::Closed(values) = label.values {
                let distinct: BTreeSet<_> = values.iter().collect();
                assert_eq!(distinct.len(), values.len(), "{name}: {}", label.name);
                assert!(!values.is_empty(), "{name}: {}", label.name);
            }
        }
    }
    assert_eq!(seen.len(), 49);
}

#[test]
fn l14_the_worst_case_is_the_budget_that_operators_are_told() {
    let worst = |size| CATALOGUE.iter().map(|metric| series(metric, size)).sum::<usize>();
    assert_eq!(worst(SMALL), 4_305);
    assert_eq!(worst(Cardinality::CAPS), 45_275);
    let beyond = Cardinality { routes: 1_000, audiences: 1_000, providers: 1_000 };
    assert_eq!(worst(beyond), 45_275, "the caps hold");
}

#[test]
fn every_series_is_there_at_zero_before_anything_happens() {
    let text = Metrics::new(small()).render();
    let lazy = catalogue::gateway::HTTP_REQUESTS;
    let ours =
        || catalogue::all().filter(|metric| metric.home == Home::Gateway && **metric != lazy);
    let mut expected = 0;
    for metric in ours() {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(has(&text, &format!("# TYPE {} {kind}", metric.name)), "{}", metric.name);
        assert!(has(&text, &format!("# HELP {} {}", metric.name, metric.help)), "{}", metric.name);
        // Of the backends, only the one in use is exposed.
        let backends = metric.labels.iter().filter(|label| label.name == "backend");
        expected += series(metric, SMALL) / backends.fold(1, |_, _| Backend::ALL.len());
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("# TYPE")).count(), ours().count());
    assert_eq!(samples(&text).len(), expected);
    let alive: Vec<&str> =
        samples(&text).into_iter().filter(|line| !line.ends_with(" 0")).collect();
    assert_eq!(
        alive,
        [
            r#"tokenward_build_info{version="1.2.3",commit="abcdef"} 1"#,
            r#"tokenward_provider_breaker{provider="provider0",state="closed"} 1"#,
        ]
    );
}

#[test]
fn trap_a_histogram_is_exposed_with_the_buckets_of_the_catalogue_and_never_as_a_summary() {
    let text = Metrics::new(small()).render();
    for metric in catalogue::all().filter(|metric| metric.home == Home::Gateway) {
        let Kind::Histogram(bounds) = metric.kind else {
            continue;
        };
        let start = format!("{}_bucket{{", metric.name);
        let written: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&start)?.split("le=\"").nth(1)?.split('"').next())
            .take(bounds.len() + 1)
            .collect();
        let expected: Vec<String> =
            bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]).collect();
        assert_eq!(written, expected, "{}", metric.name);
    }
    assert!(!text.contains("quantile="));
}

#[test]
fn trap_the_order_of_the_text_does_not_change() {
    let metrics = Metrics::new(small());
    let (first, second) = (metrics.render(), metrics.render());
    assert_eq!(first, second);
    let mut turned = small();
    turned.audiences.reverse();
    turned.routes.reverse();
    assert_eq!(first, Metrics::new(turned).render(), "whatever the order of registration");
    let families: Vec<&str> = first.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert!(families.is_sorted());
    assert_eq!(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
}

#[test]
fn trap_a_kept_handle_goes_on_counting_after_scrapes_and_upkeep() {
    let metrics = Metrics::new(small());
    let audience = metrics.audience("audience1");
    for round in 1..=20 {
        metrics.token_request(audience, TokenResult::Hit, Some(Duration::from_millis(1)));
        metrics.upkeep();
        let line = format!(
            "tokenward_token_requests_total{{audience=\"audience1\",result=\"hit\"}} {round}"
        );
        assert!(has(&metrics.render(), &line), "{line}");
    }
}

#[test]
fn trap_one_absurd_observation_does_not_spoil_a_sum() {
    let metrics = Metrics::new(small());
    metrics.token_remaining(metrics.audience("audience0"), Duration::MAX);
    let line = "tokenward_token_remaining_seconds_sum{audience=\"audience0\"} 1000000000";
    assert!(has(&metrics.render(), line));
}

#[test]
fn trap_no_metric_is_counted_by_a_macro_that_needs_a_global_recorder() {
    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 10);
    for text in found {
        for call in ["counter!(", "gauge!(", "histogram!(", "set_global_recorder("] {
            assert!(!text.contains(call), "{call}");
        }
    }
}

#[test]
fn several_gateways_in_one_process_share_nothing() {
    let (one, other) = (Metrics::new(small()), Metrics::new(small()));
    one.token_request(one.audience("audience0"), TokenResult::Hit, None);
    let line = r#"tokenward_token_requests_total{audience="audience0",result="hit"} 1"#;
    assert!(has(&one.render(), line) && !has(&other.render(), line));
}

#[test]
fn l14_names_beyond_the_cap_share_one_series_and_are_counted() {
    let metrics = Metrics::new(Labels { routes: names("route", ROUTES_MAX + 2), ..small() });
    let count = |route: &str| {
        let route = metrics.route(route);
        metrics.http_request(route, &Method::GET, StatusCode::OK, AnsweredBy::Upstream);
    };
    let line = |route: &str, number: u32| {
        format!(
            "tokenward_http_requests_total{{route=\"{route}\",method=\"GET\",code=\"200\",\
             answered_by=\"upstream\"}} {number}"
        )
    };
    for route in ["route63", "route64", "route65", "never configured"] {
        count(route);
    }
    let text = metrics.render();
    assert!(has(&text, &line("route63", 1)));
    assert!(has(&text, &line(OTHER, 3)));
    assert!(!text.contains("route64") && !text.contains("never configured"));
    for (label, folded) in [("route", 3), ("audience", 0), ("provider", 0)] {
        let line = format!("tokenward_label_overflow_total{{label=\"{label}\"}} {folded}");
        assert!(has(&text, &line), "{line}");
    }
}

#[test]
fn a_reload_adds_names_and_keeps_places() {
    let metrics = Metrics::new(small());
    let (before, unknown) = (metrics.audience("audience0"), metrics.audience("new"));
    metrics.learn(&Labels { audiences: vec!["new".into()], ..Labels::default() });
    assert_eq!(metrics.audience("audience0"), before);
    assert_ne!(metrics.audience("new"), unknown);
    let line = r#"tokenward_refresh_total{audience="new",trigger="forced",outcome="network"} 0"#;
    assert!(has(&metrics.render(), line));
}

#[test]
fn hostile_names_and_methods_cannot_break_the_text() {
    let odd = "a\"b\nc{le=\"1\"} 7";
    let metrics = Metrics::new(Labels { routes: vec![odd.into()], ..small() });
    let method = Method::from_bytes(b"BREW").unwrap();
    let status = StatusCode::from_u16(418).unwrap();
    metrics.http_request(metrics.route(odd), &method, status, AnsweredBy::Gateway);
    let line = "tokenward_http_requests_total{route=\"a\\\"b\\nc{le=\\\"1\\\"} 7\",\
                method=\"other\",code=\"4xx\",answered_by=\"gateway\"} 1";
    assert!(has(&metrics.render(), line));
}

#[test]
fn one_breaker_state_is_shown_at_a_time_and_the_last_reload_is_dated() {
    let metrics = Metrics::new(small());
    metrics.breaker(metrics.provider("provider0"), BreakerState::Open);
    metrics.config_accepted(UnixSeconds(1_767_225_600));
    metrics.config_refused();
    let text = metrics.render();
    for line in [
        r#"tokenward_provider_breaker{provider="provider0",state="closed"} 0"#,
        r#"tokenward_provider_breaker{provider="provider0",state="half_open"} 0"#,
        r#"tokenward_provider_breaker{provider="provider0",state="open"} 1"#,
        "tokenward_config_last_reload_successful 0",
        "tokenward_config_last_reload_success_timestamp_seconds 1767225600",
    ] {
        assert!(has(&text, line), "{line}");
    }
}
