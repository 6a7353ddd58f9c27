//! What the wall display shows: a text and who said it, as an API gave them.

use serde::Deserialize;

/// The longest text that is kept, in characters: eight screens of the smallest face.
pub const TEXT_CHARS_MAX: usize = 2_000;

/// The longest name of an author that is kept, in characters: a line and a half.
pub const AUTHOR_CHARS_MAX: usize = 60;

/// The longest body of an answer that is read: a text of the longest kind, in any script, as JSON.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// A text with its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The text.
    pub text: String,
    /// Who said it; `None` where nobody is named.
    pub author: Option<String>,
}

/// Why an answer shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentFault {
    /// There is no text in it.
    Empty,
    /// It is JSON without a text under a name that is known.
    NoText,
    /// It is not UTF-8.
    NotText,
}

/// The names under which APIs of the wild give a text, and those of its author.
#[derive(Deserialize)]
struct Written {
    #[serde(alias = "quote", alias = "content", alias = "message", alias = "body")]
    text: String,
    #[serde(default, alias = "by", alias = "source")]
    author: Option<String>,
}

impl Content {
    /// Reads the body of an answer: a JSON object with `text` and `author`, or plain text.
    ///
    /// What is too long is cut, and characters that move a cursor become blanks.
    ///
    /// # Errors
    /// [`ContentFault`] where there is nothing to show.
    pub fn read(is_json: bool, body: &[u8]) -> Result<Self, ContentFault> {
        let (text, author) = if is_json {
            let written: Written =
                serde_json::from_slice(body).map_err(|_| ContentFault::NoText)?;
            (written.text, written.author)
        } else {
            let text = std::str::from_utf8(body).map_err(|_| ContentFault::NotText)?;
            (text.to_owned(), None)
        };
        let text = plain(&text, TEXT_CHARS_MAX);
        if text.is_empty() {
            return Err(ContentFault::Empty);
        }
        let author = author.map(|author| plain(&author, AUTHOR_CHARS_MAX));
        Ok(Self { text, author: author.filter(|author| !author.is_empty()) })
    }
}

impl ContentFault {
    /// Says what is wrong, for the person who runs the API.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Empty => "the content is empty",
            Self::NoText => "the content is JSON without a text: give {\"text\", \"author\"}",
            Self::NotText => "the content is neither JSON nor UTF-8 text",
        }
    }
}

/// Takes the words of a text, with one blank between two of them, up to a length.
fn plain(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    let mut chars = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        let blank = usize::from(!shown.is_empty());
        let left = chars_max.saturating_sub(chars + blank);
        if left == 0 {
            break;
        }
        if blank == 1 {
            shown.push(' ');
        }
        shown.extend(word.chars().take(left));
        chars += blank + word.chars().count().min(left);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_the_table_says() {
        let content = |text: &str, author: Option<&str>| {
            Ok(Content { text: text.to_owned(), author: author.map(str::to_owned) })
        };
        let seneca = "It takes the whole of life to learn how to live";
        let table: &[(bool, &str, Result<Content, ContentFault>)] = &[
            (true, r#"{"text":"Live","author":"Seneca"}"#, content("Live", Some("Seneca"))),
            (true, r#"{"quote":"Live","by":" ","id":7}"#, content("Live", None)),
            (true, r#"{"text":"a\u0007b\r\n\tc"}"#, content("a b c", None)),
            (true, r#"{"words":"Live"}"#, Err(ContentFault::NoText)),
            (true, "[]", Err(ContentFault::NoText)),
            (true, r#"{"text":" \n "}"#, Err(ContentFault::Empty)),
            (false, seneca, content(seneca, None)),
            (false, "", Err(ContentFault::Empty)),
            (false, "\u{1b}[2J", content("[2J", None)),
        ];
        for (is_json, body, expected) in table {
            assert_eq!(&Content::read(*is_json, body.as_bytes()), expected, "{body}");
        }
        assert_eq!(Content::read(false, b"\xff"), Err(ContentFault::NotText));
    }

    #[test]
    fn what_is_too_long_is_cut_and_counted_in_characters() {
        let long = "ä".repeat(AUTHOR_CHARS_MAX) + " " + &"b ".repeat(TEXT_CHARS_MAX);
        let content = Content::read(false, long.as_bytes()).unwrap();
        assert!((TEXT_CHARS_MAX - 1..=TEXT_CHARS_MAX).contains(&content.text.chars().count()));
    }
}
