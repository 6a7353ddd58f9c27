//! The bytes that records are made of: variable-length numbers and length-prefixed texts.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{RECORD_BYTES_MAX, RecordFault};
use crate::core::name::Audience;
use crate::core::scope::ScopeSet;
use crate::core::time::Instant;

/// Writes a record; every buffer it ever used is wiped.
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(super) fn new() -> Self {
        // Holds most records, so that few are copied while they grow.
        Self(Zeroizing::new(Vec::with_capacity(4096)))
    }

    pub(super) fn finish(self) -> Result<Zeroizing<Vec<u8>>, RecordFault> {
        match self.0.len() {
            bytes if bytes > RECORD_BYTES_MAX => Err(RecordFault::TooLarge { bytes }),
            _ => Ok(self.0),
        }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        let wanted = self.0.len() + bytes.len();
        if wanted > self.0.capacity() {
            // A growing Vec would leave its old, unwiped buffer to the allocator.
            let mut wider = Zeroizing::new(Vec::with_capacity(wanted * 2));
            wider.extend_from_slice(&self.0);
            self.0 = wider;
        }
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.raw(&[byte]);
    }

    /// Writes seven bits a byte, the lowest first; all but the last byte have the top bit set.
    pub(super) fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.byte((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.raw(text.as_bytes());
    }

    pub(super) fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) {
        self.number(texts.len() as u64);
        texts.for_each(|text| self.text(text));
    }

    pub(super) fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn instant(&mut self, instant: Instant) {
        self.number(instant.as_nanos());
    }

    pub(super) fn span(&mut self, span: Duration) {
        self.number(span.as_secs());
        self.number(u64::from(span.subsec_nanos()));
    }
}

/// Reads a record from bytes that may be anything.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    /// How many nanoseconds to add to a moment, so that it is one of this machine.
    shift: i128,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, shift: 0 }
    }

    /// Moves each moment that is read from here on.
    pub(super) fn shift_moments(&mut self, by: i128) {
        self.shift = by;
    }

    pub(super) fn finish(self) -> Result<(), RecordFault> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(RecordFault::Malformed("bytes after its end"))
        }
    }

    pub(super) fn raw(&mut self, count: usize) -> Result<&'b [u8], RecordFault> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(RecordFault::Malformed("it ends too early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordFault> {
        let bytes = self.raw(N)?;
        bytes.try_into().map_err(|_| RecordFault::Malformed("it ends too early"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, RecordFault> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, RecordFault> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RecordFault::Malformed("a number does not fit 64 bits"))
    }

    pub(super) fn text(&mut self) -> Result<&'b str, RecordFault> {
        let length = usize::try_from(self.number()?)
            .map_err(|_| RecordFault::Malformed("it ends too early"))?;
        std::str::from_utf8(self.raw(length)?)
            .map_err(|_| RecordFault::Malformed("a text is not UTF-8"))
    }

    pub(super) fn maybe<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, RecordFault>,
    ) -> Result<Option<T>, RecordFault> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(RecordFault::Malformed("an option is neither absent nor present")),
        }
    }

    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, RecordFault>,
    ) -> Result<Vec<T>, RecordFault> {
        // Each element takes a byte at least, so a count that lies ends with the bytes; nothing is
        // reserved on its word.
        let count = self.number()?;
        (0..count).map(|_| read(self)).collect()
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>, RecordFault> {
        self.list(|bytes| bytes.text().map(str::to_owned))
    }

    pub(super) fn audience(&mut self) -> Result<Audience, RecordFault> {
        Audience::parse(self.text()?).map_err(|_| RecordFault::Malformed("an audience is none"))
    }

    pub(super) fn scopes(&mut self) -> Result<ScopeSet, RecordFault> {
        self.text().map(ScopeSet::parse)
    }

    pub(super) fn instant(&mut self) -> Result<Instant, RecordFault> {
        let nanos = i128::from(self.number()?).saturating_add(self.shift);
        // What would be before boot was long ago.
        Ok(Instant::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)))
    }

    pub(super) fn span(&mut self) -> Result<Duration, RecordFault> {
        let seconds = self.number()?;
        let nanos = u32::try_from(self.number()?)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000)
            .ok_or(RecordFault::Malformed("a time span has too many nanoseconds"))?;
        Ok(Duration::new(seconds, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_and_overlong_ones_are_refused() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut writer = Writer::new();
            writer.number(number);
            let bytes = writer.finish().expect("short");
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.number(), Ok(number));
            assert_eq!(reader.finish(), Ok(()));
        }
        for bad in [&[0xff; 11][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]] {
            assert!(Reader::new(bad).number().is_err(), "{bad:?}");
        }
        assert!(Reader::new(&[0x80]).number().is_err(), "cut short");
    }
}
