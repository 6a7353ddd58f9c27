//! How it lies on glass of characters.

use crate::model::{Content, Model, SignIn};
use crate::screen::faces::wrap;
use crate::screen::frame::Cells;
use crate::screen::letters::{Alphabet, plain};
use crate::screen::{Says, clock_words, page_of, pages, readable};

/// Rows from which on the last one is kept for author and time.
const ROWS_WITH_BAR: usize = 4;

/// Draws what is said; returns how many characters have no picture, too.
pub(super) fn draw(says: &Says<'_>, model: &Model, columns: usize, rows: usize) -> (Cells, u32) {
    let mut sheet = Sheet { cells: Cells::blank(columns, rows), columns, rows, dropped: 0 };
    match says {
        Says::Text { content, mark } => sheet.text(content, mark.as_deref(), model),
        Says::Code(sign_in) => sheet.sign_in(sign_in, model.turn),
        Says::Notice { title, body, link } => sheet.notice(title, body, *link, model.turn),
        Says::Test => sheet.test(model.turn),
    }
    (sheet.cells, sheet.dropped)
}

struct Sheet {
    cells: Cells,
    columns: usize,
    rows: usize,
    dropped: u32,
}

impl Sheet {
    fn plain(&mut self, text: &str) -> String {
        let plain = plain(text, Alphabet::Ascii);
        self.dropped += plain.dropped;
        plain.text
    }

    fn wrap(&self, text: &str) -> Vec<String> {
        let width = i32::try_from(self.columns).unwrap_or(0);
        wrap(text, width, &|_| 1)
    }

    fn text(&mut self, content: &Content, mark: Option<&str>, model: &Model) {
        let mut text = self.plain(&content.text);
        if text.trim().is_empty() {
            text = "(No letters that I can show)".to_owned();
        }
        let author = content.author.as_deref().map(|author| self.plain(author));
        let author = author.unwrap_or_default();
        let lines = self.wrap(&text);
        let with_bar = self.rows >= ROWS_WITH_BAR;
        let leaves = pages(&lines, if with_bar { self.rows - 1 } else { self.rows });
        let clock = clock_words(model.wall);
        if with_bar {
            let shown = page_of(model.turn, leaves.len());
            self.centre(leaves[shown], 0, self.rows - 1);
            let right = match leaves.len() {
                1 => clock,
                count => format!("{}/{count} {clock}", shown + 1),
            };
            self.bar(self.rows - 1, mark.unwrap_or(&author), &right);
        } else {
            // Two rows have no room for a bar, so that it is a page of its own, after the text.
            let shown = page_of(model.turn, leaves.len() + 1);
            match leaves.get(shown) {
                Some(leaf) => self.centre(leaf, 0, self.rows),
                None => {
                    self.bar(0, &author, "");
                    self.bar(1, mark.unwrap_or_default(), &clock);
                }
            }
        }
    }

    /// Writes one text at the left and one at the right, which has precedence.
    fn bar(&mut self, row: usize, left: &str, right: &str) {
        let room = self.columns.saturating_sub(right.len() + usize::from(!right.is_empty()));
        let left = left.get(..left.len().min(room)).unwrap_or_default();
        self.cells.write(row, 0, left);
        self.cells.write(row, self.columns.saturating_sub(right.len()), right);
    }

    fn centre(&mut self, lines: &[String], top: usize, rows: usize) {
        let above = rows.saturating_sub(lines.len()) / 2;
        for (nth, line) in lines.iter().take(rows).enumerate() {
            let column = self.columns.saturating_sub(line.len()) / 2;
            self.cells.write(top + above + nth, column, line);
        }
    }

    fn sign_in(&mut self, sign_in: &SignIn, turn: u64) {
        let uri = self.plain(readable(&sign_in.uri));
        let uri = self.wrap(&uri);
        let minutes = format!("{}m", sign_in.left.as_secs().div_ceil(60));
        if self.rows >= ROWS_WITH_BAR {
            self.cells.write(0, 0, "To sign me in, go to");
            let leaves = pages(&uri, self.rows - 2);
            let shown = page_of(turn, leaves.len());
            self.centre(leaves[shown], 1, self.rows - 2);
            self.bar(self.rows - 1, &sign_in.user_code, &minutes);
        } else {
            self.bar(0, &sign_in.user_code, &minutes);
            let leaves = pages(&uri, self.rows - 1);
            self.centre(leaves[page_of(turn, leaves.len())], 1, self.rows - 1);
        }
    }

    fn notice(&mut self, title: &str, body: &str, link: Option<&str>, turn: u64) {
        let body = self.plain(link.map_or(body, readable));
        let lines = self.wrap(&body);
        self.centre(&[title.to_owned()], 0, 1);
        let leaves = pages(&lines, self.rows - 1);
        self.centre(leaves[page_of(turn, leaves.len())], 1, self.rows - 1);
    }

    /// Shows the edges, then every dot, then the alphabet.
    fn test(&mut self, turn: u64) {
        for row in 0..self.rows {
            let line: String = match turn % 2 {
                0 => (0..self.columns).map(|column| edge(row, column)).collect(),
                // All that there are, one after the other.
                _ => (0..self.columns).map(|column| nth(row * self.columns + column)).collect(),
            };
            self.cells.write(row, 0, &line);
        }
        if turn.is_multiple_of(2) {
            let size = format!(" {} x {} ", self.columns, self.rows);
            self.centre(&[size], 0, 1);
        }
    }
}

/// Numbers rows and columns by their last digit.
fn edge(row: usize, column: usize) -> char {
    let number = if column == 0 { row } else { column };
    char::from(b'0' + (number % 10) as u8)
}

/// Returns a printable character, counted from the exclamation mark on.
fn nth(number: usize) -> char {
    char::from(b'!' + (number % 94) as u8)
}
