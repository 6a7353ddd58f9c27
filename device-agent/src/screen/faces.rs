//! The letters: which faces are used, how wide text is, and where lines break.
//!
//! Two families with free licences, in the Latin-1 cut: misc-fixed, which is in the public domain,
//! and Adobe's Helvetica, whose notice follows.
//!
//! > Copyright 1984-1989, 1994 Adobe Systems Incorporated. Copyright 1988, 1994 Digital Equipment
//! > Corporation. Adobe is a trademark of Adobe Systems Incorporated which may be registered in
//! > certain jurisdictions. Permission to use these trademarks is hereby granted only in
//! > association with the images described in this file. Permission to use, copy, modify,
//! > distribute and sell this software and its documentation for any purpose and without fee is
//! > hereby granted, provided that the above copyright notices appear in all copies and that both
//! > those copyright notices and this permission notice appear in supporting documentation, and
//! > that the names of Adobe Systems and Digital Equipment Corporation not be used in advertising
//! > or publicity pertaining to distribution of the software without specific, written prior
//! > permission. Adobe Systems and Digital Equipment Corporation make no representations about the
//! > suitability of this software for any purpose. It is provided "as is" without express or
//! > implied warranty.
//!
//! Lines are broken here rather than by `embedded-text`: it breaks at spaces only, which a link has
//! none of, and does not tell where it broke, so that text could be neither turned in pages nor
//! balanced.

use std::sync::OnceLock;

use embedded_graphics::geometry::Point;
use embedded_graphics::pixelcolor::BinaryColor;
use u8g2_fonts::types::{FontColor, VerticalPosition};
use u8g2_fonts::{FontRenderer, fonts};

use crate::screen::frame::Bits;

/// A face at one distance of lines.
#[derive(Debug)]
pub(super) struct Face {
    font: FontRenderer,
    /// How many columns each letter of Latin-1 takes: faces are searched letter by letter, and
    /// breaking lines asks for every letter many times.
    advances: OnceLock<[u8; 256]>,
    /// Rows from one line to the next.
    pub(super) pitch: i32,
    /// Rows from the top of the tallest plain letter to the base line.
    pub(super) ascent: i32,
    /// Rows below the base line.
    pub(super) descent: i32,
}

macro_rules! face {
    ($name:ident, $font:ident, $pitch:literal, $ascent:literal, $descent:literal, $doc:literal) => {
        #[doc = $doc]
        pub(super) static $name: Face = Face {
            font: FontRenderer::new::<fonts::$font>().with_ignore_unknown_chars(true),
            advances: OnceLock::new(),
            pitch: $pitch,
            ascent: $ascent,
            descent: $descent,
        };
    };
}

face!(SMALL, u8g2_font_5x7_tf, 8, 6, 1, "For the bar, for links, and for long text on low glass.");
face!(TIGHT, u8g2_font_helvR08_tf, 9, 8, 2, "For text that fits nothing larger.");
face!(TEXT, u8g2_font_helvR08_tf, 11, 8, 2, "For text.");
face!(LARGE, u8g2_font_helvR10_tf, 14, 11, 3, "For shorter text.");
face!(LARGER, u8g2_font_helvR12_tf, 17, 12, 3, "For text of a line or two.");
face!(LARGEST, u8g2_font_helvR14_tf, 20, 14, 4, "For a word or two.");
face!(TITLE, u8g2_font_helvB10_tf, 14, 11, 3, "For titles.");
face!(LOW_TITLE, u8g2_font_helvB08_tf, 10, 8, 2, "For titles on low glass.");
face!(CODE, u8g2_font_9x15B_tf, 16, 10, 0, "For codes that somebody types.");
face!(
    NARROW_CODE,
    u8g2_font_7x13B_tf,
    14,
    9,
    0,
    "For codes that somebody types, where room is scarce."
);

impl Face {
    /// Returns how many columns a text takes, with the gap after its last letter.
    pub(super) fn width(&self, text: &str) -> i32 {
        text.chars().map(|character| self.advance(character)).sum()
    }

    /// Returns how many columns a letter takes, with the gap after it; one that has no picture
    /// takes none.
    fn advance(&self, character: char) -> i32 {
        let advances = self.advances.get_or_init(|| {
            std::array::from_fn(|letter| {
                let letter = char::from(letter as u8);
                let at = Point::zero();
                let measured =
                    self.font.get_rendered_dimensions(letter, at, VerticalPosition::Baseline);
                // Letters without a picture are ignored, so measuring cannot fail; none is wider
                // than the glass.
                measured.map_or(0, |dimensions| dimensions.advance.x as u8)
            })
        });
        u8::try_from(character).map_or(0, |letter| i32::from(advances[usize::from(letter)]))
    }

