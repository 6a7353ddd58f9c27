//! One receiver's letters: what is sent, what waits for a further try, what is given up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokenward::clock::Clock;
use tokenward::core::time::Instant;
use tokenward::metrics::Metrics;
use tokenward::metrics::label::WebhookOutcome;
use tokio::sync::mpsc;

use super::letter::Letter;
use super::pace::Pace;
use super::post::{Answer, Post};

/// Sends what comes, until nobody sends more or the receiver wants no more.
pub(super) async fn run(
    post: Post,
    pace: Pace,
    mut letters: mpsc::Receiver<Letter>,
    metrics: Arc<Metrics>,
) {
    let clock = Clock::system();
    let mut queue = Queue::new(pace);
    let mut flying = FuturesUnordered::new();
    loop {
        while flying.len() < pace.at_once
            && let Some(parcel) = queue.due(clock.now())
        {
            let post = post.clone();
            flying.push(async move { (post.send(&parcel.letter, pace.within).await, parcel) });
        }
        let wake_at = queue.wake_at().filter(|_| flying.len() < pace.at_once);
        tokio::select! {
            arrived = letters.recv() => {
                let Some(letter) = arrived else { return };
                if !queue.add(Parcel { letter, tries: 0 }, clock.now(), flying.len()) {
                    metrics.webhook(WebhookOutcome::Dropped);
                }
            }
            Some((answer, parcel)) = flying.next() => {
                let outcome = queue.landed(answer, parcel, clock.now());
                metrics.webhook(outcome);
                tell_operator(&post, answer, outcome);
                if answer == Answer::Gone {
                    return drop_the_rest(letters, &metrics).await;
                }
            }
            () = sleep_until(&clock, wake_at), if wake_at.is_some() => {}
        }
    }
}

async fn sleep_until(clock: &Clock, wake_at: Option<Instant>) {
    if let Some(wake_at) = wake_at {
        clock.sleep_until(wake_at).await;
    }
}

/// Counts what a receiver would have been told that wants no more letters.
async fn drop_the_rest(mut letters: mpsc::Receiver<Letter>, metrics: &Metrics) {
    while letters.recv().await.is_some() {
        metrics.webhook(WebhookOutcome::Dropped);
    }
}

fn tell_operator(post: &Post, answer: Answer, outcome: WebhookOutcome) {
    let receiver = post.receiver();
    if answer == Answer::Gone {
        tracing::error!(
            receiver,
            "a webhook's receiver wants no more letters (410): take it out of the configuration, \
             or mend the receiver and restart"
        );
    } else if outcome == WebhookOutcome::GivenUp {
        tracing::warn!(
            receiver,
            ?answer,
            "a webhook's letter was given up: look at its receiver; see the console for what it \
             would have been told"
        );
    }
}

/// A letter with its tries so far.
#[derive(Clone, Debug)]
struct Parcel {
    letter: Letter,
    tries: usize,
}

/// What waits, in the order in which it is due.
struct Queue {
    pace: Pace,
    waiting: BTreeMap<(Instant, u64), Parcel>,
    /// Tells letters apart that are due at the same moment.
    numbers: u64,
    /// Until when the receiver asked to be left alone.
    closed_until: Option<Instant>,
}

impl Queue {
    fn new(pace: Pace) -> Self {
        Self { pace, waiting: BTreeMap::new(), numbers: 0, closed_until: None }
    }

    /// Takes a letter in; false where there are too many.
    fn add(&mut self, parcel: Parcel, due: Instant, flying: usize) -> bool {
        if self.waiting.len() + flying >= self.pace.waiting_max {
            return false;
        }
        self.numbers += 1;
        self.waiting.insert((due, self.numbers), parcel);
        true
    }

