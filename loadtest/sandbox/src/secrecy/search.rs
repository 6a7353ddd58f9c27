//! The search: every place is read once, whatever the number of secrets.
//!
//! Of each form of a secret, eight bytes at every ninth place are indexed: any sixteen bytes in a
//! row hold eight of them. Where eight bytes of a place are in the index, the match is widened and
//! its length decides.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::forms::{self, Form};
use super::{Kind, Secret};

/// The bytes that are looked up.
const GRAM: usize = 8;

/// From one indexed place of a needle to the next: a long piece of [`GRAM`] + [`STRIDE`] - 1 bytes
/// holds a whole gram.
const STRIDE: usize = 9;

/// Bits of the sieve before the index; at a million grams it still keeps most lookups away.
const SIEVE_BITS: u32 = 21;

/// The fewest different bytes of a piece: rows of one letter or of zeros are no secret.
const DIFFERENT_MIN: usize = 6;

/// The shortest part of a JWT that is taken for one.
const JWT_PART_MIN: usize = 10;

/// How a JWT begins, `eyJ`, in the lowest bytes of a gram.
const JWT_START: u64 = 0x0065_794a;
const JWT_MASK: u64 = 0x00ff_ffff;

/// How much of a place is shown around a leak.
const SHOWN: usize = 48;

/// A prepared search.
pub struct Search {
    needles: Vec<Needle>,
    grams: HashMap<u64, Vec<(usize, usize)>>,
    sieve: Vec<u64>,
}

/// A secret where none may be.
#[derive(Clone, PartialEq, Eq)]
pub struct Leak {
    /// Which secret it is; `None` for a JWT that nobody knows.
    pub kind: Option<Kind>,
    /// Where it was found.
    pub place: String,
    /// The first byte of it.
    pub at: usize,
    form: Form,
    length: usize,
    shown: String,
}

struct Needle {
    kind: Kind,
    form: Form,
    bytes: Vec<u8>,
}

impl Search {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let mut search = Self {
            needles: Vec::new(),
            grams: HashMap::new(),
            sieve: vec![0; 1 << (SIEVE_BITS - 6)],
        };
        for secret in secrets {
            for (form, bytes) in forms::of(secret.text.as_bytes()) {
                search.add(Needle {
                    kind: secret.kind,
                    form,
                    bytes: bytes.into_iter().map(forms::folded).collect(),
                });
            }
        }
        search
    }

    /// Looks through the bytes of a place; a form of a secret is reported once.
    #[must_use]
    pub fn look(&self, place: &str, bytes: &[u8]) -> Vec<Leak> {
        let folded: Vec<u8> = bytes.iter().copied().map(forms::folded).collect();
        let mut leaks = Vec::new();
        let (mut told, mut after, mut gram) = (HashSet::new(), 0, 0);
        // Logs come by here byte for byte, in builds without optimisation too: so the gram is
        // carried along, and not made anew.
        for (last, byte) in folded.iter().enumerate() {
            gram = gram << 8 | u64::from(*byte);
            if gram & JWT_MASK == JWT_START && last >= after + 2 {
                after = jwt(&folded, last - 2).unwrap_or(after);
                if after > last {
                    leaks.push(Leak::new(None, Form::Jwt, place, &folded, (last - 2, after)));
                }
            }
            if !self.may_hold(gram) || last + 1 < GRAM {
                continue;
            }
            let at = last + 1 - GRAM;
            for &(needle, offset) in self.grams.get(&gram).into_iter().flatten() {
                let piece = self.needles[needle].piece(offset, &folded, at);
                if let Some((from, until)) = piece
                    && told.insert(needle)
                {
                    let Needle { kind, form, .. } = self.needles[needle];
                    leaks.push(Leak::new(Some(kind), form, place, &folded, (from, until)));
                }
            }
        }
        leaks
    }

    fn add(&mut self, needle: Needle) {
        let number = self.needles.len();
        for offset in (0..needle.bytes.len().saturating_sub(GRAM - 1)).step_by(STRIDE) {
            let gram = gram(&needle.bytes[offset..offset + GRAM]);
            self.grams.entry(gram).or_default().push((number, offset));
            let bit = sieve_bit(gram);
            self.sieve[bit / 64] |= 1 << (bit % 64);
        }
        self.needles.push(needle);
    }

    fn may_hold(&self, gram: u64) -> bool {
        let bit = sieve_bit(gram);
        self.sieve[bit / 64] >> (bit % 64) & 1 == 1
    }
}

impl Needle {
    /// Widens a match of this needle's bytes at `offset` with the place's at `at`, and returns it
    /// where it is long enough.
    fn piece(&self, offset: usize, place: &[u8], at: usize) -> Option<(usize, usize)> {
        let same = |(a, b): &(&u8, &u8)| a == b;
        let before = self.bytes[..offset].iter().rev().zip(place[..at].iter().rev());
        let after = self.bytes[offset..].iter().zip(&place[at..]);
        let from = at - before.take_while(same).count();
        let until = at + after.take_while(same).count();
        let long = until - from >= self.form.long_piece().min(self.bytes.len());
        (long && different(&place[from..until]) >= DIFFERENT_MIN).then_some((from, until))
    }
}

