//! The configuration: one TOML file, of which two lines are enough.
//!
//! ```toml
//! gateway = "https://gw.example"
//! content = "/api/quote"
//! ```

#[cfg(feature = "direct")]
mod direct;
mod fault;
mod file;
mod gateway;
mod units;

use std::fs;
use std::io::Read as _;
#[cfg(feature = "metrics")]
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use self::fault::Fault;
use self::file::{Asked, Glass, Raw, Wiring};
use crate::agent::{EVERY, PROBE, Rhythm};
use crate::button::Wiring as Button;
use crate::feed::Origin;
use crate::panel::{Fitting, Make};
use crate::power::Habits;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where the state is kept where neither the file nor systemd says so.
const STATE_DIR: &str = "/var/lib/tokenward-device";

/// The chip that has the GPIOs of every Raspberry Pi but some kernels of the fifth.
const GPIO_CHIP: &str = "/dev/gpiochip0";

/// The addresses that I2C leaves to devices.
const ADDRESSES: std::ops::RangeInclusive<u8> = 0x08..=0x77;

/// A configuration that was checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file.
    pub path: PathBuf,
    /// Who is asked, and for what.
    pub origin: Origin,
    /// How often.
    pub rhythm: Rhythm,
    /// The panel and its wires.
    pub fitting: Fitting,
    /// How the glass is cared for.
    pub habits: Habits,
    /// Where a button is, if there is one.
    pub button: Option<Button>,
    /// Where the display's own numbers can be had, if anywhere.
    #[cfg(feature = "metrics")]
    pub metrics: Option<SocketAddr>,
    /// Where the credential and the last content are kept.
    pub state_dir: PathBuf,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`Fault`]: what is wrong, in which line, and what to write instead.
    pub fn load(path: &Path) -> Result<Self, Fault> {
        let mut text = String::new();
        let file = fs::File::open(path).map_err(|error| Fault::unreadable(path, &error))?;
        let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
        read.map_err(|error| Fault::unreadable(path, &error))?;
        Self::read(path, &text, std::env::var_os("STATE_DIRECTORY").map(PathBuf::from))
    }

    /// Checks the text of a file; `state_dir` is the one that systemd gives.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read(path: &Path, text: &str, state_dir: Option<PathBuf>) -> Result<Self, Fault> {
        let mut raw: Raw =
            toml::from_str(text).map_err(|error| Fault::syntax(path, text, &error))?;
        let at = |key: &'static str| move |wrong: String| Fault::at(path, text, key, &wrong);
        let rhythm = Rhythm {
            every: units::span(raw.every.as_deref(), EVERY).map_err(at("every"))?,
            probe: units::span_or_off(raw.probe.as_deref(), Some(PROBE)).map_err(at("probe"))?,
        };
        #[cfg(not(feature = "metrics"))]
        if raw.metrics.is_some() {
            return Err(at("listen")("this build has no numbers of its own to show".to_owned()));
        }
        let roots = match &raw.ca {
            Some(file) => pem(path, file).map_err(at("ca"))?,
            None => Vec::new(),
        };
        let origin = whom(raw.asked(), raw.provider, roots, |key, wrong| {
            Fault::at(path, text, key, &wrong)
        })?;
        Ok(Self {
            path: path.to_owned(),
            origin,
            rhythm,
            fitting: fitting(raw.panel, |key, wrong| Fault::at(path, text, key, &wrong))?,
            habits: habits(&raw.glass, |key, wrong| Fault::at(path, text, key, &wrong))?,
            button: raw.button.map(|push| Button {
                chip: push.chip.unwrap_or_else(|| PathBuf::from(GPIO_CHIP)),
                line: push.line,
            }),
            #[cfg(feature = "metrics")]
            metrics: raw.metrics.map(metrics).transpose().map_err(at("listen"))?,
            state_dir: raw.state_dir.or(state_dir).unwrap_or_else(|| PathBuf::from(STATE_DIR)),
        })
    }
}

/// Decides whom the display asks: a gateway, or the provider itself.
fn whom(
    asked: Asked,
    provider: Option<file::Provider>,
    roots: Vec<u8>,
    fault: impl Fn(&'static str, String) -> Fault,
) -> Result<Origin, Fault> {
    match provider {
        None => gateway::read(asked, roots, fault).map(Origin::Gateway),
        #[cfg(feature = "direct")]
        Some(provider) => direct::read(asked, provider, roots, fault).map(Origin::Provider),
        #[cfg(not(feature = "direct"))]
        Some(provider) => Err(fault(
            "issuer",
            format!("{} cannot be asked: this build knows gateways only", provider.issuer),
        )),
    }
}

/// Reads where the numbers can be had: by default by nobody but this machine.
#[cfg(feature = "metrics")]
fn metrics(asked: file::Scrape) -> Result<SocketAddr, String> {
    let address: Result<SocketAddr, _> = asked.listen.parse();
    match address {
        Err(_) => Err("write an address and a port, such as \"127.0.0.1:9465\"".to_owned()),
        Ok(address) if address.ip().is_loopback() || asked.beyond_loopback => Ok(address),
        Ok(_) => {
            let wrong = "anybody on the network could read it; write \"127.0.0.1:9465\", or \
                         `beyond_loopback = true` beside it";
            Err(wrong.to_owned())
        }
    }
}

fn pem(config: &Path, file: &Path) -> Result<Vec<u8>, String> {
    // A relative name is beside the configuration, wherever the program was started.
    let file = config.parent().unwrap_or(Path::new("")).join(file);
    fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))
}

