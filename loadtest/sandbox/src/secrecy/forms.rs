//! The forms in which a secret leaks.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How a secret was written where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Clear,
    /// In base64 or base64url.
    Base64,
    /// As a list of byte numbers, as `{:?}` prints bytes.
    Bytes,
    /// In hexadecimal digits.
    Hex,
    /// With each odd character as `%XX`.
    Percent,
    /// A word that is shaped as a JWT, whoever issued it.
    Jwt,
}

impl Form {
    /// Returns how many bytes of this form are a long piece: those of sixteen bytes in clear, for
    /// base64 those that are the same in each alignment.
    pub(super) const fn long_piece(self) -> usize {
        match self {
            Self::Clear | Self::Jwt => 16,
            Self::Base64 => 20,
            Self::Percent => 24,
            Self::Hex => 32,
            Self::Bytes => 56,
        }
    }
}

/// Returns a secret in each form that differs from the others.
pub(super) fn of(secret: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let mut forms = vec![(Form::Clear, secret.to_vec()), (Form::Bytes, numbers(secret))];
    for digits in [lower_hex(secret), lower_hex(secret).to_ascii_uppercase()] {
        forms.push((Form::Hex, digits.into_bytes()));
    }
    let percent = percent(secret);
    if percent.as_bytes() != secret {
        forms.push((Form::Percent, percent.into_bytes()));
    }
    // What stands before it in what is encoded shifts it by 0, 1 or 2 bytes.
    for shift in 0..3 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(secret);
        let text = URL_SAFE_NO_PAD.encode(&shifted);
        // The first and the last characters depend on the neighbours.
        let (from, until) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
        forms.push((Form::Base64, text.as_bytes()[from..until].to_vec()));
    }
    forms
}

/// Returns a byte as both alphabets of base64 are compared: in that of base64url.
pub(super) const fn folded(byte: u8) -> u8 {
    match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}

fn numbers(secret: &[u8]) -> Vec<u8> {
    let numbers: Vec<String> = secret.iter().map(u8::to_string).collect();
    numbers.join(", ").into_bytes()
}

fn lower_hex(secret: &[u8]) -> String {
    secret.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _never = write!(text, "{byte:02x}");
        text
    })
}

fn percent(secret: &[u8]) -> String {
    secret.iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _never = write!(text, "%{byte:02X}");
        }
        text
    })
}
