//! What only the kernel and the C library can tell: whether the clock is set, and what the clocks
//! on the walls of this place show.

use std::mem::MaybeUninit;

use crate::model::WallTime;

/// What the wall clock showed when this was written, 2026-01-01: one that shows less was never set.
const WRITTEN_UNIX: u64 = 1_767_225_600;

/// Reports whether a wall clock that shows these seconds can be believed: the kernel says that it
/// is synchronised, and it is not before this program was written.
pub fn is_clock_right(unix: u64) -> bool {
    // Where the kernel may not be asked, a year that can be is the best that is known.
    unix >= WRITTEN_UNIX && is_synchronised().unwrap_or(true)
}

/// Returns the hour and the minute that these seconds are on the walls of this place.
pub fn local_time(unix: u64) -> Option<WallTime> {
    let seconds = libc::time_t::try_from(unix).ok()?;
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    #[expect(unsafe_code, reason = "the time zone is known to the C library only")]
    // SAFETY: both pointers are to live values of the right type, and `tm` is plain numbers and a
    // pointer that may be null, so that zeroes are a value of it.
    let parts = unsafe {
        let filled = libc::localtime_r(&raw const seconds, parts.as_mut_ptr());
        if filled.is_null() { None } else { Some(parts.assume_init()) }
    }?;
    WallTime::new(u8::try_from(parts.tm_hour).ok()?, u8::try_from(parts.tm_min).ok()?)
}

/// Asks the kernel whether something keeps its clock right; `None` where it may not be asked.
fn is_synchronised() -> Option<bool> {
    let mut state = MaybeUninit::<libc::timex>::zeroed();
    #[expect(unsafe_code, reason = "no safe crate asks this of the kernel")]
    // SAFETY: the pointer is to a live value of the right type; zeroes are a value of it, and a
    // `modes` of zero changes nothing.
    let (answer, state) = unsafe { (libc::adjtimex(state.as_mut_ptr()), state.assume_init()) };
    let is_kept = answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0;
    (answer >= 0).then_some(is_kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_at_the_epoch_is_wrong_whatever_the_kernel_says() {
        assert!(!is_clock_right(0));
        assert!(!is_clock_right(WRITTEN_UNIX - 1));
    }

    #[test]
    fn an_hour_later_is_an_hour_later_on_the_wall() {
        let (now, later) = (local_time(1_790_000_000), local_time(1_790_003_600));
        let minutes = |time: Option<WallTime>| u32::from(time.unwrap().minute_of_day());
        assert_eq!((minutes(now) + 60) % 1440, minutes(later) % 1440);
    }
}
