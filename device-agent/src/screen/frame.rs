//! Pictures as the panel takes them: bits for glass that shows pixels, cells for glass that shows
//! characters.

use std::convert::Infallible;
use std::ops::Range;

use embedded_graphics::Pixel;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::DrawTarget;

/// The size of the glass, and what it can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Glass {
    /// 128 by 64 pixels.
    Pixels128x64,
    /// 128 by 32 pixels.
    Pixels128x32,
    /// 16 by 2 characters.
    Cells16x2,
    /// 20 by 4 characters.
    Cells20x4,
}

/// One picture with how brightly it is lit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What is seen.
    pub picture: Picture,
    /// How brightly.
    pub lamp: Lamp,
    /// The minute it was drawn for, as [`Model::minute`](crate::model::Model::minute) counts: the
    /// panel heals by it.
    pub minute: u64,
    /// How many characters of the text have no picture on this glass.
    pub dropped: u32,
}

/// What is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Pixels.
    Bits(Box<Bits>),
    /// Characters.
    Cells(Cells),
}

/// How brightly the glass is lit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lamp {
    /// Not at all: the night window.
    Off,
    /// Enough for a dark room, and kind to the glass.
    Dim,
    /// As bright as it gets without harm.
    Full,
}

/// Columns of a bit frame.
pub const WIDTH: u32 = 128;

/// Rows of the tallest bit frame.
const HEIGHT_MAX: u32 = 64;

/// Bytes of the tallest bit frame: one bit a pixel, 1 KiB.
const BYTES: usize = (WIDTH * HEIGHT_MAX / 8) as usize;

/// Pixels in the layout of the panels' memory: pages of eight rows, one byte a column, the least
/// significant bit at the top. Rows below the glass stay dark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    bytes: [u8; BYTES],
    height: u32,
}

/// Characters in rows, each in the printable part of ASCII, which all such panels share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    rows: Vec<Vec<u8>>,
}

impl Glass {
    /// Returns how many pixels it has, or `None` where it shows characters.
    pub fn pixels(self) -> Option<Size> {
        match self {
            Self::Pixels128x64 => Some(Size::new(WIDTH, 64)),
            Self::Pixels128x32 => Some(Size::new(WIDTH, 32)),
            Self::Cells16x2 | Self::Cells20x4 => None,
        }
    }

    /// Returns how many columns and rows of characters it has, or `None` where it shows pixels.
    pub fn cells(self) -> Option<(usize, usize)> {
        match self {
            Self::Pixels128x64 | Self::Pixels128x32 => None,
            Self::Cells16x2 => Some((16, 2)),
            Self::Cells20x4 => Some((20, 4)),
        }
    }
}

impl Frame {
    /// Returns a picture with nothing lit: what is shown before the first one is drawn.
    pub fn dark(glass: Glass) -> Self {
        let picture = match (glass.pixels(), glass.cells()) {
            (Some(size), _) => Picture::Bits(Box::new(Bits::dark(size.height))),
            (None, cells) => {
                let (columns, rows) = cells.unwrap_or_default();
                Picture::Cells(Cells::blank(columns, rows))
            }
        };
        Self { picture, lamp: Lamp::Off, minute: 0, dropped: 0 }
    }
}

impl Bits {
    /// Returns a picture of so many rows with nothing lit.
    pub fn dark(height: u32) -> Self {
        Self { bytes: [0; BYTES], height: height.min(HEIGHT_MAX) }
    }

    /// Returns how many rows it has.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns how many pages of eight rows it has.
    pub fn pages(&self) -> usize {
        (self.height as usize).div_ceil(8)
    }

    /// Returns the bytes of a page, one a column.
    pub fn page(&self, page: usize) -> &[u8] {
        let width = WIDTH as usize;
        self.bytes.get(page * width..(page + 1) * width).unwrap_or_default()
    }

    /// Tells whether a pixel is lit; outside of the glass none is.
    pub fn lit(&self, x: i32, y: i32) -> bool {
        Self::place(self.height, x, y).is_some_and(|(at, mask)| self.bytes[at] & mask != 0)
    }

    /// Lights or darkens a pixel; outside of the glass nothing happens.
    pub fn set(&mut self, x: i32, y: i32, lit: bool) {
        if let Some((at, mask)) = Self::place(self.height, x, y) {
            if lit {
                self.bytes[at] |= mask;
            } else {
                self.bytes[at] &= !mask;
            }
        }
    }

    /// Returns how many pixels are lit.
    pub fn lit_count(&self) -> u32 {
        self.bytes.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Returns the picture moved by up to so many columns and rows: as far as no lit pixel leaves
    /// the given rows.
    #[must_use]
    pub fn moved(&self, right: i32, down: i32, rows: Range<i32>) -> Self {
        let (mut left, mut top) = (WIDTH as i32, rows.end);
        let (mut last_x, mut last_y) = (-1, -1);
        for (x, y) in self.points() {
            (left, top) = (left.min(x), top.min(y));
            (last_x, last_y) = (last_x.max(x), last_y.max(y));
        }
        if last_x < 0 {
            return self.clone();
        }
        let right = right.clamp(-left, WIDTH as i32 - 1 - last_x);
        let up_at_most = (rows.start - top).min(0);
        let down_at_most = (rows.end - 1 - last_y).max(0);
        let down = down.clamp(up_at_most, down_at_most);
        let mut moved = Self::dark(self.height);
        for (x, y) in self.points() {
            moved.set(x + right, y + down, true);
        }
        moved
    }

    /// Lights what another picture lights, too.
    pub fn add(&mut self, other: &Self) {
        for (byte, more) in self.bytes.iter_mut().zip(other.bytes) {
            *byte |= more;
        }
    }

    /// Returns the places of the lit pixels, row by row.
    pub fn points(&self) -> impl Iterator<Item = (i32, i32)> {
        let places = (0..self.height as i32).flat_map(|y| (0..WIDTH as i32).map(move |x| (x, y)));
        places.filter(|&(x, y)| self.lit(x, y))
    }

    fn place(height: u32, x: i32, y: i32) -> Option<(usize, u8)> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        let inside = x < WIDTH && y < height;
        inside.then(|| ((y / 8 * WIDTH + x) as usize, 1 << (y % 8)))
    }
}

impl OriginDimensions for Bits {
    fn size(&self) -> Size {
        Size::new(WIDTH, self.height)
    }
}

impl DrawTarget for Bits {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        for Pixel(Point { x, y }, color) in pixels {
            self.set(x, y, color.is_on());
        }
        Ok(())
    }
}

impl Cells {
    /// Returns rows of spaces.
    pub fn blank(columns: usize, rows: usize) -> Self {
        Self { rows: vec![vec![b' '; columns]; rows] }
    }

    /// Returns the rows, each as wide as the glass.
    pub fn rows(&self) -> &[Vec<u8>] {
        &self.rows
    }

    /// Writes text from a place on; what does not fit, or is not printable ASCII, is left out.
    pub fn write(&mut self, row: usize, column: usize, text: &str) {
        let Some(row) = self.rows.get_mut(row) else { return };
        let printable = text.bytes().filter(|byte| (b' '..=b'~').contains(byte));
        for (cell, byte) in row.iter_mut().skip(column).zip(printable) {
            *cell = byte;
        }
    }

    /// Returns how many columns it has.
    pub fn columns(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }
}
