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

use embedded_graphics::geometry::Point;
use embedded_graphics::pixelcolor::BinaryColor;
use u8g2_fonts::types::{FontColor, VerticalPosition};
use u8g2_fonts::{FontRenderer, fonts};

use crate::screen::frame::Bits;

/// A face at one distance of lines.
#[derive(Debug)]
pub(super) struct Face {
    font: FontRenderer,
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
        pub(super) const $name: Face = Face {
            font: FontRenderer::new::<fonts::$font>().with_ignore_unknown_chars(true),
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
        let at = Point::zero();
        let measured = self.font.get_rendered_dimensions(text, at, VerticalPosition::Baseline);
        // Unknown characters are ignored, so measuring cannot fail.
        measured.map_or(0, |dimensions| dimensions.advance.x)
    }

    /// Tells whether a character has a picture in this face.
    #[cfg(test)]
    pub(super) fn knows(&self, character: char) -> bool {
        let strict = self.font.clone().with_ignore_unknown_chars(false);
        let at = Point::zero();
        strict.get_rendered_dimensions(character, at, VerticalPosition::Baseline).is_ok()
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
        wrap(text, width, &|piece| self.width(piece))
    }

    /// Breaks text into as few lines as it takes, and those as even as they can be: no line holds
    /// a word that was left over.
    pub(super) fn balance(&self, text: &str, width: i32) -> Vec<String> {
        let greedy = self.wrap(text, width);
        let (mut low, mut high) = (1, width);
        while low < high {
            let middle = (low + high) / 2;
            if self.wrap(text, middle).len() <= greedy.len() {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.wrap(text, high)
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

/// Breaks text into lines; what is wider than a line by itself is cut, after a mark where there is
/// one.
pub(super) fn wrap(text: &str, width: i32, measure: &dyn Fn(&str) -> i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words(text) {
        let word = word.as_str();
        let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if measure(&joined) <= width {
            line = joined;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let mut rest = word;
        while measure(rest) > width {
            let (piece, after) = rest.split_at(cut_at(rest, width, measure));
            lines.push(piece.to_owned());
            rest = after;
        }
        line = rest.to_owned();
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Parts text at its spaces; a dash stays with the word before it, so that it begins no line.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(before) if word == "-" => before.push_str(" -"),
            Some(_) | None => words.push(word.to_owned()),
        }
    }
    words
}

/// Returns where to cut a word that is too wide: after the last mark that fits, or else wherever it
/// fits; never at the start.
fn cut_at(word: &str, width: i32, measure: &dyn Fn(&str) -> i32) -> usize {
    let ends = word.char_indices().map(|(at, character)| (at + character.len_utf8(), character));
    let fits =
        |&(nth, (end, _)): &(usize, (usize, char))| nth == 0 || measure(&word[..end]) <= width;
    let fitting: Vec<_> = ends.enumerate().take_while(fits).collect();
    let marks = ['/', '-', '.', '?', '&', '=', '_'];
    let marked = fitting.iter().rev().find(|(_, (_, character))| marks.contains(character));
    marked.or(fitting.last()).map_or(word.len(), |(_, (end, _))| *end)
}
