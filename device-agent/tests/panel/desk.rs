//! The panel's thread: the latest frame wins, faults are tried again for ever, the end is bounded.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokenward_device::panel::{self, Counts, Drawn, Fault, Handle, Panel};
use tokenward_device::screen::frame::{Frame, Glass};

/// How long a thread may take for what takes it microseconds: a bound, not an expectation.
const LIMIT: Duration = Duration::from_secs(30);

/// A panel that draws when it is told how it ends.
struct Puppet {
    /// The minute of each frame that arrives, which is its name here.
    seen: Sender<u64>,
    outcomes: Receiver<Result<Drawn, Fault>>,
}

impl Panel for Puppet {
    fn draw(&mut self, frame: &Frame) -> Result<Drawn, Fault> {
        self.seen.send(frame.minute).unwrap();
        self.outcomes.recv().unwrap_or(Ok(Drawn::Unchanged))
    }

    fn darken(&mut self) {
        self.seen.send(u64::MAX).unwrap();
    }
}

struct Stage {
    handle: Handle,
    seen: Receiver<u64>,
    outcomes: Sender<Result<Drawn, Fault>>,
}

impl Stage {
    fn new(retries: &'static [Duration]) -> Self {
        let (seen_here, seen) = channel();
        let (outcomes, outcomes_there) = channel();
        let puppet = Puppet { seen: seen_here, outcomes: outcomes_there };
        let handle = panel::start_with(Box::new(puppet), retries).unwrap();
        Self { handle, seen, outcomes }
    }

    fn show(&self, minute: u64) {
        self.handle.show(Frame { minute, ..Frame::dark(Glass::Pixels128x64) });
    }

    fn sees(&self, minute: u64) {
        assert_eq!(self.seen.recv_timeout(LIMIT), Ok(minute));
    }
}

#[test]
fn the_latest_frame_wins_and_the_others_are_counted() {
    let stage = Stage::new(&[]);
    assert_eq!(stage.handle.health().up, None);
    stage.show(1);
    stage.sees(1);
    for minute in 2..=5 {
        stage.show(minute);
    }
    stage.outcomes.send(Ok(Drawn::Whole)).unwrap();
    stage.sees(5);
    stage.outcomes.send(Ok(Drawn::Unchanged)).unwrap();
    assert!(stage.handle.settle(LIMIT));
    let health = stage.handle.health();
    assert_eq!((health.up, health.asked, health.dealt), (Some(true), 5, 5));
    assert_eq!(health.counts, Counts { ok: 1, skipped: 3, ..Counts::default() });
}

#[test]
fn a_fault_is_told_and_tried_again_with_the_newest_frame() {
    let stage = Stage::new(&[Duration::ZERO]);
    stage.show(1);
    stage.sees(1);
    for number in [121, 5, 110, 16] {
        stage.outcomes.send(Err(Fault::opening(Some(number)))).unwrap();
        stage.sees(1);
        let health = stage.handle.health();
        assert_eq!(health.up, Some(false));
        assert_eq!(health.fault.and_then(Fault::errno), Some(number));
    }
    stage.show(2);
    stage.outcomes.send(Err(Fault::pulled())).unwrap();
    stage.sees(2);
    stage.outcomes.send(Ok(Drawn::Whole)).unwrap();
    assert!(stage.handle.settle(LIMIT));
    let health = stage.handle.health();
    assert_eq!((health.up, health.fault, health.dealt), (Some(true), None, 2));
    let counts = Counts { ok: 1, nack: 3, bus: 1, timeout: 1, skipped: 0 };
    assert_eq!(health.counts, counts);
}

#[test]
fn the_end_does_not_wait_for_a_panel_that_is_gone() {
    const LONG: Duration = Duration::from_secs(3_600);
    let stage = Stage::new(&[LONG]);
    stage.show(1);
    stage.sees(1);
    stage.outcomes.send(Err(Fault::pulled())).unwrap();
    assert!(stage.handle.settle(LIMIT));
    assert!(stage.handle.close(), "the wait of an hour is cut short");
    assert_eq!(stage.seen.recv_timeout(LIMIT), Ok(u64::MAX), "the glass is darkened");
}

#[test]
fn the_end_is_bounded_where_a_bus_hangs() {
    let stage = Stage::new(&[]);
    stage.show(1);
    stage.sees(1);
    assert!(!stage.handle.close(), "the bus still holds the thread");
    drop(stage.outcomes);
}
