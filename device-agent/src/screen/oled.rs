//! How it lies on glass of pixels.
//!
//! A bar of eight rows, one page of the panel's memory, holds who said it and what time it is. It
//! lies at the bottom and every other hour at the top. It moves sideways only, so that the minute
//! of its clock stays one run of one page; what lies beside it moves both ways.

use crate::model::{Content, Model, SignIn};
use crate::power::Care;
use crate::screen::code::Code;
use crate::screen::faces::{
    CODE, Face, LARGE, LARGER, LARGEST, LOW_TITLE, NARROW_CODE, SMALL, TEXT, TIGHT, TITLE,
};
use crate::screen::frame::{Bits, WIDTH};
use crate::screen::letters::{Alphabet, plain};
use crate::screen::{Says, clock_words, page_of, pages, readable};

/// Columns of the glass.
const COLUMNS: i32 = WIDTH as i32;

/// Rows of the bar: one page of the panel's memory.
const BAR: i32 = 8;

/// Rows of the lowest glass on which letters of the larger kind are used.
const HIGH: i32 = 64;

/// Columns between two things that lie side by side.
const GAP: i32 = 4;

/// Columns of the marks for pages where they stand beside the words, and the gap before them.
const MARKS: i32 = 5;

/// A part of the glass.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: i32,
    top: i32,
    columns: i32,
    rows: i32,
}

/// Draws what is said; returns how many characters have no picture, too.
pub(super) fn draw(says: &Says<'_>, model: &Model, height: u32, care: Care) -> (Bits, u32) {
    let mut sheet = Sheet::new(height, care);
    match says {
        Says::Text { content, mark } => sheet.text(content, mark.as_deref(), model),
        Says::Code(sign_in) => sheet.sign_in(sign_in, model.turn),
        Says::Notice { title, body, link } => sheet.notice(title, body, *link, model),
        Says::Test => sheet.test(model.turn),
    }
    (sheet.finish(), sheet.dropped)
}

/// A picture that is being drawn: the bar and the rest, which move apart from each other.
struct Sheet {
    body: Bits,
    bar: Bits,
    care: Care,
    dropped: u32,
}

impl Sheet {
    fn new(height: u32, care: Care) -> Self {
        Self { body: Bits::dark(height), bar: Bits::dark(height), care, dropped: 0 }
    }

    fn rows(&self) -> i32 {
        i32::try_from(self.body.height()).unwrap_or(0)
    }

    fn is_high(&self) -> bool {
        self.rows() >= HIGH
    }

    /// Returns the whole glass.
    fn all(&self) -> Area {
        Area { left: 0, top: 0, columns: COLUMNS, rows: self.rows() }
    }

    /// Returns the glass beside the bar.
    fn beside_bar(&self) -> Area {
        let top = if self.care.other_side { BAR } else { 0 };
        Area { top, rows: self.rows() - BAR, ..self.all() }
    }

    fn finish(&self) -> Bits {
        let (right, down) = self.care.shift;
        let area = if self.bar.lit_count() > 0 { self.beside_bar() } else { self.all() };
        let mut picture = self.bar.moved(right, 0, 0..self.rows());
        picture.add(&self.body.moved(right, down, area.top..area.top + area.rows));
        picture
    }

    fn plain(&mut self, text: &str) -> String {
        let plain = plain(text, Alphabet::Latin1);
        self.dropped += plain.dropped;
        plain.text
    }

    fn text(&mut self, content: &Content, mark: Option<&str>, model: &Model) {
        let mut text = self.plain(&content.text);
        if text.trim().is_empty() {
            text = "(This text has no letters that I can show.)".to_owned();
        }
        let author = content.author.as_deref().map(|author| self.plain(author));
        let area = self.beside_bar();
        let faces: &[&'static Face] = if self.is_high() {
            &[&LARGEST, &LARGER, &LARGE, &TEXT, &TIGHT]
        } else {
            &[&LARGER, &TEXT, &SMALL]
        };
        let (face, lines) = fit(&text, faces, area);
        let leaves = pages(&lines, face.lines_in(area.rows));
        let shown = page_of(model.turn, leaves.len());
        self.lines(leaves[shown], face, area);
        self.bar(author.as_deref(), mark, (shown, leaves.len()), model);
    }

    /// Writes lines in the middle of an area.
    fn lines(&mut self, lines: &[String], face: &Face, area: Area) {
        let gaps = i32::try_from(lines.len()).unwrap_or(1) - 1;
        let slack = (area.rows - face.rows_of(lines.len())).max(0);
        // Lines that touch for want of room move apart where there is some.
        let apart = (face.ascent + face.descent + 1 - face.pitch).clamp(0, slack / gaps.max(1));
        let mut base = area.top + (slack - gaps * apart) / 2 + face.ascent;
        for line in lines {
            // The gap after the last letter is not seen.
            let slack = area.columns - (face.width(line) - 1);
            face.write(&mut self.body, area.left + slack.max(0) / 2, base, line, true);
            base += face.pitch + apart;
        }
    }

