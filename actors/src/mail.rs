//! Addresses of actors that say how many messages wait, and for how long they did.
//!
//! ractor counts neither. A letter counts itself: it is added to the gauge when it is posted, and
//! taken away when it is opened or when its mailbox goes with it, so that the gauge cannot drift.

use std::sync::Arc;

use ractor::{ActorId, ActorRef};

use crate::clock::Clock;
use crate::core::time::Instant;
use crate::metrics::Metrics;
use crate::metrics::label::Actor;

/// What the letters to one kind of actor are counted with.
#[derive(Clone)]
pub(crate) struct Post {
    clock: Clock,
    metrics: Arc<Metrics>,
    kind: Actor,
}

/// Where an actor takes its letters.
pub(crate) struct Address<M> {
    actor: ActorRef<Letter<M>>,
    post: Arc<Post>,
}

/// A message in a mailbox.
pub(crate) struct Letter<M> {
    message: M,
    posted_at: Instant,
    waiting: Waiting,
}

/// One message in the gauge of its kind.
struct Waiting(Arc<Post>);

// === impl Post ===

impl Post {
    pub(crate) fn new(clock: Clock, metrics: Arc<Metrics>, kind: Actor) -> Arc<Self> {
        Arc::new(Self { clock, metrics, kind })
    }
}

// === impl Address ===

impl<M: Send + 'static> Address<M> {
    pub(crate) fn new(actor: ActorRef<Letter<M>>, post: Arc<Post>) -> Self {
        Self { actor, post }
    }

    /// Posts a message.
    ///
    /// # Errors
    /// Gives it back where the actor takes none any more.
    pub(crate) fn cast(&self, message: M) -> Result<(), M> {
        let waiting = Waiting::new(Arc::clone(&self.post));
        let posted_at = self.post.clock.now();
        match self.actor.cast(Letter { message, posted_at, waiting }) {
            Err(ractor::MessagingErr::SendErr(letter)) => Err(letter.message),
            // The other errors do not come of posting: the type is right, and nobody is called.
            Ok(())
            | Err(ractor::MessagingErr::ChannelClosed | ractor::MessagingErr::InvalidActorType) => {
                Ok(())
            }
        }
    }

    pub(crate) fn get_id(&self) -> ActorId {
        self.actor.get_id()
    }

    /// Lets the actor end when it has read what is in its mailbox.
    pub(crate) fn drain(&self) {
        // An error means that it has ended already.
        drop(self.actor.drain());
    }

    pub(crate) fn stop(&self) {
        self.actor.stop(None);
    }

    #[cfg(test)]
    pub(crate) fn kill(&self) {
        self.actor.kill();
    }
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self { actor: self.actor.clone(), post: Arc::clone(&self.post) }
    }
}

// === impl Letter ===

impl<M> Letter<M> {
    /// Takes the message out, and counts how long it waited.
    pub(crate) fn open(self) -> M {
        let Post { clock, metrics, kind } = &*self.waiting.0;
        metrics.message_wait(*kind, clock.now().since(self.posted_at));
        self.message
    }
}

// === impl Waiting ===

impl Waiting {
    fn new(post: Arc<Post>) -> Self {
        post.metrics.mailbox(post.kind, 1);
        Self(post)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.metrics.mailbox(self.0.kind, -1);
    }
}
