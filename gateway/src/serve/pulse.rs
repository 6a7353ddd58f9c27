//! What each connection is doing, and the roll of a thread's connections.
//!
//! hyper's own timers cost an allocation and a timer entry per request. Here a connection only
//! notes the tick at which something happened, and once per tick the thread walks its roll.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use super::framing::Sight;
use super::tick;

/// What one connection is doing. Written and read by one thread; atomic only because hyper's
/// bodies may travel.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    in_flight: AtomicU32,
    /// The tick at which the last request ended, or the connection began.
    idle_since: AtomicU32,
    /// The tick at which bytes last moved in either direction.
    moved: AtomicU32,
    /// The tick at which the present head began, plus one; zero where none is being read.
    head_since: AtomicU32,
    order: AtomicU8,
    lost: AtomicBool,
    smuggling: AtomicBool,
}

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Go on.
    Go,
    /// Finish what is in flight, then close.
    Finish,
    /// Close at once.
    Drop,
}

/// The bounds that the roll enforces, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) header_read: u32,
    pub(super) keep_alive: u32,
    /// How long a request may be in flight without a byte moving.
    pub(super) stall: u32,
}

/// How many ticks an idle connection has to close by itself after it was told to.
const GRACE: u32 = 5;

thread_local! {
    static ROLL: RefCell<Roll> = RefCell::new(Roll::default());
}

#[derive(Default)]
struct Roll {
    seats: Vec<Option<(Arc<Pulse>, Waker)>>,
    free: Vec<usize>,
    present: usize,
    emptied: Arc<Notify>,
    finishing: bool,
    cutting: bool,
}

/// A connection's entry on the roll; leaves it when dropped.
pub(super) struct Seat(usize);

/// Counts as present while it lives: a connection, or a tunnel that grew out of one.
pub(crate) struct Presence(());

impl Pulse {
    pub(super) fn begin() -> Arc<Self> {
        let pulse = Self::default();
        let now = tick::now();
        pulse.idle_since.store(now, Ordering::Relaxed);
        pulse.moved.store(now, Ordering::Relaxed);
        // The first head is due from the start.
        pulse.head_since.store(now.saturating_add(1), Ordering::Relaxed);
        Arc::new(pulse)
    }

