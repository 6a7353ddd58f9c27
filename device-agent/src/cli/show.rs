//! `show`: one screen as a file or in the terminal, without a panel, a network or a state.

use std::fs::File;

use super::arguments::Wanted;
use super::{Failure, say};
use crate::panel::Make;
use crate::panel::{picture, terminal};
use crate::power::Habits;
use crate::screen::{self, sample};

/// Draws a screen, or names all that there are.
pub(super) fn show(wanted: &Wanted) -> Result<(), Failure> {
    let Some(name) = &wanted.screen else {
        say(&format!("screens: {}", sample::NAMES.join(", ")));
        say(&format!("panels: {}", Make::ALL.map(Make::name).join(", ")));
        return Ok(());
    };
    let model = sample::model(name).ok_or_else(|| {
        Failure::usage(format!("{name}: no such screen; there are {}", sample::NAMES.join(", ")))
    })?;
    let frame = screen::frame(&model, wanted.make.glass(), &Habits::default());
    match &wanted.png {
        Some(path) => File::create(path)
            .and_then(|file| picture::write_png(&frame, file))
            .map_err(|error| Failure::unavailable(format!("{}: {error}", path.display()))),
        None => {
            say(terminal::text(&frame.picture, wanted.dots).trim_end());
            Ok(())
        }
    }
}
