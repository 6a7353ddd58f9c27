//! User codes: what a person reads on one screen and types on another (RFC 8628 §6.1).

use std::fmt;

/// The letters of a code: no vowels, so that no words appear, and none that look like digits.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// The letters of a code: 20 to the power of 8 are 34.5 bits.
const LETTERS: usize = 8;

/// The letters before the dash.
const HALF: usize = LETTERS / 2;

/// Bytes from here on would make some letters likelier than others.
const FAIR_BELOW: u8 = 240;

/// The longest text that is looked at: a code with blanks between all its letters, and some more.
const TEXT_BYTES_MAX: usize = 64;

/// A code that a person compares or types. It is shown to people, and never logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserCode([u8; LETTERS]);

/// A text that cannot be a user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserCodeFault;

impl UserCode {
    /// Makes a code of random bytes; `None` where too few of them are fair, which 32 bytes are
    /// practically never.
    pub fn of_random(bytes: &[u8]) -> Option<Self> {
        let mut fair = bytes.iter().filter(|byte| **byte < FAIR_BELOW);
        let mut letters = [0; LETTERS];
        for letter in &mut letters {
            *letter = ALPHABET[usize::from(*fair.next()?) % ALPHABET.len()];
        }
        Some(Self(letters))
    }

    /// Reads what a person typed: case, blanks and dashes of any kind do not matter (§6.1).
    ///
    /// # Errors
    /// [`UserCodeFault`] where it cannot be a code.
    pub fn parse(text: &str) -> Result<Self, UserCodeFault> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(UserCodeFault);
        }
        let mut letters = [0; LETTERS];
        let mut count = 0;
        for typed in text.chars().filter(|typed| !is_between(*typed)) {
            let letter = u8::try_from(typed.to_ascii_uppercase()).map_err(|_| UserCodeFault)?;
            if !ALPHABET.contains(&letter) || count == LETTERS {
                return Err(UserCodeFault);
            }
            letters[count] = letter;
            count += 1;
        }
        if count == LETTERS { Ok(Self(letters)) } else { Err(UserCodeFault) }
    }
}

/// Shows the code as people see it, `WDJB-MJHT`.
impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.0.iter().enumerate() {
            if at == HALF {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[user code]")
    }
}

/// Blanks and everything that people and their keyboards make of a dash.
fn is_between(typed: char) -> bool {
    typed.is_whitespace() || matches!(typed, '-' | '_' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        UserCode::parse(text).ok().map(|code| code.to_string())
    }

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for typed in ["WDJB-MJHT", "wdjbmjht", " WdJb – mJhT\n", "W D J B M J H T", "WDJB_MJHT"] {
            assert_eq!(read(typed).as_deref(), Some("WDJB-MJHT"), "{typed:?}");
        }
        for bad in
            ["", "WDJB-MJH", "WDJB-MJHTT", "WDJA-MJHT", "WDJ0-MJHT", "WDJB-MJHÉ", "W/JB-MJHT"]
        {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(read(&" ".repeat(1 << 20)), None);
    }

    #[test]
    fn every_letter_is_as_likely_as_the_others() {
        let mut counts = [0; 20];
        for byte in 0..=u8::MAX {
            let Some(code) = UserCode::of_random(&[byte; LETTERS]) else { continue };
            let at = ALPHABET.iter().position(|letter| *letter == code.0[0]);
            counts[at.expect("it is of the alphabet")] += 1;
        }
        assert_eq!(counts, [12; 20]);
        assert!(UserCode::of_random(&[255; 32]).is_none());
    }

    #[test]
    fn l13_a_code_does_not_show_itself_in_a_log() {
        let code = UserCode::parse("WDJB-MJHT").expect("a code");
        assert!(!format!("{code:?}").contains("WDJB"));
    }
}
