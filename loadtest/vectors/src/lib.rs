//! The vectors of other implementations, and how a test is held against them.
//!
//! A vector is an input and what must come of it; the vectors of one question are an *area*, one
//! file of `cases`. Each package has one test, with `vectors` in its name, that calls [`hold`]
//! with the areas it decides and, for each, the [`Rule`] that asks the product. `TOKENWARD_VECTORS`
//! names a folder with other vectors of the same shapes. A vector listed in `disputed` cannot be
//! right, for the reason given there; it never counts as passed.
//!
//! The lines that are printed are read by `cargo xtask vectors`, which adds them up over all
//! packages and finds the vectors that nobody has decided.

mod compare;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

/// What the product makes of an input: at least the keys that are expected.
///
/// `None` where this package cannot decide the input, by its shape and never by its id; another
/// package then holds the same area. A rule that panics has failed, as has one that leaves a key
/// out.
pub type Rule = fn(&Value) -> Option<Value>;

/// By this variable another folder of vectors is named.
pub const FOLDER_VARIABLE: &str = "TOKENWARD_VECTORS";

/// Asks the rule of each area about every vector of its file, and prints what came of each.
///
/// # Panics
/// When a vector failed, a file is no file of vectors, or nothing at all was decided.
pub fn hold(areas: &[(&str, Rule)]) {
    let folder = folder();
    let disputed = disputed();
    let mut sum = Count::default();
    for (area, rule) in areas {
        let file = folder.join(format!("{area}.json"));
        if !file.exists() {
            say(&format!("area {area} is not in {}", folder.display()));
            continue;
        }
        let mut count = Count::default();
        for vector in read(&file) {
            count.add(&judged(&vector, *rule, &disputed));
        }
        say(&format!("area {area}: {}", count.told()));
        sum = sum.plus(&count);
    }
    assert_eq!(sum.failed, 0, "vectors failed");
    let is_own = env::var_os(FOLDER_VARIABLE).is_none();
    assert!(!is_own || sum.passed > 0, "no vector was decided");
}

/// Returns the folder the vectors are read from.
fn folder() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    env::var_os(FOLDER_VARIABLE).map_or(own, PathBuf::from)
}

/// Returns the reason for each vector that cannot be right.
fn disputed() -> BTreeMap<String, String> {
    let lines = include_str!("../disputed").lines().filter_map(|line| line.split_once(' '));
    lines.map(|(id, reason)| (id.to_owned(), reason.to_owned())).collect()
}

fn read(file: &Path) -> Vec<Value> {
    let told = |why: &dyn std::fmt::Display| format!("{} cannot be read: {why}", file.display());
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}", told(&error)));
    let mut whole: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}", told(&error)));
    let Value::Array(vectors) = whole["vectors"].take() else {
        panic!("{}", told(&"it has no vectors"));
    };
    vectors
}

/// What became of one vector.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Disputed,
    Elsewhere,
}

fn judged(vector: &Value, rule: Rule, disputed: &BTreeMap<String, String>) -> Verdict {
    let id = vector["id"].as_str().unwrap_or("without an id");
    if let Some(reason) = disputed.get(id) {
        say(&format!("vector {id} disputed {reason}"));
        return Verdict::Disputed;
    }
    let expected = &vector["expected"];
    let got = match panic::catch_unwind(AssertUnwindSafe(|| rule(&vector["input"]))) {
        Ok(None) => return Verdict::Elsewhere,
        Ok(Some(got)) if compare::agrees(&got, expected) => {
            say(&format!("vector {id} passed"));
            return Verdict::Passed;
        }
        Ok(Some(got)) => got.to_string(),
        Err(payload) => format!("a panic: {}", words(payload.as_ref())),
    };
    say(&format!("vector {id} expected {expected} got {got}"));
    Verdict::Failed
}

fn words(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

/// How the vectors of an area came out.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    passed: u64,
    failed: u64,
    disputed: u64,
    elsewhere: u64,
}

impl Count {
    fn add(&mut self, verdict: &Verdict) {
        *match verdict {
            Verdict::Passed => &mut self.passed,
            Verdict::Failed => &mut self.failed,
            Verdict::Disputed => &mut self.disputed,
            Verdict::Elsewhere => &mut self.elsewhere,
        } += 1;
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            disputed: self.disputed + other.disputed,
            elsewhere: self.elsewhere + other.elsewhere,
        }
    }

    fn told(&self) -> String {
        let Self { passed, failed, disputed, elsewhere } = self;
        format!("{passed} passed, {failed} failed, {disputed} disputed, {elsewhere} elsewhere")
    }
}

#[expect(clippy::print_stdout, reason = "cargo xtask vectors reads these lines")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn doubled(input: &Value) -> Option<Value> {
        assert!(!input["number"].is_string(), "no text");
        input["number"].as_u64().map(|number| json!({ "doubled": number * 2 }))
    }

    #[test]
    fn a_vector_passes_fails_or_is_left_to_others() {
        let disputed = BTreeMap::from([("d.1".to_owned(), "nobody doubles so".to_owned())]);
        for (id, input, expected, verdict) in [
            ("a.1", json!({"number": 2}), json!({"doubled": 4}), Verdict::Passed),
            ("a.2", json!({"number": 2}), json!({"doubled": 5}), Verdict::Failed),
            ("a.3", json!({"number": 2}), json!({"doubled": 4, "other": null}), Verdict::Failed),
            ("a.4", json!({"number": "2"}), json!({"doubled": 4}), Verdict::Failed),
            ("a.5", json!({"number": -2}), json!({"doubled": 4}), Verdict::Elsewhere),
            ("d.1", json!({"number": 2}), json!({"doubled": 4}), Verdict::Disputed),
        ] {
            let vector = json!({"id": id, "input": input, "expected": expected});
            assert_eq!(judged(&vector, doubled, &disputed), verdict, "{id}");
        }
    }
}
