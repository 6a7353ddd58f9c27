//! What stands on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt as _};

use super::Failure;
use crate::panel::Make;
use crate::panel::terminal::Dots;

/// Where the configuration is where nobody says.
const CONFIG: &str = "/etc/tokenward/device.toml";

/// Where the environment says it.
const CONFIG_VARIABLE: &str = "TOKENWARD_DEVICE_CONFIG";

/// What is to be done.
#[derive(Debug)]
pub(super) enum Command {
    Check { config: PathBuf },
    Help,
    Reset { config: PathBuf },
    Run { config: PathBuf, needs_panel: bool },
    Show(Wanted),
    Sim { config: PathBuf, make: Option<Make>, dots: Dots },
    Version,
}

/// A screen that is to be drawn.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its name; `None` for a list of all.
    pub(super) screen: Option<String>,
    pub(super) make: Make,
    pub(super) png: Option<PathBuf>,
    pub(super) dots: Dots,
}

/// Everything that any command takes.
#[derive(Default)]
struct Given {
    words: Vec<String>,
    config: Option<PathBuf>,
    make: Option<Make>,
    png: Option<PathBuf>,
    needs_panel: bool,
    is_term: bool,
    is_braille: bool,
    is_list: bool,
}

/// Reads the command line.
pub(super) fn parse(mut parser: Parser) -> Result<Command, Failure> {
    let mut given = Given::default();
    while let Some(argument) = parser.next().map_err(Failure::usage)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long("config") => given.config = Some(value(&mut parser)?.into()),
            Arg::Long("png") => given.png = Some(value(&mut parser)?.into()),
            Arg::Long("panel") => {
                let name = value(&mut parser)?.string().map_err(Failure::usage)?;
                given.make = Some(
                    name.parse()
                        .map_err(|unknown| Failure::usage(format!("--panel {name}: {unknown}")))?,
                );
            }
            Arg::Long("require-panel") => given.needs_panel = true,
            Arg::Long("term") => given.is_term = true,
            Arg::Long("braille") => given.is_braille = true,
            Arg::Long("list") => given.is_list = true,
            Arg::Value(word) => given.words.push(word.string().map_err(Failure::usage)?),
            other @ (Arg::Short(_) | Arg::Long(_)) => {
                return Err(Failure::usage(format!("{}; see --help", other.unexpected())));
            }
        }
    }
    given.command()
}

fn value(parser: &mut Parser) -> Result<OsString, Failure> {
    parser.value().map_err(Failure::usage)
}

impl Given {
    fn command(self) -> Result<Command, Failure> {
        let dots = if self.is_braille { Dots::Braille } else { Dots::Halves };
        let config = self
            .config
            .or_else(|| std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(CONFIG));
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["run"] => Ok(Command::Run { config, needs_panel: self.needs_panel }),
            ["check"] => Ok(Command::Check { config }),
            ["reset"] => Ok(Command::Reset { config }),
            ["sim"] => Ok(Command::Sim { config, make: self.make, dots }),
            ["show", rest @ ..] if rest.len() <= 1 => {
                let screen = rest.first().map(|name| (*name).to_owned());
                if screen.is_none() != self.is_list {
                    return Err(Failure::usage("show: name one screen, or ask with --list"));
                }
                if screen.is_some() && self.png.is_some() == self.is_term {
                    return Err(Failure::usage("show: say either --png FILE or --term"));
                }
                let make = self.make.unwrap_or(Make::Ssd1306x64);
                Ok(Command::Show(Wanted { screen, make, png: self.png, dots }))
            }
            [] => Err(Failure::usage("say what to do: run, check, show, sim or reset; see --help")),
            [word, ..] => Err(Failure::usage(format!("`{word}` is not understood; see --help"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<String, u8> {
        let words = line.split_ascii_whitespace().map(OsString::from);
        let parser = Parser::from_iter(std::iter::once(OsString::from("it")).chain(words));
        parse(parser).map(|command| format!("{command:?}")).map_err(|failure| failure.code)
    }

    #[test]
    fn command_lines_are_understood_or_refused_with_64() {
        for (line, expected) in [
            ("run --config a.toml", Ok("Run { config: \"a.toml\", needs_panel: false }")),
            (
                "--config=a.toml run --require-panel",
                Ok("Run { config: \"a.toml\", needs_panel: true }"),
            ),
            ("show --help", Ok("Help")),
            (
                "show quote --term --panel hd44780-16x2",
                Ok(
                    "Show(Wanted { screen: Some(\"quote\"), make: Hd44780x16x2, png: None, dots: Halves })",
                ),
            ),
            ("", Err(64)),
            ("fly", Err(64)),
            ("run now", Err(64)),
            ("show quote", Err(64)),
            ("show quote --term --png f", Err(64)),
            ("show --list quote --term", Err(64)),
            ("sim --panel lcd", Err(64)),
            ("run --verbose", Err(64)),
            ("run --config", Err(64)),
        ] {
            assert_eq!(of(line), expected.map(str::to_owned), "{line}");
        }
    }
}
