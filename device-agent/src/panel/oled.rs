//! The driver of small OLED panels: SSD1306, SSD1309 and SH1106.
//!
//! It is our own because the kept-up crates fall short where a wall needs it most: `ssd1306` 0.10
//! throws the bus's error away, so that a pulled wire and a missing permission look alike, sends
//! data in pieces of 16 bytes, and knows no SH1106; `sh1106` and the SSD1309 crates speak
//! embedded-hal 0.2 only.
//!
//! **Page mode, one message per run.** Both families understand `page, column, data`; a run of
//! changed columns with its address is one message of 7 bytes more than the run. What the glass
//! shows is remembered, and only runs that differ travel: the minute of a clock is 10 bytes.
//!
//! **Healing.** A brown-out can leave a panel that acknowledges everything and shows nothing, and
//! no error tells of it. Sending the configuration and the whole picture mends it, but costs 1,100
//! bytes; sent every minute that alone would be a hundred times what a minute's clock change may
//! cost. So there are two guards:
//! - Where the panel answers reads, it is asked once a minute whether it is lit, for two bytes.
//!   Whether it tells the truth is tried at set-up, when the right answer is known to be "dark"
//!   and then "lit". A lit panel that says "dark" has lost its power and is set up again at once.
//! - Every ten minutes, with the beat that moves the picture against burn-in and so sends most of
//!   it anyway, the configuration and the whole picture are sent, without the command that darkens
//!   the glass: nothing flickers.

use std::ops::Range;

use embedded_hal::i2c::I2c;

use crate::panel::Drawn;
use crate::panel::fault::{Fault, RawErrno};
use crate::panel::wired::Wire;
use crate::power::HEAL_MINUTES;
use crate::screen::frame::{Bits, Frame, Lamp, WIDTH};

/// The controller behind the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chip {
    Ssd1306,
    Ssd1309,
    Sh1106,
}

/// One panel since it was set up.
#[derive(Debug)]
pub(super) struct Oled {
    chip: Chip,
    upside_down: bool,
    single: bool,
    /// What the glass shows; `None` before it was set up.
    shadow: Option<Shadow>,
}

#[derive(Debug)]
struct Shadow {
    bits: Box<Bits>,
    lamp: Lamp,
    /// The minute of the last frame.
    minute: u64,
    /// Whether the panel told truly at set-up when it was dark and when it was lit.
    truthful: bool,
}

/// Runs this close are sent as one: an address of its own costs 8 bytes on the wire.
const GAP_MAX: usize = 8;

/// Bytes before the data of a run: three commands, each behind a control byte, and the control
/// byte that says that data follows.
const RUN_HEAD: usize = 7;

/// Control byte: one command follows, then another control byte.
const ONE_COMMAND: u8 = 0x80;
/// Control byte: commands follow to the end of the message.
const COMMANDS: u8 = 0x00;
/// Control byte: data follows to the end of the message.
const DATA: u8 = 0x40;

const GLASS_OFF: u8 = 0xAE;
const GLASS_ON: u8 = 0xAF;
const CONTRAST: u8 = 0x81;

/// Bright, with a fifth in reserve: the last fifth ages the glass and is hardly seen.
const CONTRAST_FULL: u8 = 0xCF;
/// Readable in a lit room and a quarter of the current.
const CONTRAST_DIM: u8 = 0x30;

/// The bit of the status byte that says that the glass is off.
const STATUS_OFF: u8 = 1 << 6;

impl Oled {
    pub(super) fn new(chip: Chip, upside_down: bool, single: bool) -> Self {
        Self { chip, upside_down, single, shadow: None }
    }

