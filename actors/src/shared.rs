//! What every actor and task of one framework has in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::broadcast;
use tokio_util::task::TaskTracker;

use crate::away::Away;
use crate::clock::Clock;
use crate::core::event::Event;
use crate::core::name::{Owner, SessionKey, WaiterId};
use crate::core::policy::Policies;
use crate::directory::Directory;
use crate::events::Events;
use crate::exchanges::{BACKLOG, ExchangeTold};
use crate::mail::Post;
use crate::metrics::{Metrics, label};
use crate::provider::Provider;
use crate::router::{Endings, Router};
use crate::step_up::StepLimits;
use crate::store::Vault;
use crate::waiting::WaitingRoom;

pub(crate) struct Shared {
    pub(crate) away: Away,
    pub(crate) clock: Clock,
    pub(crate) directory: Directory,
    pub(crate) endings: Endings,
    pub(crate) events: Events,
    /// Tells exchanges that are over.
    pub(crate) exchanges: broadcast::Sender<ExchangeTold>,
    /// Work that must not be cut short: exchanges and endings.
    pub(crate) flights: TaskTracker,
    pub(crate) metrics: Arc<Metrics>,
    /// Who we are in the leases; new with each start.
    pub(crate) owner: Owner,
    /// Whether the store belongs to this process alone: an intent of anybody else is then one of
    /// somebody dead.
    pub(crate) alone: bool,
    pub(crate) provider: Provider,
    pub(crate) vault: Vault,
    pub(crate) draining: AtomicBool,
    /// How often people have tried to step up.
    pub(crate) steps: StepLimits,
    /// Counts letters to routers, and to sessions.
    posts: [Arc<Post>; 2],
    /// The holds that operators see.
    pub(crate) waiting: WaitingRoom,
    policies: ArcSwap<Policies>,
    waiters: AtomicU64,
    routers: std::sync::OnceLock<Box<[Router]>>,
}

/// What a framework is made of.
pub(crate) struct Parts {
    pub(crate) alone: bool,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) policies: Policies,
    pub(crate) provider: Provider,
    pub(crate) vault: Vault,
}

impl Shared {
    pub(crate) fn new(parts: Parts, owner: Owner) -> Self {
        let Parts { alone, clock, metrics, policies, provider, vault } = parts;
        let post = |kind| Post::new(clock.clone(), Arc::clone(&metrics), kind);
        let posts = [post(label::Actor::Router), post(label::Actor::Session)];
        Self {
            away: Away::new(Arc::clone(&metrics)),
            directory: Directory::default(),
            endings: Endings::default(),
            events: Events::new(clock.clone()),
            exchanges: broadcast::Sender::new(BACKLOG),
            flights: TaskTracker::new(),
            owner,
            alone,
            draining: AtomicBool::new(false),
            steps: StepLimits::default(),
            posts,
            waiting: WaitingRoom::default(),
            policies: ArcSwap::from_pointee(policies),
            waiters: AtomicU64::new(1),
            routers: std::sync::OnceLock::new(),
            clock,
            metrics,
            provider,
            vault,
        }
    }

    /// Names the routers; done once, before anything is asked of them.
    pub(crate) fn staff(&self, routers: Vec<Router>) {
        // An error would mean a second call, which the builder does not make.
        drop(self.routers.set(routers.into_boxed_slice()));
    }

    /// Returns the router at home for a session: always the same, so that a session can never be
    /// brought to life twice.
    #[expect(clippy::expect_used, reason = "the builder names the routers before it gives us out")]
    pub(crate) fn router(&self, key: &SessionKey) -> &Router {
        let routers = self.routers.get().expect("the framework is built");
        &routers[usize::from(key.0[31]) % routers.len()]
    }

    pub(crate) fn routers(&self) -> &[Router] {
        self.routers.get().map_or(&[], |routers| routers)
    }

    pub(crate) fn policies(&self) -> Arc<Policies> {
        self.policies.load_full()
    }

    pub(crate) fn replace_policies(&self, policies: Arc<Policies>) {
        self.policies.store(policies);
    }

    pub(crate) fn next_waiter(&self) -> WaiterId {
        WaiterId(self.waiters.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Returns what counts the letters to sessions, or to routers.
    pub(crate) fn post(&self, kind: label::Actor) -> Arc<Post> {
        Arc::clone(&self.posts[usize::from(kind == label::Actor::Session)])
    }

    pub(crate) fn emit(&self, key: &SessionKey, event: &Event) {
        self.metrics.record(event);
        self.events.tell(key, event);
    }
}
