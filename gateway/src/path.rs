//! The path of a request, made unambiguous: what is routed is exactly what is forwarded.
//!
//! Servers disagree on what `/api/%2e%2e/admin`, `/api//x` or `/api/..;/x` mean. A gateway that
//! routes one reading and forwards another can be talked into putting one route's token on
//! another route's path. So a path that two servers could read in two ways is refused, and the
//! one harmless ambiguity, an escaped letter such as `%61`, is written plainly before routing.

use std::borrow::Cow;
use std::fmt;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// When a segment is `.` or `..`, plainly, escaped, or with `;` parameters after it.
    DotSegment,
    /// When two slashes follow each other.
    EmptySegment,
    /// When a slash, a backslash or a control character is escaped.
    EscapedSeparator,
    /// When a byte may not stand in a path at all (RFC 3986 §3.3).
    ForbiddenByte,
    /// When the path does not start with a slash.
    NoSlash,
    /// When `%` is not followed by two hexadecimal digits.
    WrongEscape,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathFault::DotSegment => "the path holds a dot segment",
            PathFault::EmptySegment => "the path holds an empty segment",
            PathFault::EscapedSeparator => "the path holds an escaped slash or control character",
            PathFault::ForbiddenByte => "the path holds a character that must be escaped",
            PathFault::NoSlash => "the request target is not a path",
            PathFault::WrongEscape => "the path holds a broken percent escape",
        })
    }
}

/// Returns the path in its one unambiguous spelling; borrowed where it is written so already.
///
/// # Errors
/// Says why a path has more than one reading.
pub fn settle(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(PathFault::NoSlash);
    }
    let mut last = 0;
    for &byte in bytes {
        // A slash or a dot after a slash, and everything that is not plain, deserve a second look.
        let suspicious = KIND[usize::from(byte)] != Kind::Plain
            || (last == b'/' && (byte == b'/' || byte == b'.'));
        if suspicious {
            return settle_slowly(path);
        }
        last = byte;
    }
    Ok(Cow::Borrowed(path))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Escape,
    Forbidden,
    Plain,
}

/// What each byte may do in a path: the `pchar` of RFC 3986 §3.3 and the slash.
const KIND: [Kind; 256] = {
    let mut kinds = [Kind::Forbidden; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            kinds[byte] = Kind::Plain;
        }
        byte += 1;
    }
    let marks = b"-._~!$&'()*+,;=:@/";
    let mut index = 0;
    while index < marks.len() {
        kinds[marks[index] as usize] = Kind::Plain;
        index += 1;
    }
    kinds[b'%' as usize] = Kind::Escape;
    kinds
};

fn settle_slowly(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let plain = unescape(path)?;
    let segments = plain.split('/').skip(1);
    let last = segments.clone().count() - 1;
    for (index, segment) in segments.enumerate() {
        // Servers that know path parameters cut them off before they look at the dots.
        let name = segment.split(';').next().unwrap_or_default();
        if name == "." || name == ".." {
            return Err(PathFault::DotSegment);
        }
        if segment.is_empty() && index != last {
            return Err(PathFault::EmptySegment);
        }
    }
    Ok(plain)
}

/// Writes escaped unreserved characters plainly (RFC 3986 §6.2.2.2), and leaves other escapes.
fn unescape(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let bytes = path.as_bytes();
    let mut plain: Option<String> = None;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let (width, kept) = match KIND[usize::from(byte)] {
            Kind::Plain => (1, char::from(byte)),
            Kind::Forbidden => return Err(PathFault::ForbiddenByte),
            Kind::Escape => {
                let digits = path.get(at + 1..at + 3).ok_or(PathFault::WrongEscape)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(PathFault::WrongEscape);
                }
                let escaped = u8::from_str_radix(digits, 16).map_err(|_| PathFault::WrongEscape)?;
                if escaped.is_ascii_control() || matches!(escaped, b'/' | b'\\') {
                    return Err(PathFault::EscapedSeparator);
                }
                if !escaped.is_ascii_alphanumeric() && !b"-._~".contains(&escaped) {
                    if let Some(plain) = &mut plain {
                        plain.push_str(&path[at..at + 3]);
                    }
                    at += 3;
                    continue;
                }
                plain.get_or_insert_with(|| path[..at].to_owned());
                (3, char::from(escaped))
            }
        };
        if let Some(plain) = &mut plain {
            plain.push(kept);
        }
        at += width;
    }
    Ok(plain.map_or(Cow::Borrowed(path), Cow::Owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_reading_or_none() {
        use PathFault::*;
        for (path, expected) in [
            ("/", Ok("/")),
            ("/api/v1/x", Ok("/api/v1/x")),
            ("/api/v1/", Ok("/api/v1/")),
            ("/a.b/..c/d..", Ok("/a.b/..c/d..")),
            ("/.well-known/x", Ok("/.well-known/x")),
            ("/%61pi/%7Eme", Ok("/api/~me")),
            ("/caf%c3%a9/%20x", Ok("/caf%c3%a9/%20x")),
            ("/%41/%20/%42", Ok("/A/%20/B")),
            ("/a;v=1/b", Ok("/a;v=1/b")),
            ("/100%25", Ok("/100%25")),
            ("/%252e%252e/x", Ok("/%252e%252e/x")),
            ("/api/../e", Err(DotSegment)),
            ("/api/./e", Err(DotSegment)),
            ("/api/..", Err(DotSegment)),
            ("/api/%2e%2E/e", Err(DotSegment)),
            ("/api/.%2e/e", Err(DotSegment)),
            ("/api/..;/e", Err(DotSegment)),
            ("/api/%2e%2e;x=1/e", Err(DotSegment)),
            ("/api//e", Err(EmptySegment)),
            ("//api/e", Err(EmptySegment)),
            ("//", Err(EmptySegment)),
            ("/api%2fe", Err(EscapedSeparator)),
            ("/api%2F..%2Fe", Err(EscapedSeparator)),
            ("/api%5ce", Err(EscapedSeparator)),
            ("/api%00", Err(EscapedSeparator)),
            ("/api%0d%0aX:y", Err(EscapedSeparator)),
            ("/api\\e", Err(ForbiddenByte)),
            ("/caf\u{e9}", Err(ForbiddenByte)),
            ("/a b", Err(ForbiddenByte)),
            ("/a%", Err(WrongEscape)),
            ("/a%2", Err(WrongEscape)),
            ("/a%zz", Err(WrongEscape)),
            ("/a%+1", Err(WrongEscape)),
            ("/a%\u{e9}", Err(WrongEscape)),
            ("*", Err(NoSlash)),
            ("", Err(NoSlash)),
        ] {
            assert_eq!(settle(path).as_deref(), expected.as_ref().copied(), "{path:?}");
        }
    }
}