    /// Draws the bar: author or mark at the left, pages in the middle, time at the right.
    fn bar(
        &mut self,
        author: Option<&str>,
        mark: Option<&str>,
        (page, pages): (usize, usize),
        model: &Model,
    ) {
        let top = if self.care.other_side { 0 } else { self.rows() - BAR };
        let base = top + BAR - 1;
        let clock = clock_words(model.wall);
        let mut right = COLUMNS - SMALL.width(&clock) + 1;
        SMALL.write(&mut self.bar, right, base, &clock, true);
        if pages > 1 {
            let each = 4;
            right -= GAP + each * i32::try_from(pages).unwrap_or(0);
            for nth in 0..pages {
                let left = right + each * i32::try_from(nth).unwrap_or(0);
                let (size, inset) = if nth == page { (3, 0) } else { (1, 1) };
                fill(&mut self.bar, left + inset, base - 5 + inset, size, size, true);
            }
        }
        let mut left = 0;
        if let Some(mark) = mark {
            let columns = SMALL.width(mark) + 3;
            fill(&mut self.bar, 0, top, columns, BAR, true);
            SMALL.write(&mut self.bar, 2, base, mark, false);
            left = columns + GAP;
        }
        if let Some(author) = author {
            let author = SMALL.cut(author, right - GAP - left);
            SMALL.write(&mut self.bar, left, base, &author, true);
        }
    }

    fn sign_in(&mut self, sign_in: &SignIn, turn: u64) {
        let link = sign_in.uri_complete.as_deref();
        let code = link.and_then(|link| Code::of(link, self.rows()));
        let uri = self.plain(readable(&sign_in.uri));
        let Some(code) = code else { return self.typed_code(&uri, sign_in, turn) };
        let area = self.beside_code();
        let halves: Vec<_> = sign_in.user_code.split_inclusive('-').collect();
        let face = if halves.iter().all(|half| CODE.width(half) <= area.columns) {
            &CODE
        } else {
            &NARROW_CODE
        };
        let halves = halves.iter().flat_map(|half| face.wrap(half, area.columns));
        let halves: Vec<_> = halves.collect();
        let uri = SMALL.wrap(&uri, area.columns);
        let above = SMALL.rows_of(uri.len()) + GAP;
        if above + face.rows_of(halves.len()) <= area.rows {
            // Where there is room for it, say what to do.
            let label = ["Scan me or".to_owned(), "go to".to_owned()];
            let mut lines = label.to_vec();
            lines.extend(uri.iter().cloned());
            let taller = SMALL.rows_of(lines.len()) + GAP;
            let roomy = taller + face.rows_of(halves.len()) <= area.rows;
            let (lines, above) = if roomy { (lines, taller) } else { (uri, above) };
            let all = above + face.rows_of(halves.len());
            let top = area.top + (area.rows - all) / 2;
            self.lines(&lines, &SMALL, Area { top, rows: above - GAP, ..area });
            self.lines(&halves, face, Area { top: top + above, rows: all - above, ..area });
        } else if turn.is_multiple_of(2) {
            return self.typed_code(&uri.concat(), sign_in, turn / 2);
        } else {
            self.lines(&halves, face, area);
        }
        self.code(&code);
    }

    /// Returns the glass beside a square code.
    fn beside_code(&self) -> Area {
        let rows = self.rows();
        let left = if self.care.other_side { rows + GAP } else { 0 };
        Area { left, top: 0, columns: COLUMNS - rows - GAP, rows }
    }

    fn code(&mut self, code: &Code) {
        let left = if self.care.other_side { 0 } else { COLUMNS - self.rows() };
        code.draw(&mut self.body, left);
    }

