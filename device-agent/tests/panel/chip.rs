//! A model of the SSD1306 family and of the SH1106, from their data sheets: what a panel shows
//! after the bytes it was sent.

use tokenward_device::screen::frame::{Bits, WIDTH};

use crate::panel::rig::Peer;

/// Which of the chips it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ssd1306,
    Sh1106,
}

/// How the memory's place moves on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addressing {
    Horizontal,
    Vertical,
    Page,
}

/// A panel: its registers, its memory and what was seen of it.
pub(super) struct Chip {
    kind: Kind,
    /// Rows of the glass.
    rows: usize,
    memory: Vec<u8>,
    column: usize,
    page: usize,
    addressing: Addressing,
    columns: (usize, usize),
    pages: (usize, usize),
    lit: bool,
    pub(super) contrast: u8,
    inverted: bool,
    all_on: bool,
    pump: bool,
    mux: u8,
    offset: u8,
    start: u8,
    remapped: bool,
    reversed: bool,
    /// Whether the glass can be read: modules that leave the line open answer 0xFF.
    pub(super) readable: bool,
    /// What the control byte said: one command, commands to the end, or data to the end.
    control: Option<u8>,
    /// A command that waits for more bytes.
    pending: Vec<u8>,
    /// How often the glass went dark since it was last asked.
    pub(super) darkened: usize,
    /// Commands that the chip does not know.
    pub(super) unknown: Vec<u8>,
}

/// Columns of memory of an SH1106; an SSD1306 has 128.
const WIDE: usize = 132;

impl Chip {
    pub(super) fn new(kind: Kind, rows: usize) -> Self {
        let mut chip = Self {
            kind,
            rows,
            memory: Vec::new(),
            column: 0,
            page: 0,
            addressing: Addressing::Page,
            columns: (0, 127),
            pages: (0, 7),
            lit: false,
            contrast: 0x7F,
            inverted: false,
            all_on: false,
            pump: false,
            mux: 0x3F,
            offset: 0,
            start: 0,
            remapped: false,
            reversed: false,
            readable: true,
            control: None,
            pending: Vec::new(),
            darkened: 0,
            unknown: Vec::new(),
        };
        chip.power_cycle();
        chip
    }

    /// Returns what is seen on the glass.
    pub(super) fn seen(&self) -> Bits {
        let mut seen = Bits::dark(u32::try_from(self.rows).unwrap());
        if !self.lit || !self.pump || usize::from(self.mux) + 1 != self.rows {
            return seen;
        }
        for y in 0..self.rows {
            for x in 0..WIDTH as usize {
                seen.set(x as i32, y as i32, self.dot(x, y));
            }
        }
        seen
    }

    /// Tells whether a dot is lit: glass is mounted so that both directions reversed are upright.
    fn dot(&self, x: usize, y: usize) -> bool {
        let line = if self.reversed { y } else { self.rows - 1 - y };
        let row = (line + usize::from(self.start) + usize::from(self.offset)) % 64;
        let segment = if self.remapped { x } else { WIDTH as usize - 1 - x };
        let column = segment + if self.kind == Kind::Sh1106 { 2 } else { 0 };
        let stored = self.memory[row / 8 * WIDE + column] >> (row % 8) & 1 == 1;
        (stored || self.all_on) != self.inverted
    }

    fn data(&mut self, byte: u8) {
        self.memory[self.page * WIDE + self.column] = byte;
        let last = if self.kind == Kind::Sh1106 { WIDE - 1 } else { 127 };
        match self.addressing {
            // An SH1106 stays at its last column, an SSD1306 begins the page again.
            Addressing::Page if self.kind == Kind::Sh1106 => {
                self.column = (self.column + 1).min(last);
            }
            Addressing::Page => self.column = (self.column + 1) % (last + 1),
            Addressing::Horizontal => {
                if step(&mut self.column, self.columns) {
                    step(&mut self.page, self.pages);
                }
            }
            Addressing::Vertical => {
                if step(&mut self.page, self.pages) {
                    step(&mut self.column, self.columns);
                }
            }
        }
    }

