//! The path of a request, made unambiguous: what is routed is exactly what is forwarded.
//!
//! Servers disagree on what `/api/%2e%2e/admin`, `/api//x` or `/api/..;/x` mean. A gateway that
//! routes one reading and forwards another can be talked into putting one route's token on
//! another route's path. So a path that two servers could read in two ways is refused, and the
//! one harmless ambiguity, an escaped letter such as `%61`, is written plainly before routing.
//!
//! Some readings are not refused here, because honest paths have them: other letter case, path
//! parameters, dots at the end of a name. They are refused where they would lead to another rule
//! than the plain reading does, which `resembles` tells.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// When a segment is `.` or `..`, plainly, escaped, or with `;` parameters after it.
    DotSegment,
    /// When two slashes follow each other.
    EmptySegment,
    /// When a slash, a backslash or a control character is escaped.
    EscapedSeparator,
    /// When what is escaped is itself an escape of something that separates or climbs.
    EscapedTwice,
    /// When a byte may not stand in a path at all (RFC 3986 §3.3).
    ForbiddenByte,
    /// When the path does not start with a slash.
    NoSlash,
    /// When the escaped bytes are no UTF-8: what servers make of them differs, and overlong forms
    /// of a dot or a slash become one with some (RFC 3629 §10).
    NoUtf8,
    /// When `%` is not followed by two hexadecimal digits.
    WrongEscape,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathFault::DotSegment => "the path holds a dot segment",
            PathFault::EmptySegment => "the path holds an empty segment",
            PathFault::EscapedSeparator => "the path holds an escaped slash or control character",
            PathFault::EscapedTwice => "the path holds an escape of an escaped separator",
            PathFault::ForbiddenByte => "the path holds a character that must be escaped",
            PathFault::NoSlash => "the request target is not a path",
            PathFault::NoUtf8 => "the path holds escaped bytes that are not UTF-8",
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
    /// Begins path parameters, for servers that know them.
    Parameter,
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
    kinds[b';' as usize] = Kind::Parameter;
    kinds
};

fn settle_slowly(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let plain = unescape(path)?;
    // Without an escape there is nothing that could be no text.
    let is_text = !path.contains('%') || percent_decode_str(&plain).decode_utf8().is_ok();
    if !is_text {
        return Err(PathFault::NoUtf8);
    }
    // Looked for in the settled path, where an escaped digit of the inner escape is plain.
    if plain.match_indices("%25").any(|(at, _)| is_separator_escaped(plain.get(at + 3..at + 5))) {
        return Err(PathFault::EscapedTwice);
    }
    let segments = plain.split('/').skip(1);
    let last = segments.clone().count() - 1;
    for (index, segment) in segments.enumerate() {
        // A name of nothing but dots and blanks climbs, or is none, once it is cut to its name.
        let is_padding = name_of(segment).all(|byte| PADDING.contains(&byte));
        if is_padding && !segment.is_empty() {
            let climbs = name_of(segment).next().is_some();
            return Err(if climbs { PathFault::DotSegment } else { PathFault::EmptySegment });
        }
        if segment.is_empty() && index != last {
            return Err(PathFault::EmptySegment);
        }
    }
    Ok(plain)
}

/// What some servers cut off the end of a name, as Windows does with file names.
const PADDING: &[u8] = b". ";

/// Reports whether some server would take the settled `path` for `prefix` or for something below
/// it: one that decodes, that ignores letter case or path parameters, or that drops the dots and
/// blanks at the end of a name. Whatever is below the prefix resembles it, too.
pub(crate) fn resembles(prefix: &str, path: &str) -> bool {
    let mut names = path.split('/').skip(1);
    prefix.split('/').skip(1).all(|wanted| names.next().is_some_and(|name| names_one(wanted, name)))
}

fn names_one(wanted: &str, asked: &str) -> bool {
    let mut asked = name_of(asked);
    let wanted = wanted.trim_end_matches(['.', ' ']);
    let begins = wanted
        .bytes()
        .all(|byte| asked.next().is_some_and(|other| other.eq_ignore_ascii_case(&byte)));
    begins && asked.all(|rest| PADDING.contains(&rest))
}

/// Returns the bytes of a segment's name, decoded: without path parameters, and without what looks
/// like a query or a fragment to servers that decode before they split.
fn name_of(segment: &str) -> impl Iterator<Item = u8> {
    percent_decode_str(segment).take_while(|byte| !matches!(byte, b';' | b'?' | b'#'))
}