    /// Shows a code to type, over the whole glass.
    fn typed_code(&mut self, uri: &str, sign_in: &SignIn, turn: u64) {
        let area = self.all();
        let code = [sign_in.user_code.clone()];
        let (face, said) = if self.is_high() {
            (&CODE, format!("To sign me in, go to {uri}"))
        } else {
            (&NARROW_CODE, uri.to_owned())
        };
        let below = face.rows_of(1) + if self.is_high() { GAP } else { 2 };
        let above = Area { rows: area.rows - below - GAP / 2, ..area };
        let faces: &[&'static Face] = if self.is_high() { &[&TEXT, &SMALL] } else { &[&SMALL] };
        let (small, lines) = fit(&said, faces, above);
        let leaves = pages(&lines, small.lines_in(above.rows));
        self.lines(leaves[page_of(turn, leaves.len())], small, above);
        self.lines(&code, face, Area { top: area.rows - below, rows: face.rows_of(1), ..area });
    }

    fn notice(&mut self, title: &str, body: &str, link: Option<&str>, model: &Model) {
        let code = link.and_then(|link| Code::of(link, self.rows()));
        let mut body = self.plain(body);
        if let (None, Some(link)) = (&code, link) {
            let link = self.plain(readable(link));
            body = if self.is_high() { format!("Open {link}") } else { link };
        }
        let area = match (&code, self.is_high()) {
            (Some(_), _) => self.beside_code(),
            (None, true) => self.beside_bar(),
            // Low glass needs all its rows for words: the time gives way.
            (None, false) => self.all(),
        };
        let heading = if self.is_high() { &TITLE } else { &LOW_TITLE };
        let titles = heading.balance(title, area.columns);
        let gap = if self.is_high() { GAP } else { 1 };
        let above = heading.rows_of(titles.len()) + gap;
        let below = Area { top: area.top + above, rows: area.rows - above, ..area };
        let faces: &[&'static Face] =
            if self.is_high() { &[&TEXT, &TIGHT, &SMALL] } else { &[&TIGHT, &SMALL] };
        let (mut face, mut lines) = fit(&body, faces, below);
        let has_marks = !self.is_high() && lines.len() > face.lines_in(below.rows);
        if has_marks {
            (face, lines) = fit(&body, faces, Area { columns: below.columns - MARKS, ..below });
        }
        let leaves = pages(&lines, face.lines_in(below.rows));
        let shown = page_of(model.turn, leaves.len());
        // The title stays where it is while pages turn.
        let tallest = leaves.iter().map(|leaf| leaf.len()).max().unwrap_or(0);
        let slack = (below.rows - face.rows_of(tallest)).max(0) / 2;
        let top = area.top + slack;
        self.lines(&titles, heading, Area { top, rows: heading.rows_of(titles.len()), ..area });
        let rows = face.rows_of(tallest);
        let columns = if has_marks { area.columns - MARKS } else { area.columns };
        let place = Area { top: top + above, rows, columns, ..area };
        self.lines(leaves[shown], face, place);
        if has_marks {
            let place = Area { left: columns + MARKS - 3, ..place };
            self.marks(place, (shown, leaves.len()));
        }
        match code {
            Some(code) => self.code(&code),
            None if self.is_high() => self.bar(None, None, (shown, leaves.len()), model),
            None => {}
        }
    }

    /// Marks the pages that there are, one below the other, where low glass has no bar for it.
    fn marks(&mut self, area: Area, (page, pages): (usize, usize)) {
        let count = i32::try_from(pages).unwrap_or(1);
        // Two rows each are enough to be told apart, where many share a few rows.
        let each = (area.rows / count).clamp(2, 4);
        let top = area.top + (area.rows - each * count).max(0) / 2;
        for (nth, place) in (0..pages).zip(0..) {
            let (size, inset) = if nth == page { (3, 0) } else { (1, 1) };
            let rows = size.min(each - 1);
            fill(&mut self.body, area.left + inset, top + each * place, size, rows, true);
        }
    }

    /// Shows the edges, then every pixel lit, then every other one.
    fn test(&mut self, turn: u64) {
        let (columns, rows) = (COLUMNS, self.rows());
        match turn % 3 {
            0 => {
                fill(&mut self.body, 0, 0, columns, rows, true);
                fill(&mut self.body, 1, 1, columns - 2, rows - 2, false);
                fill(&mut self.body, 3, 3, 5, 5, true);
                let lines = [format!("{columns} x {rows}"), "block: top left".to_owned()];
                self.lines(&lines, &TEXT, self.all());
            }
            1 => fill(&mut self.body, 0, 0, columns, rows, true),
            _ => {
                for (x, y) in (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))) {
                    self.body.set(x, y, (x + y) % 2 == 0);
                }
            }
        }
    }
}

/// Chooses the first face whose lines fit, or else the last.
fn fit(text: &str, faces: &[&'static Face], area: Area) -> (&'static Face, Vec<String>) {
    let mut last = (faces[0], Vec::new());
    for face in faces {
        let lines = face.balance(text, area.columns);
        let fits = lines.len() <= face.lines_in(area.rows);
        last = (face, lines);
        if fits {
            break;
        }
    }
    last
}

fn fill(bits: &mut Bits, left: i32, top: i32, columns: i32, rows: i32, lit: bool) {
    for y in top..top + rows {
        for x in left..left + columns {
            bits.set(x, y, lit);
        }
    }
}
