//! Durations and sizes as people write them.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use tokenward::core::scope::ScopeSet;

/// A duration with its unit: `500ms`, `30s`, `5m`, `2h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// A duration with its unit, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanOrOff(pub(super) Option<Duration>);

/// A size in bytes: a number, or `64KiB`, `10MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// One text, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OneOrMany(pub(super) Vec<String>);

impl OneOrMany {
    /// Reads the texts as scopes, however they are divided.
    pub(super) fn scopes(&self) -> ScopeSet {
        ScopeSet::parse(&self.0.join(" "))
    }
}

impl Span {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }
}

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let bytes = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(bytes).map(Self)
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a duration such as \"500ms\", \"30s\", \"5m\", \"2h\" or \"7d\"";
        deserializer.deserialize_any(Written { parse: Span::parse, number: |_| None, expected })
    }
}

impl<'de> Deserialize<'de> for SpanOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "\"off\", or a duration such as \"30m\" or \"6h\"";
        let parse = |text: &str| match text {
            "off" => Some(Self(None)),
            _ => Span::parse(text).map(|span| Self(Some(span.0))),
        };
        deserializer.deserialize_any(Written { parse, number: |_| None, expected })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a size such as 65536, \"64KiB\" or \"10MiB\"";
        let number = |number| u64::try_from(number).ok().map(Size);
        deserializer.deserialize_any(Written { parse: Size::parse, number, expected })
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Texts(PhantomData))
    }
}

struct Written<P, N> {
    parse: P,
    number: N,
    expected: &'static str,
}

impl<T, P, N> Visitor<'_> for Written<P, N>
where
    P: Fn(&str) -> Option<T>,
    N: Fn(i64) -> Option<T>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let wrong = || E::custom(format_args!("{text:?} is not {}", self.expected));
        (self.parse)(text).ok_or_else(wrong)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let wrong = || E::custom(format_args!("{number} is not {}", self.expected));
        (self.number)(number).ok_or_else(wrong)
    }
}

struct Texts(PhantomData<()>);

impl<'de> Visitor<'de> for Texts {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
        Ok(OneOrMany(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, texts: A) -> Result<OneOrMany, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(texts)).map(OneOrMany)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_have_units() {
        for (text, millis) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("5 m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(
                Span::parse(text),
                millis.map(|ms| Span(Duration::from_millis(ms))),
                "{text}"
            );
        }
        for (text, bytes) in
            [("64KiB", Some(65_536)), ("1 MiB", Some(1 << 20)), ("7", Some(7)), ("7kb", None)]
        {
            assert_eq!(Size::parse(text), bytes.map(Size), "{text}");
        }
    }
}
