//! A model of an HD44780 behind a PCF8574, half byte by half byte, from their data sheets.

use crate::panel::rig::Peer;

/// A panel: its registers, its memory and what was seen of it.
pub(super) struct LcdChip {
    columns: usize,
    rows: usize,
    /// What the expander's lines show.
    lines: u8,
    /// Whether a byte comes in two halves.
    halves: bool,
    /// The upper half of a byte whose lower one is to come.
    upper: Option<u8>,
    memory: [u8; 128],
    place: u8,
    on: bool,
    two_lines: bool,
    /// How often what was shown was cleared or darkened.
    pub(super) blanked: usize,
    /// Where RS did not stand still while E rose.
    pub(super) hasty: usize,
}

const RS: u8 = 1 << 0;
const ENABLE: u8 = 1 << 2;
const LIGHT: u8 = 1 << 3;

impl LcdChip {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        let mut chip = Self {
            columns,
            rows,
            lines: 0,
            halves: false,
            upper: None,
            memory: [0; 128],
            place: 0,
            on: false,
            two_lines: false,
            blanked: 0,
            hasty: 0,
        };
        chip.power_cycle();
        chip
    }

    /// Returns the rows that are seen; `None` where nothing is.
    pub(super) fn seen(&self) -> Option<Vec<String>> {
        let start = |row: usize| row % 2 * 0x40 + row / 2 * self.columns;
        let row = |row: usize| {
            let cells = &self.memory[start(row)..start(row) + self.columns];
            cells.iter().copied().map(char::from).collect()
        };
        (self.on && self.two_lines).then(|| (0..self.rows).map(row).collect())
    }

    pub(super) fn is_lit(&self) -> bool {
        self.lines & LIGHT != 0
    }

    /// Loses step by half a byte, as a spike on the line E does.
    pub(super) fn slip(&mut self) {
        self.half(0x0);
    }

    fn half(&mut self, half: u8) {
        let characters = self.lines & RS != 0;
        match (self.halves, self.upper.take()) {
            // On four wires, the lower ones of a whole byte are taken as low.
            (false, _) => self.byte(half << 4, characters),
            (true, None) => self.upper = Some(half),
            (true, Some(upper)) => self.byte(upper << 4 | half, characters),
        }
    }

    fn byte(&mut self, byte: u8, character: bool) {
        if character {
            self.memory[usize::from(self.place)] = byte;
            self.place = (self.place + 1) & 0x7F;
            return;
        }
        match byte {
            0x80.. => self.place = byte & 0x7F,
            0x20..=0x3F => {
                self.halves = byte & 0x10 == 0;
                // The number of lines cannot be taken back by the wake-up alone.
                self.two_lines |= byte & 0x08 != 0;
            }
            0x08..=0x0F => {
                self.blanked += usize::from(self.on && byte & 0x04 == 0);
                self.on = byte & 0x04 != 0;
            }
            0x01 => {
                self.blanked += usize::from(self.on);
                self.memory = [b' '; 128];
                self.place = 0;
            }
            // Entry mode, shifts and the memory of own characters are not used.
            _ => {}
        }
    }
}

impl Peer for LcdChip {
    fn take(&mut self, byte: u8, _first: bool) {
        let (before, now) = (self.lines, byte);
        let rises = before & ENABLE == 0 && now & ENABLE != 0;
        self.hasty += usize::from(rises && (before ^ now) & RS != 0);
        let falls = before & ENABLE != 0 && now & ENABLE == 0;
        self.lines = byte;
        if falls {
            self.half(before >> 4);
        }
    }

    fn answer(&self) -> Option<u8> {
        Some(self.lines)
    }

    fn power_cycle(&mut self) {
        (self.halves, self.upper, self.place) = (false, None, 0);
        (self.on, self.two_lines, self.lines) = (false, false, 0xFF);
        self.memory = [b'#'; 128];
    }
}