/// Writes escaped unreserved characters plainly (RFC 3986 §6.2.2.2), and leaves other escapes.
fn unescape(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let bytes = path.as_bytes();
    let mut plain: Option<String> = None;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let (width, kept) = match KIND[usize::from(byte)] {
            Kind::Parameter | Kind::Plain => (1, char::from(byte)),
            Kind::Forbidden => return Err(PathFault::ForbiddenByte),
            Kind::Escape => {
                let escaped = escaped_at(path, at)?;
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

fn escaped_at(path: &str, at: usize) -> Result<u8, PathFault> {
    let digits = path.get(at + 1..at + 3).ok_or(PathFault::WrongEscape)?;
    hexadecimal(digits).ok_or(PathFault::WrongEscape)
}

fn hexadecimal(digits: &str) -> Option<u8> {
    let are_digits = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    are_digits.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// Reports whether two digits that follow an escaped `%` are the escape of something that a server
/// which decodes twice would separate or climb by.
fn is_separator_escaped(digits: Option<&str>) -> bool {
    let escaped = digits.and_then(hexadecimal);
    escaped.is_some_and(|byte| {
        // The last four begin the overlong forms of RFC 3629 §10.
        byte.is_ascii_control() || b"%./\\;?# \xc0\xc1\xe0\xf0".contains(&byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_one_reading_is_written_plainly() {
        for (path, expected) in [
            ("/", "/"),
            ("/api/v1/x", "/api/v1/x"),
            ("/api/v1/", "/api/v1/"),
            ("/a.b/..c/d..", "/a.b/..c/d.."),
            ("/.well-known/x", "/.well-known/x"),
            ("/%61pi/%7Eme", "/api/~me"),
            ("/caf%c3%a9/%20x", "/caf%c3%a9/%20x"),
            ("/%41/x%20/%42", "/A/x%20/B"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/100%25", "/100%25"),
            ("/100%25/%253x", "/100%25/%253x"),
            ("/a%2541", "/a%2541"),
            ("/a;v=1/b;", "/a;v=1/b;"),
        ] {
            assert_eq!(settle(path).as_deref(), Ok(expected), "{path:?}");
        }
    }

    #[test]
    fn a_path_with_two_readings_has_none() {
        use PathFault::*;
        for (path, expected) in [
            ("/%252e%252e/x", EscapedTwice),
            ("/a%252Fx", EscapedTwice),
            ("/%25%32%65%252%65/x", EscapedTwice),
            ("/a%25252fx", EscapedTwice),
            ("/a%255cx", EscapedTwice),
            ("/a%2500", EscapedTwice),
            ("/%25c0%25ae/x", EscapedTwice),
            ("/%c0%ae%c0%ae/x", NoUtf8),
            ("/a%c0%afx", NoUtf8),
            ("/a%e0%80%afx", NoUtf8),
            ("/caf%e9", NoUtf8),
            ("/api/../e", DotSegment),
            ("/api/./e", DotSegment),
            ("/api/..", DotSegment),
            ("/api/%2e%2E/e", DotSegment),
            ("/api/.%2e/e", DotSegment),
            ("/api/..;/e", DotSegment),
            ("/api/%2e%2e;x=1/e", DotSegment),
            ("/api/..%3bx/e", DotSegment),
            ("/api/.../e", DotSegment),
            ("/api/..%20/e", DotSegment),
            ("/api/%20/e", DotSegment),
            ("/api/..%3f/e", DotSegment),
            ("/api/;x/e", EmptySegment),
            ("/;x", EmptySegment),
            ("/%3bx/api", EmptySegment),
            ("/api//e", EmptySegment),
            ("//api/e", EmptySegment),
            ("//", EmptySegment),
            ("/api%2fe", EscapedSeparator),
            ("/api%2F..%2Fe", EscapedSeparator),
            ("/api%5ce", EscapedSeparator),
            ("/api%00", EscapedSeparator),
            ("/api%0d%0aX:y", EscapedSeparator),
            ("/api\\e", ForbiddenByte),
            ("/caf\u{e9}", ForbiddenByte),
            ("/a b", ForbiddenByte),
            ("/a%", WrongEscape),
            ("/a%2", WrongEscape),
            ("/a%zz", WrongEscape),
            ("/a%+1", WrongEscape),
            ("/a%\u{e9}", WrongEscape),
            ("*", NoSlash),
            ("", NoSlash),
        ] {
            assert_eq!(settle(path), Err(expected), "{path:?}");
        }
    }
    #[test]
    fn a_lenient_server_is_known_by_what_it_would_take_for_a_prefix() {
        for (prefix, path, expected) in [
            ("", "/x", true),
            ("/pay", "/pay", true),
            ("/pay", "/pay/x", true),
            ("/pay", "/PAY/x", true),
            ("/pay", "/pay;v=1/x", true),
            ("/pay", "/pay%3bv/x", true),
            ("/pay", "/pay./x", true),
            ("/pay", "/pay%20/x", true),
            ("/pay", "/pay%3fx", true),
            ("/pay.", "/pay", true),
            ("/a:b/c", "/a%3ab/C;d", true),
            ("/pay", "/payx", false),
            ("/pay", "/pay.x", false),
            ("/pay", "/pa", false),
            ("/pay", "/", false),
            ("/pay/in", "/pay", false),
            ("/pay/in", "/pay/out", false),
        ] {
            assert_eq!(resembles(prefix, path), expected, "{prefix} {path}");
        }
    }
}
