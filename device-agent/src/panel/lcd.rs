//! The driver of character panels: HD44780 and its many relatives behind a PCF8574.
//!
//! It is our own because `hd44780-driver` speaks embedded-hal 0.2 only, and because none of the
//! crates remembers what the glass shows: here only characters that differ travel.
//!
//! The expander's lines are: RS, RW, E, light, and the upper four data lines. A byte goes as two
//! halves, each taken when E falls; the line RS has to stand before E rises, so it is set in a byte
//! of its own where it changes. Between two falls of E lie two bytes on the wire, 180 µs at the
//! 100 kHz that a PCF8574 is made for, longer than any command but the two that are waited for.

use std::time::Duration;

use embedded_hal::i2c::I2c;

use crate::panel::Drawn;
use crate::panel::fault::{Fault, RawErrno};
use crate::panel::wired::Wire;
use crate::power::HEAL_MINUTES;
use crate::screen::frame::{Cells, Frame, Lamp};

/// One panel since it was set up.
#[derive(Debug)]
pub(super) struct Lcd {
    /// What the glass shows; `None` before it was set up.
    shadow: Option<Shadow>,
}

#[derive(Debug)]
struct Shadow {
    cells: Cells,
    lit: bool,
    /// The minute of the last frame.
    minute: u64,
}

/// Line of the expander: characters rather than commands.
const RS: u8 = 1 << 0;
/// Line of the expander: the data lines count when it falls.
const ENABLE: u8 = 1 << 2;
/// Line of the expander: the light behind the glass.
const LIGHT: u8 = 1 << 3;

/// After power-up, before the first command: 40 ms at 2.7 V.
const POWER_UP: Duration = Duration::from_millis(50);
/// After the first word of the wake-up: 4.1 ms.
const WAKE_UP: Duration = Duration::from_millis(5);
/// After the other words of the wake-up (100 µs), and after clearing (1.52 ms).
const CLEARING: Duration = Duration::from_millis(2);

/// Four data lines, two lines of glass, characters of 5 by 8.
const FUNCTION: u8 = 0x28;
const GLASS_ON: u8 = 0x0C;
const CLEAR: u8 = 0x01;
/// The place moves right after each character, the glass does not.
const ENTRY: u8 = 0x06;
const PLACE: u8 = 0x80;

/// Runs this close are sent as one: a place costs 6 bytes, a character 4.
const GAP_MAX: usize = 1;

impl Lcd {
    pub(super) fn new() -> Self {
        Self { shadow: None }
    }

    pub(super) fn draw<B: I2c<Error: RawErrno>>(
        &mut self,
        wire: &mut Wire<B>,
        cells: &Cells,
        frame: &Frame,
        mut rest: impl FnMut(Duration),
    ) -> Result<Drawn, Fault> {
        let lit = frame.lamp != Lamp::Off;
        let known = self.shadow.take();
        let heal = known
            .as_ref()
            .is_none_or(|shadow| frame.minute / HEAL_MINUTES != shadow.minute / HEAL_MINUTES);
        if known.is_none() {
            rest(POWER_UP);
        }
        if heal {
            wake(wire, lit, &mut rest)?;
        }
        if known.is_none() {
            wire.send(Message::new(lit).commands(&[CLEAR]).bytes())?;
            rest(CLEARING);
        }
        if heal {
            wire.send(Message::new(lit).commands(&[GLASS_ON]).bytes())?;
        }
        let old = if heal { None } else { known.as_ref() };
        let message = changes(old.map(|shadow| &shadow.cells), cells, lit);
        let darkened = known.as_ref().is_some_and(|shadow| shadow.lit != lit);
        let drawn = match (heal, message.is_empty() && !darkened) {
            (true, _) => Drawn::Whole,
            (false, true) => Drawn::Unchanged,
            (false, false) => Drawn::Changed,
        };
        if drawn != Drawn::Unchanged {
            let bytes = if message.is_empty() { &[light(lit)][..] } else { message.bytes() };
            wire.send(bytes)?;
        }
        self.shadow = Some(Shadow { cells: cells.clone(), lit, minute: frame.minute });
        Ok(drawn)
    }

