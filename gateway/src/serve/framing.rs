//! Watches the bytes of an HTTP/1.1 connection for what hyper forgives in silence.
//!
//! hyper drops a second Content-Length, and a Content-Length beside Transfer-Encoding, before
//! anybody sees them (RFC 9112 §6.3 allows that). But a proxy in front of us may have believed the
//! one that was dropped, and what it takes for one request is then two: such a request must be
//! refused, not repaired. So the framing headers are counted in the raw bytes, which means to
//! follow where each message ends. Whatever is not understood ends the watch, and an unwatched
//! connection is closed after its response.

/// Follows one connection's requests.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
    head: Head,
    /// The beginning of a line whose end has not come yet.
    carry: Vec<u8>,
}

/// What the watch found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// When everything so far has one reading.
    Clear,
    /// When the connection speaks HTTP/2, whose framing has one reading only.
    Http2,
    /// When the watch lost track: the connection must be closed after its response.
    Lost,
    /// When a request has two readings; says which.
    Smuggling(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before or in the request line.
    RequestLine,
    Headers,
    /// In a body with this many bytes left.
    Body(u64),
    ChunkSize,
    /// In a chunk with this many bytes left, its line break included.
    Chunk(u64),
    Trailers,
    /// Nothing is looked at any more.
    Off,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    lengths: u32,
    length: Option<u64>,
    codings: u32,
    upgrade: bool,
}

/// How much of a line is kept when its end has not come: framing lines are shorter, and the rest
/// of a longer one does not matter.
const CARRY_MAX: usize = 128;

impl Framing {
    pub(crate) fn new() -> Self {
        Self { state: State::RequestLine, head: Head::default(), carry: Vec::new() }
    }

    /// Reports whether a request's head has begun and not ended.
    pub(super) fn in_head(&self) -> bool {
        match self.state {
            State::Headers => true,
            State::RequestLine => !self.carry.is_empty(),
            State::Body(_) | State::Chunk(_) | State::ChunkSize | State::Off | State::Trailers => {
                false
            }
        }
    }

    /// Looks at the bytes that have just come.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Sight {
        while !bytes.is_empty() {
            match self.state {
                State::Off => return Sight::Clear,
                State::Body(left) => {
                    let (rest, left) = skip(bytes, left);
                    bytes = rest;
                    self.state = if left == 0 { State::RequestLine } else { State::Body(left) };
                }
                State::Chunk(left) => {
                    let (rest, left) = skip(bytes, left);
                    bytes = rest;
                    self.state = if left == 0 { State::ChunkSize } else { State::Chunk(left) };
                }
                State::ChunkSize | State::Headers | State::RequestLine | State::Trailers => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.carry(bytes);
                        return Sight::Clear;
                    };
                    let (line, rest) = bytes.split_at(end);
                    bytes = &rest[1..];
                    let sight = self.whole_line(line);
                    if sight != Sight::Clear {
                        self.state = State::Off;
                        return sight;
                    }
                }
            }
        }
        Sight::Clear
    }

    fn carry(&mut self, bytes: &[u8]) {
        let room = CARRY_MAX.saturating_sub(self.carry.len());
        self.carry.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn whole_line(&mut self, line: &[u8]) -> Sight {
        if self.carry.is_empty() {
            // Cut as one that came in pieces is, so that the pieces make no difference.
            return self.line(&line[..line.len().min(CARRY_MAX)]);
        }
        self.carry(line);
        let carried = std::mem::take(&mut self.carry);
        self.line(&carried)
    }

    fn line(&mut self, whole: &[u8]) -> Sight {
        let line = whole.strip_suffix(b"\r").unwrap_or(whole);
        match self.state {
            State::RequestLine => {
                // Empty lines before a request are skipped (RFC 9112 §2.2).
                if line.is_empty() {
                    return Sight::Clear;
                }
                if line == b"PRI * HTTP/2.0" {
                    return Sight::Http2;
                }
                self.head = Head::default();
                self.state = State::Headers;
                Sight::Clear
            }
            State::Headers if line.is_empty() => self.end_of_head(),
            State::Headers => {
                self.head.note(whole);
                Sight::Clear
            }
            // Between chunks a line ends with both characters for hyper, and one whose end was cut
            // off may have had the end of its number there.
            State::ChunkSize | State::Trailers
                if line.len() == whole.len() || whole.len() == CARRY_MAX =>
            {
                Sight::Lost
            }
            State::ChunkSize => self.chunk(line),
            State::Trailers => {
                if line.is_empty() {
                    self.state = State::RequestLine;
                }
                Sight::Clear
            }
            State::Body(_) | State::Chunk(_) | State::Off => Sight::Lost,
        }
    }

    fn end_of_head(&mut self) -> Sight {
        let Head { lengths, length, codings, upgrade } = self.head;
        self.state = match (lengths, codings) {
            (0, 0) => State::RequestLine,
            (1, 0) => match length {
                Some(0) => State::RequestLine,
                Some(length) => State::Body(length),
                // hyper refuses what is no length.
                None => return Sight::Lost,
            },
            (0, 1) => State::ChunkSize,
            (0, _) => return Sight::Smuggling("Transfer-Encoding is there twice"),
            (_, 0) => return Sight::Smuggling("Content-Length is there twice"),
            (_, _) => {
                return Sight::Smuggling("Content-Length and Transfer-Encoding are both there");
            }
        };
        // What follows an upgrade is no HTTP.
        if upgrade { Sight::Lost } else { Sight::Clear }
    }

    fn chunk(&mut self, line: &[u8]) -> Sight {
        let end = line.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(line.len());
        let size = std::str::from_utf8(&line[..end])
            .ok()
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match size {
            Some(0) => self.state = State::Trailers,
            // The line break after the data belongs to the chunk.
            Some(size) => match size.checked_add(2) {
                Some(left) => self.state = State::Chunk(left),
                None => return Sight::Lost,
            },
            None => return Sight::Lost,
        }
        Sight::Clear
    }
}