    /// Takes a byte of a command; those of two bytes wait for the second, even past a stop.
    fn command(&mut self, byte: u8) {
        self.pending.push(byte);
        let length = match self.pending[0] {
            0x20 | 0x81 | 0xA8 | 0xD3 | 0xD5 | 0xD9 | 0xDA | 0xDB | 0x8D | 0xAD => 2,
            0x21 | 0x22 | 0xA3 => 3,
            _ => 1,
        };
        if self.pending.len() == length {
            let command = std::mem::take(&mut self.pending);
            self.obey(&command);
        }
    }

    fn obey(&mut self, command: &[u8]) {
        let ssd = self.kind == Kind::Ssd1306;
        match *command {
            [low @ 0x00..=0x0F] => self.column = self.column & 0xF0 | usize::from(low),
            [high @ 0x10..=0x1F] => {
                self.column = self.column & 0x0F | usize::from(high & 0x0F) << 4;
            }
            [0x20, mode] if ssd => {
                self.addressing = match mode & 3 {
                    0 => Addressing::Horizontal,
                    1 => Addressing::Vertical,
                    _ => Addressing::Page,
                };
            }
            [0x21, first, last] if ssd => {
                self.columns = (usize::from(first & 127), usize::from(last & 127));
                self.column = self.columns.0;
            }
            [0x22, first, last] if ssd => {
                self.pages = (usize::from(first & 7), usize::from(last & 7));
                self.page = self.pages.0;
            }
            [page @ 0xB0..=0xB7] => self.page = usize::from(page & 7),
            [start @ 0x40..=0x7F] => self.start = start & 0x3F,
            [0x81, contrast] => self.contrast = contrast,
            [0x8D, pump] if ssd => self.pump = pump & 4 != 0,
            [0xAD, converter] if !ssd => self.pump = converter & 1 != 0,
            [0xA0] => self.remapped = false,
            [0xA1] => self.remapped = true,
            [0xC0] => self.reversed = false,
            [0xC8] => self.reversed = true,
            [0xA4] => self.all_on = false,
            [0xA5] => self.all_on = true,
            [0xA6] => self.inverted = false,
            [0xA7] => self.inverted = true,
            [0xA8, mux] => self.mux = mux & 0x3F,
            [0xD3, offset] => self.offset = offset & 0x3F,
            [0xAE] => {
                self.darkened += usize::from(self.lit);
                self.lit = false;
            }
            [0xAF] => self.lit = true,
            [0xD5 | 0xD9 | 0xDA | 0xDB, _] | [0xE3] => {}
            [0x2E] if ssd => {}
            [first, ..] => self.unknown.push(first),
            [] => {}
        }
    }
}

impl Peer for Chip {
    fn take(&mut self, byte: u8, first: bool) {
        if first {
            self.control = None;
        }
        match self.control {
            None => self.control = Some(byte),
            Some(0x00) => self.command(byte),
            Some(0x40) => self.data(byte),
            // After the one byte, another control byte follows.
            Some(0x80) => {
                self.command(byte);
                self.control = None;
            }
            Some(0xC0) => {
                self.data(byte);
                self.control = None;
            }
            Some(other) => panic!("{other:#04x} is no control byte"),
        }
    }

    fn answer(&self) -> Option<u8> {
        let status = if self.lit { 0x03 } else { 0x43 };
        Some(if self.readable { status } else { 0xFF })
    }

    fn power_cycle(&mut self) {
        // Memory wakes up with noise; a simple generator makes the same noise each time.
        let mut seed = 0x2545_F491_u32;
        self.memory = (0..8 * WIDE)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        (self.column, self.page, self.addressing) = (0, 0, Addressing::Page);
        (self.lit, self.pump, self.inverted, self.all_on) = (false, false, false, false);
        (self.contrast, self.mux, self.offset, self.start) = (0x7F, 0x3F, 0, 0);
        (self.remapped, self.reversed) = (false, false);
        self.pending.clear();
    }
}

/// Moves on inside of a window; tells whether it began again.
fn step(at: &mut usize, (first, last): (usize, usize)) -> bool {
    let wrapped = *at >= last;
    *at = if wrapped { first } else { *at + 1 };
    wrapped
}
