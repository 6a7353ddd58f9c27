//! One alarm clock for many sessions.
//!
//! A timer for each session would cost a task and half a kilobyte each; here an alarm is one entry
//! in an ordered set, and each shard has one task that sleeps until the earliest.

use std::collections::{BTreeSet, HashMap};

use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::core::name::SessionKey;
use crate::core::time::Instant;

/// Sets alarms; a clone sets them on the same clock.
#[derive(Clone)]
pub(crate) struct Alarms(mpsc::UnboundedSender<(SessionKey, Option<Instant>)>);

impl Alarms {
    /// Starts a clock that calls `ring` for each session whose alarm has come. It ends when the
    /// last clone is dropped.
    pub(crate) fn start(clock: Clock, ring: impl Fn(SessionKey) + Send + 'static) -> Self {
        // Unbounded, and bounded all the same: each session sends at most one setting for each
        // message that it handles, and those are bounded where they are admitted.
        let (sender, settings) = mpsc::unbounded_channel();
        tokio::spawn(run(clock, settings, ring));
        Self(sender)
    }

    /// Sets, moves or removes the alarm of a session.
    pub(crate) fn set(&self, key: SessionKey, at: Option<Instant>) {
        // An error means that the clock was stopped with its runtime.
        let _stopped = self.0.send((key, at));
    }
}

#[derive(Default)]
struct Dial {
    order: BTreeSet<(Instant, SessionKey)>,
    set: HashMap<SessionKey, Instant>,
}

async fn run(
    clock: Clock,
    mut settings: mpsc::UnboundedReceiver<(SessionKey, Option<Instant>)>,
    ring: impl Fn(SessionKey),
) {
    let mut dial = Dial::default();
    loop {
        let first = dial.order.first().map(|(at, _)| *at);
        let sleep = async {
            match first {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            setting = settings.recv() => match setting {
                Some((key, at)) => dial.turn(key, at),
                None => return,
            },
            () = sleep => dial.due(clock.now()).into_iter().for_each(&ring),
        }
    }
}

impl Dial {
    fn turn(&mut self, key: SessionKey, at: Option<Instant>) {
        if let Some(before) = self.set.remove(&key) {
            self.order.remove(&(before, key));
        }
        if let Some(at) = at {
            self.set.insert(key, at);
            self.order.insert((at, key));
        }
    }

    fn due(&mut self, now: Instant) -> Vec<SessionKey> {
        let mut due = Vec::new();
        while let Some((at, key)) = self.order.first().copied()
            && at <= now
        {
            self.order.remove(&(at, key));
            self.set.remove(&key);
            due.push(key);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn alarms_ring_in_order_and_the_last_setting_counts() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let key = |number| SessionKey([number; 32]);
        let mut dial = Dial::default();
        dial.turn(key(1), Some(at(3)));
        dial.turn(key(2), Some(at(2)));
        dial.turn(key(3), Some(at(1)));
        dial.turn(key(1), Some(at(1)));
        dial.turn(key(3), None);
        assert_eq!(dial.due(at(2)), [key(1), key(2)]);
        assert!(dial.order.is_empty() && dial.set.is_empty());
    }
}
