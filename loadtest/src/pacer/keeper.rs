//! The thread that keeps the schedule: nothing but waiting until the next request is due, and
//! handing it over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;
use nix::sys::prctl;
use tokenward_programs::clock::Watch;
use tokenward_programs::failure::Failure;
use tokio::sync::mpsc;

use super::{Due, Schedule};

/// The slack of this thread's timers, in nanoseconds: with the kernel's default of 50 µs, requests
/// leave twice as late.
const TIMER_SLACK_NS: std::ffi::c_ulong = 1;
/// The longest sleep in one piece, so that an interrupted run ends soon.
const NAP: Duration = Duration::from_millis(50);
/// The latest that is told apart, in microseconds.
const LATENESS_MAX_US: u64 = 60_000_000;

/// How well the schedule was kept, seen while it is being kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// Requests handed over.
    pub handed: AtomicU64,
    /// Requests that could not be handed over, because too many were waiting for a connection.
    pub shed: AtomicU64,
}

/// The thread at work.
#[derive(Debug)]
pub struct Keeper {
    /// How it gets on.
    pub kept: Arc<Kept>,
    thread: JoinHandle<Histogram<u64>>,
}

impl Keeper {
    /// Starts to hand over what is due, from now on by this watch, until the schedule ends or `stop`
    /// is set.
    ///
    /// # Errors
    /// `Unavailable` when the machine has no thread left.
    pub fn start(
        schedule: Schedule,
        watch: Watch,
        queue: mpsc::Sender<Due>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let kept = Arc::new(Kept::default());
        let shared = Arc::clone(&kept);
        let thread = thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || keep(schedule, watch, &queue, &stop, &shared))
            .map_err(|error| Failure::io("start the pacer's thread", &error))?;
        Ok(Self { kept, thread })
    }

    /// Tells whether everything was handed over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end, and returns how late requests were handed over, in microseconds.
    #[must_use]
    pub fn lateness(self) -> Histogram<u64> {
        self.thread.join().unwrap_or_else(|_| histogram())
    }
}

fn keep(
    schedule: Schedule,
    watch: Watch,
    queue: &mpsc::Sender<Due>,
    stop: &AtomicBool,
    kept: &Kept,
) -> Histogram<u64> {
    // Where the kernel refuses, requests leave a little later, which the lateness tells.
    let _ = prctl::set_timerslack(TIMER_SLACK_NS);
    let mut lateness = histogram();
    for due in schedule {
        loop {
            let ahead = due.at.saturating_sub(watch.elapsed());
            if stop.load(Ordering::Relaxed) {
                return lateness;
            }
            if ahead.is_zero() {
                break;
            }
            thread::sleep(ahead.min(NAP));
        }
        let late = watch.elapsed().saturating_sub(due.at);
        lateness.saturating_record(u64::try_from(late.as_micros()).unwrap_or(LATENESS_MAX_US));
        match queue.try_send(due) {
            Ok(()) => kept.handed.fetch_add(1, Ordering::Relaxed),
            Err(_) => kept.shed.fetch_add(1, Ordering::Relaxed),
        };
    }
    lateness
}

#[expect(clippy::expect_used, reason = "the bounds are constants that the crate accepts")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENESS_MAX_US, 2).expect("1 is below the maximum")
}
