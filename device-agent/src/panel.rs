//! The wires: one thread of its own that brings the latest frame onto the glass, for ever.
//!
//! Linux knows no asynchronous I2C, and a full picture blocks its caller for a tenth of a second
//! at 100 kHz; so a [`Handle`] only leaves the latest frame in a mailbox of one. Whatever goes
//! wrong on the wire is a [`Fault`]: it is counted, kept for `check`, and tried again for ever,
//! while the agent works on without a panel.

pub mod bus;
pub mod fault;
pub mod make;
pub mod picture;
pub mod terminal;

mod lcd;
mod oled;
mod wired;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use crate::screen::frame::Frame;

pub use fault::{Cause, Fault};
pub use make::{Fitting, Make};
pub use wired::Wired;

/// How long to wait after each failure in a row; the last one stands for all that follow. A wire
/// that is plugged in again lights up within half a minute, and an empty bus costs next to nothing.
const RETRIES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];

/// How long to wait for the thread at the end: longer than a full picture takes at 100 kHz, and
/// than the second after which the kernel gives up on a bus that hangs.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Brings frames onto glass: over wires, or into a terminal.
pub trait Panel: Send {
    /// Shows a frame.
    ///
    /// # Errors
    ///
    /// Says why the glass may show something else. The next call begins from nothing: it opens the
    /// bus again, sets the panel up and sends the whole picture.
    fn draw(&mut self, frame: &Frame) -> Result<Drawn, Fault>;

    /// Darkens the glass at the end, as far as it answers: a clock that stands still is a lie.
    fn darken(&mut self);
}

/// What one call of [`Panel::draw`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// When the glass showed the frame already.
    Unchanged,
    /// When what differed was sent.
    Changed,
    /// When the panel was set up and the whole picture was sent.
    Whole,
}

/// The panel as the agent holds it; dropping it ends the thread without waiting for it.
#[derive(Debug)]
pub struct Handle(Arc<Shared>);

/// How the panel fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the last attempt reached the glass; `None` before the first one.
    pub up: Option<bool>,
    /// Why the last attempt failed, if it did.
    pub fault: Option<Fault>,
    /// What became of the frames since the beginning.
    pub counts: Counts,
    /// How many frames were handed over.
    pub asked: u64,
    /// How many of them the thread has dealt with, for better or worse: where this equals `asked`
    /// or grows, the thread lives.
    pub dealt: u64,
}

/// What became of frames, by the labels of `tokenward_device_display_writes_total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that reached the glass and changed it.
    pub ok: u64,
    /// Attempts that the panel did not acknowledge.
    pub nack: u64,
    /// Attempts that failed for any other reason of the bus.
    pub bus: u64,
    /// Attempts that the adapter gave up waiting for.
    pub timeout: u64,
    /// Frames that a newer one replaced before they were shown.
    pub skipped: u64,
}

/// Starts the panel's thread.
///
/// # Errors
///
/// Fails where the machine has no thread to give.
pub fn start(panel: Box<dyn Panel>) -> io::Result<Handle> {
    start_with(panel, &RETRIES)
}

/// Starts the panel's thread with waits of one's own choice after failures: for tests.
///
/// # Errors
///
/// Fails where the machine has no thread to give.
pub fn start_with(panel: Box<dyn Panel>, retries: &'static [Duration]) -> io::Result<Handle> {
    let shared = Arc::new(Shared::default());
    let theirs = Arc::clone(&shared);
    let worker = thread::Builder::new().name("panel".to_owned());
    worker.stack_size(STACK).spawn(move || run(&theirs, panel, retries))?;
    Ok(Handle(shared))
}

/// The stack of the panel's thread: its deepest call holds a few KiB of buffers.
const STACK: usize = 128 * 1024;

impl Handle {
    /// Leaves a frame to be shown, in place of one that was not begun yet. Never waits for the bus.
    ///
    /// It is called at least once a minute: healing a panel that lost its power rides on it.
    pub fn show(&self, frame: Frame) {
        let mut desk = self.0.desk();
        desk.health.asked += 1;
        if desk.frame.replace(frame).is_some() {
            desk.health.counts.skipped += 1;
            desk.health.dealt += 1;
        }
        self.0.changed.notify_all();
    }

    /// Returns how the panel fares.
    pub fn health(&self) -> Health {
        self.0.desk().health
    }

    /// Waits until the panel has gone away or come back since the last such wait.
    ///
    /// # Cancel safety
    /// A turn that nobody waited for is told to the next who waits.
    pub async fn turned(&self) {
        self.0.turned.notified().await;
    }