fn fitting(
    wiring: Wiring,
    fault: impl Fn(&'static str, String) -> Fault,
) -> Result<Fitting, Fault> {
    let make = match wiring.kind {
        Some(name) => name.parse().map_err(|unknown| fault("kind", format!("{unknown}")))?,
        None => Make::Ssd1306x64,
    };
    if let Some(address) = wiring.address
        && !ADDRESSES.contains(&address)
    {
        return Err(fault("address", format!("{address:#04x} is no address; write 0x3c or 0x3d")));
    }
    let usual = Fitting::usual(make);
    Ok(Fitting {
        bus: wiring.bus.unwrap_or(usual.bus),
        address: wiring.address,
        upside_down: wiring.upside_down,
        single: wiring.single,
        ..Fitting::usual(make)
    })
}

fn habits(glass: &Glass, fault: impl Fn(&'static str, String) -> Fault) -> Result<Habits, Fault> {
    let usual = Habits::default();
    let minutes = usual
        .dim_after_minutes
        .map(|minutes| units::MINUTE * u32::try_from(minutes).unwrap_or(u32::MAX));
    let dim_after = units::span_or_off(glass.dim_after.as_deref(), minutes)
        .map_err(|wrong| fault("dim_after", wrong))?;
    let night = match glass.night.as_deref() {
        Some(text) => Some(units::night(text).map_err(|wrong| fault("night", wrong))?),
        None => None,
    };
    Ok(Habits {
        dim_after_minutes: dim_after.map(|span| span.as_secs() / 60),
        orbit: glass.orbit.unwrap_or(usual.orbit),
        night,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SHORT: &str = "gateway = \"https://gw.example\"\ncontent = \"/api/quote\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let config = Config::read(Path::new("/etc/d.toml"), text, None);
        config.map_err(|fault| fault.to_string())
    }

    #[test]
    fn two_lines_are_enough() {
        let config = read(SHORT).unwrap();
        let Origin::Gateway(source) = &config.origin else { panic!("no gateway") };
        assert_eq!(source.content.as_str(), "https://gw.example/api/quote");
        assert_eq!(config.rhythm, Rhythm { every: EVERY, probe: Some(PROBE) });
        assert_eq!(config.fitting, Fitting::usual(Make::Ssd1306x64));
        assert_eq!(config.habits, Habits::default());
        assert_eq!(config.state_dir, Path::new(STATE_DIR));
    }

    #[test]
    fn every_key_can_be_given() {
        let text = format!(
            "{SHORT}prefix = \"/login\"\nclient_id = \"kitchen\"\naudience = [\"urn:a\"]\n\
             scope = \"read\"\nevery = \"30s\"\nprobe = \"off\"\nstate_dir = \"/tmp/x\"\n[panel]\n\
             kind = \"sh1106-128x64\"\nbus = \"/dev/i2c-3\"\naddress = 0x3d\nupside_down = true\n\
             single = true\n[glass]\ndim_after = \"off\"\norbit = false\nnight = \"22:30-06:00\"\n[button]\nline = 17\n"
        );
        let config = read(&text).unwrap();
        assert_eq!(config.rhythm, Rhythm { every: Duration::from_secs(30), probe: None });
        assert_eq!((config.fitting.make, config.fitting.address), (Make::Sh1106x64, Some(0x3d)));
        assert_eq!(config.habits.dim_after_minutes, None);
        let button = config.button.unwrap();
        assert_eq!((button.chip.as_path(), button.line), (Path::new(GPIO_CHIP), 17));
        let night = config.habits.night.unwrap();
        assert_eq!((night.from.hour(), night.from.minute(), night.until.hour()), (22, 30, 6));
    }

    #[test]
    fn each_mistake_is_told_with_its_line_and_its_remedy() {
        for (wrong, line, told) in [
            ("gatway = \"https://gw.example\"", 1, "write `gateway` instead"),
            ("gateway = \"http://gw.example\"", 1, "write https"),
            ("gateway = \"https://me:secret@gw.example\"", 1, "credential"),
            ("gateway = \"https://gw.example/path\"", 1, "more than an origin"),
            ("content = \"https://evil.example/\"", 2, "no path of the gateway"),
            ("content = \"//evil.example/\"", 2, "no path of the gateway"),
            ("every = \"2 fortnights\"", 3, "\"10m\""),
            ("every = \"0s\"", 3, "\"10m\""),
            ("client_id = \"\"", 3, "\"display\""),
            ("[panel]\nkind = \"ssd1306\"", 4, "ssd1306-128x64"),
            ("[panel]\naddress = 3", 4, "0x3c"),
            ("[panel]\nadress = 60", 4, "write `address` instead"),
            ("[glass]\nnight = \"22\"", 4, "\"22:00-07:00\""),
            ("[metrics]\nlisten = \"9465\"", 4, "\"127.0.0.1:9465\""),
            ("[metrics]\nlisten = \"0.0.0.0:9465\"", 4, "beyond_loopback"),
            ("[button]\nchip = \"/dev/gpiochip0\"", 3, "line"),
            ("every = 10", 3, "every"),
        ] {
            let text = match wrong.split_once(" =") {
                Some(("gatway" | "gateway", _)) => format!("{wrong}\ncontent = \"/q\"\n"),
                Some(("content", _)) => format!("gateway = \"https://gw.example\"\n{wrong}\n"),
                _ => format!("{SHORT}{wrong}\n"),
            };
            let fault = read(&text).unwrap_err();
            assert!(fault.starts_with(&format!("/etc/d.toml, line {line}: ")), "{wrong}: {fault}");
            assert!(fault.contains(told), "{wrong}: {fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
    }
}
