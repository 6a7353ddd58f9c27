//! Which panel hangs on the wires, and how it hangs there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::panel::bus::{LinuxBus, OpenBus};
use crate::panel::{Panel, Wired};
use crate::screen::frame::Glass;

/// A chip with its glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Make {
    /// The usual 0.96 inch OLED.
    Ssd1306x64,
    /// The usual 0.91 inch OLED.
    Ssd1306x32,
    /// The 1.5 and 2.4 inch OLEDs.
    Ssd1309x64,
    /// The usual 1.3 inch OLED.
    Sh1106x64,
    /// Two lines of characters behind a PCF8574.
    Hd44780x16x2,
    /// Four lines of characters behind a PCF8574.
    Hd44780x20x4,
}

/// A panel as it is wired to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// The chip and its glass.
    pub make: Make,
    /// The adapter: `/dev/i2c-1` on the Raspberry Pi's header.
    pub bus: PathBuf,
    /// The panel's address; `None` asks at the usual two.
    pub address: Option<u8>,
    /// Whether the panel hangs upside down.
    pub upside_down: bool,
    /// Whether each command travels in a message of its own. Real panels take them in one; the
    /// panel that QEMU plays does not.
    pub single: bool,
}

/// A name that is none of the panels'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMake;

impl Make {
    /// All that there are.
    pub const ALL: [Self; 6] = [
        Self::Ssd1306x64,
        Self::Ssd1306x32,
        Self::Ssd1309x64,
        Self::Sh1106x64,
        Self::Hd44780x16x2,
        Self::Hd44780x20x4,
    ];

    /// Returns the name that the configuration uses, and that the gateway is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssd1306x64 => "ssd1306-128x64",
            Self::Ssd1306x32 => "ssd1306-128x32",
            Self::Ssd1309x64 => "ssd1309-128x64",
            Self::Sh1106x64 => "sh1106-128x64",
            Self::Hd44780x16x2 => "hd44780-16x2",
            Self::Hd44780x20x4 => "hd44780-20x4",
        }
    }

    /// Returns the size of the glass.
    pub fn glass(self) -> Glass {
        match self {
            Self::Ssd1306x64 | Self::Ssd1309x64 | Self::Sh1106x64 => Glass::Pixels128x64,
            Self::Ssd1306x32 => Glass::Pixels128x32,
            Self::Hd44780x16x2 => Glass::Cells16x2,
            Self::Hd44780x20x4 => Glass::Cells20x4,
        }
    }

    /// Returns the addresses at which it is usually found, the likelier first.
    pub fn addresses(self) -> [u8; 2] {
        match self {
            Self::Ssd1306x64 | Self::Ssd1306x32 | Self::Ssd1309x64 | Self::Sh1106x64 => {
                [0x3C, 0x3D]
            }
            // The PCF8574 and the PCF8574A with all three address pins open.
            Self::Hd44780x16x2 | Self::Hd44780x20x4 => [0x27, 0x3F],
        }
    }
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Make {
    type Err = UnknownMake;

    fn from_str(name: &str) -> Result<Self, UnknownMake> {
        Self::ALL.into_iter().find(|make| make.name() == name).ok_or(UnknownMake)
    }
}

impl fmt::Display for UnknownMake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a panel that is known; known are")?;
        for (at, make) in Make::ALL.iter().enumerate() {
            let before = if at == 0 { " " } else { ", " };
            write!(f, "{before}{make}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownMake {}

impl Fitting {
    /// Describes the panel that most people have: on the header's bus, at its usual address.
    pub fn usual(make: Make) -> Self {
        let bus = PathBuf::from("/dev/i2c-1");
        Self { make, bus, address: None, upside_down: false, single: false }
    }

    /// Returns the panel on the machine's own bus; nothing is opened yet.
    pub fn wire(&self) -> Box<dyn Panel> {
        self.wire_to(LinuxBus::new(&self.bus))
    }

    /// Returns the panel on any bus.
    pub fn wire_to<O: OpenBus + 'static>(&self, bus: O) -> Box<dyn Panel> {
        Box::new(Wired::new(self, bus))
    }
}
