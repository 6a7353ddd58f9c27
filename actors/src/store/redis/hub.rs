//! Hears what other machines write, and passes it on.
//!
//! The scripts publish each change on one channel. A message is a hint: who hears it reads the
//! record. While the channel is known to be heard, nobody needs to ask whether anything has changed;
//! so the connection proves itself again and again, and each silence is told as a loss.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::PubSub;
use redis::{Msg, RedisResult};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::dial::Dial;
use crate::core::name::SessionKey;
use crate::store::{News, Tiding};

/// How often the connection proves itself, and how long that may take: together below the second
/// within which a logout elsewhere must be effective where no message comes.
const BEAT: Duration = Duration::from_millis(300);
const BEAT_WITHIN: Duration = Duration::from_millis(500);

/// How long to wait before connecting again at first, and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How many tidings wait for a listener; who is slower reads everything again.
const BACKLOG: usize = 4_096;

/// Who hears of changes.
pub(super) struct Hub {
    ears: Arc<Ears>,
    live: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Ears(Mutex<Vec<Ear>>);

struct Ear {
    tidings: mpsc::Sender<Tiding>,
    /// Whether something was lost that could not be told yet.
    missed: bool,
}

impl Hub {
    /// Starts to listen on the current tokio runtime; what `ourselves` has published is no news.
    pub(super) fn start(dial: Arc<Dial>, channel: String, ourselves: [u8; 16]) -> Self {
        let ears = Arc::<Ears>::default();
        let (told, live) = watch::channel(false);
        let task = tokio::spawn(listen(dial, channel, ourselves, (Arc::clone(&ears), told)));
        Self { ears, live, task }
    }

    pub(super) fn news(&self) -> News {
        let (tidings, heard) = mpsc::channel(BACKLOG);
        self.ears.all().push(Ear { tidings, missed: false });
        News::new(heard, self.live.clone())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ears {
    fn tell(&self, tiding: Tiding) {
        self.all().retain_mut(|ear| ear.tell(tiding));
    }

    fn all(&self) -> MutexGuard<'_, Vec<Ear>> {
        // Each change is whole before the lock is given back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    /// Passes a tiding on; returns whether anybody listens.
    fn tell(&mut self, tiding: Tiding) -> bool {
        let tiding = if self.missed { Tiding::Missed } else { tiding };
        match self.tidings.try_send(tiding) {
            Ok(()) => self.missed = false,
            Err(TrySendError::Full(_)) => self.missed = true,
            Err(TrySendError::Closed(_)) => return false,
        }
        true
    }
}

async fn listen(
    dial: Arc<Dial>,
    channel: String,
    ourselves: [u8; 16],
    (ears, live): (Arc<Ears>, watch::Sender<bool>),
) {
    let (mut pause, mut refused) = (PAUSE_FIRST, false);
    for turn in 0.. {
        match subscribe(&dial, turn, &channel).await {
            Ok(ear) => {
                pause = PAUSE_FIRST;
                live.send_replace(true);
                // Whatever was published before is not heard any more.
                ears.tell(Tiding::Missed);
                hear(ear, &ourselves, &ears).await;
                live.send_replace(false);
                tracing::warn!("what other machines change is not heard; sessions are looked up");
            }
            Err(error) if error.code() == Some("NOPERM") && !refused => {
                refused = true;
                tracing::warn!(
                    %channel,
                    "the server does not let us hear what other machines change: sessions are looked \
                     up instead; give the user +subscribe and its channel"
                );
            }
            Err(error) => tracing::debug!(%error, "not listening yet"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn subscribe(dial: &Dial, turn: usize, channel: &str) -> RedisResult<PubSub> {
    let mut ear = dial.ear(turn).await?;
    ear.subscribe(channel).await?;
    Ok(ear)
}

/// Passes on what is heard, for as long as the connection proves itself.
async fn hear(ear: PubSub, ourselves: &[u8; 16], ears: &Ears) {
    let (mut sink, mut messages) = ear.split();
    let beat = async {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match timeout(BEAT_WITHIN, sink.ping::<()>()).await {
                Ok(Ok(())) => ears.all().iter_mut().for_each(|ear| {
                    // Told as soon as there is room, and not with the next change only.
                    if ear.missed {
                        ear.tell(Tiding::Missed);
                    }
                }),
                Ok(Err(_)) | Err(_) => return,
            }
        }
    };
    let pass_on = async {
        while let Some(message) = messages.next().await {
            if let Some(key) = changed(&message, ourselves) {
                ears.tell(Tiding::Changed(key));
            }
        }
    };
    tokio::select! {
        () = beat => {}
        () = pass_on => {}
    }
}

/// Returns the session that a message is about, unless we sent it; other senders' bytes are nobody's.
fn changed(message: &Msg, ourselves: &[u8; 16]) -> Option<SessionKey> {
    let (sender, key) = message.get_payload_bytes().split_first_chunk::<16>()?;
    let key = SessionKey(key.try_into().ok()?);
    (sender != ourselves).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn l14_a_listener_that_is_too_slow_is_told_that_it_missed_something() {
        let ears = Ears::default();
        let (tidings, mut heard) = mpsc::channel(2);
        ears.all().push(Ear { tidings, missed: false });
        let changed = |number| Tiding::Changed(SessionKey([number; 32]));
        for number in 0..4 {
            ears.tell(changed(number));
        }
        assert_eq!(heard.recv().await, Some(changed(0)));
        ears.tell(changed(4));
        assert_eq!(heard.recv().await, Some(changed(1)));
        assert_eq!(heard.recv().await, Some(Tiding::Missed));
        drop(heard);
        ears.tell(changed(5));
        assert!(ears.all().is_empty(), "nobody listens");
    }
}
