//! The names and numbers by which things are told apart.

use std::fmt;
use std::sync::Arc;

/// The API an access token is for: OAuth `audience`, or RFC 8707 `resource`.
///
/// An opaque identifier, compared byte for byte: no URL normalisation, no case folding. One to
/// 512 bytes, visible ASCII or UTF-8 without control characters or blanks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Audience(Arc<str>);

/// The longest audience: longer ones are typing errors or attacks, and each is a metric label.
pub const AUDIENCE_BYTES_MAX: usize = 512;

impl Audience {
    /// Parses an audience.
    ///
    /// # Errors
    /// Says what is wrong with `text`; the operator who wrote it must act.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        if text.is_empty() {
            return Err(NameFault("an audience must not be empty"));
        }
        if text.len() > AUDIENCE_BYTES_MAX {
            return Err(NameFault("an audience must not be longer than 512 bytes"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(NameFault("an audience must not hold blanks or control characters"));
        }
        Ok(Self(Arc::from(text)))
    }

    /// Returns the identifier as it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no name; a fragment fit for "invalid audience: {fault}".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameFault(&'static str);

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NameFault {}

/// The key under which a session is stored: a hash of its handle, so that a stolen store opens
/// nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub [u8; 32]);

impl SessionKey {
    /// Returns the session's public id: the first 12 bytes in hexadecimal.
    ///
    /// Fit for logs, operators and URLs: the handle cannot be found from it.
    pub fn id(&self) -> String {
        self.0[..12].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

/// The number of a refresh token within its session; every saved rotation has a new, larger one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// Returns the number after this one.
    pub const fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

/// The number of a lease within its session; every journalled exchange has a new, larger one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Returns the number after this one.
    pub const fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

/// The process that holds a lease: random for each start, so that a restarted machine is another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u128);

/// The number of a caller that waits for a session's answer; given by the shell, unique in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_opaque_and_bounded() {
        for good in ["https://api", "https://api/", "https://API", "urn:x", "päy"] {
            assert_eq!(Audience::parse(good).map(|a| a.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "a\nb", "\u{7f}", &"x".repeat(513)] {
            assert!(Audience::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_session_id_shows_only_part_of_the_key() {
        let id = SessionKey([0xab; 32]).id();
        assert_eq!(id, "ab".repeat(12));
        assert_eq!(format!("{:?}", SessionKey([0xab; 32])), id);
    }
}
