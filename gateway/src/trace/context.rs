//! W3C Trace Context, level 1: the header `traceparent`.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What tracing systems keep beside it: passed on as it came.
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The length of the header in version 00; later versions may only add to it.
const LENGTH: usize = 55;

/// A trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceId(pub(super) [u8; 16]);

/// A span within a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanId(pub(super) [u8; 8]);

/// Where in which trace somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceContext {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) sampled: bool,
}

impl TraceId {
    pub(super) fn random() -> Option<Self> {
        drawn().map(Self)
    }
}

impl SpanId {
    pub(super) fn random() -> Option<Self> {
        drawn().map(Self)
    }
}

impl TraceContext {
    /// Reads the caller's; `None` where there is none, or more than one, or it is malformed: a new
    /// trace begins then.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut sent = headers.get_all(TRACEPARENT).iter();
        let (Some(one), None) = (sent.next(), sent.next()) else { return None };
        Self::parse(one.as_bytes())
    }

    /// Writes the header for whoever comes next.
    pub(super) fn header(&self) -> HeaderValue {
        let Self { trace, span, sampled } = self;
        let text = format!("00-{trace}-{span}-0{}", u8::from(*sampled));
        // Hexadecimal digits and dashes fit any header.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (known, more) = text.split_at_checked(LENGTH)?;
        let version: [u8; 1] = bytes(known.get(..2)?)?;
        let whole = match version {
            [0] => more.is_empty(),
            [0xff] => false,
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
        if !whole || !dashes {
            return None;
        }
        let trace = TraceId(bytes(&known[3..35])?);
        let span = SpanId(bytes(&known[36..52])?);
        let [flags] = bytes(&known[53..55])?;
        let valid = trace.0 != [0; 16] && span.0 != [0; 8];
        valid.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads lower-case hexadecimal digits, two for each byte: others are not allowed here.
fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != N * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

/// Draws an id; all zeros mean none, and are as good as impossible.
fn drawn<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    (bytes != [0; N]).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_callers_context_is_read_or_a_new_trace_begins() {
        let read = TraceContext::parse(PARENT.as_bytes()).unwrap();
        assert_eq!(read.header(), PARENT);
        assert!(!TraceContext::parse(PARENT.replace("-01", "-02").as_bytes()).unwrap().sampled);
        let later = format!("cc{}-what-the-future-will-be-like", &PARENT[2..]);
        assert_eq!(TraceContext::parse(later.as_bytes()), Some(read));
        for bad in [
            String::new(),
            PARENT[..54].to_owned(),
            format!("{PARENT}-"),
            format!("cc{}.", &PARENT[2..]),
            format!("ff{}", &PARENT[2..]),
            PARENT.to_uppercase(),
            PARENT.replace('-', "_"),
            PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            PARENT.replace("b7ad", "b7ag"),
            "é".repeat(30),
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            headers.append(TRACEPARENT, HeaderValue::from_static(PARENT));
        }
        assert_eq!(TraceContext::of(&headers), None, "two say nothing");
    }
}
