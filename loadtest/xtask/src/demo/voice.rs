//! What a demo says: calm lines, above the picture where a person watches.

use std::time::Duration;

use tokenward_programs::clock::Watch;

use super::calm::{Calm, News};
use crate::terminal::{self, Board};

/// The demo's voice. Its lines carry the time since it was raised.
#[derive(Debug)]
pub(super) struct Voice {
    watch: Watch,
    calm: Calm,
    board: Option<Board>,
}

impl Voice {
    /// Starts to tell; above so many lines of a picture where a person watches.
    pub(super) fn raise(picture: Option<usize>) -> Self {
        let board = picture.map(Board::new);
        Self { watch: Watch::start(), calm: Calm::default(), board }
    }

    /// Returns how long the demo has run.
    pub(super) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// Takes news in.
    pub(super) fn hear(&mut self, news: News) {
        if let Some(early) = self.calm.take(self.watch.elapsed(), news) {
            self.say(&early);
        }
    }

    /// Says what has waited for others like it long enough, and shows the picture; answers whether
    /// there is somebody to look at it.
    pub(super) fn turn(&mut self, picture: &[String]) -> bool {
        for line in self.calm.due(self.elapsed()) {
            self.say(&line);
        }
        if let Some(board) = &self.board {
            board.show(picture);
        }
        self.board.is_some()
    }

    /// Says what still waits, and takes the picture away.
    pub(super) fn fall_silent(&mut self) {
        for line in self.calm.rest() {
            self.say(&line);
        }
        drop(self.board.take());
    }

    fn say(&self, line: &str) {
        match &self.board {
            Some(board) => board.say(line),
            None => terminal::result(line),
        }
    }
}
