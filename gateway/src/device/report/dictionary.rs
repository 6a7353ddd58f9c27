//! Dictionaries of plain items (RFC 9651 §3.2, §4.2): no parameters, no inner lists, no decimals.

/// The digits of an integer (§3.3.1).
const DIGITS_MAX: usize = 15;

/// One value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Flag(bool),
    Integer(i64),
    Text(String),
    Token(String),
}

/// Reads a dictionary; `None` where it breaks the form.
pub(super) fn members(text: &str) -> Option<Vec<(&str, Item)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_matches([' ', '\t']);
    while !rest.is_empty() {
        let (key, after) = key(rest)?;
        let (item, after) = match after.strip_prefix('=') {
            Some(after) => item(after)?,
            None => (Item::Flag(true), after),
        };
        found.push((key, item));
        rest = after.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix(',')?.trim_start_matches([' ', '\t']);
        // A comma at the end promises one more (§4.2.2).
        if rest.is_empty() {
            return None;
        }
    }
    Some(found)
}

impl Item {
    pub(super) fn flag(&self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(*flag) } else { None }
    }

    pub(super) fn count(&self) -> Option<u64> {
        if let Self::Integer(number) = self { u64::try_from(*number).ok() } else { None }
    }

    pub(super) fn text(self, chars_max: usize) -> Option<String> {
        if let Self::Text(text) = self { Some(text).filter(|t| t.len() <= chars_max) } else { None }
    }

    pub(super) fn token(self) -> Option<String> {
        if let Self::Token(token) = self { Some(token) } else { None }
    }
}

fn key(text: &str) -> Option<(&str, &str)> {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'*';
    let more =
        |byte: u8| first(byte) || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.');
    text.bytes().next().filter(|byte| first(*byte))?;
    Some(text.split_at(length(text, more)))
}

fn item(text: &str) -> Option<(Item, &str)> {
    match text.bytes().next()? {
        b'"' => quoted(&text[1..]),
        b'?' => {
            let flag = match text.as_bytes().get(1)? {
                b'0' => false,
                b'1' => true,
                _ => return None,
            };
            Some((Item::Flag(flag), &text[2..]))
        }
        b'-' | b'0'..=b'9' => {
            let signs = usize::from(text.starts_with('-'));
            let digits = length(&text[signs..], |byte| byte.is_ascii_digit());
            let (number, rest) = text.split_at(signs + digits);
            let fits = (1..=DIGITS_MAX).contains(&digits) && !rest.starts_with('.');
            Some((Item::Integer(number.parse().ok().filter(|_| fits)?), rest))
        }
        first if first.is_ascii_alphabetic() || first == b'*' => {
            let (token, rest) = text.split_at(length(text, is_token));
            Some((Item::Token(token.to_owned()), rest))
        }
        _ => None,
    }
}

fn quoted(text: &str) -> Option<(Item, &str)> {
    let mut value = String::new();
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((Item::Text(value), &text[at + 1..])),
            b'\\' => match bytes.next()?.1 {
                escaped @ (b'"' | b'\\') => value.push(char::from(escaped)),
                _ => return None,
            },
            b' '..=b'~' => value.push(char::from(byte)),
            _ => return None,
        }
    }
    None
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
}

/// Returns how many bytes from the start are such; they are ASCII.
fn length(text: &str, such: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii() && such(*byte)).count()
}
