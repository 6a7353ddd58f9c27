//! A form body that is wiped from memory when it has been sent.

use bytes::Bytes;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// Room for any usual request, so that the buffer seldom moves and leaves copies behind.
const ROOM: usize = 8 * 1024;

/// A form that is being filled in.
pub(super) struct Form(Zeroizing<String>);

impl Form {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(ROOM)))
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        // Every byte may become three, and two more separate.
        let most = 3 * (name.len() + value.len()) + 2;
        if self.0.capacity() - self.0.len() < most {
            let mut larger = String::with_capacity((self.0.len() + most).next_power_of_two());
            larger.push_str(&self.0);
            self.0 = Zeroizing::new(larger);
        }
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(byte_serialize(name.as_bytes()));
        self.0.push('=');
        self.0.extend(byte_serialize(value.as_bytes()));
    }

    pub(super) fn finish(self) -> Bytes {
        Bytes::from_owner(Wiped(self.0))
    }
}

struct Wiped(Zeroizing<String>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_and_long_ones_fit() {
        let mut form = Form::new();
        form.add("grant_type", "a b&c");
        form.add("long", &"=".repeat(ROOM));
        let bytes = form.finish();
        let read: Vec<_> = url::form_urlencoded::parse(&bytes).collect();
        assert_eq!(read[0].1, "a b&c");
        assert_eq!(read[1].1.len(), ROOM);
    }
}
