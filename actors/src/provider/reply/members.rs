//! The members of a JSON object, found without trusting the rest of it.
//!
//! A scan in place: no tree, no recursion, and no copy of a secret but the one that is asked for.
//! It reads what is there: before a break, beside a value of the wrong type, in front of trailing
//! garbage.

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// The members of one JSON object.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    body: &'a [u8],
}

impl<'a> Members<'a> {
    /// Takes a body of which nothing is known.
    pub fn of(body: &'a [u8]) -> Self {
        Self { body: body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body) }
    }

    /// Takes a body that is a JSON object and nothing else.
    pub fn strict(body: &'a [u8]) -> Option<Self> {
        let members = Self::of(body);
        let starts = members.body.trim_ascii_start().first() == Some(&b'{');
        let whole = serde_json::from_slice::<IgnoredAny>(members.body).is_ok();
        (starts && whole).then_some(members)
    }

    /// Returns the raw value of a member; the last one counts where there are several.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().filter(|(key, _)| is_named(key, name)).last().map(|(_, value)| value)
    }

    /// Returns the raw value of a member unless it is null.
    pub fn present(&self, name: &str) -> Option<&'a [u8]> {
        self.value(name).filter(|value| *value != b"null")
    }

    /// Returns the text of a member that is a string.
    pub fn text(&self, name: &str) -> Option<Zeroizing<String>> {
        decode(self.value(name)?)
    }

    /// Returns the last text under that name that can be read and is not blank.
    pub fn lenient_text(&self, name: &str) -> Option<Zeroizing<String>> {
        self.iter()
            .filter(|(key, _)| is_named(key, name))
            .filter_map(|(_, value)| decode(value))
            .filter(|text| !text.trim().is_empty())
            .last()
    }

    /// Returns the members in order, as raw name and raw value, up to the first break.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut scan = Scan { body: self.body, at: 0 };
        let opened = scan.take(b'{');
        std::iter::from_fn(move || if opened { scan.member() } else { None })
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes a raw JSON string; forgives control characters in it.
pub fn decode(value: &[u8]) -> Option<Zeroizing<String>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return serde_json::from_slice::<String>(value).ok().map(Zeroizing::new);
    }
    std::str::from_utf8(inner).ok().map(|text| Zeroizing::new(text.to_owned()))
}

/// Splits a raw JSON array into its raw elements.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut scan = Scan { body: value, at: 0 };
    let opened = scan.take(b'[');
    std::iter::from_fn(move || {
        if !opened {
            return None;
        }
        scan.blank();
        scan.take(b',');
        scan.value()
    })
}

fn is_named(key: &[u8], name: &str) -> bool {
    decode(key).is_some_and(|key| *key == name)
}

struct Scan<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn member(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        self.blank();
        self.take(b',');
        self.blank();
        let key = self.string()?;
        if !self.take(b':') {
            return None;
        }
        let value = self.value()?;
        Some((key, value))
    }

    /// Takes one whole value; `None` where it is cut off or none begins here.
    fn value(&mut self) -> Option<&'a [u8]> {
        self.blank();
        match self.peek()? {
            b'"' => self.string(),
            b'{' | b'[' => self.nested(),
            b',' | b'}' | b']' | b':' => None,
            _ => self.scalar(),
        }
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        if self.peek()? != b'"' {
            return None;
        }
        let mut at = start + 1;
        loop {
            match *self.body.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        self.body.get(start..self.at)
    }

    fn nested(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return self.body.get(start..self.at);
            }
        }
    }

    fn scalar(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        // Without something behind it, a number may go on in what was cut off.
        while !matches!(self.peek()?, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
        self.body.get(start..self.at)
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        self.blank();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l2_a_refresh_token_is_found_in_whatever_is_left() {
        for (body, expected) in [
            (r#"{"refresh_token":"r1"}"#, Some("r1")),
            ("\u{feff} { \"refresh_token\" : \"r1\" }", Some("r1")),
            (r#"{"a":{"refresh_token":"no"},"refresh_token":"r1"}"#, Some("r1")),
            (r#"{"a":"\"refresh_token\":\"no\"","refresh_token":"r1""#, Some("r1")),
            (r#"{"a":[1,{"b":"]}"}],"refresh_token":"r1"} garbage"#, Some("r1")),
            (r#"{"expires_in":soon,"refresh_token":"r1"}"#, Some("r1")),
            (r#"{"refresh_token":"r1","access_token":"cut o"#, Some("r1")),
            (r#"{"refresh\u005ftoken":"r\/1"}"#, Some("r/1")),
            (r#"{"refresh_token":"old","refresh_token":"new"}"#, Some("new")),
            (r#"{"refresh_token":"r1","refresh_token":null}"#, Some("r1")),
            (r#"{"refresh_token":"cut o"#, None),
            (r#"{"refresh_token":"cut o\""#, None),
            (r#"{"refresh_token":""}"#, None),
            (r#"{"refresh_token":7}"#, None),
            (r#"[{"refresh_token":"r1"}]"#, None),
            (r#"{"a":}"#, None),
            ("", None),
        ] {
            let found = Members::of(body.as_bytes()).lenient_text("refresh_token");
            assert_eq!(found.as_ref().map(|text| text.as_str()), expected, "{body}");
        }
    }

    #[test]
    fn elements_are_split_at_the_right_commas() {
        let texts = |value: &str| -> Vec<String> {
            elements(value.as_bytes()).map(|e| String::from_utf8_lossy(e).into_owned()).collect()
        };
        assert_eq!(texts(r#"[{"a":[1,2]}, "x,y" ,3]"#), [r#"{"a":[1,2]}"#, r#""x,y""#, "3"]);
        assert!(texts("[]").is_empty());
        assert!(texts(r#"{"a":1}"#).is_empty());
    }
}
