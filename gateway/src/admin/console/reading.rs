//! What the console keeps of the metrics: read from the same text that Prometheus is given, so
//! that both tell the same.

use std::borrow::Cow;

use tokenward::metrics::catalogue::LATENCY;

/// The buckets of the provider's answering times: those of the catalogue, and the rest.
pub(super) const BUCKETS: usize = LATENCY.len() + 1;

/// One number that the console keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    MfaAsked,
    MfaPassed,
    MfaFailed,
    MfaGivenUp,
    MfaPending,
    MfaHeld,
    RefreshOk,
    RefreshHeld,
    RefreshEnded,
    RefreshRefused,
    RefreshProvider,
    RefreshStore,
    SessionsFresh,
    SessionsRefreshing,
    SessionsWaiting,
    SessionsHeld,
    SessionsOver,
    TokensAtHand,
    TokensWaited,
    TokensHeld,
    TokensFailed,
    RequestsServed,
    RequestsRefused,
    RequestsUpstream,
    RequestsOurs,
    ProviderOk,
    ProviderRefused,
    ProviderFailed,
    InDoubt,
    StoreFailed,
}

/// The numbers of one audience, or of the gateway as a whole.
pub(super) type Row<N> = [N; Number::COUNT];

/// All numbers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// What has no audience.
    pub(super) whole: Row<u64>,
    pub(super) audiences: Vec<(String, Row<u64>)>,
    /// Calls to the provider by how long they took; each bucket holds the faster ones too.
    pub(super) latency: [u64; BUCKETS],
}

impl Number {
    pub(super) const COUNT: usize = Self::StoreFailed as usize + 1;

    pub(super) const fn at(self) -> usize {
        self as usize
    }

    /// Reports whether a place of a row holds a state rather than a count of what happened.
    pub(super) fn is_gauge(at: usize) -> bool {
        [
            Self::MfaPending,
            Self::MfaHeld,
            Self::SessionsFresh,
            Self::SessionsRefreshing,
            Self::SessionsWaiting,
            Self::SessionsHeld,
            Self::SessionsOver,
            Self::InDoubt,
        ]
        .iter()
        .any(|gauge| gauge.at() == at)
    }
}

impl Reading {
    /// Reads an exposition; series that the console does not show are passed over.
    pub(super) fn of(exposition: &str) -> Self {
        let mut reading = Self::default();
        for series in exposition.lines().filter_map(Series::parse) {
            let count = whole(series.value);
            if series.name == "tokenward_provider_request_duration_seconds_bucket" {
                if let Some(bucket) = series.label("le").and_then(|le| bucket(&le)) {
                    reading.latency[bucket] += count;
                }
            } else if let Some(number) = number(&series) {
                reading.row(series.label("audience").as_deref())[number.at()] += count;
            }
        }
        reading
    }

    fn row(&mut self, audience: Option<&str>) -> &mut Row<u64> {
        let Some(audience) = audience else { return &mut self.whole };
        let known = self.audiences.iter().position(|(name, _)| name == audience);
        let at = known.unwrap_or_else(|| {
            self.audiences.push((audience.to_owned(), [0; Number::COUNT]));
            self.audiences.len() - 1
        });
        &mut self.audiences[at].1
    }
}

/// One line of the exposition.
struct Series<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

impl<'a> Series<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, rest.strip_suffix('}')?),
            None => (series, ""),
        };
        Some(Self { name, labels, value: value.parse().ok()? })
    }

    /// Returns the value of a label.
    fn label(&self, wanted: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.labels;
        while let Some((name, after)) = rest.split_once("=\"") {
            let end = closing_quote(after)?;
            let (value, next) = (&after[..end], &after[end + 1..]);
            if name == wanted {
                return Some(unescaped(value));
            }
            rest = next.strip_prefix(',').unwrap_or(next);
        }
        None
    }
}

/// Finds the quote that is not part of the value.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescaped(value: &str) -> Cow<'_, str> {
    match value.contains('\\') {
        false => Cow::Borrowed(value),
        true => Cow::Owned(value.replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\")),
    }
}

fn number(series: &Series<'_>) -> Option<Number> {
    let label = |name| series.label(name);
    match series.name {
        "tokenward_mfa_challenges_total" => Some(Number::MfaAsked),
        "tokenward_mfa_challenges_pending" => Some(Number::MfaPending),
        "tokenward_mfa_held" => Some(Number::MfaHeld),
        "tokenward_mfa_attempts_total" => Some(match &*label("outcome")? {
            "success" => Number::MfaPassed,
            _ => Number::MfaFailed,
        }),
        "tokenward_mfa_challenges_closed_total" => match &*label("outcome")? {
            "abandoned" | "expired" => Some(Number::MfaGivenUp),
            _ => None,
        },
        "tokenward_refresh_total" => refresh(&label("outcome")?),
        "tokenward_sessions" => session(&label("state")?),
        "tokenward_sessions_in_doubt" => Some(Number::InDoubt),
        "tokenward_token_requests_total" => Some(match &*label("result")? {
            "hit" => Number::TokensAtHand,
            "refreshed" | "coalesced" | "stale" => Number::TokensWaited,
            "mfa_required" => Number::TokensHeld,
            _ => Number::TokensFailed,
        }),
        "tokenward_http_requests_total" => request(&label("code")?, &label("answered_by")?),
        "tokenward_provider_requests_total" => Some(match &*label("outcome")? {
            "ok" => Number::ProviderOk,
            "oauth_error" => Number::ProviderRefused,
            _ => Number::ProviderFailed,
        }),
        "tokenward_store_operations_total" => match &*label("outcome")? {
            "error" | "timeout" => Some(Number::StoreFailed),
            _ => None,
        },
        _ => None,
    }
}