    /// Takes out what may be sent.
    fn due(&mut self, now: Instant) -> Option<Parcel> {
        if self.closed_until.is_some_and(|until| until > now) {
            return None;
        }
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Returns when there may be something to send.
    fn wake_at(&self) -> Option<Instant> {
        let ((due, _), _) = self.waiting.first_key_value()?;
        Some(self.closed_until.map_or(*due, |until| until.max(*due)))
    }

    /// Settles a try: what failed waits for its next one, or is given up.
    fn landed(&mut self, answer: Answer, parcel: Parcel, now: Instant) -> WebhookOutcome {
        match answer {
            Answer::Taken => return WebhookOutcome::Delivered,
            Answer::Gone => return WebhookOutcome::GivenUp,
            Answer::Refused(_, Some(pause)) => {
                self.closed_until = Some(now + pause.min(self.pace.pause_max));
            }
            Answer::Refused(_, None) | Answer::Silent => {}
        }
        let Some(wait) = self.pace.again.get(parcel.tries) else {
            return WebhookOutcome::GivenUp;
        };
        let again = Parcel { tries: parcel.tries + 1, ..parcel };
        match self.add(again, now + jittered(*wait), 0) {
            true => WebhookOutcome::Failed,
            false => WebhookOutcome::Dropped,
        }
    }
}

/// Spreads tries that failed together: three to five quarters of the wait.
fn jittered(wait: Duration) -> Duration {
    let mut dice = [0];
    // Without randomness they are not spread, which is no reason not to try.
    let _ = getrandom::fill(&mut dice);
    wait * 3 / 4 + wait * u32::from(dice[0]) / 510
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PACE: Pace = Pace {
        within: SECOND,
        again: &[SECOND, SECOND],
        waiting_max: 3,
        at_once: 2,
        pause_max: Duration::from_secs(60),
    };

    fn parcel(name: &str) -> Parcel {
        Parcel { letter: Letter { id: name.to_owned(), body: bytes::Bytes::new() }, tries: 0 }
    }

    #[test]
    fn l14_a_letter_is_tried_so_often_and_the_queue_holds_so_many() {
        let (mut queue, now) = (Queue::new(PACE), Instant::ZERO + SECOND);
        assert!(queue.add(parcel("a"), now, 0) && queue.add(parcel("b"), now, 0));
        assert!(!queue.add(parcel("c"), now, 1), "one is under way");
        let mut outcomes = Vec::new();
        let mut later = now;
        let mut sent = queue.due(now).unwrap();
        for _ in 0..3 {
            outcomes.push(queue.landed(Answer::Silent, sent.clone(), later));
            later = later + 2 * SECOND;
            queue.waiting.retain(|_, parcel| parcel.letter.id == "a");
            let Some(next) = queue.due(later) else { break };
            sent = next;
        }
        let expected = [WebhookOutcome::Failed, WebhookOutcome::Failed, WebhookOutcome::GivenUp];
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn a_receiver_that_asks_for_a_pause_gets_it_within_bounds() {
        let (mut queue, now) = (Queue::new(PACE), Instant::ZERO + SECOND);
        queue.add(parcel("b"), now, 0);
        let busy = |seconds| {
            let pause = Some(Duration::from_secs(seconds));
            Answer::Refused(StatusCode::TOO_MANY_REQUESTS, pause)
        };
        queue.landed(busy(30), parcel("a"), now);
        assert!(queue.due(now + 29 * SECOND).is_none(), "nothing is sent meanwhile");
        assert_eq!(queue.wake_at(), Some(now + 30 * SECOND));
        assert_eq!(queue.due(now + 30 * SECOND).unwrap().letter.id, "b");
        queue.landed(busy(u64::MAX), parcel("c"), now);
        assert_eq!(queue.wake_at(), Some(now + 60 * SECOND), "an hour is not waited");
    }

    #[test]
    fn tries_are_spread_around_their_wait() {
        for _ in 0..100 {
            let wait = jittered(Duration::from_secs(100)).as_secs();
            assert!((75..=125).contains(&wait), "{wait}");
        }
    }
}
