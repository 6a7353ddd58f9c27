//! When what was got is what was expected.

use serde_json::Value;

/// Reports whether `got` says all that is expected; it may say more.
///
/// An object must have every expected key, a list the same number of entries; numbers are equal by
/// value, however they are written. An expectation that says nothing is never met.
pub(crate) fn agrees(got: &Value, expected: &Value) -> bool {
    expected.as_object().is_some_and(|keys| !keys.is_empty()) && covers(got, expected)
}

fn covers(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            let has = |(key, value)| got.get(key).is_some_and(|own| covers(own, value));
            expected.iter().all(has)
        }
        (Value::Array(got), Value::Array(expected)) => {
            got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| covers(a, b))
        }
        (Value::Number(got), Value::Number(expected)) => {
            got == expected || got.as_f64() == expected.as_f64()
        }
        _ => got == expected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn more_may_be_said_and_never_less() {
        for (got, expected, agreed) in [
            (json!({"a": 1, "b": 2}), json!({"a": 1}), true),
            (json!({"a": 1}), json!({"a": 1, "b": null}), false),
            (json!({"a": 1.0}), json!({"a": 1}), true),
            (json!({"a": [{"x": 1, "y": 2}]}), json!({"a": [{"x": 1}]}), true),
            (json!({"a": [1, 2]}), json!({"a": [1]}), false),
            (json!({"a": {}}), json!({"a": null}), false),
            (json!({"a": 1}), json!({}), false),
            (json!({}), json!(null), false),
        ] {
            assert_eq!(agrees(&got, &expected), agreed, "{got} {expected}");
        }
    }
}
