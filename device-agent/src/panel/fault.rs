//! Why the panel shows nothing, and who must do what about it.
//!
//! The kernel's own number decides, never the kind that `embedded-hal` makes of it: both
//! controllers of the Raspberry Pi answer a missing panel with `EREMOTEIO`, which
//! `linux-embedded-hal` calls "other".

use std::fmt;

use embedded_hal::i2c;
use linux_embedded_hal::I2CError;
use linux_embedded_hal::i2cdev::linux::LinuxI2CError;
use nix::errno::Errno;

/// One failed attempt to reach the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    cause: Cause,
    errno: Option<i32>,
}

/// What stands between us and the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// When nothing acknowledges the panel's address.
    Absent,
    /// When the panel stops acknowledging or the wires do not carry what they should.
    Wire,
    /// When the adapter gave up waiting.
    Timeout,
    /// When there is no such adapter.
    NoAdapter,
    /// When a driver of the kernel has taken the panel's address.
    Owned,
    /// When the program may not open the adapter.
    Denied,
    /// When the adapter speaks SMBus only, which cannot carry a picture.
    SmbusOnly,
    /// When the kernel gave a reason that is none of these.
    Other,
}

/// An error of a bus that may know the kernel's number for it.
pub trait RawErrno {
    /// Returns the kernel's number, where the error came from the kernel.
    fn errno(&self) -> Option<i32>;
}

impl Fault {
    /// Judges a message that failed on the wire.
    pub fn of<E: i2c::Error + RawErrno>(error: &E) -> Self {
        let errno = error.errno();
        let cause = match errno {
            Some(number) => on_the_wire(Errno::from_raw(number)),
            None => of_kind(error.kind()),
        };
        Self { cause, errno }
    }

    /// Judges an adapter that could not be opened.
    pub fn opening(errno: Option<i32>) -> Self {
        let cause = match errno.map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => Cause::NoAdapter,
            Some(number) => on_the_wire(number),
            None => Cause::Other,
        };
        Self { cause, errno }
    }

    /// Names a fault that no bus reported: a wire that is pulled in a simulation.
    pub fn pulled() -> Self {
        Self { cause: Cause::Absent, errno: None }
    }

    /// Returns what stands in the way.
    pub fn cause(self) -> Cause {
        self.cause
    }

    /// Returns the kernel's number.
    pub fn errno(self) -> Option<i32> {
        self.errno
    }

    /// Says in a sentence what mends it.
    pub fn remedy(self) -> &'static str {
        match self.cause {
            Cause::Absent => {
                "check power and wires (3V3, GND, SDA, SCL) and the address with `i2cdetect -y 1`"
            }
            Cause::Wire => {
                "check for loose or long wires and for pull-ups; a lower \
                 dtparam=i2c_arm_baudrate helps"
            }
            Cause::Timeout => "something holds the bus: power the panel off and on, check SCL",
            Cause::NoAdapter => {
                "switch I2C on: dtparam=i2c_arm=on in /boot/firmware/config.txt, then restart"
            }
            Cause::Owned => {
                "remove the dtoverlay (ssd1306, ssd1327 …) that binds a kernel driver to the address"
            }
            Cause::Denied => "add the user to the group i2c: SupplementaryGroups=i2c in the unit",
            Cause::SmbusOnly => "use an adapter that carries plain I2C: this one is SMBus only",
            Cause::Other => "look the number up in the kernel's i2c/fault-codes",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause {
            Cause::Absent => "the panel does not answer",
            Cause::Wire => "the wires to the panel are in trouble",
            Cause::Timeout => "the bus did not become free in time",
            Cause::NoAdapter => "there is no such I2C adapter",
            Cause::Owned => "a driver of the kernel owns the panel's address",
            Cause::Denied => "the I2C adapter may not be opened",
            Cause::SmbusOnly => "the adapter cannot carry I2C messages",
            Cause::Other => "the bus failed",
        })?;
        match self.errno {
            Some(number) => write!(f, " (errno {number})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

impl RawErrno for I2CError {
    fn errno(&self) -> Option<i32> {
        raw_errno(self.inner())
    }
}

/// Returns the kernel's number of an error of `i2cdev`.
pub(crate) fn raw_errno(error: &LinuxI2CError) -> Option<i32> {
    match error {
        LinuxI2CError::Errno(number) => Some(*number),
        LinuxI2CError::Io(error) => error.raw_os_error(),
    }
}

/// Judges by the kernel's documentation of fault codes and by what its drivers really answer.
#[expect(clippy::wildcard_enum_match_arm, reason = "the kernel's numbers are not our enum")]
fn on_the_wire(errno: Errno) -> Cause {
    match errno {
        Errno::ENXIO | Errno::EREMOTEIO => Cause::Absent,
        Errno::EIO | Errno::EAGAIN | Errno::EPROTO | Errno::EBADMSG => Cause::Wire,
        Errno::ETIMEDOUT => Cause::Timeout,
        Errno::ENOENT | Errno::ENODEV => Cause::NoAdapter,
        Errno::EBUSY => Cause::Owned,
        Errno::EACCES | Errno::EPERM => Cause::Denied,
        Errno::EOPNOTSUPP | Errno::ENOTTY => Cause::SmbusOnly,
        _ => Cause::Other,
    }
}

/// Judges where no kernel is involved: another implementation of `embedded-hal`.
#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds are embedded-hal's and may grow")]
fn of_kind(kind: i2c::ErrorKind) -> Cause {
    match kind {
        i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Address) => Cause::Absent,
        i2c::ErrorKind::Bus
        | i2c::ErrorKind::ArbitrationLoss
        | i2c::ErrorKind::NoAcknowledge(_) => Cause::Wire,
        _ => Cause::Other,
    }
}
