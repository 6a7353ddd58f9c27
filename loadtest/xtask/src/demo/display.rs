//! The wall display of the demo: the real program, with its panel in this terminal and its wire at a
//! key.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokenward_programs::child::Child;
use tokenward_programs::failure::Failure;

use crate::tree::{Profile, Tree};
use crate::world::World;

/// What the display asks for, and how often: a demo is short.
const SETTINGS: &str = "content = \"/api/quotes/quote\"\nevery = \"10s\"\n";
/// The key of the program that pulls its panel's wire, or plugs it in.
const WIRE: &[u8] = b"w";

/// How the dots of a braille character lie: to the right and down, from its lowest bit on.
const DOTS: [(usize, usize); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
/// The first braille character: no dot is raised.
const BLANK: u32 = 0x2800;
/// The lines of a panel of 64 rows, and of its edges.
pub(super) const LINES: usize = 18;

/// A running display.
#[derive(Debug)]
pub(super) struct Display {
    program: Child,
    keys: ChildStdin,
    picture: Arc<Mutex<Vec<String>>>,
}

impl Display {
    /// Starts the program with a configuration for the world's gateway.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started.
    pub(super) fn start(tree: &Tree, world: &World) -> Result<Self, Failure> {
        let file = world.folder().join("display.toml");
        let state = world.folder().join("display");
        let text = format!("gateway = \"{}\"\n{SETTINGS}state_dir = {state:?}\n", world.origin());
        fs::write(&file, text).map_err(|error| Failure::io("write the display's file", &error))?;
        let mut command = Command::new(tree.built(Profile::Debug, "tokenward-device"));
        command.args(["sim", "--braille", "--config"]).arg(file);
        let log = world.folder().join("display.log");
        let (program, keys, words) = Child::start_piped("the wall display", &command, &log)?;
        let picture = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&picture);
        thread::spawn(move || watch(words, &seen));
        Ok(Self { program, keys, picture })
    }

    /// Returns what the panel shows, line by line, with its edges.
    pub(super) fn picture(&self) -> Vec<String> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the code on the panel as a telephone does: a link, where one is shown.
    pub(super) fn scan(&self) -> Option<String> {
        scanned(&self.picture())
    }

    /// Pulls the wire of the panel, or plugs it in.
    ///
    /// # Errors
    /// `Unavailable` when the program is gone.
    pub(super) fn pull_wire(&mut self) -> Result<(), Failure> {
        let pressed = self.keys.write_all(WIRE).and_then(|()| self.keys.flush());
        pressed.map_err(|_| self.program.died("takes no key"))
    }

    /// Fails when the program has ended by itself.
    ///
    /// # Errors
    /// `Unavailable` with the end of its log.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        match self.program.ended() {
            Some(_) => Err(self.program.died("ended by itself")),
            None => Ok(()),
        }
    }

    /// Stops the program.
    ///
    /// # Errors
    /// `Ours` when it did not stop cleanly.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.program.stop()
    }
}

/// Keeps the newest whole picture of what the program draws over and over.
fn watch(words: ChildStdout, seen: &Mutex<Vec<String>>) {
    let mut lines = Vec::new();
    for line in BufReader::new(words).lines().map_while(Result::ok) {
        let line = plain(&line);
        if line.starts_with('┌') {
            lines.clear();
        }
        let is_last = line.starts_with('└');
        if lines.len() < LINES {
            lines.push(line);
        }
        if is_last {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = std::mem::take(&mut lines);
        }
    }
}

/// Leaves out what moves the cursor and changes colours (ECMA-48 §5.4).
fn plain(line: &str) -> String {
    let mut pieces = line.trim_end_matches('\r').split("\x1b[");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|letter: char| letter.is_ascii_alphabetic());
        text.push_str(end.map_or("", |at| &piece[at + 1..]));
    }
    text.replace('\r', "")
}

/// Finds a QR code in a picture.
fn scanned(picture: &[String]) -> Option<String> {
    let rows: Vec<Vec<char>> = picture
        .iter()
        .filter_map(|line| line.strip_prefix('│')?.strip_suffix('│'))
        .map(|line| line.chars().collect())
        .collect();
    let (width, height) = (rows.first()?.len() * 2, rows.len() * 4);
    let is_lit = |x: usize, y: usize| {
        let place = (x % 2, y % 4);
        let bit = DOTS.iter().position(|dot| *dot == place);
        let character = rows.get(y / 4).and_then(|row| row.get(x / 2)).copied();
        let dots = character.map_or(0, |character| u32::from(character).saturating_sub(BLANK));
        bit.is_some_and(|bit| dots >> bit & 1 == 1)
    };
    let grey = |x, y| if is_lit(x, y) { u8::MAX } else { 0 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, grey);
    let codes = image.detect_grids();
    codes.iter().find_map(|code| code.decode().ok()).map(|(_, link)| link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_is_left_out() {
        assert_eq!(plain("\x1b[18A\r┌──┐\x1b[K"), "┌──┐");
        assert_eq!(plain("\x1b[2m│ab│\x1b[0m\x1b[K"), "│ab│");
        assert_eq!(plain("plain"), "plain");
    }

    #[test]
    fn a_panel_without_a_code_is_no_link() {
        let dark = vec![format!("│{}│", "\u{2800}".repeat(64)); 16];
        assert_eq!(scanned(&dark), None);
        assert_eq!(scanned(&[]), None);
    }
}
