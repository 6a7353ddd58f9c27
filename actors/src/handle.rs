//! Session handles: what a browser's cookie or a device's credential carries.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::core::name::SessionKey;

/// The bytes of a handle: 256 bits cannot be guessed.
const HANDLE_BYTES: usize = 32;

/// The characters of a handle as text: base64url without padding.
const HANDLE_CHARS: usize = 43;

/// The secret that opens one session. Whoever holds it is the session's person.
#[derive(Clone)]
pub struct SessionHandle(Zeroizing<[u8; HANDLE_BYTES]>);

/// A text that cannot be a session handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session handle: expected 43 characters of base64url")]
pub struct HandleFault;

impl SessionHandle {
    /// Draws a new handle.
    #[expect(clippy::expect_used, reason = "without the kernel's randomness nothing here is safe")]
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; HANDLE_BYTES]);
        getrandom::fill(bytes.as_mut()).expect("the kernel gives random bytes");
        Self(bytes)
    }

    /// Reads a handle from a cookie or a header.
    ///
    /// # Errors
    /// [`HandleFault`] where the text is none; whether the session exists is not known here.
    pub fn parse(text: &str) -> Result<Self, HandleFault> {
        if text.len() != HANDLE_CHARS {
            return Err(HandleFault);
        }
        let mut bytes = Zeroizing::new([0; HANDLE_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut()) {
            Ok(HANDLE_BYTES) => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(HandleFault),
        }
    }

    /// Returns the key under which the session is kept: a hash, from which the handle cannot be
    /// found (law L13).
    pub fn key(&self) -> SessionKey {
        SessionKey(Sha256::digest(self.0.as_slice()).into())
    }

    /// Gives out the handle, to be set as a cookie or returned to a device.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[session handle]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_survives_its_text_and_nothing_else_is_one() {
        let handle = SessionHandle::random();
        let text = handle.expose();
        assert_eq!(SessionHandle::parse(&text).map(|again| again.key()), Ok(handle.key()));
        assert_ne!(handle.key(), SessionHandle::random().key());
        for bad in ["", "x", &text[1..], &format!("{}=", &text[1..]), &format!("{}é", &text[2..])]
        {
            assert!(SessionHandle::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn l13_the_key_does_not_show_the_handle() {
        let handle = SessionHandle::random();
        assert!(!format!("{handle:?}").contains(&*handle.expose()));
        assert_ne!(handle.key().0.as_slice(), handle.0.as_slice());
    }
}
