//! What a person sees of the demo, and does in it: live lines, the display's panel, and keys.

use std::ops::ControlFlow;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokenward_programs::failure::Failure;

use super::calm::News;
use super::display::{Display, LINES};
use super::keys::Keys;
use super::voice::Voice;
use super::{feed, person};
use crate::tree::Tree;
use crate::world::World;

/// What the keys do, under the panel.
const LEGEND: &str = "p  phone scans the panel    m  MFA rule on/off    w  panel's wire    q  quit";

/// How often the phone of a run that nobody watches looks at the panel.
const LOOK: Duration = Duration::from_secs(1);

/// The demo as it is seen.
#[derive(Debug)]
pub(super) struct Show {
    voice: Voice,
    news: Receiver<News>,
    display: Display,
    keys: Option<Keys>,
    asks: bool,
    is_alone: bool,
    looked_at: Duration,
}

impl Show {
    /// Starts the display and follows the gateway's events. Where the demo `is_alone`, its phone
    /// scans by itself what the panel shows.
    ///
    /// # Errors
    /// `Unavailable` when the display does not start.
    pub(super) fn open(tree: &Tree, world: &World, is_alone: bool) -> Result<Self, Failure> {
        let keys = if is_alone { None } else { Keys::take() };
        Ok(Self {
            // One line more for the legend.
            voice: Voice::raise(keys.is_some().then_some(LINES + 1)),
            news: feed::follow(world.admin("/api/events")),
            display: Display::start(tree, world)?,
            keys,
            asks: false,
            is_alone,
            looked_at: Duration::ZERO,
        })
    }

    /// Returns how long the demo has run.
    pub(super) fn elapsed(&self) -> Duration {
        self.voice.elapsed()
    }

    /// Takes a line of our own.
    pub(super) fn tell(&mut self, line: String) {
        self.voice.hear(News::plain(line));
    }

    /// Shows what is new and does what keys say; breaks where the person has had enough.
    ///
    /// # Errors
    /// `Unavailable` when the display has ended; `Ours` where the sandbox refuses.
    pub(super) fn turn(&mut self, world: &World) -> Result<ControlFlow<()>, Failure> {
        self.display.check()?;
        while let Some(key) = self.keys.as_ref().and_then(Keys::next) {
            if self.press(key, world)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if self.is_alone && self.elapsed() >= self.looked_at + LOOK {
            self.looked_at = self.elapsed();
            if !person::has_display(world) {
                self.scan(world);
            }
        }
        while let Ok(news) = self.news.try_recv() {
            self.voice.hear(news);
        }
        let mut lines = self.display.picture();
        lines.push(LEGEND.to_owned());
        self.voice.turn(&lines);
        Ok(ControlFlow::Continue(()))
    }

    /// Tells what is left, stops the display, and judges it where nobody watched.
    ///
    /// # Errors
    /// `Missed` where it was not signed in; `Ours` when it did not stop cleanly.
    pub(super) fn close(mut self, world: &World) -> Result<(), Failure> {
        self.voice.fall_silent();
        let is_signed_in = person::has_display(world);
        self.display.stop()?;
        match self.is_alone && !is_signed_in {
            true => Err(Failure::Missed("the wall display was not signed in".to_owned())),
            false => Ok(()),
        }
    }

    fn press(&mut self, key: u8, world: &World) -> Result<ControlFlow<()>, Failure> {
        match key {
            b'm' => {
                self.asks = !self.asks;
                person::rules(world, self.asks)?;
                let word =
                    if self.asks { "on: refreshes for the quotes are challenged" } else { "off" };
                self.tell(format!("rule   MFA {word}"));
            }
            b'p' => self.scan(world),
            b'q' => return Ok(ControlFlow::Break(())),
            b'w' => self.display.pull_wire()?,
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn scan(&mut self, world: &World) {
        match self.display.scan().map(|link| person::follows(world, &link)) {
            Some(Ok(done)) => self.tell(done.to_owned()),
            // A gateway that was just killed has forgotten the code; the next one is on its way.
            Some(Err(why)) => self.tell(format!("phone  {why}")),
            None if self.is_alone => {}
            None => self.tell("phone  sees no code on the panel".to_owned()),
        }
    }
}
