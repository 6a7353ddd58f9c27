//! A panel on a bus: found, set up, and after any failure begun again from nothing.

use embedded_hal::i2c::I2c;

use crate::panel::bus::OpenBus;
use crate::panel::fault::{Cause, Fault, RawErrno};
use crate::panel::lcd::Lcd;
use crate::panel::make::{Fitting, Make};
use crate::panel::oled::{Chip, Oled};
use crate::panel::{Drawn, Panel};
use crate::screen::frame::{Frame, Glass, Picture};

/// A panel on a bus of its own choosing.
#[derive(Debug)]
pub struct Wired<O: OpenBus> {
    fitting: Fitting,
    opener: O,
    /// The panel as it was last seen; `None` where nothing is known of it.
    line: Option<Line<O::Bus>>,
}

/// An open bus with the address of the one panel we talk to.
#[derive(Debug)]
pub(super) struct Wire<B> {
    bus: B,
    address: u8,
}

#[derive(Debug)]
struct Line<B> {
    wire: Wire<B>,
    driver: Driver,
}

#[derive(Debug)]
enum Driver {
    Oled(Oled),
    Lcd(Lcd),
}

impl<B: I2c<Error: RawErrno>> Wire<B> {
    /// Sends one message. It is always one contiguous buffer: two writes side by side in one
    /// transaction need a flag that the Pi's driver ignores, so that the panel would take the
    /// first byte of the second for a control byte.
    pub(super) fn send(&mut self, message: &[u8]) -> Result<(), Fault> {
        self.bus.write(self.address, message).map_err(|error| Fault::of(&error))
    }

    /// Reads one byte.
    pub(super) fn ask(&mut self) -> Result<u8, Fault> {
        let mut answer = [0];
        self.bus.read(self.address, &mut answer).map_err(|error| Fault::of(&error))?;
        let [byte] = answer;
        Ok(byte)
    }
}

impl<O: OpenBus> Wired<O> {
    /// Describes a panel; nothing is opened yet.
    pub fn new(fitting: &Fitting, opener: O) -> Self {
        Self { fitting: fitting.clone(), opener, line: None }
    }

    /// Looks for the panel without drawing anything and returns its address.
    ///
    /// # Errors
    ///
    /// Says why it cannot be reached.
    pub fn find(&mut self) -> Result<u8, Fault> {
        let wire = self.connect()?;
        Ok(wire.address)
    }

    fn connect(&mut self) -> Result<Wire<O::Bus>, Fault> {
        let usual = self.fitting.make.addresses();
        let given = self.fitting.address.map(|address| [address]);
        let addresses = given.as_ref().map_or(&usual[..], |given| &given[..]);
        let mut wire = Wire { bus: self.opener.open()?, address: 0 };
        let mut telling: Option<Fault> = None;
        for &address in addresses {
            wire.address = address;
            match wire.send(self.harmless()) {
                Ok(()) => return Ok(wire),
                // That nobody is at the other address says less than any other reason.
                Err(fault) => {
                    let told = telling.is_some_and(|told| told.cause() != Cause::Absent);
                    telling = if told { telling } else { Some(fault) };
                }
            }
        }
        Err(telling.unwrap_or_else(Fault::pulled))
    }

    /// Returns a message that changes nothing, to see whether somebody acknowledges it.
    fn harmless(&self) -> &'static [u8] {
        match (self.fitting.make.glass(), self.fitting.single) {
            (Glass::Pixels128x64 | Glass::Pixels128x32, false) => &[0x00, 0xE3],
            (Glass::Pixels128x64 | Glass::Pixels128x32, true) => &[0x80, 0xE3],
            // All lines of the expander low but the light: the display's enable line stays quiet.
            (Glass::Cells16x2 | Glass::Cells20x4, _) => &[0x08],
        }
    }

    fn driver(&self) -> Driver {
        let chip = match self.fitting.make {
            Make::Ssd1306x64 | Make::Ssd1306x32 => Chip::Ssd1306,
            Make::Ssd1309x64 => Chip::Ssd1309,
            Make::Sh1106x64 => Chip::Sh1106,
            Make::Hd44780x16x2 | Make::Hd44780x20x4 => return Driver::Lcd(Lcd::new()),
        };
        Driver::Oled(Oled::new(chip, self.fitting.upside_down, self.fitting.single))
    }
}

impl<O: OpenBus> Panel for Wired<O> {
    fn draw(&mut self, frame: &Frame) -> Result<Drawn, Fault> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => Line { wire: self.connect()?, driver: self.driver() },
        };
        // Where this fails, the line is dropped: what the glass shows is unknown.
        let drawn = line.draw(frame, &mut self.opener)?;
        self.line = Some(line);
        Ok(drawn)
    }

    fn darken(&mut self) {
        if let Some(mut line) = self.line.take() {
            // The program ends: a panel that does not hear it has nobody left to tell.
            let _ = match &mut line.driver {
                Driver::Oled(oled) => oled.darken(&mut line.wire),
                Driver::Lcd(lcd) => lcd.darken(&mut line.wire),
            };
        }
    }
}

impl<B: I2c<Error: RawErrno>> Line<B> {
    fn draw(&mut self, frame: &Frame, opener: &mut impl OpenBus<Bus = B>) -> Result<Drawn, Fault> {
        match (&mut self.driver, &frame.picture) {
            (Driver::Oled(oled), Picture::Bits(bits)) => oled.draw(&mut self.wire, bits, frame),
            (Driver::Lcd(lcd), Picture::Cells(cells)) => {
                lcd.draw(&mut self.wire, cells, frame, |rest| opener.rest(rest))
            }
            // Frames are drawn for the glass of the same fitting, so this is a bug of ours; the
            // panel keeps what it shows.
            (Driver::Oled(_), Picture::Cells(_)) | (Driver::Lcd(_), Picture::Bits(_)) => {
                debug_assert!(false, "a frame for another glass");
                Ok(Drawn::Unchanged)
            }
        }
    }
}