    /// Waits until every frame that was handed over is dealt with, at most for so long; tells
    /// whether they are.
    pub fn settle(&self, limit: Duration) -> bool {
        let desk = self.0.desk();
        let busy = |desk: &mut Desk| desk.health.dealt < desk.health.asked && !desk.ended;
        let (desk, _) = self
            .0
            .changed
            .wait_timeout_while(desk, limit, busy)
            .unwrap_or_else(PoisonError::into_inner);
        desk.health.dealt == desk.health.asked
    }

    /// Darkens the glass and ends the thread; tells whether it ended in time.
    pub fn close(self) -> bool {
        self.0.desk().closing = true;
        self.0.changed.notify_all();
        let desk = self.0.desk();
        let (desk, _) = self
            .0
            .changed
            .wait_timeout_while(desk, CLOSE_MAX, |desk| !desk.ended)
            .unwrap_or_else(PoisonError::into_inner);
        desk.ended
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.desk().closing = true;
        self.0.changed.notify_all();
    }
}

impl Counts {
    fn add(&mut self, outcome: Result<Drawn, Fault>) {
        match outcome.map_err(Fault::cause) {
            Ok(Drawn::Unchanged) => {}
            Ok(Drawn::Changed | Drawn::Whole) => self.ok += 1,
            Err(Cause::Absent | Cause::Wire) => self.nack += 1,
            Err(Cause::Timeout) => self.timeout += 1,
            Err(
                Cause::NoAdapter | Cause::Owned | Cause::Denied | Cause::SmbusOnly | Cause::Other,
            ) => self.bus += 1,
        }
    }
}

/// What both threads see.
#[derive(Debug, Default)]
struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
    /// Told when the panel goes away or comes back.
    turned: Notify,
}

#[derive(Debug, Default)]
struct Desk {
    /// The latest frame that the thread has not taken yet.
    frame: Option<Frame>,
    health: Health,
    /// Whether the thread is asked to end.
    closing: bool,
    /// Whether it has ended.
    ended: bool,
}

impl Shared {
    /// Nothing that is written under the lock can be left half done, so a panic elsewhere is no
    /// reason to stop showing frames.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a frame or for the end, which is `None`.
    fn next(&self) -> Option<Frame> {
        let idle = |desk: &mut Desk| desk.frame.is_none() && !desk.closing;
        let desk = self.changed.wait_while(self.desk(), idle);
        let mut desk = desk.unwrap_or_else(PoisonError::into_inner);
        if desk.closing { None } else { desk.frame.take() }
    }

    /// Waits out a failure. A newer frame does not shorten the wait: it has no better chance.
    fn rest(&self, limit: Duration) -> Rest {
        let waited = self.changed.wait_timeout_while(self.desk(), limit, |desk| !desk.closing);
        let (mut desk, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match desk.frame.take() {
            _ if desk.closing => Rest::Over,
            Some(frame) => Rest::Newer(frame),
            None => Rest::Again,
        }
    }

    /// Notes the outcome of an attempt; `fresh` says that it was the first with its frame.
    fn note(&self, outcome: Result<Drawn, Fault>, fresh: bool) {
        let mut desk = self.desk();
        desk.health.counts.add(outcome);
        if desk.health.up != Some(outcome.is_ok()) {
            self.turned.notify_one();
        }
        desk.health.up = Some(outcome.is_ok());
        desk.health.fault = outcome.err();
        if fresh {
            desk.health.dealt += 1;
        }
        self.changed.notify_all();
    }
}

/// How a wait after a failure ended.
enum Rest {
    /// When the thread is asked to end.
    Over,
    /// When the frame that failed is still the latest.
    Again,
    /// When a newer frame has come.
    Newer(Frame),
}

/// Tells the other thread that this one is gone, even where it unwinds.
struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.desk().ended = true;
        self.0.changed.notify_all();
    }
}

fn run(shared: &Shared, mut panel: Box<dyn Panel>, retries: &[Duration]) {
    let _leaving = Leaving(shared);
    while let Some(frame) = shared.next() {
        if !show(shared, &mut *panel, retries, frame) {
            break;
        }
    }
    panel.darken();
}

/// Tries until a frame is on the glass; returns whether there is more to do.
fn show(shared: &Shared, panel: &mut dyn Panel, retries: &[Duration], mut frame: Frame) -> bool {
    let mut failures = 0;
    let mut fresh = true;
    loop {
        let outcome = panel.draw(&frame);
        shared.note(outcome, fresh);
        if outcome.is_ok() {
            return true;
        }
        let wait = retries.get(failures).or(retries.last()).copied().unwrap_or_default();
        failures += 1;
        match shared.rest(wait) {
            Rest::Over => return false,
            Rest::Again => fresh = false,
            Rest::Newer(newer) => (frame, fresh) = (newer, true),
        }
    }
}