    pub(super) fn draw<B: I2c<Error: RawErrno>>(
        &mut self,
        wire: &mut Wire<B>,
        bits: &Bits,
        frame: &Frame,
    ) -> Result<Drawn, Fault> {
        let Some(shadow) = self.shadow.take() else {
            return self.set_up(wire, bits, frame);
        };
        if shadow.lost_power(wire, frame)? {
            return self.set_up(wire, bits, frame);
        }
        let heal = frame.minute / HEAL_MINUTES != shadow.minute / HEAL_MINUTES;
        let mut drawn = Drawn::Unchanged;
        if heal {
            self.command(wire, &self.configuration(bits.height()))?;
            self.whole(wire, bits)?;
            drawn = Drawn::Whole;
        } else if *shadow.bits != *bits {
            for page in 0..bits.pages() {
                for run in changed_runs(shadow.bits.page(page), bits.page(page)) {
                    self.run(wire, page, run.start, &bits.page(page)[run])?;
                }
            }
            drawn = Drawn::Changed;
        }
        if heal || shadow.lamp != frame.lamp {
            self.light(wire, frame.lamp)?;
            drawn = if heal { Drawn::Whole } else { Drawn::Changed };
        }
        let (lamp, minute) = (frame.lamp, frame.minute);
        self.shadow = Some(Shadow { bits: Box::new(bits.clone()), lamp, minute, ..shadow });
        Ok(drawn)
    }

    pub(super) fn darken<B: I2c<Error: RawErrno>>(
        &mut self,
        wire: &mut Wire<B>,
    ) -> Result<(), Fault> {
        self.shadow = None;
        self.command(wire, &[GLASS_OFF])
    }

    /// Begins from nothing. The glass is dark until the picture is whole, so that the noise in the
    /// memory of a panel that was just powered is never seen.
    fn set_up<B: I2c<Error: RawErrno>>(
        &mut self,
        wire: &mut Wire<B>,
        bits: &Bits,
        frame: &Frame,
    ) -> Result<Drawn, Fault> {
        self.command(wire, &[GLASS_OFF])?;
        let dark_is_told = !self.single && says_dark(wire) == Some(true);
        self.command(wire, &self.configuration(bits.height()))?;
        self.whole(wire, bits)?;
        self.light(wire, frame.lamp)?;
        let tried = dark_is_told && frame.lamp != Lamp::Off;
        let truthful = tried && says_dark(wire) == Some(false);
        let (lamp, minute) = (frame.lamp, frame.minute);
        self.shadow = Some(Shadow { bits: Box::new(bits.clone()), lamp, minute, truthful });
        Ok(Drawn::Whole)
    }

    /// Returns what makes a panel that was just powered show its memory. Each of it may be sent
    /// again at any time without being seen.
    fn configuration(&self, height: u32) -> Vec<u8> {
        let rows = if height > 32 { 0x3F } else { 0x1F };
        let pins = if height > 32 { 0x12 } else { 0x02 };
        let (columns, lines) = if self.upside_down { (0xA0, 0xC0) } else { (0xA1, 0xC8) };
        // Clock, number of rows, no offset, first line, direction of columns and lines, wiring.
        let mut commands = vec![0xD5, 0x80, 0xA8, rows, 0xD3, 0x00, 0x40, columns, lines, 0xDA];
        commands.push(pins);
        match self.chip {
            // Charge pump on, page mode, precharge and level for the pump, scrolling off.
            Chip::Ssd1306 => {
                commands.extend([0x8D, 0x14, 0x20, 0x02, 0xD9, 0xF1, 0xDB, 0x40, 0x2E])
            }
            // The same with a supply of its own instead of the pump.
            Chip::Ssd1309 => commands.extend([0x20, 0x02, 0xD9, 0x22, 0xDB, 0x34, 0x2E]),
            // Its DC converter on, precharge and level; it has no other mode and no scrolling.
            Chip::Sh1106 => commands.extend([0xAD, 0x8B, 0xD9, 0x22, 0xDB, 0x35]),
        }
        // Show the memory, light on dark.
        commands.extend([0xA4, 0xA6]);
        commands
    }

