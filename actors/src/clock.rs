//! The one place that reads a clock (law L12).
//!
//! Deadlines are counted on the boot clock, which goes on through suspend and never jumps. The
//! wall clock is read for showing and for claims that are defined in it, never for a deadline.
//! Tests hold a [`ManualHand`] instead and move time themselves.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use crate::core::time::{Instant, UnixSeconds};

/// How long to sleep at most before looking at the boot clock again: tokio's timer stands still
/// while the machine is suspended, so an alarm is late by no more than this after waking up.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Where a manual clock starts: far enough from the moment of boot that a test can look back.
const MANUAL_START: Duration = Duration::from_secs(10_000);

/// What a manual clock's wall shows at its start: 2026-01-01 00:00:00 UTC.
const MANUAL_UNIX: Duration = Duration::from_secs(1_767_225_600);

/// The present moment, from the machine or from a test's hand; a clone shows the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

/// One run of the machine between two boots: instants compare only within the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

/// Moves a manual clock.
#[derive(Clone, Debug)]
pub struct ManualHand(Arc<Source>);

struct Source {
    boot: BootId,
    /// The time since the start of a manual clock; `None` for the machine's own.
    moved: Option<watch::Sender<Duration>>,
    /// By how many seconds the wall clock of a manual clock is off.
    wall_off: AtomicI64,
}

impl Clock {
    /// Returns the machine's clock.
    pub fn system() -> Self {
        let wall_off = AtomicI64::new(0);
        Self(Arc::new(Source { boot: machine_boot(), moved: None, wall_off }))
    }

    /// Returns a clock that stands still until its hand moves it, on a boot of its own.
    pub fn manual() -> (Self, ManualHand) {
        let moved = Some(watch::Sender::new(Duration::ZERO));
        let wall_off = AtomicI64::new(0);
        let source = Arc::new(Source { boot: random_boot(), moved, wall_off });
        (Self(Arc::clone(&source)), ManualHand(source))
    }

    /// Returns the time since boot, suspend included.
    pub fn now(&self) -> Instant {
        match &self.0.moved {
            Some(moved) => Instant::ZERO + MANUAL_START + *moved.borrow(),
            None => boot_time(),
        }
    }

    /// Returns the wall clock's seconds.
    pub fn unix(&self) -> UnixSeconds {
        UnixSeconds(self.wall().as_secs())
    }

    /// Returns what the wall clock showed at a moment of this boot, for showing only.
    pub fn unix_millis_of(&self, at: Instant) -> u64 {
        let ago = u64::try_from(self.now().since(at).as_millis()).unwrap_or(u64::MAX);
        self.unix_millis().saturating_sub(ago)
    }

    /// Returns the wall clock's milliseconds since the Unix epoch, for showing only.
    pub fn unix_millis(&self) -> u64 {
        u64::try_from(self.wall().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the boot that [`Clock::now`] counts from.
    pub fn boot(&self) -> BootId {
        self.0.boot
    }

    /// Reports whether a test's hand moves this clock: machines that share it have it in common.
    #[cfg(feature = "redis")]
    pub(crate) fn is_by_hand(&self) -> bool {
        self.0.moved.is_some()
    }

    /// Waits until `until` has come.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn sleep_until(&self, until: Instant) {
        let mut hand = self.0.moved.as_ref().map(watch::Sender::subscribe);
        loop {
            let left = until.left_at(self.now());
            if left.is_zero() {
                return;
            }
            match &mut hand {
                // The sender lives in this clock, so waiting for its change cannot fail.
                Some(hand) => drop(hand.changed().await),
                None => tokio::time::sleep(left.min(SLEEP_MAX)).await,
            }
        }
    }

    fn wall(&self) -> Duration {
        match &self.0.moved {
            Some(moved) => {
                let right = MANUAL_UNIX + *moved.borrow();
                let off = self.0.wall_off.load(Ordering::Relaxed);
                let span = Duration::from_secs(off.unsigned_abs());
                if off < 0 { right.saturating_sub(span) } else { right + span }
            }
            None => wall_time(),
        }
    }
}

impl ManualHand {
    /// Moves the clock forward and wakes whoever sleeps until then.
    pub fn advance(&self, by: Duration) {
        if let Some(moved) = &self.0.moved {
            moved.send_modify(|since_start| *since_start += by);
        }
    }

    /// Sets the wall clock by so many seconds off what it should show, as somebody at the machine
    /// may; the clock that deadlines are counted on goes on undisturbed.
    pub fn set_wall_off(&self, seconds: i64) {
        self.0.wall_off.store(seconds, Ordering::Relaxed);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.moved.is_some() { "manual clock" } else { "system clock" })
    }
}

#[expect(clippy::expect_used, reason = "Linux has had this clock since 2.6.39")]
fn boot_time() -> Instant {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("the boot clock can be read");
    Instant::ZERO + Duration::from(time)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
fn wall_time() -> Duration {
    // A wall clock before 1970 is a dead battery: it shows the epoch.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn machine_boot() -> BootId {
    // Where the kernel does not tell, every start counts as a boot of its own: ages across it are
    // unknown, which is pessimistic and right.
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .and_then(|text| parse_boot(&text))
        .unwrap_or_else(random_boot)
}

fn parse_boot(text: &str) -> Option<BootId> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(|id| BootId(id.to_be_bytes()))
}

#[expect(clippy::expect_used, reason = "without the kernel's randomness nothing here is safe")]
fn random_boot() -> BootId {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the kernel gives random bytes");
    BootId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l12_the_machines_clock_counts_from_boot_and_never_back() {
        let clock = Clock::system();
        let (first, second) = (clock.now(), clock.now());
        assert!(first > Instant::ZERO && first <= second);
        assert_eq!(clock.boot(), Clock::system().boot(), "one boot, one id");
        assert!(clock.unix() > UnixSeconds(MANUAL_UNIX.as_secs()));
    }

    #[test]
    fn a_boot_id_is_read_as_the_kernel_writes_it() {
        let text = "00112233-4455-6677-8899-aabbccddeeff\n";
        let bytes = [0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255];
        assert_eq!(parse_boot(text), Some(BootId(bytes)));
        for bad in ["", "0011", "zz112233-4455-6677-8899-aabbccddeeff"] {
            assert_eq!(parse_boot(bad), None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_hand_passes_its_moment_and_not_before() {
        let (clock, hand) = Clock::manual();
        let until = clock.now() + Duration::from_secs(10);
        let mut sleeper = {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep_until(until).await })
        };
        for _ in 0..9 {
            hand.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
        assert!(!sleeper.is_finished());
        hand.advance(Duration::from_secs(1));
        (&mut sleeper).await.expect("the sleeper wakes");
        assert_eq!(clock.now(), until);
    }
}