    pub(super) fn darken<B: I2c<Error: RawErrno>>(
        &mut self,
        wire: &mut Wire<B>,
    ) -> Result<(), Fault> {
        self.shadow = None;
        wire.send(Message::new(false).commands(&[CLEAR]).bytes())
    }
}

/// Brings the panel into step, whichever half of which byte it waits for, and sets it up, without
/// clearing or darkening what it shows.
fn wake<B: I2c<Error: RawErrno>>(
    wire: &mut Wire<B>,
    lit: bool,
    rest: &mut impl FnMut(Duration),
) -> Result<(), Fault> {
    for (half, wait) in [(3, WAKE_UP), (3, CLEARING), (3, CLEARING), (2, CLEARING)] {
        let mut message = Message::new(lit);
        message.half(half);
        wire.send(message.bytes())?;
        rest(wait);
    }
    wire.send(Message::new(lit).commands(&[FUNCTION, ENTRY]).bytes())
}

/// Returns the message that brings the glass from one picture to another, from an unknown one
/// where there is none.
fn changes(old: Option<&Cells>, new: &Cells, lit: bool) -> Message {
    let mut message = Message::new(lit);
    for (row, cells) in new.rows().iter().enumerate() {
        let before = old.and_then(|old| old.rows().get(row));
        let differs = |column: usize| before.and_then(|row| row.get(column)) != cells.get(column);
        let mut column = 0;
        while column < cells.len() {
            if !differs(column) {
                column += 1;
                continue;
            }
            let mut end = column + 1;
            let near =
                |end: usize| (end..=end + GAP_MAX).find(|&at| at < cells.len() && differs(at));
            while let Some(next) = near(end) {
                end = next + 1;
            }
            message = message.commands(&[PLACE | address(row, column, cells.len())]);
            message.characters(&cells[column..end]);
            column = end;
        }
    }
    message
}

/// Returns the address of a character: the third and fourth line go on where the first and second
/// end.
fn address(row: usize, column: usize, columns: usize) -> u8 {
    let second = row % 2 * 0x40;
    let lower = row / 2 * columns;
    // At most 0x40 + 20 + 19, so nothing is cut.
    (second + lower + column) as u8
}

fn light(lit: bool) -> u8 {
    if lit { LIGHT } else { 0 }
}

/// What the expander's lines show, byte after byte.
struct Message {
    bytes: Vec<u8>,
    lit: bool,
    characters: Option<bool>,
}

impl Message {
    fn new(lit: bool) -> Self {
        Self { bytes: Vec::new(), lit, characters: None }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn commands(mut self, commands: &[u8]) -> Self {
        self.select(false);
        for command in commands {
            self.half(command >> 4);
            self.half(command & 0x0F);
        }
        self
    }

    fn characters(&mut self, characters: &[u8]) {
        self.select(true);
        for &character in characters {
            let shown = on_every_rom(character);
            self.half(shown >> 4);
            self.half(shown & 0x0F);
        }
    }

    /// Sets RS while E is low, where it is not known to stand right.
    fn select(&mut self, characters: bool) {
        if self.characters != Some(characters) {
            self.characters = Some(characters);
            self.bytes.push(self.lines());
        }
    }

    fn half(&mut self, half: u8) {
        let lines = self.lines() | half << 4;
        self.bytes.extend([lines | ENABLE, lines]);
    }

    fn lines(&self) -> u8 {
        light(self.lit) | if self.characters == Some(true) { RS } else { 0 }
    }
}

/// The most common character memory has a yen sign and an arrow in two places of ASCII.
fn on_every_rom(character: u8) -> u8 {
    match character {
        b'\\' => b'/',
        b'~' => b'-',
        other => other,
    }
}