    /// Notes that a request's head is complete.
    pub(crate) fn enter(&self) {
        self.head_since.store(0, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a request is over.
    pub(crate) fn leave(&self) {
        self.idle_since.store(tick::now(), Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn moved(&self) {
        self.moved.store(tick::now(), Ordering::Relaxed);
    }

    pub(super) fn see(&self, sight: Sight, in_head: bool) {
        match sight {
            Sight::Clear => {}
            Sight::Http2 => self.head_since.store(0, Ordering::Relaxed),
            Sight::Lost => self.lost.store(true, Ordering::Relaxed),
            Sight::Smuggling(why) => {
                tracing::debug!(why, "a request has two readings");
                self.smuggling.store(true, Ordering::Relaxed);
            }
        }
        if in_head && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(tick::now().saturating_add(1), Ordering::Relaxed);
        }
    }

    /// Reports whether the connection's framing has two readings.
    pub(crate) fn is_smuggling(&self) -> bool {
        self.smuggling.load(Ordering::Relaxed)
    }

    /// Reports whether the connection must be closed after its response.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn order(&self) -> Order {
        match self.order.load(Ordering::Relaxed) {
            0 => Order::Go,
            1 => Order::Finish,
            _ => Order::Drop,
        }
    }

    fn tell(&self, order: Order) {
        self.order.store(order as u8, Ordering::Relaxed);
    }

    /// Decides what the connection is to do at this tick.
    fn judge(&self, now: u32, bounds: &Bounds) -> Order {
        let head_since = self.head_since.load(Ordering::Relaxed);
        if head_since > 0 && now >= head_since.saturating_add(bounds.header_read) {
            return Order::Drop;
        }
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            let still = now.saturating_sub(self.moved.load(Ordering::Relaxed));
            return if still > bounds.stall { Order::Drop } else { self.order() };
        }
        let idle = now.saturating_sub(self.idle_since.load(Ordering::Relaxed));
        if idle > bounds.keep_alive.saturating_add(GRACE) {
            Order::Drop
        } else if idle > bounds.keep_alive {
            Order::Finish
        } else {
            self.order()
        }
    }
}

impl Seat {
    /// Puts a connection on the roll; its task is woken when it is told something.
    pub(super) fn take(pulse: &Arc<Pulse>, cx: &Context<'_>) -> Self {
        ROLL.with_borrow_mut(|roll| {
            if roll.finishing {
                pulse.tell(Order::Finish);
            }
            let entry = Some((Arc::clone(pulse), cx.waker().clone()));
            match roll.free.pop() {
                Some(number) => {
                    roll.seats[number] = entry;
                    Seat(number)
                }
                None => {
                    roll.seats.push(entry);
                    Seat(roll.seats.len() - 1)
                }
            }
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        ROLL.with_borrow_mut(|roll| {
            roll.seats[self.0] = None;
            roll.free.push(self.0);
        });
    }
}

impl Presence {
    pub(super) fn attend() -> Self {
        ROLL.with_borrow_mut(|roll| roll.present += 1);
        Presence(())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        ROLL.with_borrow_mut(|roll| {
            roll.present -= 1;
            if roll.present == 0 {
                roll.emptied.notify_waiters();
            }
        });
    }
}

/// Walks the roll: tells idle and stuck connections to go.
pub(super) fn walk(bounds: &Bounds) {
    let now = tick::now();
    call(|pulse| pulse.judge(now, bounds));
}

/// Tells every connection to finish, those that come later included.
pub(super) fn finish_all() {
    ROLL.with_borrow_mut(|roll| roll.finishing = true);
    call(|_| Order::Finish);
}

/// Notes that what is left on this thread is cut.
pub(super) fn cut_all() {
    ROLL.with_borrow_mut(|roll| roll.cutting = true);
}

/// Reports whether what is left on this thread is being cut.
pub(super) fn is_cutting() -> bool {
    ROLL.with_borrow(|roll| roll.cutting)
}

/// Waits until nobody is present, or for `limit`; returns how many are left.
pub(super) async fn emptied(limit: Duration) -> usize {
    let present = || ROLL.with_borrow(|roll| roll.present);
    let emptied = ROLL.with_borrow(|roll| Arc::clone(&roll.emptied));
    let wait = async {
        loop {
            let notified = emptied.notified();
            if present() == 0 {
                return;
            }
            notified.await;
        }
    };
    // Whoever is left is counted below.
    drop(tokio::time::timeout(limit, wait).await);
    present()
}

fn call(decide: impl Fn(&Pulse) -> Order) {
    let mut told = Vec::new();
    ROLL.with_borrow(|roll| {
        for (pulse, waker) in roll.seats.iter().flatten() {
            let order = decide(pulse);
            if order != pulse.order() {
                pulse.tell(order);
                told.push(waker.clone());
            }
        }
    });
    // Outside of the borrow: whoever wakes may leave the roll at once.
    told.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14_no_connection_stays_without_a_reason() {
        let bounds = Bounds { header_read: 15, keep_alive: 75, stall: 300 };
        let at = |pulse: &Pulse, tick| pulse.judge(tick, &bounds);

        let fresh = Pulse::begin();
        assert_eq!((at(&fresh, 15), at(&fresh, 16)), (Order::Go, Order::Drop), "no head");

        let idle = Pulse::begin();
        idle.enter();
        assert_eq!((at(&idle, 300), at(&idle, 301)), (Order::Go, Order::Drop), "stalled");
        idle.leave();
        assert_eq!(at(&idle, 75), Order::Go);
        assert_eq!((at(&idle, 76), at(&idle, 81)), (Order::Finish, Order::Drop), "idle");

        idle.see(Sight::Clear, true);
        assert_eq!((at(&idle, 15), at(&idle, 16)), (Order::Go, Order::Drop), "half a head");

        let streaming = Pulse::begin();
        streaming.see(Sight::Http2, false);
        assert_eq!((at(&streaming, 75), at(&streaming, 76)), (Order::Go, Order::Finish));
    }
}
