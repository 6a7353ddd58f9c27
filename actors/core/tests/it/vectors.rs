//! Replays the vectors of other implementations against the rules they are about.
//!
//! The project's own copy lies in `tests/vectors`; `TOKENWARD_VECTORS=DIR` names another directory
//! of the same shapes. `disputed` lists vectors that cannot be right, `elsewhere` what other rooms
//! decide, each with its reason.

mod exchanges;
mod reading;
mod scopes;
mod tokens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What the core makes of an input: an object with at least the keys that are expected.
type Rule = fn(&Value) -> Value;

/// Every area that the core decides, wholly or in part.
const AREAS: [(&str, Rule); 11] = [
    ("concurrency", exchanges::concurrency),
    ("expiry", tokens::expiry),
    ("refresh_classify", exchanges::classify),
    ("scope_compare", scopes::compare),
    ("scope_merge", scopes::merge),
    ("scope_missing", scopes::missing),
    ("scope_parse", scopes::parse),
    ("scope_request", scopes::request),
    ("session_ceiling", exchanges::ceiling),
    ("token_lookup", tokens::lookup),
    ("token_upsert", tokens::upsert),
];

#[test]
fn the_core_agrees_with_the_vectors() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let given = std::env::var_os("TOKENWARD_VECTORS").map_or_else(|| ours.clone(), PathBuf::from);
    let disputed = reasons(&ours.join("disputed"));
    let elsewhere = reasons(&ours.join("elsewhere"));
    let mut failures = 0;
    for (area, rule) in AREAS {
        let text = std::fs::read_to_string(given.join(format!("{area}.json"))).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let (mut passed, mut failed, mut others, mut questioned) = (0, 0, 0, 0);
        for vector in file["vectors"].as_array().unwrap() {
            let id = vector["id"].as_str().unwrap();
            if elsewhere.contains_key(id) {
                others += 1;
                continue;
            }
            if disputed.contains_key(id) {
                questioned += 1;
                continue;
            }
            match differs(rule(&vector["input"]), &vector["expected"]) {
                None => passed += 1,
                Some(got) => {
                    println!("{id}: expected {}, got {got}", vector["expected"]);
                    failed += 1;
                }
            }
        }
        println!(
            "{area}: {passed} passed, {failed} failed, {questioned} disputed, {others} elsewhere"
        );
        assert!(passed + failed + others + questioned > 0, "{area} was not run");
        failures += failed;
    }
    assert_eq!(failures, 0, "vectors failed");
}

/// Returns what was got where it differs in a key that is expected.
fn differs(got: Value, expected: &Value) -> Option<Value> {
    let agrees = |(key, value): (&String, &Value)| got.get(key) == Some(value);
    let all = expected.as_object().is_some_and(|expected| expected.iter().all(agrees));
    (!all).then_some(got)
}

fn reasons(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(id, reason)| (id.to_owned(), reason.to_owned())).collect()
}