fn refresh(outcome: &str) -> Option<Number> {
    Some(match outcome {
        "success" => Number::RefreshOk,
        "mfa_required" => Number::RefreshHeld,
        "invalid_grant" | "reuse_detected" => Number::RefreshEnded,
        "invalid_client" | "invalid_scope" => Number::RefreshRefused,
        "store_error" => Number::RefreshStore,
        _ => Number::RefreshProvider,
    })
}

fn session(state: &str) -> Option<Number> {
    match state {
        "fresh" => Some(Number::SessionsFresh),
        "refreshing" => Some(Number::SessionsRefreshing),
        "backoff" => Some(Number::SessionsWaiting),
        "mfa_pending" => Some(Number::SessionsHeld),
        "login_required" => Some(Number::SessionsOver),
        _ => None,
    }
}

fn request(code: &str, answered_by: &str) -> Option<Number> {
    Some(match (code.as_bytes().first()?, answered_by) {
        (b'4', _) => Number::RequestsRefused,
        (b'5', "upstream") => Number::RequestsUpstream,
        (b'5', _) => Number::RequestsOurs,
        _ => Number::RequestsServed,
    })
}

fn bucket(le: &str) -> Option<usize> {
    if le == "+Inf" {
        return Some(BUCKETS - 1);
    }
    let le: f64 = le.parse().ok()?;
    // The catalogue's own bounds, written out and read back: equal to the last bit.
    LATENCY.iter().position(|bound| bound.to_bits() == le.to_bits())
}

/// Counts are whole numbers; a gauge that dipped below zero shows nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits, and to whole numbers"
)]
fn whole(value: f64) -> u64 {
    if value.is_finite() && value > 0.0 { value.min(1e15) as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use tokenward::metrics::label::{MfaAttempt, MfaMethod};
    use tokenward::metrics::{Labels, Metrics};

    use super::*;

    #[test]
    fn the_console_reads_what_prometheus_is_given() {
        let audience = "https://a.example/\"x\\,le=\"";
        let metrics =
            Metrics::new(Labels { audiences: vec![audience.to_owned()], ..Labels::default() });
        let place = metrics.audience(audience);
        metrics.mfa_attempt(place, MfaMethod::Otp, MfaAttempt::Success);
        metrics.mfa_attempt(place, MfaMethod::Otp, MfaAttempt::InvalidCode);
        metrics.mfa_attempt(place, MfaMethod::Push, MfaAttempt::Rejected);
        let reading = Reading::of(&metrics.render());
        let (name, row) = &reading.audiences[0];
        assert_eq!(name, audience);
        assert_eq!((row[Number::MfaPassed.at()], row[Number::MfaFailed.at()]), (1, 2));
        assert_eq!(reading.whole, [0; Number::COUNT]);
    }

    #[test]
    fn each_number_is_a_series_of_the_catalogue() {
        let labels = Labels {
            audiences: vec!["urn:a".to_owned()],
            providers: vec!["default".to_owned()],
            routes: vec!["/".to_owned()],
            ..Labels::default()
        };
        let metrics = Metrics::new(labels);
        let route = metrics.route("/");
        for (status, by) in [(200, true), (404, true), (503, true), (503, false)] {
            use tokenward::metrics::label::AnsweredBy;
            let by = if by { AnsweredBy::Upstream } else { AnsweredBy::Gateway };
            let status = http::StatusCode::from_u16(status).unwrap();
            metrics.http_request(route, &http::Method::GET, status, by);
        }
        let text = metrics.render();
        let mut seen = [false; Number::COUNT];
        let mut buckets = [false; BUCKETS];
        for series in text.lines().filter_map(Series::parse) {
            if let Some(number) = number(&series) {
                seen[number.at()] = true;
            }
            if series.name == "tokenward_provider_request_duration_seconds_bucket" {
                buckets[bucket(&series.label("le").unwrap()).unwrap()] = true;
            }
        }
        assert_eq!(seen, [true; Number::COUNT]);
        assert_eq!(buckets, [true; BUCKETS]);
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        for line in ["", "# HELP x y", "x", "x{", "x{a=\"} 1", "x{a=\"b\" 1", "x NaN", "é{é} é"]
        {
            let told = Reading::of(line);
            assert_eq!(told, Reading::default(), "{line}");
        }
    }
}
