//! A button between a GPIO line and ground: whoever presses it asks the display to go on.
//!
//! The kernel keeps the line, pulls it up, waits until the contact has stopped bouncing, and wakes
//! the loop for a press and for nothing else: a button that nobody presses costs nothing.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use gpiocdev_uapi::v2::{Error, LineConfig, LineFlags, LineRequest, Name, Offsets, get_line};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long a contact may bounce: cheap ones do for 10 ms, and no finger is shorter than 20.
const BOUNCE_US: u32 = 20_000;

/// Bytes of a `struct gpio_v2_line_event`; the kernel writes whole ones only.
const EVENT_BYTES: usize = 48;

/// How many presses are taken at once; each of them asks for the same.
const EVENTS_MAX: usize = 16;

/// Where a button is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// The file of the GPIO chip.
    pub chip: PathBuf,
    /// The number of the line on that chip; on a Raspberry Pi that of the GPIO.
    pub line: u32,
}

/// A button that is watched.
#[derive(Debug)]
pub struct Button(AsyncFd<File>);

/// Why there is no button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ButtonFault(Errno);

impl Button {
    /// Takes the line; only inside an event loop.
    ///
    /// # Errors
    /// [`ButtonFault`] with the kernel's reason.
    pub fn open(wiring: &Wiring) -> Result<Self, ButtonFault> {
        let chip = File::open(&wiring.chip)?;
        let flags = LineFlags::INPUT
            | LineFlags::ACTIVE_LOW
            | LineFlags::BIAS_PULL_UP
            | LineFlags::EDGE_RISING;
        let mut config = LineConfig { flags, ..LineConfig::default() };
        config.add_debounce(BOUNCE_US, 1);
        let line = get_line(
            &chip,
            LineRequest {
                offsets: Offsets::from_slice(&[wiring.line]),
                consumer: Name::from_bytes(b"tokenward-device"),
                config,
                num_lines: 1,
                ..LineRequest::default()
            },
        );
        let line = line.map_err(|error| match error {
            Error::Os(number) => ButtonFault(Errno::from_raw(number.0)),
            Error::UnderRead(_) => ButtonFault(Errno::EIO),
        })?;
        // A wake for nothing must not hold the loop up.
        fcntl(&line, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(ButtonFault)?;
        #[expect(unsafe_code, reason = "what is watched must stay the same descriptor")]
        // SAFETY: a file owns its descriptor, gives always the same one, and closes it when dropped.
        let watched = unsafe { AsyncFd::register_with_interest(line, Interest::READABLE) };
        Ok(Self(watched.map_err(io::Error::from)?))
    }

    /// Waits until somebody presses it; presses that came while nobody waited count as one.
    ///
    /// # Errors
    /// Fails where the chip is gone.
    ///
    /// # Cancel safety
    /// A press that nobody waited for is told to the next who waits.
    pub async fn pressed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut line: &File = ready.get_inner();
            match line.read(&mut [0; EVENT_BYTES * EVENTS_MAX]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Err(error),
            }
        }
    }
}

impl ButtonFault {
    /// Says in a sentence what mends it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel's numbers are not our enum")]
    pub fn remedy(self) -> &'static str {
        match self.0 {
            Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => {
                "`gpiodetect` (package gpiod) names the chips: write `chip` beside `line`"
            }
            Errno::EACCES | Errno::EPERM => {
                "add the user to the group gpio: SupplementaryGroups=gpio in the unit"
            }
            Errno::EBUSY => "something else has the line; `gpioinfo` names it: choose another",
            Errno::EINVAL => "the chip has no such line, or it can be no input with a pull-up",
            Errno::ENOTTY => "`chip` is no GPIO chip, or the kernel is older than 5.10",
            _ => "look the number up with `errno` (package moreutils)",
        }
    }
}

impl fmt::Display for ButtonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the button's line cannot be watched (errno {})", self.0 as i32)
    }
}

impl std::error::Error for ButtonFault {}

impl From<io::Error> for ButtonFault {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }
}