    /// Writes a line, lit or dark, from a place on its base line.
    pub(super) fn write(&self, bits: &mut Bits, x: i32, base: i32, text: &str, lit: bool) {
        let color = FontColor::Transparent(if lit { BinaryColor::On } else { BinaryColor::Off });
        let at = Point::new(x, base);
        let written = self.font.render(text, at, VerticalPosition::Baseline, color, bits);
        // Neither the bits nor the known letters can refuse.
        debug_assert!(written.is_ok());
    }

    /// Returns how many lines fit into so many rows.
    pub(super) fn lines_in(&self, rows: i32) -> usize {
        let more = (rows - self.ascent - self.descent) / self.pitch;
        if rows < self.ascent { 0 } else { usize::try_from(more + 1).unwrap_or(1) }
    }

    /// Returns how many rows so many lines take.
    pub(super) fn rows_of(&self, lines: usize) -> i32 {
        let more = i32::try_from(lines).unwrap_or(0) - 1;
        self.ascent + self.descent + more * self.pitch
    }

    /// Breaks text into as few lines as it takes, none wider than asked.
    pub(super) fn wrap(&self, text: &str, width: i32) -> Vec<String> {
        wrap(text, width, &|character| self.advance(character))
    }

    /// Breaks text into as few lines as it takes, and those as even as they can be: no line holds
    /// a word that was left over.
    pub(super) fn balance(&self, text: &str, width: i32) -> Vec<String> {
        let advance = |character| self.advance(character);
        let words = words(text, &advance);
        let fewest = breaks(&words, width, &advance).len();
        let (mut low, mut high) = (1, width);
        while low < high {
            let middle = (low + high) / 2;
            if breaks(&words, middle, &advance).len() <= fewest {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        breaks(&words, high, &advance)
    }

    /// Returns a text cut to a width, with an ellipsis where it was cut.
    pub(super) fn cut(&self, text: &str, width: i32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut cut: Vec<char> = text.chars().collect();
        while !cut.is_empty() {
            cut.pop();
            let shown = format!("{}...", cut.iter().collect::<String>().trim_end());
            if self.width(&shown) <= width {
                return shown;
            }
        }
        String::new()
    }
}

/// How many columns a letter takes.
type Advance<'a> = &'a dyn Fn(char) -> i32;

/// Breaks text into lines; what is wider than a line by itself is cut, after a mark where there is
/// one.
pub(super) fn wrap(text: &str, width: i32, advance: Advance<'_>) -> Vec<String> {
    breaks(&words(text, advance), width, advance)
}

/// A word with its width.
struct Word {
    text: String,
    width: i32,
}

/// Parts text at its spaces; a dash stays with the word before it, so that it begins no line.
fn words(text: &str, advance: Advance<'_>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for text in text.split_whitespace() {
        let width = text.chars().map(advance).sum();
        match words.last_mut() {
            Some(before) if text == "-" => {
                before.text.push_str(" -");
                before.width += advance(' ') + width;
            }
            Some(_) | None => words.push(Word { text: text.to_owned(), width }),
        }
    }
    words
}

fn breaks(words: &[Word], width: i32, advance: Advance<'_>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut line, mut taken) = (String::new(), 0);
    let space = advance(' ');
    for word in words {
        let joined = if line.is_empty() { word.width } else { taken + space + word.width };
        if joined <= width {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word.text);
            taken = joined;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let (mut rest, mut left) = (word.text.as_str(), word.width);
        while left > width && !rest.is_empty() {
            let (piece, after) = rest.split_at(cut_at(rest, width, advance));
            left -= piece.chars().map(advance).sum::<i32>();
            lines.push(piece.to_owned());
            rest = after;
        }
        (line, taken) = (rest.to_owned(), left);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Returns where to cut a word that is too wide: after the last mark that fits, or else wherever it
/// fits; never at the start.
fn cut_at(word: &str, width: i32, advance: Advance<'_>) -> usize {
    let marks = ['/', '-', '.', '?', '&', '=', '_'];
    let (mut taken, mut fitting, mut marked) = (0, None, None);
    for (at, character) in word.char_indices() {
        taken += advance(character);
        if taken > width && fitting.is_some() {
            break;
        }
        fitting = Some(at + character.len_utf8());
        if marks.contains(&character) {
            marked = fitting;
        }
    }
    marked.or(fitting).unwrap_or(word.len())
}
