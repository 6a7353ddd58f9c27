//! An upstream's demand for a stronger or fresher authentication (RFC 9470).

use std::time::Duration;

use http::{HeaderMap, header};
use http_auth::parser::ChallengeParser;

/// What an API wants of the person before it takes a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactorChallenge {
    /// The authentication contexts that will do, in order of preference; empty for any.
    pub acr_values: Vec<String>,
    /// How long ago the person may have authenticated.
    pub max_age: Option<Duration>,
}

/// The `error` of RFC 9470 §3.
const INSUFFICIENT: &str = "insufficient_user_authentication";

/// The most contexts that are kept of one challenge: they are repeated to the provider in a URL.
const ACR_VALUES_MAX: usize = 8;

/// The longest name of a context that is kept: names of the wild are URNs.
const ACR_BYTES_MAX: usize = 128;

/// Finds an upstream's demand for another factor among the headers of its 401 (RFC 9470 §3).
///
/// A challenge that cannot be read is none: the upstream's own reply is passed on then.
pub fn factor_challenge(headers: &HeaderMap) -> Option<FactorChallenge> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).into_iter();
    values.filter_map(|value| value.to_str().ok()).find_map(|value| {
        ChallengeParser::new(value)
            .map_while(Result::ok)
            .filter(|challenge| {
                ["bearer", "dpop"]
                    .iter()
                    .any(|scheme| challenge.scheme.eq_ignore_ascii_case(scheme))
            })
            .find_map(|challenge| {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                (parameter("error").as_deref() == Some(INSUFFICIENT)).then(|| FactorChallenge {
                    acr_values: contexts(&parameter("acr_values").unwrap_or_default()),
                    max_age: parameter("max_age")
                        .and_then(|seconds| seconds.parse().ok())
                        .map(Duration::from_secs),
                })
            })
    })
}

fn contexts(listed: &str) -> Vec<String> {
    let plain = |name: &&str| {
        name.len() <= ACR_BYTES_MAX
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    let names = listed.split_ascii_whitespace().filter(plain).take(ACR_VALUES_MAX);
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Option<(String, Option<u64>)> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        factor_challenge(&headers).map(|challenge| {
            (challenge.acr_values.join(" "), challenge.max_age.map(|age| age.as_secs()))
        })
    }

    #[test]
    fn a_challenge_is_found_wherever_it_stands() {
        let asked = |acr: &str, age| Some((acr.to_owned(), age));
        for (values, expected) in [
            (
                &[
                    r#"Bearer error="insufficient_user_authentication", error_description="A, b", acr_values="gold silver", max_age="300""#,
                ][..],
                asked("gold silver", Some(300)),
            ),
            (
                &["bearer realm=x, error=insufficient_user_authentication, max_age=0"],
                asked("", Some(0)),
            ),
            (
                &[
                    "Basic realm=\"x\"",
                    "DPoP algs=\"ES256\", error=\"insufficient_user_authentication\"",
                ],
                asked("", None),
            ),
            (
                &[
                    r#"Basic realm="a, Bearer error=\"b\"", Bearer error="insufficient_user_authentication""#,
                ],
                asked("", None),
            ),
            (
                &[r#"Bearer error="insufficient_user_authentication", max_age="soon""#],
                asked("", None),
            ),
            (
                &[r#"Bearer error="insufficient_user_authentication", acr_values="a\"b c""#],
                asked("c", None),
            ),
            (&[r#"Bearer error="invalid_token""#], None),
            (&[r#"Other error="insufficient_user_authentication""#], None),
            (&["Bearer"], None),
            (&["Bearer error=\"insufficient_user_authentication"], None),
            (&[], None),
        ] {
            assert_eq!(read(values), expected, "{values:?}");
        }
    }

    #[test]
    fn l14_a_challenge_is_kept_short() {
        let many = (0..100).map(|n| format!("c{n}")).collect::<Vec<_>>().join(" ");
        let long = "x".repeat(500);
        let value = format!(
            r#"Bearer error="insufficient_user_authentication", acr_values="{long} {many}""#
        );
        let (kept, _) = read(&[&value]).unwrap();
        assert_eq!(kept.split(' ').count(), ACR_VALUES_MAX);
        assert!(!kept.contains("xx"));
    }
}