impl Leak {
    fn new(
        kind: Option<Kind>,
        form: Form,
        place: &str,
        bytes: &[u8],
        (from, until): (usize, usize),
    ) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(['\r', '\n'], "⏎");
        let shown = format!(
            "{}█{}",
            text(&bytes[from.saturating_sub(SHOWN)..from]),
            text(&bytes[until..bytes.len().min(until + SHOWN)])
        );
        Self { kind, form, place: place.to_owned(), at: from, length: until - from, shown }
    }
}

/// What stands around a leak is shown, and never the secret.
impl fmt::Debug for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, form, place, at, length, shown } = self;
        write!(f, "{place}, byte {at}: {length} bytes of {kind:?} as {form:?}: {shown}")
    }
}

fn gram(window: &[u8]) -> u64 {
    window.iter().fold(0, |gram, &byte| gram << 8 | u64::from(byte))
}

fn sieve_bit(gram: u64) -> usize {
    // Fibonacci hashing: the upper bits are the mixed ones. They fit any usize.
    (gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SIEVE_BITS)) as usize
}

fn different(piece: &[u8]) -> usize {
    let mut seen = [false; 256];
    piece.iter().filter(|&&byte| !std::mem::replace(&mut seen[usize::from(byte)], true)).count()
}

/// Returns the end of the word at `at` where it is shaped as a JWT: `eyJ….….`.
fn jwt(bytes: &[u8], at: usize) -> Option<usize> {
    let part = |from: usize| {
        let of_alphabet = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        bytes[from..].iter().take_while(of_alphabet).count()
    };
    let header = at + part(at);
    let payload = if bytes.get(header) == Some(&b'.') { part(header + 1) } else { 0 };
    let shaped = header - at >= JWT_PART_MIN && payload >= JWT_PART_MIN;
    shaped.then_some(header + 1 + payload)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::secrecy::Secrets;

    const TOKEN: &str = "v1.kQ/7+hZ0bXN0b3JlLW5vdGhpbmctb2YtdGhpcw";

    fn leaks(place: &[u8]) -> Vec<(Option<Kind>, Form)> {
        let secrets = Secrets::default();
        secrets.learn(Kind::RefreshToken, TOKEN);
        secrets.learn(Kind::Password, "open-sesame");
        let found = secrets.search().look("here", place);
        found.into_iter().map(|leak| (leak.kind, leak.form)).collect()
    }

    #[test]
    fn l13_a_secret_is_found_in_each_form_wherever_it_stands() {
        let bytes = TOKEN.as_bytes();
        let percent: String = url::form_urlencoded::byte_serialize(bytes).collect();
        let hex = super::super::forms::of(bytes).remove(2).1;
        for (form, text) in [
            (Form::Clear, TOKEN.to_owned()),
            (Form::Bytes, format!("{bytes:?}")),
            (Form::Hex, String::from_utf8(hex.clone()).unwrap()),
            (Form::Hex, String::from_utf8(hex).unwrap().to_uppercase()),
            (Form::Percent, percent),
            (Form::Base64, STANDARD.encode(bytes)),
            (Form::Base64, STANDARD.encode(format!("a{TOKEN}z"))),
            (Form::Base64, STANDARD.encode(format!("ab{TOKEN}"))),
        ] {
            for before in ["", "x", "a log line: "] {
                let place = format!("{before}{text}, and more");
                assert!(
                    leaks(place.as_bytes()).contains(&(Some(Kind::RefreshToken), form)),
                    "{place}"
                );
            }
        }
    }

    #[test]
    fn l13_long_pieces_are_found_and_short_ones_are_not() {
        for from in 0..TOKEN.len() - 16 {
            let piece = format!("<{}>", &TOKEN[from..from + 16]);
            assert_eq!(
                leaks(piece.as_bytes()),
                [(Some(Kind::RefreshToken), Form::Clear)],
                "{from}"
            );
            assert_eq!(leaks(&piece.as_bytes()[..15]), [], "{from}");
        }
        // Of a short secret no piece is told from chance: it counts as a whole.
        assert_eq!(leaks(b"he said open-sesame"), [(Some(Kind::Password), Form::Clear)]);
        assert_eq!(leaks(b"he said open-sesam"), []);
    }

    #[test]
    fn l13_an_unknown_jwt_is_found_by_its_shape_and_never_shown() {
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.";
        let found = Secrets::default().search().look("a page", format!("t={jwt}!").as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].form, found[0].at), (Form::Jwt, 2));
        assert!(!format!("{found:?}").contains("eyJ"), "{found:?}");
        assert_eq!(leaks(b"eyJ is how they begin. eyJhbGciOiJub25lIn0 alone is none"), []);
    }
}
