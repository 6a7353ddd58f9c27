//! Tells receivers of the operator's choice what happens to sessions, by signed HTTP requests.
//!
//! The scheme is that of Standard Webhooks 1.0.0: `webhook-id` stays the same for each try,
//! `webhook-timestamp` is the second of the try, and `webhook-signature` proves both and the body.
//! A letter names the session by its public id and says what happened; it holds no secret, and
//! nothing about the person.
//!
//! What waits to be sent is kept in memory: a receiver that must not miss anything asks
//! `/api/sessions` after a restart of the gateway. Letters may overtake each other, and one whose
//! answer was lost comes twice.

use std::sync::{Arc, Mutex, PoisonError};

use tokenward::metrics::Metrics;
use tokenward::metrics::label::WebhookOutcome;
use tokenward::{EventStream, Heard, LifecycleEvent, Tokenward};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::config::{Config, WebhookConfig, WebhookEvent};

pub(crate) use self::post::{Answer, Post};

use self::letter::Letter;
use self::pace::Pace;

mod letter;
mod pace;
mod post;
mod queue;

/// The letters that may wait between the framework's facts and one receiver's own queue.
const INBOX: usize = 64;

/// The receivers, each with its queue.
pub(crate) struct Webhooks {
    hooks: Arc<Mutex<Vec<Hook>>>,
    metrics: Arc<Metrics>,
    follower: AbortHandle,
}

/// One receiver.
struct Hook {
    config: WebhookConfig,
    inbox: mpsc::Sender<Letter>,
    task: AbortHandle,
}

impl Webhooks {
    /// Starts to tell the configured receivers.
    pub(crate) fn start(tokenward: &Tokenward, config: &Config) -> Self {
        let hooks = Arc::new(Mutex::new(Vec::new()));
        let metrics = Arc::clone(tokenward.metrics());
        let following = follow(Arc::clone(&hooks), Arc::clone(&metrics), tokenward.events());
        let follower = tokio::spawn(following).abort_handle();
        let webhooks = Self { hooks, metrics, follower };
        webhooks.replace(config);
        webhooks
    }

    /// Goes on with a reloaded configuration; what waits for a receiver that stays is kept.
    pub(crate) fn replace(&self, config: &Config) {
        // No holder stops half way.
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *hooks);
        for wanted in &config.webhooks {
            if let Some(at) = before.iter().position(|hook| hook.config == *wanted) {
                hooks.push(before.swap_remove(at));
                continue;
            }
            match Post::new(config, wanted) {
                Ok(post) => hooks.push(self.open(wanted, post)),
                Err(error) => tracing::error!(
                    host = wanted.url.host_str(),
                    error,
                    "a webhook cannot be used: see provider.extra_root"
                ),
            }
        }
    }

    fn open(&self, wanted: &WebhookConfig, post: Post) -> Hook {
        let (inbox, letters) = mpsc::channel(INBOX);
        let queue = queue::run(post, Pace::default(), letters, Arc::clone(&self.metrics));
        Hook { config: wanted.clone(), inbox, task: tokio::spawn(queue).abort_handle() }
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.follower.abort();
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(hooks: Arc<Mutex<Vec<Hook>>>, metrics: Arc<Metrics>, mut facts: EventStream) {
    while let Some(heard) = facts.next().await {
        match heard {
            Heard::Event(fact) => tell(&hooks, &metrics, &fact),
            Heard::Missed(count) => {
                tracing::warn!(count, "webhooks missed facts: more happened than could be told");
            }
        }
    }
}

fn tell(hooks: &Mutex<Vec<Hook>>, metrics: &Metrics, fact: &LifecycleEvent) {
    let Some(event) = WebhookEvent::ALL.into_iter().find(|event| event.code() == fact.event) else {
        return;
    };
    let hooks = hooks.lock().unwrap_or_else(PoisonError::into_inner);
    for hook in hooks.iter().filter(|hook| hook.config.events.contains(&event)) {
        let told = Letter::about(fact).map(|letter| hook.inbox.try_send(letter).is_ok());
        if told != Some(true) {
            metrics.webhook(WebhookOutcome::Dropped);
        }
    }
}
