//! Long time limits of waits that nearly always end soon, at the price of one entry in a list.
//!
//! A timer of the runtime costs each request more than finding its access token does. What may take
//! many seconds can be ended by the thread's own ticks instead.

use std::cell::RefCell;
use std::task::{Context, Waker};
use std::time::Duration;

use super::tick;

/// From which limit on a tick is exact enough: it adds a tenth at most.
pub(crate) const COARSE_FROM: Duration = Duration::from_secs(10);

thread_local! {
    static WAITS: RefCell<Waits> = const { RefCell::new(Waits { seats: Vec::new(), free: Vec::new() }) };
}

/// The waits of a thread; as many as it has requests in flight.
struct Waits {
    seats: Vec<Option<Wait>>,
    free: Vec<usize>,
}

struct Wait {
    until: u32,
    waker: Waker,
}

/// A limit of one wait. Dropping it takes the wait off the list.
pub(crate) struct Late {
    limit: Duration,
    seat: Option<usize>,
}

impl Late {
    /// Makes a limit that runs from the first time it is asked.
    pub(crate) fn after(limit: Duration) -> Self {
        Self { limit, seat: None }
    }

    /// Reports whether the limit has passed; otherwise the task is woken when it does.
    pub(crate) fn is_over(&mut self, cx: &Context<'_>) -> bool {
        WAITS.with_borrow_mut(|waits| match self.seat {
            None => {
                // The present tick has begun already.
                let until = tick::now().saturating_add(tick::ticks(self.limit)).saturating_add(1);
                self.seat = Some(waits.enter(Wait { until, waker: cx.waker().clone() }));
                false
            }
            Some(seat) => match &mut waits.seats[seat] {
                Some(wait) => {
                    wait.waker.clone_from(cx.waker());
                    wait.until <= tick::now()
                }
                None => true,
            },
        })
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        let Some(seat) = self.seat else { return };
        // Where the thread ends, its list went before.
        let _ = WAITS.try_with(|waits| waits.borrow_mut().leave(seat));
    }
}

impl Waits {
    fn enter(&mut self, wait: Wait) -> usize {
        match self.free.pop() {
            Some(seat) => {
                self.seats[seat] = Some(wait);
                seat
            }
            None => {
                self.seats.push(Some(wait));
                self.seats.len() - 1
            }
        }
    }

    fn leave(&mut self, seat: usize) {
        self.seats[seat] = None;
        self.free.push(seat);
    }
}

/// Wakes the waits whose limit has passed; called once per tick.
pub(super) fn wake() {
    let now = tick::now();
    let over: Vec<Waker> = WAITS.with_borrow(|waits| {
        let over = waits.seats.iter().flatten().filter(|wait| wait.until <= now);
        over.map(|wait| wait.waker.clone()).collect()
    });
    // Outside of the borrow: whoever wakes may leave the list at once.
    over.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14_a_wait_ends_with_the_tick_after_its_limit() {
        let cx = Context::from_waker(Waker::noop());
        let mut long = Late::after(Duration::from_secs(12));
        let mut short = Late::after(Duration::from_secs(10));
        assert!(!long.is_over(&cx) && !short.is_over(&cx));
        for _ in 0..10 {
            tick::advance();
        }
        assert!(!short.is_over(&cx), "ten whole ticks have not passed for sure");
        tick::advance();
        assert!(short.is_over(&cx) && !long.is_over(&cx));
        drop(short);
        let mut next = Late::after(Duration::from_secs(10));
        assert!(!next.is_over(&cx), "the place of one that left is another's");
        tick::advance();
        tick::advance();
        assert!(long.is_over(&cx) && !next.is_over(&cx));
        drop((long, next));
        WAITS.with_borrow(|waits| assert_eq!((waits.seats.len(), waits.free.len()), (2, 2)));
    }
}
