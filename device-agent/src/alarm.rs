//! One alarm, which wakes the program at its moment and neither before nor again.
//!
//! Tokio's timers come near a moment in steps, so that a wait of a minute wakes the machine three
//! times, and they stand still while it is suspended. The kernel's own timer does neither.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The shortest wait: the kernel takes none at all for "switched off".
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest wait: whoever has nothing to do for longer looks around once a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// An alarm on the clock that goes on through suspend.
#[derive(Debug)]
pub struct Alarm {
    timer: TimerFd,
    /// The same open file, as the event loop watches it.
    rings: AsyncFd<File>,
}

impl Alarm {
    /// Makes an alarm that is not set; only inside an event loop.
    ///
    /// # Errors
    /// Fails where the kernel has no timer to give.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        let watched = File::from(timer.as_fd().try_clone_to_owned()?);
        #[expect(unsafe_code, reason = "what is watched must stay the same descriptor")]
        // SAFETY: a file owns its descriptor, gives always the same one, and closes it when dropped.
        let rings = unsafe { AsyncFd::register_with_interest(watched, Interest::READABLE) };
        Ok(Self { timer, rings: rings.map_err(io::Error::from)? })
    }

    /// Waits for so long.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped; the next wait sets the alarm anew.
    pub async fn after(&mut self, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        let wait = wait.clamp(SHORTEST, LONGEST);
        let once = Expiration::OneShot(TimeSpec::from(wait));
        let is_set = self.timer.set(once, TimerSetTimeFlags::empty()).is_ok();
        if !is_set || self.ring().await.is_err() {
            // The kernel refuses no such wait; if it did, waking too often is better than never.
            tokio::time::sleep(wait).await;
        }
    }

    async fn ring(&self) -> io::Result<()> {
        loop {
            let mut ready = self.rings.readable().await?;
            let mut file: &File = ready.get_inner();
            match file.read(&mut [0; 8]) {
                Ok(_) => return Ok(()),
                // It rang for a wait that was given up.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn l12_a_wait_ends_by_itself_and_one_that_was_given_up_rings_for_nobody() {
        const LIMIT: Duration = Duration::from_secs(30);
        let mut alarm = Alarm::new().unwrap();
        alarm.after(Duration::ZERO).await;
        tokio::time::timeout(LIMIT, alarm.after(Duration::from_millis(20))).await.unwrap();
        // Set, given up, and rung behind our back.
        tokio::select! {
            biased;
            () = alarm.after(SHORTEST) => panic!("the loop has not looked yet"),
            () = std::future::ready(()) => {}
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let long = tokio::time::timeout(Duration::from_millis(50), alarm.after(LONGEST)).await;
        assert!(long.is_err(), "an old ring ends no new wait");
    }
}
