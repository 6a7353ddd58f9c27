//! The panel in a terminal: for `sim` and `show --term`.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::panel::fault::Fault;
use crate::panel::{Drawn, Panel};
use crate::screen::frame::{Bits, Cells, Frame, Lamp, Picture, WIDTH};

/// How pixels become characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dots {
    /// Two pixels a character: 130 columns wide, and codes on it can be scanned.
    Halves,
    /// Eight pixels a character: 66 columns wide.
    Braille,
}

/// A panel that is drawn in place, over and over.
#[derive(Debug)]
pub struct Terminal<W> {
    out: W,
    dots: Dots,
    wire: Wire,
    /// The frame that is on the screen, and the lines it took.
    shown: Option<(Option<Frame>, usize)>,
}

/// The wire to a panel in the terminal; it can be pulled, which ends nothing else.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<AtomicBool>);

impl Wire {
    /// Pulls the wire, or plugs it in again; tells whether it is pulled then.
    pub fn toggle(&self) -> bool {
        !self.0.fetch_xor(true, Ordering::Relaxed)
    }

    /// Tells whether it is pulled.
    pub fn is_pulled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<W: Write + Send> Terminal<W> {
    /// Describes a panel; nothing is drawn yet.
    pub fn new(out: W, dots: Dots, wire: Wire) -> Self {
        Self { out, dots, wire, shown: None }
    }

    fn put(&mut self, frame: Option<&Frame>, glass: &Frame) -> io::Result<()> {
        let shown = frame.filter(|frame| frame.lamp != Lamp::Off);
        let dark = blank(&glass.picture);
        let text = text(shown.map_or(&dark, |frame| &frame.picture), self.dots);
        let dim = shown.is_some_and(|frame| frame.lamp == Lamp::Dim);
        let mut whole = String::new();
        if let Some((_, lines)) = self.shown {
            whole.push_str(&format!("\x1b[{lines}A\r"));
        }
        for line in text.lines() {
            let (on, off) = if dim { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
            whole.push_str(&format!("{on}{line}{off}\x1b[K\n"));
        }
        self.out.write_all(whole.as_bytes())?;
        self.out.flush()?;
        self.shown = Some((frame.cloned(), text.lines().count()));
        Ok(())
    }
}

impl<W: Write + Send> Panel for Terminal<W> {
    fn draw(&mut self, frame: &Frame) -> Result<Drawn, Fault> {
        let pulled = self.wire.is_pulled();
        let wanted = if pulled { None } else { Some(frame) };
        let same = |old: &Option<Frame>| match (old, wanted) {
            (Some(old), Some(new)) => old.picture == new.picture && old.lamp == new.lamp,
            (old, new) => old.is_none() == new.is_none(),
        };
        let is_shown = self.shown.as_ref().is_some_and(|(old, _)| same(old));
        let drawn = match (is_shown, self.shown.is_some()) {
            (true, _) => Drawn::Unchanged,
            (false, true) => Drawn::Changed,
            (false, false) => Drawn::Whole,
        };
        if !is_shown {
            let put = self.put(wanted, frame);
            put.map_err(|error| Fault::opening(error.raw_os_error()))?;
        }
        if pulled { Err(Fault::pulled()) } else { Ok(drawn) }
    }

    fn darken(&mut self) {
        // What was shown last stays in the terminal's history.
        let _ = self.out.flush();
    }
}

/// Returns a frame as lines of text, in a frame of its own.
pub fn text(picture: &Picture, dots: Dots) -> String {
    let lines = match (picture, dots) {
        (Picture::Bits(bits), Dots::Halves) => halves(bits),
        (Picture::Bits(bits), Dots::Braille) => braille(bits),
        (Picture::Cells(cells), _) => characters(cells),
    };
    let columns = lines.first().map_or(0, |line| line.chars().count());
    let edge = "─".repeat(columns);
    let mut text = format!("┌{edge}┐\n");
    for line in lines {
        text.push_str(&format!("│{line}│\n"));
    }
    text.push_str(&format!("└{edge}┘\n"));
    text
}

fn halves(bits: &Bits) -> Vec<String> {
    let columns = || 0..WIDTH as i32;
    let line = |y: i32| {
        columns().map(move |x| match (bits.lit(x, y), bits.lit(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        })
    };
    (0..bits.height() as i32).step_by(2).map(|y| line(y).collect()).collect()
}

fn braille(bits: &Bits) -> Vec<String> {
    // Unicode numbers the dots of a character down its left side, then its right, but for the
    // lowest two, which came later.
    const DOTS: [(i32, i32); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
    let character = |x: i32, y: i32| {
        let dot =
            |nth: usize, (right, down): (i32, i32)| u32::from(bits.lit(x + right, y + down)) << nth;
        let mask: u32 = DOTS.into_iter().enumerate().map(|(nth, at)| dot(nth, at)).sum();
        char::from_u32(0x2800 + mask).unwrap_or(' ')
    };
    let line = |y: i32| (0..WIDTH as i32).step_by(2).map(move |x| character(x, y)).collect();
    (0..bits.height() as i32).step_by(4).map(line).collect()
}

fn characters(cells: &Cells) -> Vec<String> {
    cells.rows().iter().map(|row| row.iter().copied().map(char::from).collect()).collect()
}

fn blank(picture: &Picture) -> Picture {
    match picture {
        Picture::Bits(bits) => Picture::Bits(Box::new(Bits::dark(bits.height()))),
        Picture::Cells(cells) => Picture::Cells(Cells::blank(cells.columns(), cells.rows().len())),
    }
}