    fn light<B: I2c<Error: RawErrno>>(&self, wire: &mut Wire<B>, lamp: Lamp) -> Result<(), Fault> {
        match lamp {
            Lamp::Off => self.command(wire, &[GLASS_OFF]),
            Lamp::Dim => self.command(wire, &[CONTRAST, CONTRAST_DIM, GLASS_ON]),
            Lamp::Full => self.command(wire, &[CONTRAST, CONTRAST_FULL, GLASS_ON]),
        }
    }

    fn whole<B: I2c<Error: RawErrno>>(&self, wire: &mut Wire<B>, bits: &Bits) -> Result<(), Fault> {
        (0..bits.pages()).try_for_each(|page| match page {
            0 => self.run(wire, page, 0, bits.page(page)),
            _ => self.next_page(wire, page, bits.page(page)),
        })
    }

    /// Sends a whole page behind another whole page. In page mode the column of an SSD1306 or
    /// SSD1309 is back at its first then (data sheet §10.1.3) and needs no naming.
    fn next_page<B: I2c<Error: RawErrno>>(
        &self,
        wire: &mut Wire<B>,
        page: usize,
        data: &[u8],
    ) -> Result<(), Fault> {
        if self.single || self.chip == Chip::Sh1106 {
            return self.run(wire, page, 0, data);
        }
        let [page, ..] = self.place(page, 0);
        let mut message = Vec::with_capacity(RUN_HEAD + WIDTH as usize);
        message.extend([ONE_COMMAND, page, DATA]);
        message.extend_from_slice(data);
        wire.send(&message)
    }

    fn command<B: I2c<Error: RawErrno>>(
        &self,
        wire: &mut Wire<B>,
        commands: &[u8],
    ) -> Result<(), Fault> {
        if self.single {
            return commands.iter().try_for_each(|&command| wire.send(&[ONE_COMMAND, command]));
        }
        let mut message = vec![COMMANDS];
        message.extend_from_slice(commands);
        wire.send(&message)
    }

    fn run<B: I2c<Error: RawErrno>>(
        &self,
        wire: &mut Wire<B>,
        page: usize,
        column: usize,
        data: &[u8],
    ) -> Result<(), Fault> {
        let place = self.place(page, column);
        let mut message = Vec::with_capacity(RUN_HEAD + WIDTH as usize);
        if self.single {
            self.command(wire, &place)?;
        } else {
            message.extend(place.into_iter().flat_map(|command| [ONE_COMMAND, command]));
        }
        message.push(DATA);
        message.extend_from_slice(data);
        wire.send(&message)
    }

    /// Returns the commands that set the page and the two halves of the column.
    fn place(&self, page: usize, column: usize) -> [u8; 3] {
        // The SH1106 has 132 columns of memory, and 128 of glass in their middle.
        let offset = if self.chip == Chip::Sh1106 { 2 } else { 0 };
        // Pages are at most 8 and columns at most 130, so nothing is cut.
        let (page, column) = (page as u8 & 0x07, (column + offset) as u8);
        [0xB0 | page, column & 0x0F, 0x10 | column >> 4]
    }
}

impl Shadow {
    /// Asks a truthful panel, once a minute, whether it is lit as it should be.
    fn lost_power<B: I2c<Error: RawErrno>>(
        &self,
        wire: &mut Wire<B>,
        frame: &Frame,
    ) -> Result<bool, Fault> {
        let ask = self.truthful && self.lamp != Lamp::Off && frame.minute != self.minute;
        Ok(ask && wire.ask()? & STATUS_OFF != 0)
    }
}

/// Asks a panel that may not answer whether its glass is off.
fn says_dark<B: I2c<Error: RawErrno>>(wire: &mut Wire<B>) -> Option<bool> {
    wire.ask().ok().map(|status| status & STATUS_OFF != 0)
}

/// Finds the runs of columns to send.
fn changed_runs(old: &[u8], new: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let differing = old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new);
    for (column, _) in differing {
        match runs.last_mut() {
            Some(run) if column - run.end <= GAP_MAX => run.end = column + 1,
            _ => runs.push(column..column + 1),
        }
    }
    runs
}