impl Head {
    fn note(&mut self, whole: &[u8]) {
        let line = whole.strip_suffix(b"\r").unwrap_or(whole);
        // Most lines are told apart by their first letter.
        match line[0] | 0x20 {
            b'c' => {
                if let Some(value) = value_of(line, b"content-length") {
                    self.lengths += 1;
                    // A number whose end was cut off is none.
                    let value = (whole.len() < CARRY_MAX).then_some(value);
                    let digits = value.and_then(|value| std::str::from_utf8(value).ok());
                    self.length = digits.and_then(|digits| digits.parse().ok());
                }
            }
            b't' => self.codings += u32::from(value_of(line, b"transfer-encoding").is_some()),
            b'u' => self.upgrade |= value_of(line, b"upgrade").is_some(),
            _ => {}
        }
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn skip(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (&bytes[step..], left - step as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` whole, then in pieces of every size: the outcome must not depend on it.
    fn sight(bytes: &[u8]) -> Sight {
        let whole = Framing::new().feed(bytes);
        for size in 1..bytes.len() {
            let mut framing = Framing::new();
            let found = bytes.chunks(size).map(|piece| framing.feed(piece));
            let found = found.fold(Sight::Clear, |a, b| if a == Sight::Clear { b } else { a });
            assert_eq!(found, whole, "in pieces of {size}: {:?}", String::from_utf8_lossy(bytes));
        }
        whole
    }

    #[test]
    fn two_framings_are_seen_wherever_they_stand() {
        let twice = Sight::Smuggling("Content-Length is there twice");
        let both = Sight::Smuggling("Content-Length and Transfer-Encoding are both there");
        let codings = Sight::Smuggling("Transfer-Encoding is there twice");
        // A number that does not fit what is kept of a line is not taken for its beginning.
        let zeros = "0".repeat(CARRY_MAX);
        let chunk_of_zeros =
            format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{zeros}3\r\n");
        let length_of_zeros = format!("POST / HTTP/1.1\r\nContent-Length: {zeros}3\r\n\r\nabc");
        for (bytes, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Sight::Clear),
            ("\r\n\nGET / HTTP/1.1\nHost: a\n\n", Sight::Clear),
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", twice),
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\ntransfer-encoding:chunked\r\n\r\n", both),
            ("POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\ncontent-length:4\r\n\r\n", both),
            ("POST / HTTP/1.1\nTransfer-Encoding: x\nTransfer-Encoding: chunked\n\n", codings),
            // A body that looks like a head is none.
            (
                "POST / HTTP/1.1\r\nContent-Length: 42\r\n\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxyz",
                Sight::Clear,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                 3;x=y\r\nabc\r\n25\r\nContent-Length: 1\r\nContent-Length:2\r\n\r\n0\r\nA: b\r\n\r\n\
                 GET / HTTP/1.1\r\n\r\n",
                Sight::Clear,
            ),
            // And a head after a body is one.
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
                 POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
                twice,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
                 POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
                twice,
            ),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Sight::Lost),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n", Sight::Lost),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\n", Sight::Lost),
            (&*chunk_of_zeros, Sight::Lost),
            (&*length_of_zeros, Sight::Lost),
            ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", Sight::Lost),
            ("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", Sight::Lost),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Sight::Http2),
        ] {
            assert_eq!(sight(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
