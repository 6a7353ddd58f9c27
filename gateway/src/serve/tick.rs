//! Coarse time for the data plane: seconds since the thread began, moved by the thread itself.
//!
//! Bounds on idleness need no better, and reading a cell costs nothing on the hot path.

use std::cell::Cell;
use std::time::Duration;

/// How far apart two ticks are.
pub(crate) const TICK: Duration = Duration::from_secs(1);

thread_local! {
    static NOW: Cell<u32> = const { Cell::new(0) };
}

/// Returns the present tick of this thread.
pub(crate) fn now() -> u32 {
    NOW.get()
}

/// Moves this thread's time on by one tick.
pub(super) fn advance() {
    NOW.set(NOW.get().saturating_add(1));
}

/// Returns the ticks of a span, rounded up, at least one.
pub(super) fn ticks(span: Duration) -> u32 {
    u32::try_from(span.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX).max(1)
}
